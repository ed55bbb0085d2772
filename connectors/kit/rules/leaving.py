"""Disconnecting: nothing is left at the vendor, everything is kept here."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import RECEIVES, Finding, Rule, Tier

GONE = (404, 410)


def clean(bench: Bench) -> Iterator[Finding]:
    """The hook is gone, late deliveries are told so, nobody calls any more, and no task is lost."""
    for oauth in bench.ways_in():
        bench.begin(oauth=oauth)
        yield from _leaves(bench)


def _leaves(bench: Bench) -> Iterator[Finding]:
    bench.vendor.edit(0, "title", "Late")
    late = bench.arriving()
    kept = bench.tasks()
    bench.disconnect()
    bench.vendor.edit(0, "title", "Nobody listens")
    if bench.arriving():
        yield Finding("the vendor still sends webhooks", "Delete what `subscribe` registered in `unsubscribe`.")
    for answer in bench.knock(late):
        if answer.status not in GONE or answer.stored:
            yield Finding(f"a late delivery was answered {answer.status}", "Leave that to the front door.")
    bench.vendor.calls.reset()
    bench.tick()
    bench.wait(86_400)
    bench.tick()
    if bench.vendor.calls.records():
        yield Finding("the vendor is called after the end", "Start no threads or timers of your own.")
    if bench.tasks() != kept:
        yield Finding("tasks changed by disconnecting", "Leave that to the engine: synced data stays.")


RULES = (
    Rule(
        "clean-disconnect",
        Tier.SILVER,
        "The vendor's hook is deleted, synced data kept, late hooks are answered 404 or 410.",
        executed=clean,
        needs=RECEIVES,
    ),
)
