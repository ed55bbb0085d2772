"""Code, when the vendor says "too many", "who are you", nothing at all, or hides one repository of several."""

from __future__ import annotations

import json
from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import CODE, Finding, Rule, Tier
from connectors.kit.rules.codehearing import missing
from connectors.kit.rules.support import FAILURES, SHORTEST_TEXT
from connectors.kit.rules.trouble import MINUTE, MOST_CALLS_OF_AN_OUTAGE, OUTAGE, PAUSE

HOUR = 3700
"""A little more than the time after which refused credentials are tried again."""

LASTING = 4
"""Readings that fail until it is more than a vendor's bad moment."""

SAYS_HOW = "repositories_missing"
"""The engine's own reason, whose text tells what to do."""

PARTS = ("integration", "connector", "credentials", "webhook", "runs", "deliveries")


def rate_limited(bench: Bench) -> Iterator[Finding]:
    """After one 429 no lane calls before its time has come; then all goes on by itself."""
    bench.vendor.faults.add("rate_limit", count=1, retry_after=PAUSE)
    bench.vendor.calls.reset()
    bench.pull()
    first = len(bench.vendor.calls.records())
    if first != 1:
        yield Finding(
            f"the 429 was followed by {first - 1} more calls at once",
            "Let RateLimited pass: the engine parks the account for as long as the vendor says.",
        )
    for deed in ("open", "merge"):
        bench.wait(1)
        bench.code.do(deed)
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
    yield from _whole(bench, "the limit was over")


def _whole(bench: Bench, when: str) -> Iterator[Finding]:
    bench.wait(PAUSE)
    for wrong in bench.rest():
        yield Finding(
            f"after {when}, {wrong}", "Raise the contract's errors for what the vendor answers, and no others."
        )
        return
    yield from missing(bench, f"after {when}")


def auth_expired(bench: Bench) -> Iterator[Finding]:
    """Refused credentials stop the integration with one event; when they are accepted again it goes on by itself."""
    bench.vendor.faults.add("error", status=401, count=None)
    for deed in ("open", "merge", "open", "push", "release"):
        bench.code.do(deed)
        bench.hear()
        bench.pull()
        bench.wait(HOUR)
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
    bench.wait(HOUR)
    bench.pull()
    if bench.integration()["status"] != "active" or not bench.events("integration.recovered"):
        yield Finding(
            "it does not recover when the vendor accepts the credentials again", "Keep no state of a failure."
        )
    else:
        yield from _whole(bench, "the credentials worked again")
    if True in bench.ways_in():
        yield from _renewed(bench)


def _renewed(bench: Bench) -> Iterator[Finding]:
    bench.begin(oauth=True)
    bench.vendor.expire()
    bench.code.do("open")
    bench.hear()
    bench.pull()
    if bench.integration()["status"] != "active" or bench.events("integration.auth_failed"):
        yield Finding("an ended access token stopped the integration", "Raise AuthFailed for it: it is renewed then.")
    yield from _whole(bench, "the token was renewed")


def outage(bench: Bench) -> Iterator[Finding]:
    """Down is told once and up once; meanwhile the vendor is asked less and less; then nothing was lost."""
    bench.vendor.faults.add("error", status=503, count=None)
    bench.vendor.calls.reset()
    for minute in range(OUTAGE):
        bench.code.do(("open", "merge")[minute % 2])
        bench.hear()
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
    yield from _whole(bench, "the outage")


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
        yield from _whole(bench, f"a repository that was {how} is back")


def _break(bench: Bench) -> None:
    """Every call for something in the second repository fails; the repository itself is still there to be listed."""
    there = bench.code.repositories()[1]
    for path in (f"*/{there.id}/*", f"*{there.name}/*"):
        bench.vendor.faults.add("error", status=500, count=None, path=path)


def diagnostics(bench: Bench) -> Iterator[Finding]:
    """The document tells what happened and shows no credential, whatever the connector called a secret."""
    hidden = dict(bench.secrets())
    hidden |= {f"credentials.{name}": value for name, value in bench.private().items()}
    bench.code.do("open")
    bench.hear()
    bench.vendor.faults.add("error", status=403, count=None)
    bench.pull()
    document = bench.diagnostics()
    for part in PARTS:
        if not document.get(part):
            yield Finding(f"the diagnostics say nothing of {part}", "Leave the engine's rows as they are.")
    text = json.dumps(document, ensure_ascii=False)
    for name, secret in hidden.items():
        if secret in text:
            yield Finding(
                f"the diagnostics show {name}",
                "Put no credential into the account's name, an error's text or the webhook's id.",
            )
    if "forbidden" not in text:
        yield Finding("the diagnostics do not say that reading was forbidden", "Raise Forbidden for a 403.")


def hints(bench: Bench) -> Iterator[Finding]:
    """Whatever a reading is answered, the integration says why, and there is a next step for that reason."""
    for status in FAILURES:
        bench.begin()
        bench.vendor.faults.add("error", status=status, count=None)
        for _ in range(LASTING):
            bench.pull()
            bench.wait(HOUR)
        row = bench.integration()
        stopped = row["status"] == "error"
        code, text = (row["status_code"], row["status_text"]) if stopped else (row["sync_code"], row["sync_text"])
        yield from _told(bench, status, code, text)


def _told(bench: Bench, status: int, code: str | None, text: str | None) -> Iterator[Finding]:
    if not code:
        yield Finding(f"a reading answered {status} leaves no reason", "Raise the contract's error for it.")
    elif code == "connector_fault":
        yield Finding(f"a reading answered {status} is a fault of the connector", "Raise the contract's error for it.")
    elif len(text or "") < SHORTEST_TEXT:
        yield Finding(f"the reason of {code} says only {text!r}", "Name the thing and what is wrong with it.")
    elif not bench.next_step(code) and code != SAYS_HOW:
        yield Finding(f"there is no next step for {code}", "Use the codes of the contract's errors.")


RULES = (
    Rule(
        "code-rate-limit",
        Tier.SILVER,
        "A 429 silences every lane for as long as it says, and nothing is lost.",
        executed=rate_limited,
        needs=CODE,
    ),
    Rule(
        "code-auth-expired",
        Tier.SILVER,
        "Refused credentials: one event, recovery by itself, and nothing is lost.",
        executed=auth_expired,
        needs=CODE,
    ),
    Rule(
        "code-outage-told-once",
        Tier.SILVER,
        "An outage is told once down and once up, without a storm, and nothing is lost.",
        executed=outage,
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
        executed=diagnostics,
        needs=CODE,
        essential=True,
    ),
    Rule(
        "code-repair-hints",
        Tier.GOLD,
        "Every reason for a failed reading has a text and a next step.",
        executed=hints,
        needs=CODE,
    ),
)
