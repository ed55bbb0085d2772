"""When a message is tried again and when an endpoint is left alone: pure, and all numbers in one place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Waits before the first, second, … attempt: the example of the Standard Webhooks specification, three days in all."""

JITTER = 0.2
"""A fifth more or less: a thousand messages that failed in one outage must not come back in one second."""

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=30)
"""Between two knocks at an endpoint that does not answer: a dead one costs a sender 15 s in half an hour, and one that
comes back is found within that."""

PATIENCE = timedelta(days=5)
"""An endpoint with nothing but failures for so long is disabled: longer than a message's three days and a weekend."""

WAVE = 8
"""Calls at once to one endpoint: at 100 ms an answer, 80 messages a second, which few receivers would want exceeded."""


class Outcome(StrEnum):
    """What came of one attempt."""

    UNFINISHED = "unfinished"
    DELIVERED = "delivered"
    REFUSED = "refused"
    GONE = "gone"
    BUSY = "busy"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    FORBIDDEN_ADDRESS = "forbidden_address"


ABOUT_THE_ENDPOINT = frozenset({Outcome.BUSY, Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.FORBIDDEN_ADDRESS})
"""Failures that the next message would meet too; the others may be about the one message."""

BUSY_STATUSES = frozenset({429, 502, 503, 504})


def outcome_of(status: int) -> Outcome:
    """What a status means. A redirect is a refusal: following it would send a signed body to who knows whom."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    return Outcome.BUSY if status in BUSY_STATUSES else Outcome.REFUSED


def is_last(tries: int) -> bool:
    """Whether nothing comes after so many attempts."""
    return tries >= len(SCHEDULE)


def next_attempt(now: datetime, tries: int, chance: random.Random) -> datetime:
    """When a message is due again after its `tries`-th attempt, should that one fail.

    After the last one it is due once more too: whoever finds it then knows that the last one's end was never stored.
    """
    wait = SCHEDULE[min(tries, len(SCHEDULE) - 1)]
    return now + wait * chance.uniform(1 - JITTER, 1 + JITTER)


def pause(failures: int) -> timedelta:
    """How long an endpoint is left alone after so many failures of its own in a row."""
    return min(FIRST_PAUSE * 4 ** min(failures - 1, 8), LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint does; the columns of the same names. `gone`: it said itself that it is to be disabled."""

    failing_since: datetime | None
    failures: int
    paused_until: datetime | None
    delivered_at: datetime | None
    gone: bool = False


def health_after(
    before: Health, outcomes: Sequence[Outcome], wishes: Sequence[datetime], started: datetime, now: datetime
) -> Health:
    """The endpoint's health after a wave: what came of its attempts, and until when it asked us to wait.

    One delivery is enough to be well; a wish to wait is granted all the same.
    """
    if not outcomes:
        return before
    gone = Outcome.GONE in outcomes
    wish = max(wishes, default=None)
    if Outcome.DELIVERED in outcomes:
        return Health(None, 0, wish, now, gone)
    since = before.failing_since or started
    if not ABOUT_THE_ENDPOINT.intersection(outcomes):
        return Health(since, before.failures, wish, before.delivered_at, gone)
    failures = before.failures + 1
    until = max(now + pause(failures), wish or now)
    return Health(since, failures, until, before.delivered_at, gone)


def is_hopeless(health: Health, now: datetime) -> bool:
    """Whether there was nothing but failures for so long that nobody can be listening."""
    return health.failing_since is not None and now - health.failing_since >= PATIENCE
