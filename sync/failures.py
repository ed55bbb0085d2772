"""What failures have in common: how long to wait, when to give up, what to call a fault that should not happen."""

from __future__ import annotations

from datetime import timedelta
from zlib import crc32

from connectors.contract import ConnectorError

RETRY_FIRST = timedelta(seconds=5)
RETRY_MOST = timedelta(minutes=15)
"""What fails is tried again after 5 s, then 10, 20 … and never less often than every quarter of an hour: short enough
that recovery is noticed, long enough that an outage is not hammered."""

MAX_ATTEMPTS = 24
"""Tries before one item is given up and waits for a hand: about four hours, longer than most outages."""


FAILED_AFTER = 3
"""Failures in a row after which an integration, or a repository, counts as failed: one or two happen every day."""


class Fault(ConnectorError):
    """An error a connector should not have raised. Only its kind is shown: its text may hold anything."""

    code = "connector_fault"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"The connector failed with {type(error).__name__}; the worker's log has the details.")


SPREAD = 0.2
"""The share of a wait by which it may be longer: after a vendor's outage not all integrations come back at once."""


def spread(wait: timedelta, who: str) -> timedelta:
    """The wait, somewhat longer for each `who`. The same for all that belongs together: what failed together is tried
    together, and costs one call again."""
    return wait * (1 + SPREAD * (crc32(who.encode()) % 1000) / 1000)


def backoff(attempts: int) -> timedelta:
    """How long to wait after this many failures in a row (1 or more)."""
    doublings = min(attempts - 1, 10)
    return min(RETRY_FIRST * (1 << doublings), RETRY_MOST)
