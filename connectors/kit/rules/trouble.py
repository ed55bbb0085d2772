"""When the vendor says "too many", "who are you", or nothing at all: what must come of it, whatever the work is.

The scenes are the same for every kind of work; a `Work` says how there comes to be some, how it is done, and how it is
seen that nothing of it was lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connectors.kit.bench import Bench
from connectors.kit.rule import Finding

PAUSE = 300
"""Seconds a 429 asks for."""

TURNS = 5
"""In so many parts a pause is waited for, and beside the last of them all lanes are tried."""

MINUTE = 60

HOUR = 3700
"""A little more than the time after which refused credentials are tried again."""

OUTAGE = 40
"""Minutes an outage lasts: longer than any backoff."""

RECOVERY = 20
"""Minutes after it: the longest backoff is a quarter of an hour."""

MOST_CALLS_OF_AN_OUTAGE = 60
"""Calls within OUTAGE, beside those about what is heard of meanwhile and however much is to be done: the pull backs off
from seconds to a quarter of an hour, which is about nine tries of one or two calls, and the push lane makes three calls
before it closes for as long."""

LASTING = 4
"""Readings that fail until it is more than a vendor's bad moment."""

REFUSALS = 5
"""Rounds of work that are refused: one refusal alone may be a vendor's bad moment."""

FAILURES = (400, 403, 404, 409, 500, 401)
"""Statuses any vendor may answer with; 401 last, since it stops the integration."""

SHORTEST_TEXT = 15
"""Characters of a reason: below that it can't name the thing and what is wrong with it."""

PARTS = ("integration", "connector", "credentials", "webhook", "runs", "deliveries")
"""What every integration's diagnostics tell of."""

OF_WEBHOOKS = frozenset({"webhook", "deliveries"})
"""Of these, what there is where webhooks are heard."""

REFUSED = ("forbidden", "auth_failed")
"""What the diagnostics may call a 403: some vendors answer it for keys they do not know."""

