"""What follows when a message could not be said, and what belongs to a thread: pure, and all numbers in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.contract import (
    BadPayload,
    Conflict,
    ConnectorError,
    Forbidden,
    NotFound,
    NotificationKind,
    RateLimited,
    Transient,
)
from sync.failures import MAX_ATTEMPTS, Fault, backoff, spread
from sync.notifications.words import QUIET

STALE = timedelta(days=1)
"""What could not be said for so long is no news any more; said all at once it would only hide what is."""

FAULT_TRIES = 3
"""Tries of a message that the connector fails on by itself. It may be the message's own fault, and the others of its
channel wait behind it."""

FLAP = timedelta(minutes=30)
"""What is over and begins again within this belongs to the same thread; after it, to one of its own, since nobody looks
for news under an old message."""

AS_ONE = "incident:"
"""What has one thread from its first to its last message: whether it is the same incident is decided elsewhere."""

LOST = (
    "The answer to an attempt to say this was lost, and nobody can look whether it arrived. It is not said again by "
    "itself, as it would perhaps be there twice."
)


class Unclear(ConnectorError):
    """It may have been said, nobody can look, and it must not be said twice."""

    code = "unclear"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message after a failed attempt.

    state    pending | failed | unknown
    at       when it is due again, if it is pending
    counted  the attempt counts as one of its tries: it may have been its own fault
    passing  the vendor may be down
    """

    state: str
    at: datetime
    counted: bool = True
    passing: bool = False


def judge(
    error: ConnectorError, message_id: str, kind: NotificationKind, tries: int, now: datetime, *, said: bool, find: bool
) -> Verdict:
    """The verdict on a failed attempt, the `tries`-th. `said`: it may have been said all the same; `find`: that can be
    looked for."""
    given_up = "unknown" if said else "failed"
    again = now + spread(backoff(tries), message_id)
    if said and not find and kind in QUIET:
        return Verdict("unknown", now)
    match error:
        case RateLimited():
            return Verdict("pending", spread_until(error.until, message_id, now), counted=False)
        case Transient():
            last = tries >= MAX_ATTEMPTS
            return Verdict(given_up if last else "pending", max(again, error.retry_at or now), passing=True)
        case Conflict() | BadPayload() | Fault():
            return Verdict(given_up if tries >= FAULT_TRIES else "pending", again)
        case _:
            return Verdict(given_up, now)


def spread_until(until: datetime, message_id: str, now: datetime) -> datetime:
    """The vendor's time or a little later, by whose message it is: not all channels come back in one moment."""
    return now + spread(max(until - now, timedelta(0)), message_id)


def is_about_the_channel(error: ConnectorError) -> bool:
    """Whether every message to this channel would meet the same."""
    return isinstance(error, NotFound | Forbidden)


def continues(thread_key: str, over_at: datetime | None, at: datetime) -> bool:
    """Whether what happened at `at` belongs to a thread whose last message said at `over_at` that it was over."""
    if over_at is None or thread_key.startswith(AS_ONE):
        return True
    return at - over_at < FLAP
