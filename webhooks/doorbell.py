"""The doorbell: tells the workers that an integration's inbox has something in it, once and not per delivery.

The first press rings at once. Presses within `MIN_GAP` of a ring are collected into one more ring at the end of the
gap, so that no delivery waits for the next tick. Ringing has a thread of its own: a broker that does not answer must
hold up neither the answers to vendors nor the next commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import structlog

log = structlog.get_logger(__name__)

Ring = Callable[[str], None]
"""Says "there is work in the inbox of this integration". May block and may fail: the next tick finds the work."""

MIN_GAP = 0.1
"""Seconds between two rings for one integration: ten a second cost a worker nothing, and a delivery that came just
after an inbox was drained is still looked at within the 200 ms we promise."""


class Doorbell:
    """Rings for integrations from a thread of its own."""

    def __init__(
        self, ring: Ring, *, min_gap: float = MIN_GAP, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ring = ring
        self._min_gap = min_gap
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._rung: dict[str, float] = {}  # one number per integration ever rung for
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="webhook-doorbell", daemon=True)
        self._thread.start()

    def press(self, integration_ids: Iterable[str]) -> None:
        """There is something new for these. Returns at once."""
        now = self._monotonic()
        with self._changed:
            for integration_id in integration_ids:
                earliest = self._rung.get(integration_id, now - self._min_gap) + self._min_gap
                self._due.setdefault(integration_id, max(now, earliest))
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        """Ring what is due or will be, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (ready := self._wait()) is not None:
            for integration_id in ready:
                self._ring_for(integration_id)

    def _wait(self) -> list[str] | None:
        """The integrations to ring for now; None at the end."""
        with self._changed:
            while not self._closing:
                now = self._monotonic()
                ready = [integration_id for integration_id, due in self._due.items() if due <= now]
                if ready:
                    return self._taken(ready, now)
                self._changed.wait(min(self._due.values()) - now if self._due else None)
            return self._taken(list(self._due), self._monotonic()) or None

    def _taken(self, ready: list[str], now: float) -> list[str]:
        # Before the ring, not after it: a press during a slow ring is for work the ringing may not have seen.
        for integration_id in ready:
            del self._due[integration_id]
            self._rung[integration_id] = now
        return ready

    def _ring_for(self, integration_id: str) -> None:
        try:
            self._ring(integration_id)
        except Exception:  # whatever the broker's client raises; the delivery is stored and the next tick finds it
            log.warning("doorbell_failed", integration_id=integration_id, exc_info=True)
