"""Leases: one worker at a time on a lane of an integration, even if that worker sleeps through its time.

A lease is a row with a holder, an expiry and a *fence*, a number that grows with every new holder. Work is done
outside any transaction; every transaction that writes the work's result first calls `Lease.guard`, which fails if
somebody else has taken the lease meanwhile. So a holder that wakes up late can do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.bulk import insert_missing
from core.models import Lease as LeaseRow
from sync.runtime import Runtime


class LeaseLost(Exception):
    """Somebody else holds the lane now; whatever was in hand must not be written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease in hand."""

    name: str
    fence: int
    runtime: Runtime

    def guard(self, session: Session) -> None:
        """Make the transaction valid only while the lease is ours, and extend it. Raises LeaseLost."""
        extended = session.execute(
            update(LeaseRow)
            .where(LeaseRow.name == self.name, LeaseRow.fence == self.fence, LeaseRow.holder.is_not(None))
            .values(expires_at=self.runtime.clock() + lease_time(self.runtime))
            .execution_options(synchronize_session=False)
        )
        if extended.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE's result has it
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


def _take(runtime: Runtime, name: str) -> Lease | None:
    now = runtime.clock()
    with runtime.db.write() as session:
        row = session.scalar(select(LeaseRow).where(LeaseRow.name == name).with_for_update())
        if row is None:
            # Two workers may be first at once: the second one's insert does nothing.
            free = {"name": name, "holder": None, "fence": 0, "expires_at": now}
            insert_missing(session, LeaseRow.__table__, free)
            row = session.scalars(select(LeaseRow).where(LeaseRow.name == name).with_for_update()).one()
        if row.holder is not None and row.expires_at > now:
            return None
        row.holder = runtime.worker
        row.fence += 1
        row.expires_at = now + lease_time(runtime)
        return Lease(name, row.fence, runtime)


def _free(lease: Lease) -> None:
    with lease.runtime.db.write() as session:
        session.execute(
            update(LeaseRow).where(LeaseRow.name == lease.name, LeaseRow.fence == lease.fence).values(holder=None)
        )
