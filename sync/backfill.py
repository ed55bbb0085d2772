"""Backfills: the history of new repositories, read in a lane of its own so that it delays nobody.

Each is a run of its own (`kind` backfill), which carries on from the repository's cursor however often a worker dies
over it. One worker at a time reads an integration's, a slice of time each turn: the vendor's budget is the limit, not
the number of workers. The histories take turns, so that a short one need not wait for a long one. Meanwhile webhooks
of the same repositories are heard, and the others are polled. A repository in its backfill is not: it has one cursor,
which only its connector can read, and a poll beside it would spend of the same budget for what the backfill comes to
anyway. What happened since it was connected is news whenever that is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import Select, or_, select, update
from sqlalchemy.exc import DBAPIError

from connectors.contract import AuthFailed, ConnectorError, RateLimited, Transient
from core.errors import PlatformError
from core.models import Integration, Repository, SyncRun
from core.vault import VaultError
from sync.budget import BudgetSpent
from sync.contained import contained
from sync.failures import Fault
from sync.health import may_work
from sync.leases import Lease, LeaseLost, hold
from sync.reading import Reading, Superseded, note_failure, note_read
from sync.repositories import BACKFILLING, tell_failing
from sync.runs import claim_time
from sync.runtime import NEWS, Lane, Runtime
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

SLICE = timedelta(seconds=10)
"""A turn: after it, others may have the worker. Long enough that opening a session is nothing beside it."""

NO_SESSION = timedelta(seconds=30)
"""How long the lane waits when not even a session could be opened: as long as a failed renewal is left alone."""

TRIPS_AT = 3
"""Repositories in a row that may fail in passing; then the lane waits, since it is the vendor that is down."""


class Job(NamedTuple):
    """A history in hand."""

    repository: Repository
    run: SyncRun


def backfill(rt: Runtime, integration_id: str) -> bool:
    """Read on in the integration's histories for a slice of time. Returns whether there is more to read now."""
    with rt.db.read() as db:
        able = may_work(db, integration_id, Integration.next_backfill_at, rt.clock())
        if not able or db.scalar(_due(integration_id, rt.clock()).limit(1)) is None:
            return False
    with hold(rt, f"backfill:{integration_id}") as lease:
        if lease is None:
            return False
        more = _work(rt, lease, integration_id)
    rt.ring(Lane.FACTS, NEWS)
    if more:
        rt.ring(Lane.BACKFILL, integration_id)
    return more


def _work(rt: Runtime, lease: Lease, integration_id: str) -> bool:
    try:
        return with_refresh(rt, integration_id, Lane.BACKFILL, lambda session: _Turn(rt, lease, session).work())
    except LeaseLost:
        log.warning("backfill.lease_lost", integration_id=integration_id)
    except AuthFailed as error:
        log.warning("backfill.auth_failed", integration_id=integration_id, text=error.text)
    except DBAPIError:
        raise  # nothing was claimed, or what was is found again
    except (ConnectorError, PlatformError, VaultError) as error:
        _wait(rt, integration_id, error)
    except Exception as error:  # a connector that can't even be made
        log.exception("backfill.fault", integration_id=integration_id)
        _wait(rt, integration_id, Fault(error))
    return False


def _wait(rt: Runtime, integration_id: str, error: ConnectorError | PlatformError | VaultError) -> None:
    """The account can't be read for now: the lane itself waits."""
    now = rt.clock()
    asked: datetime | None = None
    match error:
        case BudgetSpent():
            asked = error.full_at  # a page may take many calls: begun with one to spare, it would never be finished
        case RateLimited():
            asked = error.until
        case Transient():
            asked = error.retry_at
    until = max(asked, now) if asked is not None else now + NO_SESSION
    with rt.db.write() as db:
        db.execute(update(Integration).where(Integration.id == integration_id).values(next_backfill_at=until))
    log.warning("backfill.waits", integration_id=integration_id, until=until, text=str(error))


def _due(integration_id: str, now: datetime) -> Select[Repository, SyncRun]:
    """Histories that can be read on now, the longest untouched first."""
    return (
        select(Repository, SyncRun)
        .join(SyncRun, SyncRun.repository_id == Repository.id)
        .where(
            Repository.integration_id == integration_id,
            Repository.state == BACKFILLING,
            or_(Repository.next_poll_at.is_(None), Repository.next_poll_at <= now),
            SyncRun.kind == "backfill",
            SyncRun.status == "running",
        )
        .order_by(Repository.next_poll_at, Repository.id)
    )


