"""Time for a fake vendor: the real clock with an offset, or one that only moves when told to."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What every part of the sandbox asks for the time."""

    def now(self) -> datetime:
        """The current instant, timezone-aware UTC."""

    def advance(self, seconds: float) -> datetime:
        """Jump forward; returns the new time."""

    async def sleep(self, seconds: float) -> None:
        """Let that much of this clock's time pass."""

    def on_advance(self, callback: Callable[[], None]) -> None:
        """Be told after each jump, so that work which became due is noticed at once."""


class SystemClock:
    """The machine's clock plus an offset, so a demo can skip 30 days without waiting."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._callbacks: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The machine's time plus every jump so far, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> datetime:
        """Jump forward by `seconds`; a negative jump skews the clock backwards."""
        self._offset += timedelta(seconds=seconds)
        for callback in self._callbacks:
            callback()
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(seconds)

    def on_advance(self, callback: Callable[[], None]) -> None:
        """Be told after each jump."""
        self._callbacks.append(callback)


class ManualClock:
    """A clock that stands still until a test moves it; sleeping moves it too."""

    # A round instant well inside every vendor's token and webhook lifetimes.
    START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)

    def __init__(self, start: datetime = START) -> None:
        self._now = start.astimezone(UTC)
        self._callbacks: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The instant this clock was last set to, in UTC."""
        return self._now

    def set(self, instant: datetime) -> datetime:
        """Jump to an instant (aware); returns it in UTC."""
        self._now = instant.astimezone(UTC)
        for callback in self._callbacks:
            callback()
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Jump forward by `seconds`."""
        return self.set(self._now + timedelta(seconds=seconds))

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once."""
        self.advance(seconds)

    def on_advance(self, callback: Callable[[], None]) -> None:
        """Be told after each jump."""
        self._callbacks.append(callback)
