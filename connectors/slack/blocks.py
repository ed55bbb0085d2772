"""A notification in Block Kit. Pure.

Limits (characters and numbers of things) are those of Slack's own models; what is longer is shortened and ends with an
ellipsis. All that is not ours is `plain_text`, in which Slack sees neither marks nor calls nor links: escaped mrkdwn
would still make `*x*` bold, a quote of `> x`, and a call of `@here`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from connectors.contract import Button, JsonObject, Line, Notification, Severity

TITLE, TEXT, FIELD, LABEL, VALUE = 150, 3000, 2000, 75, 2000
FALLBACK = 4000
"""Characters of the text beside the blocks: what `chat.update` takes."""

FIELDS, BUTTONS, BLOCKS = 10, 25, 50
MOST_FACTS = 100
"""Facts that are shown: ten sections of them, or there would be no place for the link and the id."""

SIGNS = {
    Severity.CRITICAL: "🔴",
    Severity.HIGH: "🟠",
    Severity.MEDIUM: "🟡",
    Severity.LOW: "🔵",
    Severity.INFO: "i",
}
OVER = "✅"

MENTION = "<!here>"


def message(notification: Notification, mention: bool) -> JsonObject:
    """`text` and `blocks`; the text is what a phone shows and a screen reader reads."""
    head = _headline(notification)
    blocks = list(islice(_blocks(notification, head, mention), BLOCKS))
    told = [escaped(head), *([MENTION] if mention else []), escaped(notification.text)]
    return {"text": shortened("\n".join(filter(None, told)), FALLBACK), "blocks": blocks}


def _headline(notification: Notification) -> str:
    sign = OVER if notification.over else SIGNS[notification.severity]
    return f"{sign} {notification.title}"


def _blocks(notification: Notification, head: str, mention: bool) -> Iterator[JsonObject]:
    yield {"type": "header", "text": _plain(head, TITLE)}
    if mention:
        yield _section(MENTION)
    if notification.text:
        yield {"type": "section", "text": _plain(notification.text, TEXT)}
    yield from _facts(notification.facts)
    if notification.link is not None:
        yield _section(f"<{_address(notification.link.url)}|{escaped(shortened(notification.link.text, LABEL))}>")
    yield from _actions(notification.buttons)
    at = int(notification.at.timestamp())
    when = f"<!date^{at}^{{date_short_pretty}} {{time}}|{notification.at:%Y-%m-%d %H:%M} UTC>"
    yield {"type": "context", "elements": [{"type": "mrkdwn", "text": f"{when} · {notification.id}"}]}


def _facts(facts: Sequence[Line]) -> Iterator[JsonObject]:
    for start in range(0, min(len(facts), MOST_FACTS), FIELDS):
        yield {"type": "section", "fields": [_field(line) for line in facts[start : start + FIELDS]]}
    if len(facts) > MOST_FACTS:
        yield {"type": "section", "text": _plain(f"… and {len(facts) - MOST_FACTS} more", TEXT)}


def _section(marked_up: str) -> JsonObject:
    return {"type": "section", "text": {"type": "mrkdwn", "text": marked_up, "verbatim": True}}


def _field(line: Line) -> JsonObject:
    return _plain(f"{line.name}\n{line.value or '—'}", FIELD)


def _address(url: str) -> str:
    """An address as it stands between < and |: with what ends it there, it would end early and the rest be marks."""
    for special, code in (("<", "%3C"), (">", "%3E"), ("|", "%7C"), (" ", "%20")):
        url = url.replace(special, code)
    return escaped(url)


def _actions(buttons: Sequence[Button]) -> Iterator[JsonObject]:
    for start in range(0, len(buttons), BUTTONS):
        yield {"type": "actions", "elements": [_button(one) for one in buttons[start : start + BUTTONS]]}


def _button(button: Button) -> JsonObject:
    made: JsonObject = {
        "type": "button",
        "action_id": button.id,
        "text": _plain(button.text, LABEL),
        "value": button.value[:VALUE],
    }
    if button.url:
        made["url"] = button.url
    if button.style:
        made["style"] = button.style
    return made


def _plain(text: str, most: int) -> JsonObject:
    """Text that nothing in it is marked up by."""
    return {"type": "plain_text", "text": shortened(text, most), "emoji": True}


def escaped(text: str) -> str:
    """Text that means nothing but itself: Slack has three characters that do."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shortened(text: str, most: int) -> str:
    """At most so many characters. An escaped character is not cut in two."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    begun = kept.rfind("&")
    if begun >= 0 and ";" not in kept[begun:] and len(kept) - begun < len("&amp;"):
        kept = kept[:begun]
    return kept + "…"
