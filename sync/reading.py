"""Reading one repository: what happened in it since its cursor, page by page, whichever lane does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import CodePage, CodeSource, ConnectorError, RateLimited, RemoteRepository
from core.models import Integration, Repository, SyncRun
from sync.ahead import batches
from sync.code import Stored, store_events
from sync.failures import backoff
from sync.leases import Lease
from sync.repositories import ARCHIVED, BACKFILLING, LIVE
from sync.runs import claim_time, claimed_until, summed
from sync.runtime import Lane, Runtime
from sync.sessions import Session

log = structlog.get_logger()


class Superseded(Exception):
    """The repository is to be read otherwise, or not at all, since this reading began."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A lane's right to read an integration's repositories, in a run."""

    rt: Runtime
    lease: Lease
    session: Session
    lane: Lane

    def read(self, row: Repository, run_id: str, stop: Callable[[], bool]) -> bool:
        """Store what is new until the end, or, once `stop` says so, what has been fetched by then. Returns whether it
        came to the end. It stops nowhere but where it has come further: a reading that takes longer than a turn to find
        nothing new would never end.

        Raises Superseded, LeaseLost and what the connector raises; what was stored before stays, with its cursor.
        """
        source: CodeSource = self.session.connector
        pages = source.code_events(remote(row), row.cursor)
        cursor, moved, stopped = row.cursor, False, False

        def over() -> bool:
            nonlocal stopped
            stopped = stopped or (moved and stop())
            return stopped

        for batch in batches(self.rt, pages, lambda page: len(page.events), over):
            moved = batch[-1].cursor != cursor
            if self._says_something(batch, cursor):
                self._store(row, run_id, batch)
                cursor = batch[-1].cursor
            else:
                self.stay()
        return not stopped

    def stay(self) -> None:
        """Say that work goes on, when nothing was written for long."""
        if self.rt.clock() >= self.lease.until - claim_time(self.rt) / 2:
            self.lease.extend()

    @staticmethod
    def _says_something(pages: Sequence[CodePage], cursor: object) -> bool:
        """A poll in which nothing happened is not worth a transaction."""
        return any(page.events or page.done is not None for page in pages) or pages[-1].cursor != cursor

    def _store(self, row: Repository, run_id: str, pages: Sequence[CodePage]) -> None:
        events = [event for page in pages for event in page.events]
        now = self.rt.clock()

        def store(db: DbSession) -> Stored:
            self.lease.guard(db)
            current = db.get(Repository, row.id, with_for_update=True)
            if current is None or current.revision != row.revision or current.state not in (BACKFILLING, LIVE):
                raise Superseded(row.id)
            stored = store_events(db, self.session.integration, {row.external_id: current}, events, now)
            self._move(db, current, run_id, pages, stored, now)
            return stored

        self.rt.db.run(store)

    def _move(
        self,
        db: DbSession,
        row: Repository,
        run_id: str,
        pages: Sequence[CodePage],
        stored: Stored,
        now: datetime,
    ) -> None:
        """The cursor behind the pages, and what the run and people are told of them."""
        row.cursor = dict(pages[-1].cursor)
        run = db.get_one(SyncRun, run_id)
        read = {"records": sum(len(page.events) for page in pages), "pages": len(pages)}
        run.counts = summed(run.counts, read, stored.counts())
        if self.lane is Lane.BACKFILL:
            row.failures, run.error_code, run.error_text = 0, None, None
            row.next_poll_at = now  # its turn comes after those that wait
            row.done = run.done = _last(page.done for page in pages) or run.done
            row.total = run.total = _last(page.total for page in pages) or run.total
        mine = update(Integration).where(Integration.id == row.integration_id)
        db.execute(mine.values(self._claimed(now)).execution_options(synchronize_session=False))

    def _claimed(self, now: datetime) -> dict[str, Any]:
        """When the lane is looked at again: a little later after every page, so that a dead worker's work is found."""
        until = now + claim_time(self.rt)
        if self.lane is Lane.PULL:
            return {"next_pull_at": claimed_until(until)}
        return {"next_backfill_at": until}


def note_failure(row: Repository, error: ConnectorError, now: datetime) -> None:
    """What went wrong with a repository, and when it is tried again."""
    row.failures += 1
    row.reason_code, row.reason_text = error.code, error.text
    wait = now + backoff(row.failures)
    row.next_poll_at = max(error.until, now) if isinstance(error, RateLimited) else wait
    row.updated_at = now


def note_read(row: Repository, now: datetime) -> None:
    """It was read to its end: an archived one is polled no more."""
    row.failures = 0
    row.reason_code = row.reason_text = None
    row.next_poll_at = None
    row.polled_at = row.updated_at = now
    row.state = ARCHIVED if row.archived else LIVE


def remote(row: Repository) -> RemoteRepository:
    """The repository as connectors know it."""
    return RemoteRepository(row.external_id, row.name, row.url, row.default_branch, row.archived)


def _last(values: Iterable[int | None]) -> int | None:
    told = [value for value in values if value is not None]
    return told[-1] if told else None
