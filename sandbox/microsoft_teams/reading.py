"""What people see of a message in Teams: an Adaptive Card, and the Markdown in its texts."""

import re
from typing import Any

from sandbox.reading import Seen, replaced

Json = dict[str, Any]

_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!>~-])")
_LINK = re.compile(r"\[(?P<shown>[^\]]*)\]\((?P<url>[^)\s]+)\)")
_CALL = re.compile(r"<at\b[^>]*>(?P<who>.*?)</at>", re.IGNORECASE)
_LINES = re.compile(r"^[ \t]*(?:[-+*>]|#{1,6}|\d{1,9}[.)])[ \t]+(?P<inner>.+)$", re.MULTILINE)
_MARKS = re.compile(r"(?<!\w)(\*\*|__|~~|[*_`])(?=\S)(?P<inner>[^\n]*?\S)\1(?!\w)")


def seen(message: Json) -> Seen:
    """A message: its text and its cards."""
    made = Seen()
    if message.get("text"):
        made.texts.append(_markdown(made, message["text"]))
    for attachment in message.get("attachments", []):
        _element(made, attachment["content"])
    return made


def _element(made: Seen, element: Json) -> None:
    if element.get("type") == "TextBlock":
        made.texts.append(_markdown(made, element["text"]))
    for fact in element.get("facts", []):
        made.texts += [_markdown(made, fact["title"]), _markdown(made, fact["value"])]
    for inner in [*element.get("body", []), *element.get("items", []), *element.get("columns", [])]:
        _element(made, inner)
    for action in element.get("actions", []):
        _action(made, action)


def _action(made: Seen, action: Json) -> None:
    made.texts.append(action["title"])
    if "url" in action:
        made.links.append(action["url"])
    else:
        made.buttons.append(action["verb"])


def _markdown(made: Seen, text: str) -> str:
    text, put_back = replaced(text, _ESCAPED, lambda found: found[1])
    made.calls += [put_back(found["who"]) for found in _CALL.finditer(text)]
    made.links += [put_back(found["url"]) for found in _LINK.finditer(text)]
    text = _CALL.sub(lambda found: found["who"], _LINK.sub(lambda found: found["shown"], text))
    for marks in (_LINES, _MARKS, _MARKS):  # twice, as marks can be within marks
        text = made.without_marks(text, marks)
    return put_back(text)
