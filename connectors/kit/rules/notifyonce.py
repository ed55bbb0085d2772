"""Each notification is said once and in order, whoever dies meanwhile, and as part of what it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from connectors.kit.bench import Bench, Moment, Row
from connectors.kit.notifypeople import Message
from connectors.kit.notifyreading import TASK, bearing, happen, home, is_once, speaker
from connectors.kit.rule import NOTIFIER, Finding, Rule, Tier

LEASE = 90
"""Seconds after which a dead worker holds nothing any more."""

MOMENTS = (
    *(("crash", where) for where in ("before_call", "after_call", "before_commit", "after_commit")),
    ("cut", "after_call"),  # the answer never comes
)
"""What happens, and when."""

SAY_ONCE = (
    "Call once in `send`, and raise Transient(maybe_done=True) for an answer that never came; let `find_sent` find "
    "what bears the id, or say in `reach` that it can't."
)


def once_whoever_dies(bench: Bench) -> Iterator[Finding]:
    """A worker dies, or loses an answer, at each of the moments there are while it says two things, one of them in a
    thread."""
    for what, where in MOMENTS:
        for nth in count():
            bench.begin()
            _two_owed(bench)
            struck = bench.speak(Moment(where, nth, what))
            yield from _each_once(bench, f"a {what} at {where} {nth}")
            if not struck:
                break


def _two_owed(bench: Bench) -> None:
    """An incident is known in the channel; that somebody looks after it is to be said, and a task."""
    bench.route("", "incident.*", "task.*")
    happen(bench, "opened")
    bench.speak()
    bench.wait(60)
    happen(bench, "acknowledged")
    bench.happen("task.created", TASK, status="todo")


def _each_once(bench: Bench, when: str) -> Iterator[Finding]:
    bench.wait(LEASE)
    for wrong in bench.rest():
        yield Finding(f"after {when}, {wrong}", SAY_ONCE)
        return
    for row in bench.notifications():
        if not is_once(bench, row):
            yield Finding(
                f"{when} left {row['event_type']} {row['state']}, and there {len(bearing(bench, row))} times", SAY_ONCE
            )


# --- in order -----------------------------------------------------------------------------------------


def in_order(bench: Bench) -> Iterator[Finding]:
    """Four incidents in one channel, and their ends, while calls fail and answers are lost: what comes later is said
    later."""
    bench.route("", "incident.*")
    for what in ("opened", "resolved"):
        for number in range(1, 5):
            happen(bench, what, f"INC-26-{number:06d}")
        bench.vendor.faults.add("error", status=503, skip=1, count=1)
        bench.vendor.faults.add("cut", when="after", skip=3, count=1)
        bench.speak()
        yield from _each_once(bench, "calls that failed")
    ids = [row["id"] for row in bench.notifications()]
    told = [next((id_ for id_ in ids if id_ in one.shown), "") for one in bench.channels.said(home(bench))]
    first = list(dict.fromkeys(id_ for id_ in told if id_))
    if first != sorted(first):
        yield Finding(
            f"what happened as 1, 2, 3 … was said as {', '.join(str(ids.index(id_) + 1) for id_ in first)}",
            "Say what is given when it is given: the engine asks for one thing of a channel after the other.",
        )


# --- as part of what it belongs to --------------------------------------------------------------------

LIFE = ("opened", "acknowledged", "resolved")


def changed_in_place(bench: Bench) -> Iterator[Finding]:
    """The first message says how things stand now, the others are under it, as far as reach says so."""
    reach = speaker(bench).reach()
    _lived(bench)
    root, *later = bench.channels.said(home(bench)) or [Message("", None, "")]
    newest = bench.notifications()[-1]
    if reach.edit and (root.edited == 0 or newest["title"] not in root.shown):
        yield Finding(
            "the first message of an incident does not say that it is over", "Let `update` change the whole message."
        )
    if reach.edit and bench.notifications()[0]["id"] not in root.shown:
        yield Finding("a changed message has lost the id it bore", "Show the id of the notification that is given.")
    if len(later) != len(LIFE) - 1:
        yield Finding(f"the life of an incident became {len(later) + 1} messages", "Let `update` say nothing anew.")
    if reach.thread and any(one.under != root.id for one in later):
        yield Finding("what followed is not in the first message's thread", "Put it `under` the message that is given.")


def _lived(bench: Bench) -> None:
    bench.route("", "incident.*")
    for what in LIFE:
        happen(bench, what)
        bench.speak()
        bench.wait(60)


def said_anew(bench: Bench) -> Iterator[Finding]:
    """Somebody deletes the first message; what follows is said by itself, and what follows that belongs to it."""
    if not speaker(bench).reach().edit:
        return
    bench.route("", "incident.*")
    happen(bench, "opened")
    bench.speak()
    for one in bench.channels.said(home(bench)):
        bench.channels.erase(home(bench), one.id)
    for what in LIFE[1:]:
        bench.wait(60)
        happen(bench, what)
        bench.speak()
    bench.rest()
    for row in bench.notifications()[1:]:
        yield from _is_there(bench, row)
    there = bench.channels.said(home(bench))
    if there and there[0].under is not None:
        yield Finding("what followed a deleted message is in a thread without beginning", "Raise NotFound in `update`.")


def _is_there(bench: Bench, row: Row) -> Iterator[Finding]:
    if row["state"] != "sent" or not bearing(bench, row):
        yield Finding(
            f"after its first message was deleted, {row['event_type']} is {row['state']}: {row['error_text']}",
            "Raise NotFound in `update` for a message that is not there any more: it is said anew.",
        )
    elif bench.integration()["sync_status"] != "healthy":
        yield Finding("a deleted message is taken for a channel that is gone", "Raise NotFound in `update` for it.")


RULES = (
    Rule(
        "notify-once",
        Tier.GOLD,
        "A worker killed, or an answer lost, at any moment: each is said once, or unknown where nobody can look.",
        executed=once_whoever_dies,
        needs=NOTIFIER,
        essential=True,
    ),
    Rule(
        "notify-order",
        Tier.GOLD,
        "What happens later is said later, whatever fails meanwhile.",
        executed=in_order,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-in-place",
        Tier.GOLD,
        "An incident's first message says how it stands now, and the others are in its thread, where that can be done.",
        executed=changed_in_place,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-said-anew",
        Tier.GOLD,
        "What belongs to a deleted message is said anew.",
        executed=said_anew,
        needs=NOTIFIER,
    ),
)