Reason = tuple[str | None, str | None]
"""Code and text of why something failed."""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work.

    word      what fails when a call does: "a write"
    doing     the same as what is done: "a write was forbidden"
    arises    there comes to be something to do; with another number, something more
    piles_up  much comes to be done, or nothing where it arises by itself
    do        do it, with one call at first
    fail      do it until its failing is more than a bad moment; given the status it is answered
    reason    why it failed, as the operator sees it
    whole     nothing was lost, after what happened
    parts     what the diagnostics tell of besides PARTS
    heard     calls about what is heard of during an outage, each of which is tried once when it comes
    pause     seconds a 429 asks for at this vendor
    says_how  reasons of the engine's own whose text tells what to do
    usual     those of PARTS that the diagnostics tell of
    """

    word: str
    doing: str
    arises: Callable[[Bench, int], None]
    piles_up: Callable[[Bench], None]
    do: Callable[[Bench], None]
    fail: Callable[[Bench, int], None]
    reason: Callable[[Bench, int], Reason]
    whole: Callable[[Bench, str], Iterator[Finding]]
    parts: tuple[str, ...] = ()
    heard: int = 0
    pause: Callable[[Bench], int] = lambda _bench: PAUSE
    says_how: frozenset[str] = frozenset()
    usual: tuple[str, ...] = PARTS

    def rate_limited(self, bench: Bench) -> Iterator[Finding]:
        """After one 429 no lane calls before its time has come; then all goes on by itself."""
        self.arises(bench, 0)
        pause = self.pause(bench)
        bench.vendor.faults.add("rate_limit", count=1, retry_after=pause)
        bench.vendor.calls.reset()
        self.do(bench)
        first = len(bench.vendor.calls.records())
        if first != 1:
            yield Finding(
                f"the 429 was followed by {first - 1} more calls at once",
                "Let RateLimited pass: the engine parks the account for as long as the vendor says.",
            )
        self.arises(bench, 1)
        for _ in range(TURNS - 1):
            bench.wait(pause // TURNS - 1)
            bench.hear()
            bench.tick()
        early = len(bench.vendor.calls.records()) - first
        if early:
            yield Finding(
                f"{early} calls were made before Retry-After had passed",
                "Send every call through context.http, whose budget all workers share.",
            )
        yield from self.at_rest(bench, "the limit was over")

    def auth_expired(self, bench: Bench) -> Iterator[Finding]:
        """Refused credentials stop the integration with one event; accepted again, it goes on by itself."""
        bench.vendor.faults.add("error", status=401, count=None)
        for number in range(REFUSALS):
            self.arises(bench, number)
            self.do(bench)
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
            yield from self.at_rest(bench, "the credentials worked again")
        if True in bench.ways_in():
            yield from self._renewed(bench)

    def _renewed(self, bench: Bench) -> Iterator[Finding]:
        """Connected by consent, an access token that ends is renewed, and nobody is told."""
        bench.begin(oauth=True)
        bench.vendor.expire()
        self.arises(bench, 0)
        self.do(bench)
        bench.pull()
        if bench.integration()["status"] != "active" or bench.events("integration.auth_failed"):
            yield Finding(
                "an ended access token stopped the integration", "Raise AuthFailed for it: it is renewed then."
            )
        yield from self.at_rest(bench, "the token was renewed")

    def outage(self, bench: Bench) -> Iterator[Finding]:
        """Down is told once and up once; meanwhile the vendor is asked less and less; then nothing was lost."""
        self.piles_up(bench)
        bench.vendor.faults.add("error", status=503, count=None)
        bench.vendor.calls.reset()
        for number in range(OUTAGE):
            self.arises(bench, number)
            bench.tick()
            bench.wait(MINUTE)
        calls = len(bench.vendor.calls.records())
        if calls > MOST_CALLS_OF_AN_OUTAGE + self.heard:
            yield Finding(
                f"{calls} calls in {OUTAGE} minutes of an outage", "Raise Transient for it; retry nothing yourself."
            )
        if bench.integration()["sync_status"] == "healthy":
            yield Finding(
                "an outage leaves the integration healthy", "Raise Transient for a 5xx and for cut connections."
            )
        bench.vendor.faults.clear()
        for _ in range(RECOVERY):
            bench.wait(MINUTE)
            bench.tick()
        told = [event for event in bench.events("integration.sync_status_changed") if '"healthy"' in event["data"]]
        if len(told) != 2:
            yield Finding(
                f"an outage was told {len(told)} times, not once down and once up",
                "Raise Transient for each failure; what is told of it is the engine's affair.",
            )
        yield from self.at_rest(bench, "the outage")

    def at_rest(self, bench: Bench, when: str) -> Iterator[Finding]:
        bench.wait(PAUSE)
        for wrong in bench.rest():
            yield Finding(
                f"after {when}, {wrong}", "Raise the contract's errors for what the vendor answers, and no others."
            )
            return
        yield from self.whole(bench, f"after {when}")

    def diagnostics(self, bench: Bench) -> Iterator[Finding]:
        """The document tells what happened and shows no credential, whatever the connector called a secret."""
        hidden = dict(bench.secrets())
        hidden |= {f"credentials.{name}": value for name, value in bench.private().items()}
        self.arises(bench, 0)
        bench.vendor.faults.add("error", status=403, count=None)
        self.do(bench)
        bench.pull()
        document = bench.diagnostics()
        unheard = OF_WEBHOOKS if bench.connector.manifest.webhooks is None else frozenset[str]()
        for part in (*self.usual, *self.parts):
            if not document.get(part) and part not in unheard:
                yield Finding(f"the diagnostics say nothing of {part}", "Leave the engine's rows as they are.")
        text = json.dumps(document, ensure_ascii=False)
        for name, secret in hidden.items():
            if secret in text:
                yield Finding(
                    f"the diagnostics show {name}",
                    "Put no credential into the account's name, an error's text or the webhook's id.",
                )
        if not any(word in text for word in REFUSED):
            yield Finding(f"the diagnostics do not say that {self.doing} was forbidden", "Raise Forbidden for a 403.")

    def hints(self, bench: Bench) -> Iterator[Finding]:
        """Whatever it is answered, the operator sees why, and there is a next step for that reason."""
        for status in FAILURES:
            bench.begin()
            bench.vendor.faults.add("error", status=status, count=None)
            self.fail(bench, status)
            yield from self._told(bench, status, *self.reason(bench, status))

    def _told(self, bench: Bench, status: int, code: str | None, text: str | None) -> Iterator[Finding]:
        if not code:
            yield Finding(f"{self.word} answered {status} leaves no reason", "Raise the contract's error for it.")
        elif code == "connector_fault":
            yield Finding(
                f"{self.word} answered {status} is a fault of the connector", "Raise the contract's error for it."
            )
        elif len(text or "") < SHORTEST_TEXT:
            yield Finding(f"the reason of {code} says only {text!r}", "Name the thing and what is wrong with it.")
        elif not bench.next_step(code) and code not in self.says_how:
            yield Finding(f"there is no next step for {code}", "Use the codes of the contract's errors.")


# --- work that is done by reading ---------------------------------------------------------------------


def passes(_bench: Bench) -> None:
    """What there is to be read piles up by itself, while time passes."""


def pull(bench: Bench) -> None:
    """Read once."""
    bench.pull()


def pull_in_vain(bench: Bench, _status: int) -> None:
    """Read until it is more than a vendor's bad moment."""
    for _ in range(LASTING):
        bench.pull()
        bench.wait(HOUR)


def said_of_reading(bench: Bench, _status: int) -> Reason:
    """Why it fails, as the integration shows it."""
    row = bench.integration()
    stopped = row["status"] == "error"
    return (row["status_code"], row["status_text"]) if stopped else (row["sync_code"], row["sync_text"])
