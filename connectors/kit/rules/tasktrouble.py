"""Tasks, when the vendor is in trouble or makes it."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier
from connectors.kit.rules.refusals import documented
from connectors.kit.rules.trouble import Reason, Work

OWED = 50
"""Tasks that wait for an outage's end."""


def _arises(bench: Bench, number: int) -> None:
    """Somebody edits on either side."""
    bench.edit("title", f"Edit {number}")
    bench.vendor.edit(0, "description", f"Meanwhile {number}")


def _piles_up(bench: Bench) -> None:
    for number in range(OWED):
        bench.create(f"Owed {number}")


def _do(bench: Bench) -> None:
    bench.push()


def _fail(bench: Bench, status: int) -> None:
    bench.edit("title", f"Answered {status}")
    bench.push()
    if status == 401:
        bench.pull()  # one refusal alone may be a vendor's bad moment


def _reason(bench: Bench, status: int) -> Reason:
    """The binding's; the integration's where it is stopped."""
    if status == 401:
        row = bench.integration()
        return row["status_code"], row["status_text"]
    [row] = bench.bindings()
    return row["reason_code"], row["reason_text"]


def _whole(bench: Bench, when: str) -> Iterator[Finding]:
    """At rest, both sides are equal: `rest` has compared them."""
    yield from ()


WRITING = Work(
    word="a write",
    doing="a write",
    arises=_arises,
    piles_up=_piles_up,
    do=_do,
    fail=_fail,
    reason=_reason,
    whole=_whole,
    parts=("bindings",),
)

RULES = (
    Rule(
        "rate-limit",
        Tier.SILVER,
        "A 429 silences every lane for as long as it says.",
        executed=WRITING.rate_limited,
        needs=BOTH_WAYS,
    ),
    Rule(
        "auth-expired",
        Tier.SILVER,
        "Refused credentials: one event, and recovery by itself.",
        executed=WRITING.auth_expired,
        needs=BOTH_WAYS,
    ),
    Rule(
        "outage-told-once",
        Tier.SILVER,
        "An outage is told once down and once up, without a storm.",
        executed=WRITING.outage,
        needs=BOTH_WAYS,
    ),
    Rule(
        "diagnostics-redacted",
        Tier.GOLD,
        "The diagnostics tell what happened, without credentials.",
        executed=WRITING.diagnostics,
        needs=BOTH_WAYS,
        essential=True,
    ),
    Rule(
        "repair-hints",
        Tier.GOLD,
        "Every reason for a failure has a text and a next step.",
        static=documented,
        executed=WRITING.hints,
        needs=BOTH_WAYS,
    ),
)
