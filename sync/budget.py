"""One rate budget per integration, shared by every worker: a token bucket in the database, and the vendor's own word.

Urgent lanes may empty the bucket; the others leave the last of it for them, so that a long pull never delays a
person's edit. A short wait is slept here, a longer one is an error that says when to come back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy import Row, Table, bindparam, select, update
from sqlalchemy.orm import Session

from connectors.contract import RateFacts, RateLimited
from core.bulk import insert_missing
from core.models import RateBudget
from sync.runtime import Lane, Runtime

URGENT = frozenset({Lane.PUSH, Lane.INBOX, Lane.MESSAGES})
"""Lanes behind which somebody waits."""

HEAD_ROOM = 0.2
"""Share of the bucket, and of the vendor's window, that only urgent lanes may use: enough for the edits of a busy
minute, too little to slow a pull down noticeably."""

MAX_PACE = 2.0
"""Seconds one `take` may sleep in all. Less than a tick: for anything longer the worker does other work."""

MAX_DRAW = 8
"""Permits drawn in one transaction at most. Draws double from 1, so that a session with one call wastes none, a pull of
a thousand pages asks the database an eighth as often, and a park by another worker is overrun by 7 calls at most."""

SHORTEST_SLEEP = 0.001
"""Seconds. What is missing may be a rounding error of a permit, and a clock that counts microseconds would not move by
the time that takes: it would be waited for without end."""


class BudgetSpent(RateLimited):
    """Our own budget has no call left for now. A call can be made at `until`; at `full_at` there is as much as a lane
    that is not urgent can ever have, if nobody else takes of it."""

    def __init__(self, until: datetime, full_at: datetime) -> None:
        super().__init__("Our own budget of calls to the vendor is used up for the moment.", until)
        self.full_at = full_at


class SharedBudget:
    """The budget `key` (an integration id) as one session in one lane sees it. Its threads wait for each other."""

    def __init__(self, rt: Runtime, key: str, rates: RateFacts, lane: Lane) -> None:
        self._rt = rt
        self._key = key
        self._rates = rates
        self._urgent = lane in URGENT
        self._floor = 0.0 if self._urgent else rates.burst * HEAD_ROOM
        self._permits = 0.0
        self._next_draw = 1.0
        self._not_before: datetime | None = None
        self._taking = Lock()

    def take(self, cost: float) -> None:
        """Book a call. Raises RateLimited while the vendor wants to be left alone, or when the wait is too long."""
        cost = min(cost, self._rates.burst - self._floor)  # a dearer call could never be afforded
        self._keep_head_room()
        with self._taking:
            slept = 0.0
            while self._permits < cost:
                wait = self._draw(cost - self._permits)
                if slept + wait > MAX_PACE:
                    now, refill = self._rt.clock(), (self._rates.burst - self._floor) / self._rates.per_second
                    raise BudgetSpent(now + timedelta(seconds=wait), now + timedelta(seconds=refill))
                if wait > 0:
                    self._rt.sleep(wait)
                    slept += wait
            self._permits -= cost

    def park(self, until: datetime, text: str) -> None:
        """The vendor said: not before `until`. The latest such word counts, for every worker and lane."""
        self._permits = 0.0
        with self._rt.db.write() as session:
            row = self._row(session)
            if row.parked_until is None or row.parked_until < until:
                session.execute(_PARK, {"bucket": self._key, "until": until, "text": text})

    def note(self, remaining: float, reset_at: datetime) -> None:
        """What the vendor's headers say is left until `reset_at`: nothing stops everybody, little stops a pull."""
        if remaining < 1:
            self.park(reset_at, "The vendor's rate limit is used up.")
        elif not self._urgent and remaining <= self._floor:
            self._not_before = reset_at

    def _keep_head_room(self) -> None:
        if self._not_before is not None and self._not_before > self._rt.clock():
            text = "What is left of the vendor's rate limit is kept for edits that people wait for."
            raise RateLimited(text, self._not_before)

    def _draw(self, missing: float) -> float:
        """Move permits from the shared bucket to this session. Returns 0, or the seconds until `missing` are there.

        Raises RateLimited while parked.
        """
        now = self._rt.clock()
        with self._rt.db.write() as session:
            row = self._row(session)
            if row.parked_until is not None and row.parked_until > now:
                raise RateLimited(row.parked_text or "The vendor asked us to wait.", row.parked_until)
            # Workers' clocks differ a little: time never runs backwards here, or it would be paid for twice.
            elapsed = max(0.0, (now - row.refilled_at).total_seconds())
            tokens: float = min(self._rates.burst, row.tokens + elapsed * self._rates.per_second)
            spare = tokens - self._floor
            if spare < missing:
                return max(SHORTEST_SLEEP, (missing - spare) / self._rates.per_second)
            drawn = max(missing, min(self._next_draw, spare))
            session.execute(_LEAVE, {"bucket": self._key, "left": tokens - drawn, "at": max(now, row.refilled_at)})
        self._permits += drawn
        self._next_draw = min(self._next_draw * 2, MAX_DRAW)
        return 0

    def _row(self, session: Session) -> Row[Any]:
        """The bucket, locked; a new one is full."""
        row = session.execute(_FIND, {"bucket": self._key}).one_or_none()
        if row is None:
            full = {"key": self._key, "tokens": float(self._rates.burst), "refilled_at": self._rt.clock()}
            insert_missing(session, RateBudget.__table__, full | {"parked_until": None, "parked_text": None})
            row = session.execute(_FIND, {"bucket": self._key}).one()
        return row


class UnspentBudget:
    """A look at an integration that writes nothing: the vendor's own pause is kept to, and no call is booked.

    Only for a few calls that somebody waits for.
    """

    def __init__(self, rt: Runtime, key: str) -> None:
        with rt.db.read() as session:
            row = session.get(RateBudget, key)
        self._clock = rt.clock
        self._until = row.parked_until if row else None
        self._text = row.parked_text if row else None

    def take(self, cost: float) -> None:
        """Let the call pass. Raises RateLimited while the vendor wants to be left alone."""
        if self._until is not None and self._until > self._clock():
            raise RateLimited(self._text or "The vendor asked us to wait.", self._until)

    def park(self, until: datetime, text: str) -> None:
        """The vendor said: not before `until`."""
        self._until, self._text = until, text

    def note(self, remaining: float, reset_at: datetime) -> None:
        """Nothing: these few calls are not counted."""


# Built once: a long pull draws for every eighth call, and building a statement costs more than running it.
_BUCKET = RateBudget.__table__
assert isinstance(_BUCKET, Table)
_MINE = _BUCKET.c.key == bindparam("bucket")
_FIND = select(_BUCKET).where(_MINE).with_for_update()
_LEAVE = update(_BUCKET).where(_MINE).values(tokens=bindparam("left"), refilled_at=bindparam("at"))
_PARK = update(_BUCKET).where(_MINE).values(parked_until=bindparam("until"), parked_text=bindparam("text"))
