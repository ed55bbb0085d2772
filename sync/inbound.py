"""The inbox drained: what many deliveries say becomes one look at each item they name.

Deliveries are claimed in batches (attempts are counted before anything is tried), read by the connector, and
coalesced: however many of them name an item, it is refetched and reconciled once. Their order does not matter. One
that fails waits for its next attempt without holding up the others; one that can't ever be read is dead, and says why.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, case, exists, func, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import ConnectorError, RateLimited, RawDelivery
from core.bulk import among, update_rows
from core.models import Binding, Delivery, Integration, SyncRun
from sync.apply import Applied, apply_items
from sync.budget import BudgetSpent
from sync.codeheard import Heard, Outcome, fetch_said, settle_said
from sync.contained import contained
from sync.failures import MAX_ATTEMPTS, RETRY_FIRST, RETRY_MOST, Fault, spread
from sync.health import may_work
from sync.leases import Lease, LeaseLost, hold
from sync.monitorheard import MonitorOutcome, fetch_measured, settle_monitor
from sync.notifications.presses import tell_presses
from sync.proof import Proof, read_items, run_with_proof
from sync.pull import ring_owed
from sync.runtime import NEWS, Lane, Runtime
from sync.said import Claimed, parts, read, within
from sync.scope import Scope
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

BATCH = 1000
"""Deliveries read at once: a burst for one item costs one vendor call, and a batch's ids fit in one statement."""

SUSPECT = 3
"""Tries without a word of what went wrong: whoever worked on it died each time. It is tried alone from then on, so that
it can't take its neighbours along."""

BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of bodies read at once, at least one delivery: what keeps memory flat when bodies are large."""


NOT_KNOWN_YET = "It tells of an item that is gone and that nobody here knows, while a sync or a creation is going on."


def drain(rt: Runtime, integration_id: str) -> int:
    """Work off everything due in the integration's inbox. Returns how many deliveries were finished."""
    with hold(rt, f"inbox:{integration_id}") as lease:
        if lease is None:
            return 0
        finished = 0
        try:
            while batch := _claim(rt, lease, integration_id):
                finished += _work(rt, lease, integration_id, batch)
        except LeaseLost:
            log.warning("inbox.lease_lost", integration_id=integration_id)
        return finished


def _claim(rt: Runtime, lease: Lease, integration_id: str) -> list[Claimed]:
    """The next due deliveries, their attempt counted and their next one set before anything is tried."""
    now = rt.clock()
    with rt.db.write() as session:
        lease.guard(session)
        if not may_work(session, integration_id, Integration.next_inbox_at, now):
            return []
        _give_up(session, integration_id, now)
        ids = _due(session, integration_id, now)
        if not ids:
            return []
        rows = session.scalars(select(Delivery).where(among(session, Delivery.id, ids)).order_by(Delivery.id)).all()
        session.execute(
            update(Delivery)
            .where(among(session, Delivery.id, ids))
            .values(attempts=Delivery.attempts + 1, next_attempt_at=_next_attempt(integration_id, now))
            .execution_options(synchronize_session=False)
        )
        return [Claimed(d.id, d.attempts + 1, RawDelivery(d.headers, d.body, d.received_at)) for d in rows]


def _give_up(session: DbSession, integration_id: str, now: datetime) -> None:
    """Those whose every try ended with the worker's death: nobody was left to write down that they are dead."""
    text = f"Whoever worked on it died, {MAX_ATTEMPTS} times. Look at the workers' logs and memory, then replay it."
    session.execute(
        update(Delivery)
        .where(*_waiting(integration_id, now), Delivery.attempts >= MAX_ATTEMPTS)
        .values(
            state="dead",
            finished_at=now,
            error_code=func.coalesce(Delivery.error_code, "worker_died"),
            error_text=func.coalesce(Delivery.error_text, text),
        )
        .execution_options(synchronize_session=False)
    )


def _due(session: DbSession, integration_id: str, now: datetime) -> list[int]:
    suspect = (Delivery.attempts >= SUSPECT) & Delivery.error_code.is_(None)
    rows = session.execute(
        select(Delivery.id, func.length(Delivery.body), suspect)
        .where(*_waiting(integration_id, now))
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(BATCH)
    ).all()
    if rows and rows[0][2]:
        return [rows[0][0]]
    together = itertools.takewhile(lambda row: not row[2], rows)
    return within(BATCH_BYTES, [(id_, size) for id_, size, _ in together])


