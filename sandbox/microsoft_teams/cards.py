"""What Teams refuses of a message's cards. It tells a bot so; of a flow the run fails, which its caller never hears."""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

CARD = "application/vnd.microsoft.card.adaptive"
MOST_BYTES = 28 * 1024
TOO_LARGE = "RequestEntityTooLarge"

ELEMENTS = frozenset({"TextBlock", "FactSet", "Container", "ColumnSet", "Column", "ActionSet", "Image"})
ACTIONS = frozenset({"Action.OpenUrl", "Action.ShowCard", "Action.ToggleVisibility"})
OF_A_BOT = frozenset({"Action.Execute", "Action.Submit"})


def problem(message: Json, bot: bool) -> str | None:
    """What is wrong with a message, if anything is."""
    if len(json.dumps(message, ensure_ascii=False).encode()) > MOST_BYTES:
        return TOO_LARGE
    if message.get("type") != "message":
        return "The message's type is not 'message'."
    attachments = message.get("attachments", [])
    if not isinstance(attachments, list) or not (attachments or message.get("text")):
        return "The message has no attachments."
    return next((text for one in attachments for text in _attachment(one, bot)), None)


def _attachment(attachment: Json, bot: bool) -> Iterator[str]:
    card = attachment.get("content")
    if attachment.get("contentType") != CARD or not isinstance(card, dict):
        yield "The attachment is no Adaptive Card."
        return
    if card.get("type") != "AdaptiveCard" or not card.get("version") or not card.get("body"):
        yield "The card has no type, version or body."
    for element in card.get("body") or []:
        yield from _element(element, bot)
    yield from _actions(card, bot)


def _element(element: Json, bot: bool) -> Iterator[str]:
    kind = element.get("type")
    if kind not in ELEMENTS:
        yield f"The element type {kind!r} is not known."
    if kind == "TextBlock" and not element.get("text"):
        yield "A TextBlock has no text."
    if kind == "FactSet" and not all(fact.get("title") and "value" in fact for fact in element.get("facts", [])):
        yield "A fact has no title or value."
    for inner in [*element.get("items", []), *element.get("columns", [])]:
        yield from _element(inner, bot)
    yield from _actions(element, bot)


def _actions(holder: Json, bot: bool) -> Iterator[str]:
    for action in holder.get("actions", []):
        kind = action.get("type")
        if kind not in ACTIONS and not (bot and kind in OF_A_BOT):
            yield f"The action type {kind!r} is not supported here."
        if kind == "Action.OpenUrl" and not str(action.get("url", "")).startswith("https://"):
            yield "Action.OpenUrl needs an https address."


def buttons(message: Json) -> list[Json]:
    """The buttons of a message's cards."""
    return [action for one in message.get("attachments", []) for action in one["content"].get("actions", [])]


def texts(message: Json) -> list[str]:
    """What can be read in a message, in order: its text, and the texts of its cards."""
    bodies = [element for one in message.get("attachments", []) for element in one["content"].get("body", [])]
    shown = [element["text"] for element in bodies if element.get("type") == "TextBlock"]
    return [text for text in (message.get("text"), *shown) if text]