class _Turn:
    """One worker's turn at an integration's histories."""

    def __init__(self, rt: Runtime, lease: Lease, session: Session) -> None:
        self._rt, self._lease, self._integration_id = rt, lease, session.integration.id
        self._reading = Reading(rt, lease, session, Lane.BACKFILL)
        self._ends_at = rt.clock() + SLICE
        self._in_a_row = 0

    def work(self) -> bool:
        """Read until the turn is over. Returns whether there is more that could be read now."""
        while not self._over():
            job = self._claim()
            if job is None:
                break
            self._read(job)
        with self._rt.db.write() as db:
            self._lease.guard(db)
            mine = update(Integration).where(Integration.id == self._integration_id)
            db.execute(mine.values(next_backfill_at=None).execution_options(synchronize_session=False))
            return db.scalar(_due(self._integration_id, self._rt.clock()).limit(1)) is not None

    def _over(self) -> bool:
        return self._rt.clock() >= self._ends_at

    def _claim(self) -> Job | None:
        now = self._rt.clock()
        with self._rt.db.write() as db:
            self._lease.guard(db)
            found = db.execute(_due(self._integration_id, now).limit(1)).one_or_none()
            if found is None:
                return None
            row, run = found.Repository, found.SyncRun
            run.attempts += 1
            mine = update(Integration).where(Integration.id == self._integration_id)
            claimed = mine.values(next_backfill_at=now + claim_time(self._rt))
            db.execute(claimed.execution_options(synchronize_session=False))
            return Job(row, run)

    def _read(self, job: Job) -> None:
        try:
            with contained():
                finished = self._reading.read(job.repository, job.run.id, stop=self._over)
        except Superseded:
            return
        except (AuthFailed, LeaseLost, DBAPIError):
            raise  # not this repository's affair
        except RateLimited as error:
            self._limited(job, error)
        except ConnectorError as error:
            self._fail(job, error)
        except Exception as error:  # a fault in a plugin (or in us) must not hold up the others
            log.exception("backfill.fault", integration_id=self._integration_id, repository_id=job.repository.id)
            self._fail(job, Fault(error))
        else:
            self._in_a_row = 0
            if finished:
                self._finish(job)

    def _limited(self, job: Job, error: RateLimited) -> None:
        """No failure: the run says what it waits for. The account's limit makes all the histories wait."""
        if error.scope != "account":
            self._fail(job, error)
            return
        with self._rt.db.write() as db:
            self._lease.guard(db)
            run = db.get_one(SyncRun, job.run.id)
            run.error_code, run.error_text = error.code, error.text
        raise error

    def _fail(self, job: Job, error: ConnectorError) -> None:
        """The run stays open, with the reason, and goes on when the repository's next attempt is due."""
        log.warning("backfill.failed", repository_id=job.repository.id, code=error.code, text=error.text)
        now = self._rt.clock()
        with self._rt.db.write() as db:
            self._lease.guard(db)
            integration = db.get_one(Integration, self._integration_id, with_for_update=True)
            row = db.get_one(Repository, job.repository.id, with_for_update=True)
            run = db.get_one(SyncRun, job.run.id)
            if row.revision == job.repository.revision and run.status == "running":
                note_failure(row, error, now)
                run.error_code, run.error_text = error.code, error.text
                tell_failing(db, integration, now)
        self._in_a_row = self._in_a_row + 1 if isinstance(error, Transient) else 0
        if self._in_a_row >= TRIPS_AT:
            raise error

    def _finish(self, job: Job) -> None:
        """The history is read: where it ended, polls carry on."""
        now = self._rt.clock()
        with self._rt.db.write() as db:
            self._lease.guard(db)
            integration = db.get_one(Integration, self._integration_id, with_for_update=True)
            row = db.get_one(Repository, job.repository.id, with_for_update=True)
            run = db.get_one(SyncRun, job.run.id)
            if row.revision != job.repository.revision or row.state != BACKFILLING:
                return  # it is to be read anew, or no more
            note_read(row, now)
            row.backfilled_at = now
            run.status, run.finished_at = "success", now
            run.error_code = run.error_text = None
            integration.last_synced_at = now
            tell_failing(db, integration, now)