def _waiting(integration_id: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.integration_id == integration_id, Delivery.state == "pending", Delivery.next_attempt_at <= now)


def _next_attempt(integration_id: str, now: datetime) -> Any:
    """A batch's deliveries may have failed a different number of times: the waits of `backoff` as one expression."""
    waits = [spread(min(RETRY_FIRST * (1 << n), RETRY_MOST), integration_id) for n in range(9)]
    return case(*((Delivery.attempts == n, now + wait) for n, wait in enumerate(waits)), else_=now + waits[-1])


def _work(rt: Runtime, lease: Lease, integration_id: str, batch: list[Claimed]) -> int:
    """Read, refetch and reconcile a batch. What can't be told apart any more is tried one by one."""
    left = list(batch)
    try:
        with_refresh(rt, integration_id, Lane.INBOX, lambda session: _by_parts(rt, lease, session, left))
    except (LeaseLost, DBAPIError):
        raise  # not the deliveries' fault: they stay due
    except ConnectorError as error:
        _postpone(rt, lease, integration_id, left, error, in_vain=len(left) == len(batch))
    except Exception as error:  # a fault in a plugin (or in us): one delivery's must not hold up the others
        if len(left) > 1:
            return len(batch) - len(left) + sum(_work(rt, lease, integration_id, [one]) for one in left)
        log.exception("inbox.fault", integration_id=integration_id, delivery_id=left[0].id)
        _postpone(rt, lease, integration_id, left, Fault(error))
    return len(batch) - len(left)


def _by_parts(rt: Runtime, lease: Lease, session: Session, left: list[Claimed]) -> None:
    """Work off what is left of a batch, and take out of it what is done. What was asked for is stored before more is
    asked for than fits into one question: a backlog that takes more calls than the budget holds is done bit by bit."""
    for one in left:
        read(one, session)
    for number, part in enumerate(parts(left, session.connector.manifest.refetch_batch)):
        if number:
            lease.extend()
        _reconcile(rt, lease, session, part)
        done = {one.id for one in part}
        left[:] = [one for one in left if one.id not in done]


@dataclass(frozen=True, slots=True)
class _Settled:
    """What came of a batch, by what was said."""

    items: Applied
    code: Outcome
    monitor: MonitorOutcome


def _reconcile(rt: Runtime, lease: Lease, session: Session, batch: Sequence[Claimed]) -> None:
    _check_access(session, batch)
    wanted = list(dict.fromkeys(id_ for one in batch for id_ in one.named))
    snapshots = [task for one in batch for task in one.snapshots]
    fetched = read_items(lease, session, wanted)
    heard = fetch_said(rt, lease, session, [one.code for one in batch])
    measured = fetch_measured(lease, session, [one.monitor for one in batch])
    scope = _scope(session)
    sources = {id_: _source(one) for one in batch for id_ in one.items()}
    watched = [(_source(one), one.monitor) for one in batch]
    now = rt.clock()

    def settle(db: DbSession, proof: Proof) -> _Settled:
        lease.guard(db)
        applied = apply(db, proof) if scope else Applied()
        outcome = settle_said(db, session, heard, now)
        settled = _Settled(applied, outcome, settle_monitor(db, session, watched, measured, now))
        tell_presses(db, session.integration, [pressed for one in batch for pressed in one.pressed], now)
        _finish(db, session.integration.id, batch, settled, now)
        return settled

    def apply(db: DbSession, proof: Proof) -> Applied:
        assert scope is not None
        read = {**fetched, **proof.items}
        told = {task.external_id for task in snapshots} - read.keys()
        items = [*snapshots, *read.values()]
        since = proof.watermarks
        return apply_items(db, scope, items, source="delivery", sources=sources, now=now, told=told, gone_since=since)

    settled = run_with_proof(rt, lease, session, settle)
    ring_owed(rt, settled.items)
    if settled.code.stored.new:
        rt.ring(Lane.FACTS, NEWS)
    if settled.code.look_again:
        rt.ring(Lane.PULL, session.integration.id)


def _check_access(session: Session, batch: Sequence[Claimed]) -> None:
    """That our access has ended is asked of the vendor, not believed: an old message must not end what was given anew.
    Raises AuthFailed if it is so, and what else `check` raises."""
    if any(one.access_ended for one in batch):
        with contained():
            session.connector.check()


def _source(one: Claimed) -> str:
    return f"delivery:{one.id}"


