"""Calls: at most one for what is heard, at most two for what is written."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, RECEIVES, Finding, Rule, Tier
from connectors.kit.rules.fields import WANTED

INBOUND = 1
OUTBOUND = 2


def few_calls(bench: Bench) -> Iterator[Finding]:
    """Counted by the fake vendor, once the connector knows the item it writes to."""
    bench.vendor.edit(0, "assignee", 2)
    bench.hear()
    for field in ("title", "description", "status", "priority"):
        bench.wait(60)
        bench.vendor.edit(0, field, 1)
        bench.knock(bench.arriving())
        bench.vendor.calls.reset()
        bench.drain()
        yield from _counted(bench, f"hearing of a {field}", INBOUND)
    for field, value in WANTED.items():
        bench.wait(60)
        bench.edit(field, f"{value} " if field == "title" else value)
        bench.vendor.calls.reset()
        bench.push()
        yield from _counted(bench, f"writing a {field}", OUTBOUND)
        bench.arriving()


def _counted(bench: Bench, what: str, most: int) -> Iterator[Finding]:
    calls = [call.operation for call in bench.vendor.calls.records()]
    if len(calls) > most:
        yield Finding(
            f"{what} cost {len(calls)} calls, not {most}: {', '.join(calls)}",
            "Use the answer to the write, ask for several things in one call, and keep what does not change.",
        )


RULES = (
    Rule(
        "call-budget",
        Tier.PLATINUM,
        "At most one call for an inbound event, two for an outbound change.",
        executed=few_calls,
        needs=BOTH_WAYS | RECEIVES,
    ),
)
