"""How an integration does: what is wrong, what its webhook brought, what waits, and how long the webhook lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DbSession

from core.delivery_counts import Counted, totals
from core.models import Delivery, Integration, Subscription, SyncCause
from sync.health import causes_of

WINDOW = timedelta(hours=24)
"""What is counted: a day has every shift of a team in it."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """All of it at one moment. `oldest_pending_at` is when the delivery came that has waited the longest."""

    integration: Integration
    causes: Sequence[SyncCause]
    last_delivery_at: datetime | None
    counts: Mapping[Counted, int]
    pending: int
    oldest_pending_at: datetime | None
    dead: int
    subscription: Subscription | None
    at: datetime


def vitals(session: DbSession, integration: Integration, now: datetime) -> Vitals:
    """How the integration does now."""
    mine = Delivery.integration_id == integration.id
    last = select(Delivery.received_at).where(mine).order_by(Delivery.id.desc()).limit(1)
    waiting = select(func.count(), func.min(Delivery.received_at)).where(mine, Delivery.state == "pending")
    pending, oldest = session.execute(waiting).one()
    return Vitals(
        integration=integration,
        causes=causes_of(session, integration.id),
        last_delivery_at=session.scalar(last),
        counts=totals(session, integration.id, now - WINDOW),
        pending=pending,
        oldest_pending_at=oldest,
        dead=session.scalar(select(func.count()).where(mine, Delivery.state == "dead")) or 0,
        subscription=session.get(Subscription, integration.id),
        at=now,
    )
