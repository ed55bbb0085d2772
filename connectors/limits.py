"""Rate limits: the budget a client spends from, and what vendors' headers (names in lower case) say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from connectors.response import Response

LONGEST_WAIT = timedelta(days=1)
"""Documented limits reset within an hour; a longer value is a mistake that must not park a lane for years."""

DEFAULT_WAIT = timedelta(seconds=60)
"""For a vendor that says "too many" and not for how long; GitHub asks for at least a minute then."""

WINDOWS = (
    ("x-ratelimit-remaining", "x-ratelimit-reset"),  # GitHub, Jira, ClickUp, Azure DevOps, Datadog
    ("ratelimit-remaining", "ratelimit-reset"),  # GitLab
    ("x-ratelimit-requests-remaining", "x-ratelimit-requests-reset"),  # Linear
    ("x-ratelimit-complexity-remaining", "x-ratelimit-complexity-reset"),  # Linear
)
"""Pairs of headers: what is left of a window, and when it starts anew."""

# A bare number below is seconds from now (Datadog), above it an epoch: 10⁹ s was 2001, and no wait lasts 31 years.
_SMALLEST_EPOCH = 1e9
# Epochs from here on are milliseconds (Linear): 10¹¹ s is the year 5138, 10¹¹ ms was 1973.
_SMALLEST_EPOCH_MS = 1e11

_NUMBER = re.compile(r"\d{1,18}(\.\d{1,9})?")
_LEFT = re.compile(r"\b(?:r|remaining)=(\d{1,18})\b")
_RESET = re.compile(r"\b(?:t|reset)=(\d{1,18})\b")


class Budget(Protocol):
    """The calls one credential may make, shared by every worker that uses it."""

    def take(self, cost: float) -> None:
        """Book a call. Raises RateLimited(until) when this lane must wait."""

    def park(self, until: datetime, text: str) -> None:
        """The vendor said: not before `until`."""

    def note(self, remaining: float, reset_at: datetime) -> None:
        """What the vendor's headers say is left until `reset_at`."""


class Unlimited:
    """A budget that never says no: for tests and for authors of plugins."""

    def take(self, cost: float) -> None:
        """Always granted."""

    def park(self, until: datetime, text: str) -> None:
        """Not remembered."""

    def note(self, remaining: float, reset_at: datetime) -> None:
        """Not remembered."""


def says_limited(response: Response) -> bool:
    """429 everywhere; GitHub also limits with a 403 that carries `Retry-After` or an empty window."""
    if response.status != 403:
        return response.status == 429
    return "retry-after" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the vendor wants to hear from us again, on our clock, at most `LONGEST_WAIT` away; None if it doesn't say.

    `Retry-After` (seconds or HTTP-date) comes first. Without it a rate window's reset counts, read as seconds,
    epoch seconds or milliseconds, ISO 8601 or HTTP-date. A window that still has room is not what stopped us,
    so its reset is believed for `DEFAULT_WAIT` at most.
    """
    wait = _wait(headers.get("retry-after", ""), headers, now)
    if wait is None:
        waits = [w if not left else min(w, DEFAULT_WAIT) for left, w in _windows(headers, now)]
        wait = max(waits, default=None)
    return None if wait is None else now + wait


def room(headers: Mapping[str, str], now: datetime) -> tuple[float, datetime] | None:
    """What is left of the vendor's first rate window and when it starts anew on our clock; None if it doesn't say."""
    for left, wait in _windows(headers, now):
        if left is not None:
            return left, now + wait
    return None


def http_date(value: str) -> datetime | None:
    """An HTTP-date as an aware datetime, None when it isn't one."""
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _windows(headers: Mapping[str, str], now: datetime) -> Iterator[tuple[float | None, timedelta]]:
    """(what is left, wait until the reset) for every rate window whose reset is told."""
    for left_name, reset_name in WINDOWS:
        wait = _wait(headers.get(reset_name, ""), headers, now)
        if wait is not None:
            yield _number(headers.get(left_name, "")), wait
    for policy in _policies(headers.get("ratelimit", "")):
        left, reset = _LEFT.search(policy), _RESET.search(policy)
        if reset:
            yield (float(left[1]) if left else None), _clamped(float(reset[1]))


def _policies(value: str) -> list[str]:
    """The parts of a `RateLimit` header: `"name";r=1;t=2, …` (one per policy) or `limit=…, remaining=1, reset=2`."""
    return value.split(",") if ";" in value else [value]


def _wait(value: str, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long until the moment `value` names, in whichever form it is written."""
    value = value.strip()
    number = _number(value)
    if number is not None and number < _SMALLEST_EPOCH:
        return _clamped(number)
    if number is not None:
        when = number / 1000 if number >= _SMALLEST_EPOCH_MS else number
    elif (moment := _iso(value) or http_date(value)) is not None:
        when = moment.timestamp()
    else:
        return None
    # A moment is on the vendor's clock, and its Date header says what that clock shows now.
    vendor_now = http_date(headers.get("date", "")) or now
    return _clamped(when - vendor_now.timestamp())


def _number(value: str) -> float | None:
    return float(value) if _NUMBER.fullmatch(value) else None


def _iso(value: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _clamped(seconds: float) -> timedelta:
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_WAIT.total_seconds()))
