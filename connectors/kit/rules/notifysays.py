"""What is said can be read: all of it, by whoever looks into the channel, and as nothing but text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import Button, ConnectorError, Line, Link, Notification
from connectors.kit.bench import Bench
from connectors.kit.notifypeople import Message
from connectors.kit.notifyreading import TASK, bearing, channel_of, flat, home, lacking, notification, speaker
from connectors.kit.rule import NOTIFIER, Finding, Rule, Tier

WINDOW = 5
"""Minutes in which things are gathered into a digest."""

EVENTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("task.created", TASK, {"status": "in_progress"}),
    ("incident.opened", "INC-26-000001", {"title": "Payments are slow", "text": "More than 2 s.", "severity": "high"}),
    ("integration.sync_status_changed", "INT-26-000900", {"from": "healthy", "to": "failed", "text": "It is down."}),
    ("agent.approval_requested", "AGT-26-000001", {"text": "It wants to deploy.", "tool": "deploy"}),
    ("code.pull_request_merged", "CHANGE-7", {"title": "Faster", "url": "https://vendor.example/changes/7"}),
)
"""An event of each kind of notification that an event can make."""

KINDS = frozenset({"task", "incident", "integration", "approval", "other", "test", "digest"})


def says_each_kind(bench: Bench) -> Iterator[Finding]:
    """Events, a test and a digest; each is in its channel, once, with all that is in it."""
    first, second = bench.channels.channels
    tested = bench.route("", *(type_ for type_, _, _ in EVENTS))
    bench.route(second, "task.*", digest_minutes=WINDOW)
    for type_, subject, data in EVENTS:
        bench.happen(type_, subject, **data)
    bench.happen("task.status_changed", TASK, **{"from": "todo", "to": "in_review"})
    bench.speak()
    bench.test_route(tested)
    bench.wait(WINDOW * 60 + 1)
    bench.speak()
    rows = [row for row in bench.notifications() if row["state"] != "gathered"]
    for row in rows:
        yield from _is_said(bench, row)
    for kind in sorted(KINDS - {row["kind"] for row in rows}):
        yield Finding(f"nothing of the kind {kind} came to be said", "Leave `send` to say whatever it is given.")
    there = len(bench.channels.said(first)) + len(bench.channels.said(second))
    if there > len(rows):
        yield Finding(f"{len(rows)} notifications became {there} messages", "Say each in one message.")


def _is_said(bench: Bench, row: Any) -> Iterator[Finding]:
    what = f"a notification of the kind {row['kind']}"
    found = bearing(bench, row)
    if row["state"] != "sent":
        yield Finding(f"{what} is {row['state']}: {row['error_text']}", "Make of it what the vendor takes.")
    elif len(found) != 1:
        yield Finding(
            f"{what} is in {channel_of(bench, row)} {len(found)} times, by its id",
            "Say it in the channel that is named (the config's default one for none), and show the notification's id.",
        )
    else:
        for part in lacking(found[0], row):
            yield Finding(f"{what} does not show {part}", "Show title, text, every fact and the link.")


# --- as nothing but text ------------------------------------------------------------------------------

EVIL = "evil.example"

HOSTILE = (
    *("*alpha*", "_bravo_", "~charlie~", "`delta`", "**echo**", "~~foxtrot~~"),
    *("# golf", "> hotel", "- india", "1. juliett", f"[kilo](https://{EVIL}/k)", f"<https://{EVIL}/l|lima>"),
    *("<at>mike</at>", "<!channel>", "<@U0ANN>", "@here", "&lt;november&gt;", f'<a href="https://{EVIL}/o">oscar</a>'),
)
"""What would be marked up, call somebody or lead somewhere, at one vendor or another."""

WORDS = tuple(re.findall(r"[a-z]+", " ".join(HOSTILE[:12])))
"""What could be set apart: what the others do is call or lead."""

HOSTILE_PAGE = f"https://vendor.example/a|b>c<!here>?d=<https://{EVIL}/p|papa>"


def says_text_only(bench: Bench) -> Iterator[Finding]:
    """What people wrote is in every place that holds text. Each is looked at by itself, since marks end at a limit."""
    places: dict[str, dict[str, Any]] = {
        "a title": {"title": " ".join(HOSTILE[:9])},
        "a title's end": {"title": " ".join(HOSTILE[9:])},
        "a text": {"text": "\n".join(HOSTILE)},
        "a fact's value": {"facts": (Line("Where", " ".join(HOSTILE)),)},
        "a fact's name": {"facts": tuple(Line(mark, "value") for mark in HOSTILE)},
        "a link's text": {"link": Link(" ".join(HOSTILE[12:]), "https://vendor.example/1")},
        "a link's address": {"link": Link("Open", HOSTILE_PAGE)},
        "a button's text": {"buttons": (Button("b", "<!here> *kilo*", "v", url="https://vendor.example/1"),)},
    }
    for number, (place, parts) in enumerate(places.items()):
        bench.wait(2)
        said = notification(number, bench.now(), **parts)
        message, problem = _sent(bench, said)
        if message is None:
            yield Finding(f"{place} that holds marks {problem}", "Escape what the vendor would take for its own marks.")
        else:
            yield from _harmless(place, message)


def _sent(bench: Bench, said: Notification) -> tuple[Message | None, str]:
    """The message it became, or what is wrong."""
    try:
        speaker(bench).send(said, home(bench))
    except ConnectorError as error:
        return None, f"can't be said: {error.text}"
    found = [one for one in bench.channels.said(home(bench)) if said.id in one.shown]
    return (found[0], "") if found else (None, "is said without the notification's id")


def _harmless(place: str, message: Message) -> Iterator[Finding]:
    if message.calls:
        yield Finding(f"{place} calls {', '.join(message.calls)}", "Escape what the vendor takes for a mention.")
    led = [url for url in message.links if urlsplit(url).hostname != "vendor.example"]
    if led:
        yield Finding(f"{place} leads to {led[0]}", "Escape what the vendor takes for a link, in addresses, too.")
    marked = [part for part in message.styled if set(re.findall(r"[a-z]+", part)) & set(WORDS)]
    if marked:
        yield Finding(f"{place} marks up {marked[0]!r}", "Escape marks, or use the vendor's plain text.")
    if place == "a text":
        lost = [word for word in WORDS if word not in message.shown]
        if lost:
            yield Finding(f"of {place} {', '.join(lost)} can't be read", "Escape what is special; leave nothing out.")


# --- what is too long ---------------------------------------------------------------------------------

LONG = {"of words": "word ", "of marks": "<&>*_`", "of wide letters": "Ä語😀"}
"""What texts may consist of: escaped they are longer, and their bytes are more than their characters."""

FACTS = 600
"""Many more facts than the engine gives, and than a message of any vendor holds."""

BEGINNING = 4
"""Characters at the beginning that have to be there however short it is made."""

CUT = ("…", "...")
"""What tells readers that there is more."""


def says_what_fits(bench: Bench) -> Iterator[Finding]:
    """A title, a text and facts that are too long are cut so that it is seen; the vendor takes the message, and the
    link and the id are still there."""
    for number, (what, parts) in enumerate(_long()):
        bench.wait(2)
        long = notification(number, bench.now(), **parts)
        message, problem = _sent(bench, long)
        if message is None:
            yield Finding(f"{what} {problem}", "Shorten what is longer than the vendor takes.")
        else:
            yield from _is_whole(what, message, long)


def _long() -> Iterator[tuple[str, dict[str, Any]]]:
    """(what it is, the parts of a notification)"""
    for what, piece in LONG.items():
        facts = tuple(Line(f"Name {n}", f"v{n} {piece * 600}") for n in range(FACTS))
        yield (
            f"a long message {what}",
            {"title": f"Head {piece * 200}", "text": f"Text {piece * 5000}", "facts": facts},
        )
    yield "a message of many facts", {"facts": tuple(Line(f"Name {n}", f"v{n}, and so on") for n in range(FACTS))}


def _kept(whole: str, shown: str) -> tuple[str, str]:
    """As much of the beginning of a text as is shown, and what is shown after it."""
    size = bisect_left(range(1, len(whole) + 1), True, key=lambda most: whole[:most] not in shown)
    part = whole[:size].rstrip()
    return part, shown[shown.find(part) + len(part) :].lstrip()


def _is_whole(what: str, message: Message, long: Notification) -> Iterator[Finding]:
    shown = flat(message.shown)
    for name, whole in (("title", long.title), ("text", long.text), ("first fact", long.facts[0].value)):
        part, follows = _kept(flat(whole), shown)
        if len(part) < BEGINNING:
            yield Finding(f"of {what} the {name} is left out", "Shorten it, and keep its beginning.")
        elif part != flat(whole) and not follows.startswith(CUT):
            yield Finding(f"of {what} the {name} is cut without a sign", "End what is shortened with an ellipsis.")
    if not all(line.name in shown for line in long.facts) and not any(sign in shown for sign in CUT):
        yield Finding(f"of {what} facts are left out without a sign", "Say how many there are besides.")
    if long.link is not None and long.link.url not in message.links:
        yield Finding(f"{what} has lost its link", "Shorten texts; keep the link and the id.")


RULES = (
    Rule(
        "notify-says-each-kind",
        Tier.BRONZE,
        "A notification of each kind is said in its channel, once, with title, text, facts, link and its id.",
        executed=says_each_kind,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-plain-text",
        Tier.GOLD,
        "What people wrote marks nothing up, calls nobody and leads nowhere.",
        executed=says_text_only,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-fits",
        Tier.GOLD,
        "What is too long is shortened so that it is seen, and the vendor takes it.",
        executed=says_what_fits,
        needs=NOTIFIER,
    ),
)
