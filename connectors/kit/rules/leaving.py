"""Disconnecting: nothing is left at the vendor, everything is kept here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from connectors.kit.bench import Bench
from connectors.kit.rule import NOTIFIER, SOURCES, WEBHOOKS, Finding, Rule, Tier

GONE = (404, 410)


def clean(bench: Bench) -> Iterator[Finding]:
    """The hook is gone, late deliveries are told so, nobody calls any more, and nothing is lost."""
    for oauth, subject in product(bench.ways_in(), bench.subjects()):
        bench.begin(oauth=oauth)
        yield from _leaves(bench, subject)


def _leaves(bench: Bench, subject: str) -> Iterator[Finding]:
    bench.stir(subject, "Late")
    late = bench.arriving()
    kept = bench.kept()
    bench.disconnect()
    bench.stir(subject, "Nobody listens")
    if bench.arriving() and "webhook_subscriptions" in bench.integration()["capabilities"]:
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
    if bench.kept() != kept:
        yield Finding("what was synced changed by disconnecting", "Leave that to the engine: synced data stays.")


RULES = (
    Rule(
        "clean-disconnect",
        Tier.SILVER,
        "The vendor's hook is deleted, synced data kept, late hooks are answered 404 or 410.",
        executed=clean,
        needs=WEBHOOKS,
        among=SOURCES | NOTIFIER,
    ),
)
