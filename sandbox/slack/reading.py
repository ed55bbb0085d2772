"""What people see of a message in Slack: Block Kit, and the marks of mrkdwn in the texts that have them."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox.reading import Seen, replaced

Json = dict[str, Any]

_CONTROL = re.compile(r"<([^<>]*)>")
_ENTITY = re.compile(r"&(lt|gt|amp);")
_MARKS = re.compile(r"(?<!\w)([*_~`])(?=\S)(?P<inner>[^\n]*?\S)\1(?!\w)")
_QUOTE = re.compile(r"^(?:>|&gt;) ?(?P<inner>.+)$", re.MULTILINE)
_ADDRESS = re.compile(r"https?://[^\s|]+")
_WORD = re.compile(r"(?<!\w)@(here|channel|everyone)\b")

ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}


def seen(text: str, blocks: Iterable[Json]) -> Seen:
    """A message; its text is shown where it has no blocks."""
    made = Seen()
    for block in blocks:
        _block(made, block)
    if not made.texts:
        made.texts.append(_mrkdwn(made, {"text": text}))
    return made


def _block(made: Seen, block: Json) -> None:
    for part in (block.get("text"), *block.get("fields", []), *block.get("elements", [])):
        if not part:
            continue
        if part["type"] == "button":
            _button(made, part)
        else:
            made.texts.append(part["text"] if part["type"] == "plain_text" else _mrkdwn(made, part))


def _button(made: Seen, button: Json) -> None:
    made.texts.append(button["text"]["text"])
    if "url" in button:
        made.links.append(button["url"])
    else:
        made.buttons.append(button["action_id"])


def _mrkdwn(made: Seen, part: Json) -> str:
    """As it is shown. Without `verbatim`, words that could be a call or a link are taken for one."""
    text, put_back = replaced(part["text"], _CONTROL, lambda found: _control(made, found[1]))
    if not part.get("verbatim"):
        made.calls += _WORD.findall(text)
        made.links += _ADDRESS.findall(text)
    for marks in (_QUOTE, _MARKS, _MARKS):  # twice, as marks can be within marks
        text = made.without_marks(text, marks)
    return put_back(_plain(text))


def _plain(text: str) -> str:
    return _ENTITY.sub(lambda found: ENTITIES[found[1]], text)


def _control(made: Seen, inside: str) -> str:
    """What stands between < and >: a call (`!here`, `@U1`), a date, a channel, or an address."""
    what, _, shown = inside.partition("|")
    if what.startswith("!date"):
        return shown
    if what.startswith(("!", "@")):
        made.calls.append(what)
    else:
        made.links.append(_plain(what))
    return _plain(shown or what)
