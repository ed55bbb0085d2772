"""What a sandbox is put into in a world: a clock that may be wrong, a server that dates its answers, and a network that
takes its webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from connectors.contract import RawDelivery
from connectors.http import Transport, WireRequest, WireResponse
from simulation.machine import VirtualClock


class SkewedClock:
    """A vendor's clock: ours, and something more."""

    def __init__(self, ours: VirtualClock) -> None:
        self._ours = ours
        self.skew = timedelta(0)

    def now(self) -> datetime:
        """What the vendor's clock says."""
        return self._ours() + self.skew

    def advance(self, seconds: float) -> datetime:
        """It does not move by itself."""
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Answers come at once."""

    def on_advance(self, callback: Any) -> None:
        """Nobody has to be told."""


class Caught:
    """Takes the webhooks instead of HTTP."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.deliveries: list[RawDelivery] = []

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """It is under way; the simulator's network decides what becomes of it."""
        named = {name.lower(): value for name, value in headers.items()}
        self.deliveries.append(RawDelivery(named, body, self._clock()))
        return 200


class Dated(Transport):
    """The sandbox with the `Date` that a server in front of it puts into every answer."""

    def __init__(self, inner: Transport, clock: SkewedClock) -> None:
        self._inner, self._clock = inner, clock

    def handle_request(self, request: WireRequest) -> WireResponse:
        """Answer one request."""
        response = self._inner.handle_request(request)
        response.headers["Date"] = format_datetime(self._clock.now(), usegmt=True)
        return response
