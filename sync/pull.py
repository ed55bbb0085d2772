"""Pulling: what changed at the vendor since the cursor, page by page.

A run (SYNC-*) carries on from the integration's cursor, which moves only in the transaction that stored the page
before it; killed anywhere, it loses nothing and repeats a page or a few. While pages are written the next ones are
being fetched, and those that have arrived by then are written together: with a quick vendor a transaction's fixed cost
is shared, with a slow one no page waits. Memory holds two such batches whatever the number of items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AuthFailed, ConnectorError, RateLimited, TaskPage, TaskSource, Transient
from core import ids
from core.errors import PlatformError
from core.models import Integration, SyncRun
from core.vault import VaultError
from sync.ahead import batches
from sync.apply import Applied, apply_items
from sync.codepull import CodePull
from sync.failures import FAILED_AFTER, Fault, backoff
from sync.health import DEGRADED, FAILED, Cause, Trouble, mark_working, raise_cause
from sync.incidents.pull import AlertPull
from sync.leases import Lease, LeaseLost, hold
from sync.measures.pull import MeasurePull
from sync.missed import count_missed, told_since
from sync.probe import probe
from sync.proof import Proof, run_with_proof
from sync.runs import AT_ONCE, Remapped, claim_time, claimed_until, new_run, summed
from sync.runtime import Lane, Runtime
from sync.scope import Scope
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

AUTH_RETRY = timedelta(hours=1)
"""How often dead credentials are tried again: a vendor may have refused them by mistake, but must not be hammered."""


class Unusable(ConnectorError):
    """The integration can't be worked with as it is configured; the text says what the operator has to mend."""

    code = "unusable"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a run came to: its id, its final or current status, and its counts."""

    run_id: str
    status: str
    counts: dict[str, int]


def pull(rt: Runtime, integration_id: str) -> Pulled | None:
    """Work the integration's open run, or the one that is due. None: nothing due, or another worker is at it."""
    with hold(rt, f"pull:{integration_id}") as lease:
        if lease is None:
            return None
        try:
            run_id = _open_run(rt, lease, integration_id)
            return None if run_id is None else _work(rt, lease, integration_id, run_id)
        except LeaseLost:
            log.warning("pull.lease_lost", integration_id=integration_id)
            return None


def _work(rt: Runtime, lease: Lease, integration_id: str, run_id: str) -> Pulled:
    """Pull until the end or the first failure, and write down which it was."""
    try:
        failing = with_refresh(rt, integration_id, Lane.PULL, lambda session: _pull(rt, lease, session, run_id))
    except LeaseLost:
        raise  # another worker has the run now
    except (PlatformError, VaultError) as error:
        return _fail(rt, lease, integration_id, run_id, Unusable(str(error)))
    except Remapped:
        return _finish(rt, lease, integration_id, run_id, "partial")
    except ConnectorError as error:
        return _fail(rt, lease, integration_id, run_id, error)
    except DBAPIError:
        raise  # the database's trouble is not the connector's: the run stays open and the tick finds it again
    except Exception as error:
        # A fault in a plugin (or in us) must not leave the run open without a reason; it is not ours to hide.
        _fail(rt, lease, integration_id, run_id, Fault(error))
        raise
    return _finish(rt, lease, integration_id, run_id, "partial" if failing else "success", failing)


def _open_run(rt: Runtime, lease: Lease, integration_id: str) -> str | None:
    """The run to work on: one left open by a trigger, a crash or a rate limit, else a new one if a pull is due."""
    now = rt.clock()
    with rt.db.write() as session:
        lease.guard(session)
        integration = session.get(Integration, integration_id, with_for_update=True)
        if integration is None or integration.status not in ("active", "error"):
            return None
        run = session.scalar(
            select(SyncRun).where(
                SyncRun.integration_id == integration_id, SyncRun.kind == "pull", SyncRun.status == "running"
            )
        )
        due = integration.next_pull_at is not None and integration.next_pull_at <= now
        if not due:
            return None
        if run is None:
            run = new_run(integration_id, ids.take_one(session, "SYNC", now), "schedule", integration_id, now)
            session.add(run)
        run.attempts += 1
        # Claimed: if this worker dies, the run is found again when its lease has run out.
        integration.next_pull_at = now + claim_time(rt)
        return run.id


@dataclass(frozen=True, slots=True)
class _Run:
    """A run under way. Of what changed after `told_since`, the webhook should have told."""

    id: str
    told_since: datetime | None


def _pull(rt: Runtime, lease: Lease, session: Session, run_id: str) -> Trouble | None:
    """Read what is new of all the integration is used for. Returns what went wrong with a part of it, if anything.

    What can't be read of one kind does not keep the others from being read: each has its own cursor.
    """
    failures: list[ConnectorError] = []
    troubles: list[Trouble] = []
    for capability, read in PARTS.items():
        if capability not in session.integration.capabilities:
            continue
        try:
            trouble = read(rt, lease, session, run_id)
        except (AuthFailed, RateLimited):
            raise  # the whole account's affair
        except ConnectorError as error:
            failures.append(error)
        else:
            troubles += [trouble] if trouble else []
    if failures:
        raise failures[0]
    return troubles[0] if troubles else None


def _read_items(rt: Runtime, lease: Lease, session: Session, run_id: str) -> None:
    source = session.connector
    assert isinstance(source, TaskSource)
    told = told_since(rt, session.integration)
    pages = source.changed_tasks(session.integration.cursor)
    for batch in batches(rt, pages, lambda page: len(page.tasks)):
        _store(rt, lease, session, _Run(run_id, told), batch)


