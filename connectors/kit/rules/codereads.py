"""Reading repositories: all of a long history while it goes on, over the death of workers, and once."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench, Moment
from connectors.kit.codereading import play
from connectors.kit.rule import CODE, Finding, Rule, Tier
from connectors.kit.rules.codehearing import missing
from connectors.kit.rules.codeways import all_told

MANY = 250
"""Changes of a long history, with some 2,500 events: several pages of a hundred changes, more of anything in them. A
fake vendor answers for each in its own calls, so that more would take minutes."""

SOME = 30
"""Changes of a history in which workers die at every moment that doubles: enough for a few pages of anything."""

BIG = "payments-history"
THIRD = 2
"""Its place among the repositories."""

MEANWHILE = (
    Moment("before_call", 2, "pause", (("push", THIRD), ("open", THIRD))),
    Moment("before_call", 5, "pause", (("approve", THIRD), ("merge", THIRD), ("run", THIRD))),
    Moment("before_call", 9, "pause", (("open", THIRD), ("close", THIRD), ("deploy", THIRD), ("release", THIRD))),
)
"""What people do while the pages are being read."""

STRIKES = ("before_call", "after_call", "before_commit", "after_commit")
AFTER_LEASE = 120
"""Seconds until a dead worker's lease has ended and its work is found again."""
MOST_MOMENTS = 1 << 10
"""Workers of so short a backfill do not come to a later moment."""


def grow(bench: Bench, changes: int) -> Iterator[Finding]:
    """A third repository with a history, added to the config and seen: it is about to be read in the backfill lane."""
    bench.code.add(BIG)
    bench.code.plant_changes(changes, THIRD)
    bench.arriving()
    names = [repository.name for repository in bench.code.repositories()]
    made = bench.reconfigure(repositories=names)
    if made.http != 201:
        yield Finding(f"a repository can't be added to the config: {made.text}", "Accept every name the vendor has.")
    bench.pull()


def all_of_it(bench: Bench) -> Iterator[Finding]:
    """Some thousands of events, more happening while they are read: after it and the next poll, all are here."""
    yield from grow(bench, MANY)
    bench.backfill(*MEANWHILE)
    bench.arriving()
    bench.pull()
    yield from missing(bench, "after a long history was read while it went on")
    yield from all_told(bench, bench.code.repositories()[THIRD])


def killed(bench: Bench) -> Iterator[Finding]:
    """A worker dies at a moment of a first reading; the next one goes on: nothing is missing, nothing there twice."""
    for where in STRIKES:
        nth, struck = 0, True
        while struck and nth < MOST_MOMENTS:
            bench.begin()
            yield from grow(bench, SOME)
            struck = bench.backfill(Moment(where, nth))
            bench.wait(AFTER_LEASE)
            bench.backfill()
            for wrong in missing(bench, f"after a worker died {where.replace('_', ' ')} {nth}"):
                yield wrong
                return
            nth = 2 * nth or nth + 1


def second_sync(bench: Bench) -> Iterator[Finding]:
    """All of it read once more, and polled twice: nothing is written."""
    for _ in play(bench):
        bench.hear()
    bench.pull()
    before = (bench.code_events(), bench.followed())
    bench.resync()
    bench.backfill()
    for _ in range(2):
        bench.pull()
    after = (bench.code_events(), bench.followed())
    for what, old, new in zip(("events", "repositories"), before, after, strict=True):
        if old != new:
            yield Finding(
                f"a second reading of the same history changed the {what}",
                "Tell the same event with the same key, and the same repository with the same words, every time.",
            )


def added(bench: Bench) -> Iterator[Finding]:
    """A repository added to the config is read from its beginning, and what was known stays."""
    before = {row["key"] for row in bench.code_events()}
    yield from grow(bench, SOME)
    bench.backfill()
    bench.pull()
    there = bench.code.repositories()[THIRD]
    if there.id not in bench.followed():
        yield Finding(f"{there.name} was added to the config and is not followed", "Name it in repositories().")
    lost = before - {row["key"] for row in bench.code_events()}
    if lost:
        yield Finding(
            f"with another repository in the config, {len(lost)} events went", "Keep keys free of the config."
        )
    yield from missing(bench, "after a repository was added")
    yield from all_told(bench, there)
    bench.code.do("open", THIRD)
    bench.hear()
    yield from missing(bench, "after something happened in the added repository")


RULES = (
    Rule(
        "code-pagination-complete",
        Tier.GOLD,
        "A history of 250 changes, some 2,500 events, is complete although it goes on while it is read.",
        executed=all_of_it,
        needs=CODE,
    ),
    Rule(
        "code-backfill-resumes",
        Tier.GOLD,
        "A first reading killed at any moment goes on; nothing is missing or doubled.",
        executed=killed,
        needs=CODE,
    ),
    Rule(
        "code-resync-idempotent",
        Tier.GOLD,
        "A second reading of the same history writes nothing.",
        executed=second_sync,
        needs=CODE,
    ),
    Rule(
        "code-repository-added",
        Tier.GOLD,
        "A repository added to the config is read from its beginning.",
        executed=added,
        needs=CODE,
    ),
)
