"""When the vendor says "too many", "who are you", or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier

PAUSE = 300
"""Seconds a 429 asks for."""

MINUTE = 60
OUTAGE = 40
"""Minutes an outage lasts: longer than any backoff."""

OWED = 50
MOST_CALLS_OF_AN_OUTAGE = 60
"""Calls within OUTAGE, however many tasks are owed: the pull backs off from seconds to a quarter of an hour, which is
about nine calls, and the push lane makes three before it closes for as long."""


def rate_limited(bench: Bench) -> Iterator[Finding]:
    """After one 429 no lane calls before its time has come; then all goes on by itself."""
    bench.edit("title", "Limited")
    bench.vendor.faults.add("rate_limit", count=1, retry_after=PAUSE)
    bench.vendor.calls.reset()
    bench.push()
    first = len(bench.vendor.calls.records())
    if first != 1:
        yield Finding(
            f"the 429 was followed by {first - 1} more calls at once",
            "Let RateLimited pass: the engine parks the account for as long as the vendor says.",
        )
    bench.vendor.edit(0, "description", "Meanwhile")
    for _ in range(PAUSE // MINUTE - 1):
        bench.wait(MINUTE - 1)
        bench.hear()
        bench.tick()
    early = len(bench.vendor.calls.records()) - first
    if early:
        yield Finding(
            f"{early} calls were made before Retry-After had passed",
            "Send every call through context.http, whose budget all workers share.",
        )
    yield from _comes_to_rest(bench, "the limit was over")


def _comes_to_rest(bench: Bench, when: str) -> Iterator[Finding]:
    bench.wait(PAUSE)
    for wrong in bench.rest():
        yield Finding(
            f"after {when}, {wrong}", "Raise the contract's errors for what the vendor answers, and no others."
        )
        return


def auth_expired(bench: Bench) -> Iterator[Finding]:
    """Refused credentials stop the integration with one event; when they are accepted again it goes on by itself."""
    bench.vendor.faults.add("error", status=401, count=None)
    bench.edit("title", "Owed meanwhile")
    for _ in range(5):
        bench.push()
        bench.pull()
        bench.wait(3700)
    row, said = bench.integration(), bench.events("integration.auth_failed")
    if row["status"] != "error":
        yield Finding(
            f"with credentials the vendor refuses the integration is {row['status']}",
            "Raise AuthFailed for a 401; context.http does so if it is let.",
        )
        return
    if len(said) != 1:
        yield Finding(
            f"the refusal was told {len(said)} times", "Raise AuthFailed for it every time, and nothing else."
        )
    bench.vendor.faults.clear()
    bench.wait(3700)
    bench.pull()
    if bench.integration()["status"] != "active" or not bench.events("integration.recovered"):
        yield Finding(
            "it does not recover when the vendor accepts the credentials again", "Keep no state of a failure."
        )
    else:
        yield from _comes_to_rest(bench, "the credentials worked again")
    if True in bench.ways_in():
        yield from _renewed(bench)


def _renewed(bench: Bench) -> Iterator[Finding]:
    """Connected by consent, an access token that ends is renewed, and nobody is told."""
    bench.begin(oauth=True)
    bench.vendor.expire()
    bench.edit("title", "Written with a new token")
    bench.push()
    bench.pull()
    if bench.integration()["status"] != "active" or bench.events("integration.auth_failed"):
        yield Finding("an ended access token stopped the integration", "Raise AuthFailed for it: it is renewed then.")
    yield from _comes_to_rest(bench, "the token was renewed")


def outage(bench: Bench) -> Iterator[Finding]:
    """Down is told once and up once; meanwhile the vendor is asked less and less; then nothing was lost."""
    for number in range(OWED):
        bench.create(f"Owed {number}")
    bench.vendor.faults.add("error", status=503, count=None)
    bench.vendor.calls.reset()
    for _ in range(OUTAGE):
        bench.tick()
        bench.wait(MINUTE)
    calls = len(bench.vendor.calls.records())
    if calls > MOST_CALLS_OF_AN_OUTAGE:
        yield Finding(
            f"{calls} calls in {OUTAGE} minutes of an outage", "Raise Transient for it; retry nothing yourself."
        )
    if bench.integration()["sync_status"] == "healthy":
        yield Finding("an outage leaves the integration healthy", "Raise Transient for a 5xx and for cut connections.")
    bench.vendor.faults.clear()
    for _ in range(20):
        bench.wait(MINUTE)
        bench.tick()
    told = [event for event in bench.events("integration.sync_status_changed") if '"healthy"' in event["data"]]
    if len(told) != 2:
        yield Finding(
            f"an outage was told {len(told)} times, not once down and once up",
            "Raise Transient for each failure; what is told of it is the engine's affair.",
        )
    yield from _comes_to_rest(bench, "the outage")


RULES = (
    Rule(
        "rate-limit",
        Tier.SILVER,
        "A 429 silences every lane for as long as it says.",
        executed=rate_limited,
        needs=BOTH_WAYS,
    ),
    Rule(
        "auth-expired",
        Tier.SILVER,
        "Refused credentials: one event, and recovery by itself.",
        executed=auth_expired,
        needs=BOTH_WAYS,
    ),
    Rule(
        "outage-told-once",
        Tier.SILVER,
        "An outage is told once down and once up, without a storm.",
        executed=outage,
        needs=BOTH_WAYS,
    ),
)
