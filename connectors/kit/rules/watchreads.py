"""Reading what was measured: all of a long history, over the death of workers, and once; what is left out is said."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench, Moment
from connectors.kit.rule import MEASURES, WATCHES, Finding, Rule, Tier
from connectors.kit.watchreading import HOUR, amiss, gates, incidents, play, points, same, told

MANY = 2500
"""Measurings of a long history: three pages of a thousand, which is what vendors give at most."""

SOME = 1100
"""Measurings of a history in which workers die at every moment: two pages."""

MEANWHILE = (
    Moment("before_call", 1, "pause", (("measure", 0), ("fire", 0))),
    Moment("before_call", 2, "pause", (("spoil", 0), ("measure", 1), ("fire", 1))),
    Moment("before_call", 4, "pause", (("measure", 0), ("recover", 0))),
)
"""What happens while the pages are being read."""

STRIKES = ("before_call", "after_commit")
"""Calls change nothing there, and a commit that did not come leaves what the one before left: there are no others."""

AFTER_LEASE = 120
"""Seconds until a dead worker's lease has ended and its work is found again."""

MOST_MOMENTS = 1 << 8
"""Workers of so short a reading do not come to a later moment."""

CUT = "left_out"


def grow(bench: Bench, count: int) -> Iterator[Finding]:
    """Something with a history is there, in the config where that is needed, and is about to be read."""
    wanted = bench.watch.grow(count)
    bench.arriving()
    made = bench.reconfigure(**wanted)
    if made.http != 201:
        yield Finding(f"what is measured can't be added to the config: {made.text}", "Accept what the vendor has.")


def all_of_it(bench: Bench) -> Iterator[Finding]:
    """Thousands of points, more being measured while they are read: after it and the next poll, all are here."""
    yield from grow(bench, MANY)
    bench.pull(*MEANWHILE)
    bench.arriving()
    bench.wait(HOUR)
    bench.pull()
    yield from amiss(bench, "after a long history was read while it went on")


def killed(bench: Bench) -> Iterator[Finding]:
    """A worker dies at each call and each commit of a reading in turn; the next one goes on, and nothing is missing."""
    for where in STRIKES:
        nth, struck = 0, True
        while struck and nth < MOST_MOMENTS:
            bench.begin(bound=False)
            yield from grow(bench, SOME)
            for _ in play(bench, (("fire", 0), ("spoil", 0), ("fire", 1), ("measure", 1))):
                bench.arriving()
            struck = bench.pull(Moment(where, nth))
            bench.wait(AFTER_LEASE)
            bench.pull()
            bench.watch.do("recover", 0)
            bench.arriving()
            bench.wait(HOUR)
            bench.pull()
            for wrong in amiss(bench, f"after a worker died {where.replace('_', ' ')} {nth}"):
                yield wrong
                return
            nth += 1


def reread(bench: Bench) -> Iterator[Finding]:
    """All of it read once more, and polled twice: nothing is changed."""
    for _ in play(bench):
        bench.hear()
    bench.pull()
    shown = (incidents(bench), gates(bench), told(bench), len(bench.incident_lines()))
    before = points(bench.measured())
    bench.resync()
    bench.pull()
    after = (incidents(bench), gates(bench), told(bench), len(bench.incident_lines()))
    names = ("incidents", "gates", "events", "lines of incidents")
    for what, old, new in zip(names, shown, after, strict=True):
        if old != new:
            yield Finding(
                f"reading everything again changed the {what}", "Tell the same with the same times every time."
            )
    now = points(bench.measured())
    for name in before:
        if any(not same(value, now[name].get(at)) for at, value in before[name].items()):
            yield Finding(f"reading everything again changed {name}", "Leave what is not settled.")
    if now.keys() != before.keys():
        made_up = ", ".join(sorted(now.keys() - before.keys()))
        yield Finding(f"reading everything again made other series: {made_up}", "Name a series alike every time.")


def said(bench: Bench) -> Iterator[Finding]:
    """What is left out of what could be read is said of the run, in words."""
    bench.watch.do("measure")
    config = bench.watch.too_much()
    if config is None:
        return
    made = bench.reconfigure(**config)
    if made.http != 201:
        yield Finding(f"the config can't be {config}: {made.text}", "Leave out what can't be kept, and say so.")
        return
    bench.wait(HOUR)
    bench.pull()
    run = bench.runs()[-1]
    if run["error_code"] != CUT or not run["error_text"]:
        yield Finding(
            f"something that was measured was left out, and the run says {run['error_text'] or 'nothing'!r}",
            "Say in MeasurePage.cut what was left out and why.",
        )


RULES = (
    Rule(
        "watch-history-complete",
        Tier.GOLD,
        "A history of 2,500 measurings is complete although it goes on while it is read.",
        executed=all_of_it,
        needs=MEASURES,
    ),
    Rule(
        "watch-reading-resumes",
        Tier.GOLD,
        "A reading killed at any call or commit goes on; nothing is missing or doubled.",
        executed=killed,
        among=WATCHES,
    ),
    Rule(
        "watch-reread-idempotent",
        Tier.GOLD,
        "Reading everything again changes nothing.",
        executed=reread,
        among=WATCHES,
    ),
    Rule(
        "watch-cut-said",
        Tier.GOLD,
        "What is left out of what is measured is said.",
        executed=said,
        needs=MEASURES,
    ),
)
