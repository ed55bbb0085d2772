"""Deliveries worked off once more: because what was wrong with them, or with us, was mended.

A replay only makes them due again; the drain does the work, as for new ones, so that nothing older than what is known
can do harm. A dry run reads them and the items they name, and tells what would be decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AuthFailed, Gone, RawDelivery, RemoteTask, TaskSource
from core.bulk import among
from core.errors import Conflict, NotFound
from core.models import Binding, Delivery, Integration
from sync import lifecycle
from sync.apply import newest_of
from sync.inbound import BATCH_BYTES
from sync.plan import ItemPlan, plan_items
from sync.runtime import Lane, Runtime
from sync.said import Claimed, read, within
from sync.sessions import Session, open_to_look

MOST = 200
"""Deliveries of a dry run at most: somebody reads them, and waits for the vendor meanwhile."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which deliveries: those of `ids`, those that came from `since` to before `until`, or (`dead`) all dead ones."""

    ids: Sequence[int] | None = None
    since: datetime | None = None
    until: datetime | None = None
    dead: bool = False

    def told(self) -> dict[str, Any]:
        """For the audit record."""
        if self.ids is not None:
            return {"ids": list(self.ids)}
        if self.dead:
            return {"dead": True}
        return {"from": _iso(self.since), "to": _iso(self.until)}


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many are due again, and how many were waiting anyway."""

    replayed: int
    pending: int


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """What one delivery would come to: `state` after it, the items it names, and what it says that is not for us."""

    id: int
    event: str
    state: str
    items: Sequence[str] = ()
    ignored: Sequence[Mapping[str, str]] = ()
    error_code: str | None = None
    error_text: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What a replay would do. `complete` is False when there are more deliveries than were looked at."""

    integration_id: str
    at: datetime
    complete: bool
    deliveries: Sequence[DeliveryPlan]
    items: Sequence[ItemPlan]
    counts: Mapping[str, int] = field(default_factory=dict)


def replay(rt: Runtime, integration_id: str, chosen: Chosen, *, actor: str, token_id: str | None) -> Replayed:
    """Make the chosen deliveries due again, in one statement however many they are.

    Raises NotFound for an unknown integration or an id that is not one of its deliveries; Conflict for an integration
    that is not active.
    """
    now = rt.clock()
    with rt.db.write() as session:
        integration = lifecycle.locked(session, integration_id)
        _refuse_inactive(integration)
        _all_there(session, integration_id, chosen)
        pending = _count(session, integration_id, chosen, Delivery.state == "pending")
        result = session.execute(
            update(Delivery)
            .where(*_conditions(session, integration_id, chosen), Delivery.state != "pending")
            .values(
                state="pending", attempts=0, next_attempt_at=now, error_code=None, error_text=None, finished_at=None
            )
            .execution_options(synchronize_session=False)
        )
        done = Replayed(result.rowcount, pending)  # type: ignore[attr-defined]  # an UPDATE's result has it
        data = {**chosen.told(), "replayed": done.replayed}
        lifecycle.audit(session, integration, "integration.deliveries_replayed", actor, token_id, data, rt)
    if done.replayed:
        rt.ring(Lane.INBOX, integration_id)
    return done


def preview(rt: Runtime, integration_id: str, chosen: Chosen) -> ReplayPlan:
    """What a replay would decide now, for at most MOST deliveries, the oldest first. Nothing is written.

    Raises NotFound and Conflict as `replay` does, and what the connector raises.
    """
    with rt.db.read() as db:
        integration = db.get(Integration, integration_id)
    if integration is not None:
        _refuse_inactive(integration)
    session = open_to_look(rt, integration_id)
    with rt.db.read() as db:
        _all_there(db, integration_id, chosen)
        ids, complete = _oldest(db, integration_id, chosen)
        rows = db.scalars(select(Delivery).where(among(db, Delivery.id, ids)).order_by(Delivery.id)).all()
    told = [_told(row, session) for row in rows]
    try:
        items = _planned(rt, session, [claimed for _, claimed in told])
    except AuthFailed as error:
        raise Conflict(f"The vendor does not accept the credentials, so nothing can be told: {error.text}") from None
    return ReplayPlan(
        integration_id=integration_id,
        at=rt.clock(),
        complete=complete,
        deliveries=[_delivery_plan(row, claimed) for row, claimed in told],
        items=items,
        counts=dict(Counter(item.decision for item in items)),
    )