def _scope(session: Session) -> Scope | None:
    """What items are reconciled under; None for an integration that has none."""
    if "task_source" not in session.integration.capabilities:
        return None
    return Scope.of(session.integration, session.config, session.clock_offset())


def _finish(
    session: DbSession, integration_id: str, batch: Sequence[Claimed], settled: _Settled, now: datetime
) -> None:
    """Write down what came of each delivery.

    That an item is gone which nobody here knows is no news yet while somebody may be getting to know it: a listing read
    before the item's end, or the answer to its creation, may still be on its way into the database.
    """
    applied = settled.items
    unknown = [one for one in batch if one.attempts < MAX_ATTEMPTS and "unknown" in _items(one, applied).values()]
    waiting = {one.id for one in unknown} if unknown and _somebody_learns(session, integration_id) else set()
    code = settled.code.each([one.code for one in batch])
    monitor = settled.monitor.each([one.monitor for one in batch])
    told = zip(batch, code, monitor, strict=True)
    rows = [_outcome(one, applied, heard, seen, now) for one, heard, seen in told if one.id not in waiting]
    update_rows(session, Delivery.__table__, rows, key="id")
    if waiting:
        session.execute(
            update(Delivery)
            .where(among(session, Delivery.id, sorted(waiting)))
            .values(error_code="not_known_yet", error_text=NOT_KNOWN_YET)
            .execution_options(synchronize_session=False)
        )


def _somebody_learns(session: DbSession, integration_id: str) -> bool:
    """Whether a pull is under way, or a creation whose answer is not settled."""
    items = SyncRun.kind != "backfill"
    pulling = exists().where(SyncRun.integration_id == integration_id, SyncRun.status == "running", items)
    creating = exists().where(
        Binding.integration_id == integration_id, Binding.state == "creating", Binding.called_at.is_not(None)
    )
    return bool(session.scalar(select(or_(pulling, creating))))


def _items(one: Claimed, applied: Applied) -> dict[str, str]:
    return {id_: applied.outcomes.get(id_, "unknown") for id_ in one.items()}


def _outcome(one: Claimed, applied: Applied, heard: Heard, seen: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    state = one.state()
    if heard.ignored and not (one.says_more() or heard.says_something()):
        state = "ignored"
    told = {**heard.told(), **seen}
    if one.pressed:
        told["buttons"] = [pressed.button for pressed in one.pressed]
    if one.access_ended:
        told["access"] = [f"{text} Looked at: it has not ended." for text in one.access_ended]
    return {
        "id": one.id,
        "state": state,
        "outcome": {"items": _items(one, applied), **told, "ignored": [*one.not_for_us(), *heard.ignored]},
        "error_code": one.error.code if one.error else None,
        "error_text": one.error.text if one.error else None,
        "finished_at": now,
    }


def _postpone(
    rt: Runtime,
    lease: Lease,
    integration_id: str,
    batch: Sequence[Claimed],
    error: ConnectorError,
    *,
    in_vain: bool = False,
) -> None:
    """The batch failed as a whole: its deliveries wait, with the reason, and those tried too often are dead. `in_vain`:
    nothing came of this try, so that begun with one call to spare the next one would end as this one did."""
    now = rt.clock()
    ids = [one.id for one in batch]
    dead = [one.id for one in batch if one.attempts >= MAX_ATTEMPTS and not isinstance(error, RateLimited)]
    reason: Mapping[str, Any] = {"error_code": error.code, "error_text": error.text}
    with rt.db.write() as session:
        lease.guard(session)
        statement = update(Delivery).execution_options(synchronize_session=False)
        session.execute(statement.where(among(session, Delivery.id, ids)).values(**reason))
        if isinstance(error, RateLimited):
            whole = error.full_at if in_vain and isinstance(error, BudgetSpent) else error.until
            until = max(whole, now + timedelta(seconds=1))
            # The vendor's pause is no failure of the delivery: it does not use up an attempt.
            values = {"next_attempt_at": until, "attempts": Delivery.attempts - 1}
            session.execute(statement.where(among(session, Delivery.id, ids)).values(**values))
            session.execute(update(Integration).where(Integration.id == integration_id).values(next_inbox_at=until))
        if dead:
            session.execute(statement.where(among(session, Delivery.id, dead)).values(state="dead", finished_at=now))
    log.warning("inbox.postponed", integration_id=integration_id, deliveries=len(ids), dead=len(dead), code=error.code)
