"""A rate limit: so many calls of one caller in each window of time. What is said about it is the vendor's affair."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.switches import Switches

# What a planned 429 says when the fault names no time.
USUAL_WAIT_SECONDS = 5


@dataclass(frozen=True)
class Rate:
    """So many calls in so many seconds."""

    calls: int
    seconds: float


@dataclass(frozen=True)
class Window:
    """Where a caller stands in the present window; `refused` when this call was one too many."""

    limit: int
    left: int
    resets: datetime
    wait: int
    refused: bool = False


def usual_headers(window: Window) -> dict[str, str]:
    """`X-RateLimit-*` with an epoch in seconds, and `Retry-After` when refused."""
    headers = {
        "X-RateLimit-Limit": str(window.limit),
        "X-RateLimit-Remaining": str(window.left),
        "X-RateLimit-Reset": str(int(window.resets.timestamp())),
    }
    return headers | ({"Retry-After": str(window.wait)} if window.refused else {})


@dataclass
class Limiter:
    """Counts calls. With the switch `enforce_limits` off it only answers planned refusals."""

    clock: Clock
    settings: Switches
    rate: Rate
    headers: Callable[[Window], dict[str, str]] = usual_headers
    _spent: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def take(self, caller: str) -> Window | None:
        """Count a call; None when nothing is counted."""
        if not self.settings.enforce_limits:
            return None
        began, spent = self._window(caller)
        limit = max(1, int(self.rate.calls * self.settings.limits_scale))
        refused = spent >= limit
        self._spent[caller] = began, spent + (not refused)
        resets = began + timedelta(seconds=self.rate.seconds)
        left = limit - spent - (not refused)
        return Window(limit, left, resets, self._seconds_to(resets), refused)

    def planned(self, retry_after: int | None) -> Window:
        """A refusal somebody asked for."""
        seconds = USUAL_WAIT_SECONDS if retry_after is None else retry_after
        return Window(self.rate.calls, 0, self.clock.now() + timedelta(seconds=seconds), seconds, refused=True)

    def _window(self, caller: str) -> tuple[datetime, int]:
        now = self.clock.now()
        began, spent = self._spent.get(caller, (now, 0))
        if now >= began + timedelta(seconds=self.rate.seconds):
            return now, 0
        return began, spent

    def _seconds_to(self, moment: datetime) -> int:
        return max(1, math.ceil((moment - self.clock.now()).total_seconds()))
