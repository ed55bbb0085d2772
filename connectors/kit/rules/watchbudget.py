"""Calls of what watches: few for a poll that finds nothing new, none for an alert that is heard."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import WATCHES, Finding, Rule, Tier
from connectors.kit.watchreading import has, hints, play

LISTING = 1
"""Calls of a quiet poll for all that goes wrong, and for what there is to be measured."""

OF_A_SUBJECT = 2
"""More of them for each subject: how it stands, and whether its last measuring failed. A metric takes one."""

MEASURED = 4
"""Calls for what was measured, however often it is hinted at: what there is of the subject, which measuring was the
last, its values and its gate."""


def few_calls(bench: Bench) -> Iterator[Finding]:
    """Counted by the fake vendor: of a poll when nothing has happened, and of what is heard, each and together."""
    yield from _quiet(bench)
    if has(bench, "webhooks"):
        for deed in play(bench):
            yield from _counted(bench, f"hearing of {deed!r}")
        for deed in ("measure", "fire", "spoil", "recover", "measure"):
            bench.wait(60)
            bench.watch.do(deed)
        yield from _counted(bench, "hearing of five things at once")


def _quiet(bench: Bench) -> Iterator[Finding]:
    for slot in (0, 1):
        bench.watch.do("measure", slot)
    bench.arriving()
    bench.pull()
    bench.pull()
    most = LISTING if has(bench, "alert_source") else 0
    if has(bench, "measure_source"):
        subjects = {one.series.subject for one in bench.measured()}
        most += LISTING + OF_A_SUBJECT * len(subjects - {""})
    bench.vendor.calls.reset()
    bench.pull()
    yield from _too_many(bench, "a poll that found nothing new", most)


def _counted(bench: Bench, what: str) -> Iterator[Finding]:
    deliveries = bench.arriving()
    most = MEASURED * len(hints(bench, deliveries))
    bench.knock(deliveries)
    bench.vendor.calls.reset()
    bench.drain()
    yield from _too_many(bench, what, most)


def _too_many(bench: Bench, what: str, most: int) -> Iterator[Finding]:
    calls = [call.operation for call in bench.vendor.calls.records()]
    if len(calls) > most:
        yield Finding(
            f"{what} cost {len(calls)} calls, not {most}: {', '.join(calls[:8])}",
            "Tell whole what the delivery holds, list before asking for one, and ask only for what has changed; else "
            "say in quality.toml which calls it takes.",
        )


RULES = (
    Rule(
        "watch-call-budget",
        Tier.PLATINUM,
        "No call for an alert that is heard, few for a measuring, and for a poll that finds nothing new.",
        executed=few_calls,
        among=WATCHES,
    ),
)
