"""Looking for deletions nobody told us of. Trackers leave no tombstones, and a webhook may have been lost.

A sweep lists every item the vendor has in the mapped projects and marks the bindings it meets. Those it did not meet
are only *suspects*: each is read again, and ends its binding only if the vendor proves it gone. A listing that misses a
large share of the items is more likely wrong than true (a lost permission, a cut answer), so beyond a guard the sweep
stops, touches nothing, and says so; a person who knows better can confirm the deletions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import ConnectorError, RateLimited, TaskSource
from core import ids
from core.bulk import among
from core.models import Binding, Integration, SyncRun
from sync.apply import Applied, apply_items
from sync.failures import RETRY_MOST, Fault
from sync.health import Cause, Trouble, clear_causes, raise_cause
from sync.leases import Lease, LeaseLost, hold
from sync.lifecycle import SWEEP_EVERY
from sync.proof import Proof, read_items, run_with_proof
from sync.pull import ring_owed
from sync.runs import claim_time, new_run
from sync.runtime import Lane, Runtime
from sync.scope import Scope
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

GUARD_COUNT = 20
GUARD_PERCENT = 20
"""More missing items than this, and a larger share of all, stop the sweep. Deleting twenty issues by hand is a busy
day; losing a fifth of everything at once is an accident until somebody says otherwise."""

GUARD = "sweep_guard"


@dataclass
class _Sweep:
    """One sweep under way. `started_at` marks the bindings it meets."""

    rt: Runtime
    lease: Lease
    run_id: str
    started_at: datetime
    confirmed: bool
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None

    def work(self, session: Session) -> None:
        """List, suspect, and read again; bears being started over."""
        self.counts.clear()
        scope = Scope.of(session.integration, session.config, session.clock_offset())
        source = session.connector
        assert isinstance(source, TaskSource)
        for batch in source.all_ids():
            self._mark(scope, batch)
        suspects = self._suspects(scope)
        if not self.confirmed and self._too_many(scope, suspects):
            return
        size = session.connector.manifest.refetch_batch
        for start in range(0, len(suspects), size):
            self._read_again(scope, session, suspects[start : start + size])

    def _mark(self, scope: Scope, external_ids: Sequence[str]) -> None:
        keys = [scope.key(id_) for id_ in external_ids]
        with self.rt.db.write() as db:
            self.lease.guard(db)
            met = update(Binding).where(among(db, Binding.binding_key, keys)).values(listed_at=self.started_at)
            db.execute(met.execution_options(synchronize_session=False))
        self.counts["listed"] += len(keys)

    def _suspects(self, scope: Scope) -> list[str]:
        """Bound items the listing did not have. Those moved out of the mapped projects are never in it."""
        not_met = or_(Binding.listed_at.is_(None), Binding.listed_at < self.started_at)
        wanted = select(Binding.external_id).where(*_bound(scope), not_met, Binding.created_at < self.started_at)
        with self.rt.db.read() as db:
            return [str(id_) for id_ in db.scalars(wanted.order_by(Binding.id))]

    def _too_many(self, scope: Scope, suspects: Sequence[str]) -> bool:
        with self.rt.db.read() as db:
            total = db.scalar(select(func.count()).where(*_bound(scope))) or 0
            keys = [scope.key(id_) for id_ in suspects]
            moved = select(func.count()).where(
                among(db, Binding.binding_key, keys), Binding.container.not_in(scope.contexts)
            )
            missing = len(suspects) - (db.scalar(moved) or 0)
        if missing <= GUARD_COUNT or missing * 100 <= total * GUARD_PERCENT:
            return False
        self.stopped = (
            f"The vendor's listing lacks {missing} of {total} items, so nothing was ended: check the permissions of "
            f"the connected account. If they were really deleted, POST /v1/integrations/{scope.integration_id}/sync"
            "?confirm_deletions=true."
        )
        return True

    def _read_again(self, scope: Scope, session: Session, external_ids: Sequence[str]) -> None:
        self.lease.extend()
        items = read_items(self.lease, session, external_ids)

        def store(db: DbSession, proof: Proof) -> Applied:
            self.lease.guard(db)
            read = (items | proof.items).values()
            since = proof.watermarks
            return apply_items(db, scope, read, source=self.run_id, now=self.rt.clock(), gone_since=since)

        applied = run_with_proof(self.rt, self.lease, session, store)
        ring_owed(self.rt, applied)
        self.counts += applied.counts

    def finish(self, integration_id: str) -> None:
        """Write down what came of it, and when the next one is due."""
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            integration = db.get_one(Integration, integration_id, with_for_update=True)
            integration.next_sweep_at = now + SWEEP_EVERY
            integration.deletions_confirmed = False
            run = db.get_one(SyncRun, self.run_id)
            run.counts, run.finished_at = dict(self.counts), now
            run.status = "partial" if self.stopped else "success"
            if self.stopped:
                run.error_code, run.error_text = GUARD, self.stopped
                raise_cause(db, integration, Cause.SWEEP, Trouble(GUARD, self.stopped), now)
            else:
                clear_causes(db, integration, (Cause.SWEEP,), now)

    def fail(self, integration_id: str, error: ConnectorError) -> None:
        """The vendor did not let us finish: nothing was lost, and it is tried again later."""
        now = self.rt.clock()
        until = error.until if isinstance(error, RateLimited) else now + RETRY_MOST
        with self.rt.db.write() as db:
            self.lease.guard(db)
            db.get_one(Integration, integration_id).next_sweep_at = until
            run = db.get_one(SyncRun, self.run_id)
            run.status, run.finished_at = "failed", now
            run.error_code, run.error_text = error.code, error.text


def sweep(rt: Runtime, integration_id: str) -> bool:
    """Sweep the integration if that is due. Returns whether it was done to its end."""
    due = Integration.next_sweep_at <= rt.clock()
    with rt.db.read() as db:
        if db.scalar(select(Integration.id).where(Integration.id == integration_id, due)) is None:
            return False
    with hold(rt, f"pull:{integration_id}") as lease:
        if lease is None:
            return False
        try:
            begun = _begin(rt, lease, integration_id)
            return begun is not None and _work(rt, begun, integration_id)
        except LeaseLost:
            log.warning("sweep.lease_lost", integration_id=integration_id)
            return False


def _work(rt: Runtime, begun: _Sweep, integration_id: str) -> bool:
    try:
        with_refresh(rt, integration_id, Lane.PULL, begun.work)
    except ConnectorError as error:
        begun.fail(integration_id, error)
        log.warning("sweep.failed", integration_id=integration_id, code=error.code, text=error.text)
        return False
    except (LeaseLost, DBAPIError):
        raise  # not the connector's doing: the sweep is found again
    except Exception as error:
        log.exception("sweep.fault", integration_id=integration_id)
        begun.fail(integration_id, Fault(error))
        return False
    begun.finish(integration_id)
    return True


def _begin(rt: Runtime, lease: Lease, integration_id: str) -> _Sweep | None:
    """Claim the sweep that is due; one that a dead worker left open is closed."""
    now = rt.clock()
    with rt.db.write() as db:
        lease.guard(db)
        integration = db.get(Integration, integration_id, with_for_update=True)
        if integration is None or integration.status != "active" or "task_source" not in integration.capabilities:
            return None
        if integration.next_sweep_at is None or integration.next_sweep_at > now:
            return None
        open_ = (SyncRun.integration_id == integration_id, SyncRun.kind == "sweep", SyncRun.status == "running")
        abandoned = update(SyncRun).where(*open_)
        db.execute(abandoned.values(status="failed", finished_at=now, error_code="abandoned"))
        run = new_run(integration_id, ids.take_one(db, "SYNC", now), "schedule", integration_id, now)
        run.kind = "sweep"
        db.add(run)
        integration.next_sweep_at = now + claim_time(rt)
        return _Sweep(rt, lease, run.id, now, integration.deletions_confirmed)


def _bound(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (Binding.integration_id == scope.integration_id, Binding.state == "bound")