def _store(rt: Runtime, lease: Lease, session: Session, run: _Run, pages: Sequence[TaskPage]) -> None:
    """Reconcile the pages and move the cursor, in one transaction."""
    now = rt.clock()
    # Made for each batch: the vendor's clock may have become known by its first answer.
    scope = Scope.of(session.integration, session.config, session.clock_offset())
    tasks = [task for page in pages for task in page.tasks]
    total = next((page.total for page in pages if page.total is not None), None)

    def store(db: DbSession, proof: Proof) -> tuple[Applied, bool]:
        lease.guard(db)
        items = [task for task in tasks if task.external_id not in proof.items] + list(proof.items.values())
        listed = {task.external_id for task in tasks} - proof.items.keys()
        applied = apply_items(db, scope, items, source=run.id, now=now, listed=listed, gone_since=proof.watermarks)
        moved = db.execute(
            update(Integration)
            .where(Integration.id == scope.integration_id, Integration.mapping_rev == scope.mapping_rev)
            .values(cursor=pages[-1].cursor, next_pull_at=claimed_until(now + claim_time(rt)))
            .returning(Integration.id)
            .execution_options(synchronize_session=False)
        )
        missed = count_missed(db, scope, tasks, applied, run.told_since, now)
        row = db.get_one(SyncRun, run.id)
        counted = {"records": len(tasks), "pages": len(pages), "missed": missed}
        row.counts = summed(row.counts, applied.counts, counted)
        row.total = total if total is not None else row.total
        return applied, moved.first() is not None

    applied, same_mapping = run_with_proof(rt, lease, session, store)
    ring_owed(rt, applied)
    if not same_mapping:
        raise Remapped


def ring_owed(rt: Runtime, applied: Applied) -> None:
    """Ring for the integrations that are owed a write by what was applied."""
    for integration_id in sorted(applied.owed):
        rt.ring(Lane.PUSH, integration_id)


def _read_alerts(rt: Runtime, lease: Lease, session: Session, run_id: str) -> None:
    AlertPull(rt, lease, session, run_id).work()


def _read_code(rt: Runtime, lease: Lease, session: Session, run_id: str) -> Trouble | None:
    return CodePull(rt, lease, session, run_id).work()


def _read_measures(rt: Runtime, lease: Lease, session: Session, run_id: str) -> Trouble | None:
    return MeasurePull(rt, lease, session, run_id).work()


def _ask_whether_it_works(rt: Runtime, lease: Lease, session: Session, _run_id: str) -> None:
    if not PARTS.keys() & set(session.integration.capabilities) - {"notifier"}:  # else the reading has shown it
        probe(rt, lease, session)


PARTS: Mapping[str, Callable[[Runtime, Lease, Session, str], Trouble | None]] = {
    "task_source": _read_items,
    "alert_source": _read_alerts,
    "code_source": _read_code,
    "measure_source": _read_measures,
    "notifier": _ask_whether_it_works,
}
"""Capability -> what a pull does about it, the most pressing first."""


def _finish(
    rt: Runtime, lease: Lease, integration_id: str, run_id: str, status: str, failing: Trouble | None = None
) -> Pulled:
    """Close the run. It is followed by the next at once if the mapping changed under it, or if it was said meanwhile
    that there is something to look at."""
    now = rt.clock()
    with rt.db.write() as session:
        lease.guard(session)
        integration = session.get_one(Integration, integration_id, with_for_update=True)
        run = session.get_one(SyncRun, run_id)
        run.status, run.finished_at = status, now
        run.error_code, run.error_text = (failing.code, failing.text) if failing else (None, None)
        again = integration.next_pull_at == AT_ONCE or (status == "partial" and failing is None)
        wait = timedelta(0) if again else timedelta(seconds=integration.poll_seconds)
        integration.next_pull_at = now + wait
        integration.pull_failures = 0
        integration.last_synced_at = now
        mark_working(session, integration, now)
        return Pulled(run.id, run.status, run.counts)


def _fail(rt: Runtime, lease: Lease, integration_id: str, run_id: str, error: ConnectorError) -> Pulled:
    """Write down what went wrong, and when to go on. A rate limit is no failure: the run stays open until then."""
    now = rt.clock()
    with rt.db.write() as session:
        lease.guard(session)
        integration = session.get_one(Integration, integration_id, with_for_update=True)
        run = session.get_one(SyncRun, run_id)
        run.error_code, run.error_text = error.code, error.text
        if isinstance(error, RateLimited):
            integration.next_pull_at = max(error.until, now)
            return Pulled(run.id, run.status, run.counts)
        run.status = "partial" if run.counts.get("pages") else "failed"
        run.finished_at = now
        integration.pull_failures += 1
        refused = isinstance(error, AuthFailed)
        integration.next_pull_at = now + (AUTH_RETRY if refused else backoff(integration.pull_failures))
        if not refused:  # dead credentials have already said so, with what to do
            lasting = not isinstance(error, Transient) or integration.pull_failures >= FAILED_AFTER
            trouble = Trouble(error.code, error.text, FAILED if lasting else DEGRADED)
            raise_cause(session, integration, Cause.PULL, trouble, now)
        log.warning("pull.failed", integration_id=integration_id, run_id=run.id, code=error.code, text=error.text)
        return Pulled(run.id, run.status, run.counts)