# --- which ----------------------------------------------------------------------------------------------


def _conditions(session: DbSession, integration_id: str, chosen: Chosen) -> list[Any]:
    conditions: list[Any] = [Delivery.integration_id == integration_id]
    if chosen.ids is not None:
        conditions.append(among(session, Delivery.id, chosen.ids))
    if chosen.since is not None:
        conditions.append(Delivery.received_at >= chosen.since)
    if chosen.until is not None:
        conditions.append(Delivery.received_at < chosen.until)
    if chosen.dead:
        conditions.append(Delivery.state == "dead")
    return conditions


def _oldest(session: DbSession, integration_id: str, chosen: Chosen) -> tuple[list[int], bool]:
    """As many as are looked at in a dry run, and whether these are all."""
    sizes = select(Delivery.id, func.length(Delivery.body)).where(*_conditions(session, integration_id, chosen))
    rows = session.execute(sizes.order_by(Delivery.id).limit(MOST + 1)).all()
    ids = within(BATCH_BYTES, [(row[0], row[1]) for row in rows[:MOST]])
    return ids, len(ids) == len(rows)


def _count(session: DbSession, integration_id: str, chosen: Chosen, *more: Any) -> int:
    counted = select(func.count(Delivery.id)).where(*_conditions(session, integration_id, chosen), *more)
    return session.scalar(counted) or 0


def _all_there(session: DbSession, integration_id: str, chosen: Chosen) -> None:
    """An id that is mistyped must not be passed over."""
    if chosen.ids is None or _count(session, integration_id, chosen) == len(set(chosen.ids)):
        return
    found = set(session.scalars(select(Delivery.id).where(*_conditions(session, integration_id, chosen))))
    unknown = sorted(set(chosen.ids) - found)
    raise NotFound(f"{integration_id} has no delivery {', '.join(map(str, unknown))}; it may be past the retention.")


def _refuse_inactive(integration: Integration) -> None:
    if integration.status != "active":
        raise Conflict(f"{integration.id} is {integration.status}. {integration.status_text or 'Connect it first.'}")


# --- what would come of them ------------------------------------------------------------------------------


def _told(row: Delivery, session: Session) -> tuple[Delivery, Claimed]:
    claimed = Claimed(row.id, row.attempts, RawDelivery(row.headers, row.body, row.received_at))
    read(claimed, session)
    return row, claimed


def _planned(rt: Runtime, session: Session, told: Sequence[Claimed]) -> list[ItemPlan]:
    """The plan of each item they name. Whatever the drain would read, is read."""
    snapshots = newest_of([task for one in told for task in one.snapshots])
    named = dict.fromkeys(id_ for one in told for id_ in one.named)
    bound = _bound(rt, session, list(snapshots))
    doubtful = [id_ for id_ in snapshots if id_ not in named and id_ not in bound]
    found: dict[str, RemoteTask | Gone] = dict(snapshots)
    found |= _fetched(session, [*named, *doubtful])
    return plan_items(rt, session, found) if found else []


def _bound(rt: Runtime, session: Session, ids: Sequence[str]) -> set[str]:
    keys = [f"{session.integration.id}:{id_}" for id_ in ids]
    bound = select(Binding.external_id).where(Binding.state == "bound")
    with rt.db.read() as db:
        return {str(id_) for id_ in db.scalars(bound.where(among(db, Binding.binding_key, keys)))}


def _fetched(session: Session, ids: Sequence[str]) -> dict[str, RemoteTask | Gone]:
    source, size = session.connector, session.connector.manifest.refetch_batch
    found: dict[str, RemoteTask | Gone] = {}
    if ids and isinstance(source, TaskSource):
        for start in range(0, len(ids), size):
            found |= source.fetch_tasks(ids[start : start + size])
    return found


def _delivery_plan(row: Delivery, claimed: Claimed) -> DeliveryPlan:
    return DeliveryPlan(
        id=row.id,
        event=row.event,
        state=claimed.state(),
        items=claimed.items(),
        ignored=claimed.not_for_us(),
        error_code=claimed.error.code if claimed.error else None,
        error_text=claimed.error.text if claimed.error else None,
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
