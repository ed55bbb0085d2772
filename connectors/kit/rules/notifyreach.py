"""Reach: what a connector says it can do with messages, it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from connectors.contract import MessageRef, Notification
from connectors.kit.bench import Bench
from connectors.kit.notifypeople import Message
from connectors.kit.notifyreading import home, notification, speaker
from connectors.kit.rule import NOTIFIER, Finding, Rule, Tier

OTHERS = 120
"""Messages that came after one that is looked for: more than a page of any vendor's."""


def reach_is_true(bench: Bench) -> Iterator[Finding]:
    """Each thing that is claimed is done once, and people look whether it was."""
    connector, since = speaker(bench), bench.now()
    reach = connector.reach()
    first, answer = notification(1, since), notification(2, since)
    root = connector.send(first, home(bench))
    under = None
    if reach.thread:
        bench.wait(2)
        under = connector.send(answer, home(bench), under=root)
        yield from _threaded(bench, root, answer)
    if reach.edit:
        bench.wait(2)
        yield from _edited(bench, root, replace(first, title="It is over", text="", over=True))
    if reach.find:
        yield from _found(bench, root, first, since)
        if under is not None and connector.find_sent(answer.id, home(bench), since, under=root) != under:
            yield Finding("an answer in a thread is not found", "Look among the answers where `under` is given.")


def _bearing(bench: Bench, id_: str) -> list[Message]:
    return [one for one in bench.channels.said(home(bench)) if id_ in one.shown]


def _threaded(bench: Bench, root: MessageRef, answer: Notification) -> Iterator[Finding]:
    if [one.under for one in _bearing(bench, answer.id)] != [root.id]:
        yield Finding(
            "reach says that messages can be answered, and an answer is not under its message",
            "Put what is sent `under` a message there, or leave `thread` out of reach.",
        )


def _edited(bench: Bench, root: MessageRef, now: Notification) -> Iterator[Finding]:
    before = len(bench.channels.said(home(bench)))
    same = speaker(bench).update(root, now)
    there = [one for one in bench.channels.said(home(bench)) if one.id == same.id]
    if len(bench.channels.said(home(bench))) != before:
        yield Finding("a change of a message became another message", "Change it, or leave `edit` out of reach.")
    elif not there or now.title not in there[0].shown or "2 s" in there[0].shown:
        yield Finding(
            "reach says that messages can be changed, and a change is not seen",
            "Let the message say what is given and nothing else, or leave `edit` out of reach.",
        )


def _found(bench: Bench, root: MessageRef, first: Notification, since: datetime) -> Iterator[Finding]:
    connector = speaker(bench)
    for number in range(OTHERS):
        bench.wait(2)
        connector.send(notification(100 + number, bench.now()), home(bench))
    if connector.find_sent(first.id, home(bench), since) != root:
        yield Finding(
            f"a message with {OTHERS} after it is not found", "Look through every page, or leave `find` out of reach."
        )
    if connector.find_sent(notification(99, since).id, home(bench), since) is not None:
        yield Finding("a message that nobody sent is found", "Compare the id that the message bears.")
    if connector.find_sent(first.id, bench.channels.channels[1], since) is not None:
        yield Finding("a message is found in another channel", "Look in the channel that is given.")


RULES = (
    Rule(
        "notify-reach-honest",
        Tier.GOLD,
        "Messages can be changed, answered and found where reach says so.",
        executed=reach_is_true,
        needs=NOTIFIER,
    ),
)
