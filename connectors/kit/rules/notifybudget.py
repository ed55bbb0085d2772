"""Calls of notifications: one for a message, and one more for a change in place."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.notifyreading import happen
from connectors.kit.rule import NOTIFIER, Finding, Rule, Tier

BURST = 5
"""Messages said in one turn."""

ACCESS = 1
"""Calls for access that a turn may take, where tokens are asked for."""


def few_calls(bench: Bench) -> Iterator[Finding]:
    """Counted by the fake vendor: messages that begin something, then those that go on with it."""
    bench.route("")
    for what, each in (("opened", 1), ("resolved", 2)):
        for number in range(BURST):
            happen(bench, what, f"INC-26-{number + 1:06d}")
        bench.vendor.calls.reset()
        bench.speak()
        calls = [call.operation for call in bench.vendor.calls.records()]
        if len(calls) > BURST * each + ACCESS:
            yield Finding(
                f"{BURST} messages of incidents that were {what} cost {len(calls)} calls, not {BURST * each}: "
                f"{', '.join(sorted(set(calls)))}",
                "Send with one call and change with one; ask for nothing that is known.",
            )
        bench.wait(60)


RULES = (
    Rule(
        "notify-call-budget",
        Tier.PLATINUM,
        "One call for a message, one more where the first one is changed in place.",
        executed=few_calls,
        needs=NOTIFIER,
    ),
)
