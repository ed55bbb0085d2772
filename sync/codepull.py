"""Polling code: the repositories are listed, and the live ones read from where they were left.

One repository that can't be read is noted on its row and does not hold up the others; what concerns the whole account
(dead credentials, its rate limit, a vendor that is down) ends the run, as it does for items.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AuthFailed, CodeSource, ConnectorError, RateLimited, Transient
from core.bulk import among
from core.models import Integration, Repository, SyncRun
from sync.contained import contained
from sync.failures import Fault
from sync.health import Trouble
from sync.leases import Lease, LeaseLost
from sync.reading import Reading, Superseded, note_failure, note_read
from sync.repositories import LIVE, Listed, ask, settle, some, tell_failing
from sync.runs import Remapped
from sync.runtime import NEWS, Lane, Runtime
from sync.sessions import Session

log = structlog.get_logger()

TRIPS_AT = 3
"""Repositories in a row that may fail in passing: after that it is the vendor that is down, and asking for the other
hundred would only add to it."""


class CodePull:
    """The code of one pull."""

    def __init__(self, rt: Runtime, lease: Lease, session: Session, run_id: str) -> None:
        self._rt, self._lease, self._session, self._run_id = rt, lease, session, run_id
        self._reading = Reading(rt, lease, session, Lane.PULL)
        self._read: list[str] = []
        self._failed: dict[str, ConnectorError] = {}
        self._in_a_row = 0

    def work(self) -> Trouble | None:
        """List, then read every live repository. Returns what went wrong with some of them, if anything.

        Raises Remapped when the config changed meanwhile, LeaseLost, and what ends a run.
        """
        listed = self._list()
        try:
            for row in self._live():
                self._poll(row)
        finally:
            same_config = self._note()
        if listed.new:
            self._rt.ring(Lane.BACKFILL, self._session.integration.id)
        self._rt.ring(Lane.FACTS, NEWS)
        if not same_config:
            raise Remapped
        if not self._failed:
            return None
        names = some(sorted(self._failed))
        first = next(iter(self._failed.values()))
        return Trouble(first.code, f"{len(self._failed)} repositories were not read ({names}): {first.text}")

    def _list(self) -> Listed:
        source: CodeSource = self._session.connector
        found = ask(self._lease, source)
        now = self._rt.clock()

        def store(db: DbSession) -> Listed:
            self._lease.guard(db)
            integration = db.get_one(Integration, self._session.integration.id, with_for_update=True)
            if integration.mapping_rev != self._session.integration.mapping_rev:
                raise Remapped
            listed = settle(db, integration, self._session, found, now)
            run = db.get_one(SyncRun, self._run_id)
            # A run that is worked on more than once (after a rate limit) lists more than once.
            run.counts = {**run.counts, "repositories": listed.repositories}
            return listed

        return self._rt.db.run(store)

    def _live(self) -> Sequence[Repository]:
        due = or_(Repository.next_poll_at.is_(None), Repository.next_poll_at <= self._rt.clock())
        mine = (Repository.integration_id == self._session.integration.id, Repository.state == LIVE, due)
        with self._rt.db.read() as db:
            # The longest unread first: where a run is cut short by a limit, the next one begins with the others.
            return db.scalars(select(Repository).where(*mine).order_by(Repository.polled_at, Repository.id)).all()

    def _poll(self, row: Repository) -> None:
        try:
            with contained():
                self._reading.read(row, self._run_id, stop=lambda: False)
        except Superseded:
            return
        except (AuthFailed, LeaseLost, DBAPIError):
            raise  # not this repository's affair
        except ConnectorError as error:
            self._fail(row, error)
        except Exception as error:  # a fault in a plugin (or in us) must not hold up the others
            log.exception("code.fault", integration_id=row.integration_id, repository_id=row.id)
            self._fail(row, Fault(error))
        else:
            self._in_a_row = 0
            self._read.append(row.id)

    def _fail(self, row: Repository, error: ConnectorError) -> None:
        if isinstance(error, RateLimited) and error.scope == "account":
            raise error
        self._failed[row.name] = error
        log.warning("code.not_read", integration_id=row.integration_id, repository_id=row.id, text=error.text)
        with self._rt.db.write() as db:
            self._lease.guard(db)
            current = db.get(Repository, row.id, with_for_update=True)
            if current is not None and current.revision == row.revision:
                note_failure(current, error, self._rt.clock())
        self._in_a_row = self._in_a_row + 1 if isinstance(error, Transient) else 0
        if self._in_a_row >= TRIPS_AT:
            raise error

    def _note(self) -> bool:
        """Those that were read are said to be, and what is wrong with the others becomes, or ends, a cause. Returns
        whether the config is still what they were read by."""
        now = self._rt.clock()
        with self._rt.db.write() as db:
            self._lease.guard(db)
            integration = db.get_one(Integration, self._session.integration.id, with_for_update=True)
            for row in self._rows(db):
                note_read(row, now)
            tell_failing(db, integration, now)
        return integration.mapping_rev == self._session.integration.mapping_rev

    def _rows(self, db: DbSession) -> Sequence[Repository]:
        if not self._read:
            return ()
        mine = select(Repository).where(among(db, Repository.id, self._read), Repository.state == LIVE)
        return db.scalars(mine.order_by(Repository.id).with_for_update()).all()
