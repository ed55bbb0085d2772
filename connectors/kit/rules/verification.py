"""Webhooks: what must not be believed, through the real front door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from connectors.contract import BadPayload, ButtonPressed, CodeHeard, GateHeard, RawDelivery, Snapshot
from connectors.kit.bench import Answer, Bench
from connectors.kit.rule import NOTIFIER, SOURCES, WEBHOOKS, Finding, Rule, Tier

STALE = 9 * 24 * 3600
"""Seconds after which a delivery is stale by any vendor's measure: retries end within days."""

MALFORMED = (
    "",
    " ",
    "garbage",
    "sha256=",
    "sha256=00",
    "v1,",
    "Bearer ",
    "Bearer a.b.c",
    "Basic !",
    "\xe9" * 64,
    "0" * 9000,
)
"""Values no signature has; among them what breaks careless hex, base64 and JWT decoders."""

CHECK = "Check the signature over the raw bytes with connectors.signing, which is strict and raises BadSignature."


def verified(bench: Bench) -> Iterator[Finding]:
    """Good deliveries are stored; nothing else is, and nothing makes the front door fail: in each way of connecting,
    for vendors sign what an app has registered differently from what an administrator has."""
    for oauth, subject in product(bench.ways_in(), bench.subjects()):
        bench.begin(oauth=oauth)
        yield from _verified(bench, subject)


def _verified(bench: Bench, subject: str) -> Iterator[Finding]:
    facts = bench.connector.manifest.webhooks
    assert facts is not None
    bench.stir(subject, "Signed")
    deliveries = bench.arriving()
    if not deliveries:
        yield Finding(
            "no webhook came of an edit, of a new change, or of a button that was pressed",
            "Register the webhook in `subscribe`, for changes of items and what happens to code.",
        )
        return
    good = deliveries[0]
    yield from _Attack(bench, facts.rejection).all(good)
    bench.empty_inbox()
    [answer] = bench.knock([good])
    if answer.status != facts.accepted or answer.stored != 1:
        yield Finding(f"a good delivery was answered {answer.status}", "Accept what the vendor itself has signed.")
    yield from _stale(bench, good)
    yield from _wrong_secret(bench, subject, facts.rejection)


class _Attack:
    """Deliveries made from a good one, and what came of them."""

    def __init__(self, bench: Bench, rejection: int) -> None:
        self._bench, self._rejection = bench, rejection

    def all(self, good: RawDelivery) -> Iterator[Finding]:
        """Without any headers, with each one missing or malformed, and with an altered body."""
        yield from self._refused("without its headers", replace(good, headers={}))
        proofs = [name for name in good.headers if self._rejects(_without(good, name))]
        if not proofs:
            yield Finding("no header is needed to be believed", CHECK)
        for name in good.headers:
            for value in MALFORMED:
                forged = replace(good, headers={**good.headers, name: value})
                if name in proofs:
                    yield from self._refused(f"with {name} = {value[:12]!r}", forged)
                else:
                    yield from self._sound(f"with {name} = {value[:12]!r}", forged)
        yield from self._altered(good)

    def _altered(self, good: RawDelivery) -> Iterator[Finding]:
        """A scheme that does not cover the body may believe it, but then it may only be a hint."""
        middle = len(good.body) // 2
        flipped = good.body[:middle] + bytes([good.body[middle] ^ 1]) + good.body[middle + 1 :]
        for body in (flipped, good.body + b" ", b"", b"{}"):
            forged = replace(good, body=body)
            answer = self._knock(forged)
            if answer.stored and _trusts(self._bench, forged):
                yield Finding("an altered body was believed, and not only as a hint", CHECK)
            elif not answer.stored:
                yield from self._answered("with an altered body", answer.status)

    def _knock(self, delivery: RawDelivery) -> Answer:
        """The answer, as if nothing had come before: one that came under the same id would hide a mistake."""
        self._bench.empty_inbox()
        [answer] = self._bench.knock([delivery])
        return answer

    def _rejects(self, delivery: RawDelivery) -> bool:
        answer = self._knock(delivery)
        return answer.status == self._rejection and not answer.stored

    def _refused(self, how: str, delivery: RawDelivery) -> Iterator[Finding]:
        answer = self._knock(delivery)
        if answer.stored:
            yield Finding(f"a delivery {how} was stored as trusted", CHECK)
        else:
            yield from self._answered(how, answer.status)

    def _sound(self, how: str, delivery: RawDelivery) -> Iterator[Finding]:
        answer = self._knock(delivery)
        if answer.status >= 500:
            yield from self._answered(how, answer.status)

    def _answered(self, how: str, status: int) -> Iterator[Finding]:
        if status >= 500:
            yield Finding(
                f"a delivery {how} was answered {status}: `verify` failed with an error of its own",
                "Treat whatever a stranger sends as data: take headers with .get, and raise BadSignature.",
            )
        elif status != self._rejection:
            yield Finding(f"a delivery {how} was answered {status}, not {self._rejection}", CHECK)


def _without(delivery: RawDelivery, name: str) -> RawDelivery:
    return replace(delivery, headers={key: value for key, value in delivery.headers.items() if key != name})


def _trusts(bench: Bench, delivery: RawDelivery) -> bool:
    """Whether what it says counts for good. An alert does not: the next poll puts it right."""
    connector: Any = bench.connector
    try:
        signals = connector.parse(delivery, bench.config())
    except BadPayload:
        return False
    if any(isinstance(signal, ButtonPressed) for signal in signals):
        return bench.channels.signs_bodies
    return any(isinstance(signal, Snapshot | CodeHeard | GateHeard) for signal in signals)


def _stale(bench: Bench, good: RawDelivery) -> Iterator[Finding]:
    bench.wait(STALE)
    [answer] = bench.knock([good])
    if answer.stored:
        yield Finding(
            "a delivery played again after nine days was stored once more",
            "Give the vendor's delivery id as `key`, and refuse timestamps outside the vendor's tolerance.",
        )
    elif answer.status >= 500:
        yield Finding(f"a stale delivery was answered {answer.status}", "Raise BadSignature for it.")


def _wrong_secret(bench: Bench, subject: str, rejection: int) -> Iterator[Finding]:
    bench.stir(subject, "Signed by a stranger")
    deliveries = bench.arriving()
    bench.forget_secrets()
    for answer in bench.knock(deliveries):
        if answer.stored:
            yield Finding("a delivery signed with another secret was stored as trusted", CHECK)
        elif answer.status != rejection:
            yield Finding(f"a delivery signed with another secret was answered {answer.status}", CHECK)


RULES = (
    Rule(
        "webhook-verified",
        Tier.BRONZE,
        "Only what the vendor signed is stored; forgeries get the manifest's rejection, never a 500.",
        executed=verified,
        needs=WEBHOOKS,
        among=SOURCES | NOTIFIER,
        essential=True,
    ),
)
