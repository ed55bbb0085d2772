"""A notification as an Adaptive Card. Pure.

A flow answers before it has posted anything, so a card that Teams can't show is lost without a word: it is made to fit,
and looked at (`check_card`) before it is sent. All that is not ours is escaped: text of a card is Markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import Button, JsonObject, Line, Notification, Rejected, Severity

CARD = "application/vnd.microsoft.card.adaptive"
SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
VERSION = "1.4"
"""The first that has Action.Execute, and one that every Teams client shows."""

MOST_BYTES = 24 * 1024
"""Of a whole message. Teams takes 28 KB, and a flow adds to it."""

TITLE, NAME, LABEL, SUMMARY = 200, 100, 75, 250
"""Characters of a title, of a value's name, of what stands on a button, and of what a phone shows."""

STEPS = ((4000, 40), (1000, 40), (250, 40), (100, 40), (100, 10))
"""Characters of a text or a value, and how many values: the first step at which the message fits is taken, so that long
texts are shortened before anything is left out."""

ACTIONS = 6
"""Buttons that Teams shows; it drops further ones."""

COLOURS = {
    Severity.CRITICAL: "Attention",
    Severity.HIGH: "Attention",
    Severity.MEDIUM: "Warning",
    Severity.LOW: "Accent",
    Severity.INFO: "Default",
}
SIGNS = {
    Severity.CRITICAL: "🔴",
    Severity.HIGH: "🟠",
    Severity.MEDIUM: "🟡",
    Severity.LOW: "🔵",
    Severity.INFO: "ℹ️",
}
OVER, OVER_COLOUR = "✅", "Good"
STYLES = {"primary": "positive", "danger": "destructive"}

EMPTY = "—"


def message(notification: Notification, bot: bool) -> JsonObject:
    """The message that bears the card, at most MOST_BYTES if it can be. A bot's buttons come back to it; others open
    their address, and those without one are left out."""
    made: JsonObject = {}
    for longest, facts in STEPS:
        card = _card(notification, bot, longest, facts)
        made = {"type": "message", "attachments": [{"contentType": CARD, "contentUrl": None, "content": card}]}
        if bot:
            made["summary"] = shortened(_headline(notification), SUMMARY)
        if size(made) <= MOST_BYTES:
            break
    return made


def size(message: JsonObject) -> int:
    """Bytes of a message as it is sent."""
    return len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def _headline(notification: Notification) -> str:
    sign = OVER if notification.over else SIGNS[notification.severity]
    return f"{sign} {notification.title}"


def _card(notification: Notification, bot: bool, longest: int, facts: int) -> JsonObject:
    card: JsonObject = {
        "$schema": SCHEMA,
        "type": "AdaptiveCard",
        "version": VERSION,
        "msteams": {"width": "Full"},
        "body": list(_body(notification, longest, facts)),
    }
    actions = list(_actions(notification, bot))[:ACTIONS]
    if actions:
        card["actions"] = actions
    return card


def _body(notification: Notification, longest: int, facts: int) -> Iterator[JsonObject]:
    colour = OVER_COLOUR if notification.over else COLOURS[notification.severity]
    head = _one_line(_headline(notification), TITLE)
    yield _text(head, size="Large", weight="Bolder", style="heading", color=colour)
    text = _lines(notification.text, longest)
    if text:
        yield _text(text)
    if notification.facts:
        yield {"type": "FactSet", "facts": [_fact(line, longest) for line in notification.facts[:facts]]}
    left = len(notification.facts) - facts
    if left > 0:
        yield _text(f"… and {left} more", isSubtle=True)
    # The id is what tells people (and us) that a message was posted twice.
    when = f"{notification.at:%Y-%m-%d %H:%M} UTC · {escaped(notification.id)}"
    yield _text(when, id=notification.id, size="Small", isSubtle=True)


def _text(text: str, **more: Any) -> JsonObject:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _fact(line: Line, longest: int) -> JsonObject:
    return {"title": _one_line(line.name, NAME) or EMPTY, "value": _one_line(line.value, longest) or EMPTY}


def _actions(notification: Notification, bot: bool) -> Iterator[JsonObject]:
    link = notification.link
    if link is not None and is_https(link.url):
        yield {"type": "Action.OpenUrl", "title": shortened(link.text, LABEL), "url": link.url}
    for button in notification.buttons:
        if bot:
            yield _execute(button)
        elif button.url and is_https(button.url):
            yield {"type": "Action.OpenUrl", **_label(button), "url": button.url}


