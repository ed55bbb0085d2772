"""Code, when the vendor is in trouble, makes it, or hides one repository of several."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import CODE, Finding, Rule, Tier
from connectors.kit.rules.codehearing import missing
from connectors.kit.rules.trouble import HOUR, LASTING, OUTAGE, Work, passes, pull, pull_in_vain, said_of_reading


def _arises(bench: Bench, number: int) -> None:
    """A change comes, the next time it goes; what is told of it is heard. Not both each time: some vendors let us make
    a thousand calls in an hour, and what forty merges tell takes longer than the recovery."""
    bench.wait(1)
    bench.code.do(("open", "merge")[number % 2])
    bench.hear()


READING = Work(
    word="a reading",
    doing="reading",
    arises=_arises,
    piles_up=passes,
    do=pull,
    fail=pull_in_vain,
    reason=said_of_reading,
    whole=missing,
    heard=OUTAGE,
    says_how=frozenset({"repositories_missing"}),
)


def alone(bench: Bench) -> Iterator[Finding]:
    """One repository can't be read: the other one goes on, and the trouble is said."""
    for how in ("hidden", "broken"):
        bench.begin()
        if how == "hidden":
            bench.code.do("hide", 1)
        else:
            _break(bench)
        known = {row["key"] for row in bench.code_events()}
        bench.code.do("open", 0)
        bench.arriving()
        for _ in range(LASTING):
            bench.pull()
            bench.wait(HOUR)
        if {row["key"] for row in bench.code_events()} <= known:
            yield Finding(
                f"one repository is {how}, and nothing comes of the other one any more",
                "Leave it out of repositories(), and raise NotFound from code_events for that one alone.",
            )
        if bench.integration()["sync_status"] == "healthy":
            yield Finding(
                f"one repository is {how}, and the integration is healthy",
                "Let the vendor's answer be heard: raise the contract's error for it.",
            )
        bench.vendor.faults.clear()
        bench.code.do("show", 1)
        bench.wait(3 * HOUR)
        yield from READING.at_rest(bench, f"a repository that was {how} is back")


def _break(bench: Bench) -> None:
    """Every call for something in the second repository fails; the repository itself is still there to be listed."""
    there = bench.code.repositories()[1]
    for path in (f"*/{there.id}/*", f"*{there.name}/*"):
        bench.vendor.faults.add("error", status=500, count=None, path=path)


RULES = (
    Rule(
        "code-rate-limit",
        Tier.SILVER,
        "A 429 silences every lane for as long as it says, and nothing is lost.",
        executed=READING.rate_limited,
        needs=CODE,
    ),
    Rule(
        "code-auth-expired",
        Tier.SILVER,
        "Refused credentials: one event, recovery by itself, and nothing is lost.",
        executed=READING.auth_expired,
        needs=CODE,
    ),
    Rule(
        "code-outage-told-once",
        Tier.SILVER,
        "An outage is told once down and once up, without a storm, and nothing is lost.",
        executed=READING.outage,
        needs=CODE,
    ),
    Rule(
        "code-fails-alone",
        Tier.SILVER,
        "A repository that can't be read does not stop the others, and is told of.",
        executed=alone,
        needs=CODE,
    ),
    Rule(
        "code-diagnostics-redacted",
        Tier.GOLD,
        "The diagnostics tell what happened to a reading, without credentials.",
        executed=READING.diagnostics,
        needs=CODE,
        essential=True,
    ),
    Rule(
        "code-repair-hints",
        Tier.GOLD,
        "Every reason for a failed reading has a text and a next step.",
        executed=READING.hints,
        needs=CODE,
    ),
)
