"""Delivering webhooks: signed, retried by the vendor's rule, bent by faults, and logged.

A `Dispatcher` holds what is to be sent. It is driven either by its own background threads
(`start`, for a served sandbox) or by hand (`pump`, for a simulator: nothing happens between calls).
"""

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from random import Random
from typing import Any, Protocol

import httpx

from sandbox.clock import Clock
from sandbox.faults import WEBHOOK_FAULTS, Fault, FaultKind, FaultPlan

# Vendors send from many workers, so order is not promised; four shows that without flooding a laptop.
BACKGROUND_SENDERS = 4
# A reordered delivery goes out after this long even if no other delivery overtakes it.
REORDER_HOLD_SECONDS = 5.0
# The background thread looks at least this often; a clock jump or a new delivery wakes it at once.
IDLE_WAIT_SECONDS = 0.5


class SendFailed(Exception):
    """The receiver could not be reached or did not answer in time."""


class Sender(Protocol):
    """How a delivery leaves: over HTTP, or straight into a simulator's receiver."""

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """POST it; returns the status. Raises SendFailed when there was none."""


class HttpSender:
    """Sends over real HTTP. Connect 5 s and read 20 s are Jira Cloud's; no vendor waits longer."""

    def __init__(self, connect_seconds: float = 5.0, read_seconds: float = 20.0) -> None:
        self._timeout = httpx.Timeout(read_seconds, connect=connect_seconds)

    @cached_property
    def _client(self) -> httpx.Client:
        """Made on first use: loading certificates takes longer than building a whole sandbox."""
        return httpx.Client(timeout=self._timeout, trust_env=False)

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """POST once, following no redirect."""
        try:
            return self._client.post(url, headers=headers, content=body).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SendFailed(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Drop kept-alive connections; sending again opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()


@dataclass(frozen=True)
class RetryRule:
    """When a vendor tries again.

    One entry of `delays` per retry: (shortest, longest) seconds. After `patience` seconds of nothing
    but failures at one URL, each new delivery gets a single attempt until one succeeds. `scale`
    shrinks all of these so a test need not wait minutes. `accepts` says which answers are success.
    """

    delays: tuple[tuple[float, float], ...]
    retries_status: Callable[[int], bool]
    patience: float | None = None
    scale: float = 1.0
    accepts: Callable[[int], bool] = lambda status: 200 <= status < 300


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Attempt:
    """One try: its status, or the error when nothing answered."""

    at: datetime
    status: int | None
    error: str | None = None


@dataclass
class Delivery:
    """One event on its way to one URL. `id` stays the same over retries and doubles.

    `sign(attempt, now)` makes the headers of one attempt (0 is the first), so that a short-lived
    token is fresh each time.
    """

    id: str
    event: str
    url: str
    body: bytes
    sign: Callable[[int, datetime], dict[str, str]]
    due: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    bent: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The delivery as the control endpoint shows it; without headers, which carry secrets."""
        return {
            "id": self.id,
            "event": self.event,
            "url": self.url,
            "state": self.state,
            "due": self.due.isoformat(),
            "faults": self.bent,
            "attempts": [{"at": a.at.isoformat(), "status": a.status, "error": a.error} for a in self.attempts],
        }


class Dispatcher:
    """The queue of deliveries, its retries and its log. `settled` are told of each delivery that was delivered or given
    up, for vendors that stop sending to who does not answer."""

    def __init__(self, clock: Clock, faults: FaultPlan, rule: RetryRule, rng: Random, sender: Sender) -> None:
        self.rule = rule
        self.sender = sender
        self._clock = clock
        self._faults = faults
        self._rng = rng
        self._queue: list[tuple[datetime, int, Delivery]] = []
        self._held: dict[str, list[Delivery]] = {}
        self._log: list[Delivery] = []
        self._failing_since: dict[str, datetime] = {}
        self._sequence = 0
        self._in_flight = 0
        self._paused = False
        self._running = False
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition(threading.RLock())
        self.settled: list[Callable[[Delivery], None]] = []
        clock.on_advance(self._notify)

    def enqueue(self, delivery: Delivery) -> None:
        """Take a new delivery, letting the planned webhook faults bend it. Never blocks on sending."""
        faults = self._faults.take(WEBHOOK_FAULTS, delivery.event, "POST", delivery.url)
        delivery.bent = [str(f.kind) for f in faults]
        with self._wake:
            self._log.append(delivery)
            overtaken = self._held.pop(delivery.url, [])
            self._admit(delivery, faults)
            for held in overtaken:
                held.due = max(held.due, delivery.due)
                self._push(held)
            self._wake.notify_all()

    def _admit(self, delivery: Delivery, faults: list[Fault]) -> None:
        kinds = {f.kind for f in faults}
        if FaultKind.WEBHOOK_DROP in kinds:
            delivery.state = DeliveryState.DROPPED
            return
        delay = sum(f.seconds for f in faults if f.kind is FaultKind.WEBHOOK_DELAY)
        delivery.due += timedelta(seconds=delay)
        if FaultKind.WEBHOOK_DOUBLE in kinds:
            twin = replace(delivery, attempts=[])
            self._log.append(twin)
            self._push(twin)
        if FaultKind.WEBHOOK_REORDER in kinds:
            self._held.setdefault(delivery.url, []).append(delivery)
        else:
            self._push(delivery)

    def _push(self, delivery: Delivery) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (delivery.due, self._sequence, delivery))

    def _pop_due(self) -> Delivery | None:
        self._release_held()
        if self._paused or not self._queue or self._queue[0][0] > self._clock.now():
            return None
        self._in_flight += 1
        return heapq.heappop(self._queue)[2]

    def _release_held(self) -> None:
        limit = self._clock.now() - timedelta(seconds=REORDER_HOLD_SECONDS)
        for url, held in list(self._held.items()):
            if held[0].due <= limit:
                del self._held[url]
                for delivery in held:
                    self._push(delivery)

    def _attempt(self, delivery: Delivery) -> None:
        """Send once and decide what comes next."""
        now = self._clock.now()
        headers = delivery.sign(len(delivery.attempts), now)
        try:
            attempt = Attempt(now, self.sender.send(delivery.url, headers, delivery.body))
        except SendFailed as failure:
            attempt = Attempt(now, None, str(failure))
        with self._wake:
            self._in_flight -= 1
            delivery.attempts.append(attempt)
            self._settle(delivery, attempt, now)
            self._wake.notify_all()
        if delivery.state is not DeliveryState.PENDING:
            for told in self.settled:  # not under the lock: they take the vendor's
                told(delivery)

    def _settle(self, delivery: Delivery, attempt: Attempt, now: datetime) -> None:
        status = attempt.status
        if status is not None and self.rule.accepts(status):
            delivery.state = DeliveryState.DELIVERED
            self._failing_since.pop(delivery.url, None)
            return
        since = self._failing_since.setdefault(delivery.url, now)
        tries = len(delivery.attempts) - 1
        retryable = status is None or self.rule.retries_status(status)
        if not retryable or tries >= len(self.rule.delays) or self._out_of_patience(since, now):
            delivery.state = DeliveryState.FAILED
            return
        delay = self._rng.uniform(*self.rule.delays[tries]) * self.rule.scale
        delivery.due = now + timedelta(seconds=delay)
        self._push(delivery)

    def _out_of_patience(self, since: datetime, now: datetime) -> bool:
        patience = self.rule.patience
        return patience is not None and (now - since).total_seconds() > patience * self.rule.scale

    # Driving by hand

    def pump(self) -> int:
        """Send everything that is due now, on this thread; returns how many attempts were made."""
        made = 0
        while True:
            with self._wake:
                delivery = self._pop_due()
            if delivery is None:
                return made
            self._attempt(delivery)
            made += 1

    def flush(self) -> int:
        """Make everything waiting due (retries, delays, held ones, paused or not) and send it once."""
        with self._wake:
            waiting = [d for _, _, d in sorted(self._queue, key=lambda entry: entry[:2])]
            waiting += [d for held in self._held.values() for d in held]
            self._queue.clear()
            self._held.clear()
            self._in_flight += len(waiting)
        for delivery in waiting:
            self._attempt(delivery)
        return len(waiting)

    def pause(self) -> None:
        """Hold everything back; events go on being collected."""
        with self._wake:
            self._paused = True

    def resume(self) -> None:
        """Undo pause."""
        with self._wake:
            self._paused = False
            self._wake.notify_all()

    # Driving from background threads

    def start(self) -> None:
        """Begin sending in the background; harmless when already started."""
        with self._wake:
            if self._running:
                return
            self._running = True
            self._thread = threading.Thread(target=self._work, name="sandbox-webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop sending in the background; what is queued stays queued, what is in flight goes on."""
        with self._wake:
            thread, self._thread = self._thread, None
            self._running = False
            self._wake.notify_all()
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        pool = ThreadPoolExecutor(BACKGROUND_SENDERS, "sandbox-webhook")
        with self._wake:
            while self._running:
                delivery = self._pop_due() if self._in_flight < BACKGROUND_SENDERS else None
                if delivery is None:
                    self._wake.wait(self._seconds_to_next())
                else:
                    pool.submit(self._attempt, delivery)
        pool.shutdown(wait=False)

    def _seconds_to_next(self) -> float:
        if self._paused or not self._queue or self._in_flight >= BACKGROUND_SENDERS:
            return IDLE_WAIT_SECONDS
        ahead = (self._queue[0][0] - self._clock.now()).total_seconds()
        return min(max(ahead, 0.0), IDLE_WAIT_SECONDS)

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    # Looking

    def wait_idle(self, timeout: float = 5.0) -> bool:
        """Wait (real seconds) until nothing is due or in flight; False when the time ran out."""
        with self._wake:
            return self._wake.wait_for(self._idle, timeout)

    def _idle(self) -> bool:
        due = bool(self._queue) and self._queue[0][0] <= self._clock.now() and not self._paused
        return self._in_flight == 0 and not due

    def pending(self) -> int:
        """Deliveries that will still be attempted."""
        with self._wake:
            return len(self._queue) + sum(len(held) for held in self._held.values()) + self._in_flight

    def log(self) -> list[Delivery]:
        """Every delivery so far, oldest first."""
        with self._wake:
            return list(self._log)

    def clear_log(self) -> None:
        """Forget finished and pending deliveries in the log; nothing stops being sent."""
        with self._wake:
            self._log.clear()
