"""What keeps an integration from being healthy: causes that come and go by themselves, of which the worst is shown.

Each cause is a row, so that one that goes does not hide another that stays. An integration is healthy exactly when it
has none; `sync_status`, `sync_code` and `sync_text` are derived from the rows in the transaction that changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core import events
from core.events import Fact
from core.models import Binding, Integration, SyncCause


class Cause(StrEnum):
    """What can be wrong. Of two that are equally bad, the one that stands first here is shown: mending it may mend the
    others too."""

    CREDENTIALS = "credentials"
    PULL = "pull"
    SCOPES = "scopes"
    REPOSITORIES = "repositories"
    READING = "reading"
    SWEEP = "sweep"
    WRITES = "writes"
    CHANNELS = "channels"
    MESSAGES = "messages"
    SUBSCRIPTION = "subscription"
    SIGNATURES = "signatures"
    SILENCE = "silence"
    LAG = "lag"
    DEAD = "dead"


DEGRADED, FAILED = "degraded", "failed"

_RANK = {cause.value: rank for rank, cause in enumerate(Cause)}
_WORST_FIRST = {FAILED: 0, DEGRADED: 1}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause as it is told: a code for programs, and a text for the person who can mend it."""

    code: str
    text: str
    severity: str = DEGRADED


def raise_cause(session: Session, integration: Integration, cause: Cause, trouble: Trouble, now: datetime) -> None:
    """Something is wrong; said again, its words are brought up to date."""
    _lock(session, integration)
    row = session.get(SyncCause, (integration.id, cause.value))
    if row is None:
        row = SyncCause(integration_id=integration.id, cause=cause.value, since=now)
        session.add(row)
    row.code, row.text, row.severity = trouble.code, trouble.text, trouble.severity
    _derive(session, integration, now)


def clear_causes(session: Session, integration: Integration, causes: Sequence[Cause], now: datetime) -> None:
    """These are over."""
    if integration.sync_status == "healthy":
        return  # it has none
    _lock(session, integration)
    session.execute(
        delete(SyncCause).where(SyncCause.integration_id == integration.id, SyncCause.cause.in_(causes)),
        execution_options={"synchronize_session": "fetch"},
    )
    _derive(session, integration, now)


def _lock(session: Session, integration: Integration) -> None:
    """Lanes of one integration say what is wrong at once: one after the other, or one would overlook the other's."""
    session.flush()
    session.refresh(integration, ("sync_status", "sync_code", "sync_text"), with_for_update=True)


def _derive(session: Session, integration: Integration, now: datetime) -> None:
    """The worst cause becomes what is shown. An event is appended when the status changes."""
    session.flush()
    worst = next(iter(causes_of(session, integration.id)), None)
    before = integration.sync_status
    integration.sync_status = worst.severity if worst else "healthy"
    integration.sync_code, integration.sync_text = (worst.code, worst.text) if worst else (None, None)
    if before != integration.sync_status:
        _tell(session, integration, before, now)


def _tell(session: Session, integration: Integration, before: str, now: datetime) -> None:
    data = {
        "from": before,
        "to": integration.sync_status,
        "code": integration.sync_code,
        "text": integration.sync_text,
    }
    fact = Fact(
        integration.organization_id,
        integration.workspace_id,
        "integration.sync_status_changed",
        integration.id,
        integration.id,
        data,
    )
    events.append(session, [fact], now)


def causes_of(session: Session, integration_id: str) -> list[SyncCause]:
    """What is wrong with an integration, the worst first."""
    found = session.scalars(select(SyncCause).where(SyncCause.integration_id == integration_id))
    return sorted(found, key=lambda row: (_WORST_FIRST[row.severity], _RANK[row.cause]))


# --- the causes that lanes know of ----------------------------------------------------------------------


def mark_working(session: Session, integration: Integration, now: datetime) -> None:
    """The vendor answers a pull."""
    if integration.sync_status != "healthy":
        clear_causes(session, integration, (Cause.PULL, Cause.CREDENTIALS), now)
        mark_writes(session, integration, now)


def mark_writes(session: Session, integration: Integration, now: datetime) -> None:
    """A write was given up, or one that had been was paid."""
    session.flush()
    count, example = session.execute(
        select(func.count(), func.min(Binding.reason_text)).where(
            Binding.integration_id == integration.id, Binding.owed, Binding.failed_at.is_not(None)
        )
    ).one()
    if not count:
        clear_causes(session, integration, (Cause.WRITES,), now)
        return
    text = f"{count} task(s) could not be written to the vendor and wait for a hand; for example: {example}"
    raise_cause(session, integration, Cause.WRITES, Trouble("write_failed", text), now)


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
