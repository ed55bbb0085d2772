"""An integration's sync status, and the event that tells when it changes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core import events
from core.events import Fact
from core.models import Binding, Integration


def mark_sync_status(
    session: Session, integration: Integration, status: str, code: str | None, text: str | None, now: datetime
) -> None:
    """Set healthy, degraded or failed, with the cause. Appends `integration.sync_status_changed` only on a change."""
    before = integration.sync_status
    integration.sync_status, integration.sync_code, integration.sync_text = status, code, text
    if before != status:
        data = {"from": before, "to": status, "code": code, "text": text}
        fact = Fact(
            integration.organization_id,
            integration.workspace_id,
            "integration.sync_status_changed",
            integration.id,
            integration.id,
            data,
        )
        events.append(session, [fact], now)


def mark_working(session: Session, integration: Integration, now: datetime) -> None:
    """The vendor answers: healthy, unless writes to it were given up, or a listing could not be believed; both wait for
    somebody."""
    if integration.sync_code == "sweep_guard":
        return
    failed = session.execute(
        select(func.count(), func.min(Binding.reason_text)).where(
            Binding.integration_id == integration.id, Binding.owed, Binding.failed_at.is_not(None)
        )
    ).one()
    count, example = failed
    if not count:
        mark_sync_status(session, integration, "healthy", None, None, now)
        return
    text = f"{count} task(s) could not be written to the vendor and wait for a hand; for example: {example}"
    mark_sync_status(session, integration, "degraded", "write_failed", text, now)


def mark_writes(session: Session, integration: Integration, now: datetime) -> None:
    """A write was given up, or one that had been was paid: say so, unless something worse is being said already."""
    if integration.sync_status == "healthy" or integration.sync_code == "write_failed":
        mark_working(session, integration, now)


def may_work(
    session: Session, integration_id: str, not_before: InstrumentedAttribute[datetime | None], now: datetime
) -> bool:
    """Whether a lane has anything to try: the integration is active, and the vendor did not ask the lane to wait."""
    able = select(Integration.id).where(
        Integration.id == integration_id,
        Integration.status == "active",
        or_(not_before.is_(None), not_before <= now),
    )
    return session.scalar(able) is not None
