"""Leases: one worker at a time on a lane of an integration, even if that worker sleeps through its time.

A lease is a row with a holder, an expiry and a *fence*, a number that grows with every new holder. Work is done
outside any transaction; every transaction that writes the work's result first calls `Lease.guard`, which fails if
somebody else has taken the lease meanwhile. So a holder that wakes up late can do no harm here; and none at the vendor
either, but for the moment between `Lease.check` and the vendor taking the write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, and_, bindparam, select, update
from sqlalchemy.orm import Session

from core.bulk import insert_missing
from core.models import Lease as LeaseRow
from sync.runtime import Runtime


class LeaseLost(Exception):
    """Somebody else holds the lane now; whatever was in hand must not be written."""


@dataclass(slots=True)
class Lease:
    """A lease in hand, ours at least until `until` by our clock."""

    name: str
    fence: int
    runtime: Runtime
    until: datetime

    def guard(self, session: Session) -> None:
        """Make the transaction valid only while the lease is ours, and extend it. Raises LeaseLost."""
        held: dict[str, Any] = {
            "lease": self.name,
            "held": self.fence,
            "until": self.runtime.clock() + lease_time(self.runtime),
        }
        extended = session.execute(_EXTEND, held)
        if extended.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE's result has it
            raise LeaseLost(self.name)
        self.until = held["until"]

    def check(self) -> None:
        """To be called right before something that can't be taken back: raises LeaseLost if we slept so long that
        somebody else may hold the lease. Asks nobody but the clock."""
        if self.runtime.clock() >= self.until:
            raise LeaseLost(self.name)

    def extend(self) -> None:
        """Say that work goes on, between two transactions that lie far apart. Raises LeaseLost."""
        with self.runtime.db.write() as session:
            self.guard(session)


def lease_time(runtime: Runtime) -> timedelta:
    """How long a lease lasts without a sign of life from its holder."""
    return timedelta(seconds=runtime.settings.lease_seconds)


@contextmanager
def hold(runtime: Runtime, name: str) -> Iterator[Lease | None]:
    """The lease `name` for the length of the block, or None if another worker has it. Freed at the end."""
    lease = _take(runtime, name)
    try:
        yield lease
    finally:
        if lease is not None:
            _free(lease)


def claim(runtime: Runtime, name: str, length: timedelta) -> bool:
    """Whether it is this worker's turn to do what is done once in `length`. There is nothing to free: if the worker
    dies, it is somebody's turn again when the time is over."""
    now = runtime.clock()
    with runtime.db.read() as session:  # mostly it is not, and a look costs less than a lock
        row = session.get(LeaseRow, name)
        if row is not None and row.expires_at > now:
            return False
    with runtime.db.write() as session:
        insert_missing(session, LeaseRow.__table__, {"name": name, "holder": None, "fence": 0, "expires_at": now})
        taken = session.execute(_CLAIM, {"lease": name, "now": now, "until": now + length})
        return taken.rowcount == 1  # type: ignore[attr-defined,no-any-return]  # an UPDATE's result has it


def _take(runtime: Runtime, name: str) -> Lease | None:
    now = runtime.clock()
    with runtime.db.write() as session:
        row = session.execute(_FIND, {"lease": name}).one_or_none()
        if row is None:
            # Two workers may be first at once: the second one's insert does nothing.
            free = {"name": name, "holder": None, "fence": 0, "expires_at": now}
            insert_missing(session, LeaseRow.__table__, free)
            row = session.execute(_FIND, {"lease": name}).one()
        if row.holder is not None and row.expires_at > now:
            return None
        fence = row.fence + 1
        until = now + lease_time(runtime)
        session.execute(_TAKE, {"lease": name, "by": runtime.worker, "held": fence, "until": until})
        return Lease(name, fence, runtime, until)


def _free(lease: Lease) -> None:
    with lease.runtime.db.write() as session:
        session.execute(_FREE, {"lease": lease.name, "held": lease.fence})


# Built once: a lane that has nothing to do is mostly leases, and building a statement costs more than running it.
_LEASE = LeaseRow.__table__
assert isinstance(_LEASE, Table)
_NAMED = _LEASE.c.name == bindparam("lease")
_HELD = and_(_NAMED, _LEASE.c.fence == bindparam("held"))
_FIND = select(_LEASE).where(_NAMED).with_for_update()
_TAKE = (
    update(_LEASE).where(_NAMED).values(holder=bindparam("by"), fence=bindparam("held"), expires_at=bindparam("until"))
)
_EXTEND = update(_LEASE).where(_HELD, _LEASE.c.holder.is_not(None)).values(expires_at=bindparam("until"))
_CLAIM = update(_LEASE).where(_NAMED, _LEASE.c.expires_at <= bindparam("now")).values(expires_at=bindparam("until"))
_FREE = update(_LEASE).where(_HELD).values(holder=None)