def _execute(button: Button) -> JsonObject:
    return {"type": "Action.Execute", **_label(button), "verb": button.id, "data": {"value": button.value}}


def _label(button: Button) -> JsonObject:
    style = {"style": STYLES[button.style]} if button.style in STYLES else {}
    return {"title": shortened(button.text, LABEL), **style}


# --- text -----------------------------------------------------------------------------------------------

_MARKS = re.compile(r"([\\*_\[\]~`])")
_LEADING = re.compile(r"^(\s*)([#>+-])", re.MULTILINE)
_NUMBERED = re.compile(r"^(\s*\d{1,9})([.)])", re.MULTILINE)
_MENTION = re.compile(r"<(?=/?at\b)", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_BREAKS = re.compile(r"\s*\n\s*")


def escaped(text: str) -> str:
    """Text that means nothing but itself: no emphasis, link, list, heading or mention."""
    text = _MARKS.sub(r"\\\1", _MENTION.sub("‹", text))
    return _NUMBERED.sub(r"\1\\\2", _LEADING.sub(r"\1\\\2", text))


def shortened(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _one_line(text: str, most: int) -> str:
    """Shortened before it is escaped: no escape is cut in two."""
    return escaped(shortened(" ".join(_UNSEEN.sub(" ", text).split()), most))


def _lines(text: str, most: int) -> str:
    """Lines stay lines: Markdown joins those between which none is empty."""
    plain = shortened(_UNSEEN.sub(" ", text).strip(), most)
    return "\n\n".join(escaped(line) for line in _BREAKS.split(plain))


def is_https(url: str) -> bool:
    """Whether Teams opens it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)


# --- can it be shown? -----------------------------------------------------------------------------------

_INNER = ("body", "actions")


def check_card(message: JsonObject, bot: bool) -> None:
    """Look whether Teams will show a message's card. Raises Rejected, which says what it would not."""
    bytes_ = size(message)
    if bytes_ > MOST_BYTES:
        raise Rejected(f"The message has {bytes_} bytes, and Teams takes {MOST_BYTES}: shorten what its buttons hold.")
    for attachment in message["attachments"]:
        problem = next(_problems(attachment["content"], bot), None)
        if problem:
            raise Rejected(f"Teams would not show the card: {problem}.")


def _problems(element: Mapping[str, Any], bot: bool) -> Iterator[str]:
    kind = element.get("type")
    rule = _RULES.get(str(kind))
    if rule is None:
        yield f"it knows no element {kind!r}"
        return
    if kind == "Action.Execute" and not bot:
        yield "only a bot's buttons come back"
    yield from rule(element)
    for name in _INNER:
        for inner in element.get(name, ()):
            yield from _problems(inner, bot)


def _card_rule(card: Mapping[str, Any]) -> Iterator[str]:
    if card.get("version") != VERSION:
        yield "its version is another"
    if not card.get("body"):
        yield "it is empty"
    if len(card.get("actions", ())) > ACTIONS:
        yield f"it has more than {ACTIONS} buttons"


def _text_rule(element: Mapping[str, Any]) -> Iterator[str]:
    if not element.get("text"):
        yield "a text is empty"


def _facts_rule(element: Mapping[str, Any]) -> Iterator[str]:
    facts = element.get("facts", ())
    if not facts or not all(fact.get("title") and fact.get("value") for fact in facts):
        yield "a value or its name is empty"


def _open_rule(action: Mapping[str, Any]) -> Iterator[str]:
    yield from _action_rule(action)
    if not is_https(str(action.get("url", ""))):
        yield "an address does not begin with https://"


def _execute_rule(action: Mapping[str, Any]) -> Iterator[str]:
    yield from _action_rule(action)
    if not action.get("verb"):
        yield "a button does not say which one it is"


def _action_rule(action: Mapping[str, Any]) -> Iterator[str]:
    if not action.get("title"):
        yield "a button has no text"


_RULES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "AdaptiveCard": _card_rule,
    "TextBlock": _text_rule,
    "FactSet": _facts_rule,
    "Action.OpenUrl": _open_rule,
    "Action.Execute": _execute_rule,
}
"""What we send, and what has to be so of it."""
