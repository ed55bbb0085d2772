"""Calls for code: at most one for a batch of what was heard."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.codereading import play
from connectors.kit.rule import CODE_HEARD, Finding, Rule, Tier

INBOUND = 1


def few_calls(bench: Bench) -> Iterator[Finding]:
    """Counted by the fake vendor for each thing that happens, and for a batch of several of one kind."""
    for deed in play(bench):
        yield from _counted(bench, f"hearing of {deed!r}")
    for deed in ("open", "squash") * 3:
        bench.wait(60)
        bench.code.do(deed)
    yield from _counted(bench, "hearing of three changes at once")


def _counted(bench: Bench, what: str) -> Iterator[Finding]:
    bench.knock(bench.arriving())
    bench.vendor.calls.reset()
    bench.drain()
    calls = [call.operation for call in bench.vendor.calls.records()]
    if len(calls) > INBOUND:
        yield Finding(
            f"{what} cost {len(calls)} calls, not {INBOUND}: {', '.join(calls[:6])}",
            "Tell whole what the delivery holds; ask for several things in one call; else say in quality.toml which "
            "calls it takes.",
        )


RULES = (
    Rule(
        "code-call-budget",
        Tier.PLATINUM,
        "At most one call for a batch of deliveries.",
        executed=few_calls,
        needs=CODE_HEARD,
    ),
)
