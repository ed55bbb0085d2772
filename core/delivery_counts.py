"""Counts of what came to an integration's webhook, added up in rows of five minutes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.models import DeliveryCount, Integration

PERIOD = timedelta(minutes=5)
"""Fine enough to see a trouble begin and end; a busy integration's day is 288 rows."""

LIFE = timedelta(days=2)
"""How long counts are kept: health tells of the last day."""


class Counted(StrEnum):
    """What is counted; each is a column."""

    ACCEPTED = "accepted"
    DUPLICATES = "duplicates"
    REJECTED = "rejected"
    MISSED = "missed"
    RECOVERED = "recovered"


Counts = Mapping[tuple[str, datetime, Counted], int]
"""(integration, start of the period, what) -> how many."""


def period(at: datetime) -> datetime:
    """The start of the five minutes a moment belongs to."""
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(PERIOD.total_seconds()), UTC)


def add_counts(session: Session, counts: Counts) -> None:
    """Add the counts to what is stored, in one statement. An integration that is gone is left out."""
    rows = _rows(counts)
    if not rows:
        return
    known = set(
        session.scalars(select(Integration.id).where(Integration.id.in_({row["integration_id"] for row in rows})))
    )
    rows = [row for row in rows if row["integration_id"] in known]
    if not rows:
        return
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(DeliveryCount)
    added = {what.value: getattr(DeliveryCount, what.value) + insert.excluded[what.value] for what in Counted}
    session.execute(insert.on_conflict_do_update(index_elements=["integration_id", "at"], set_=added), rows)


def _rows(counts: Counts) -> list[dict[str, Any]]:
    """One row per integration and period, in one order, so that two writers never wait for each other in a ring."""
    rows: dict[tuple[str, datetime], dict[str, Any]] = {}
    for (integration_id, at, what), number in counts.items():
        nothing = {each.value: 0 for each in Counted}
        row = rows.setdefault((integration_id, at), {"integration_id": integration_id, "at": at, **nothing})
        row[what.value] += number
    return [rows[key] for key in sorted(rows)]


def totals(session: Session, integration_id: str, since: datetime) -> dict[Counted, int]:
    """What was counted from the period of `since` on."""
    sums = [func.coalesce(func.sum(getattr(DeliveryCount, what.value)), 0) for what in Counted]
    row = session.execute(
        select(*sums).where(DeliveryCount.integration_id == integration_id, DeliveryCount.at >= period(since))
    ).one()
    return {what: int(number) for what, number in zip(Counted, row, strict=True)}
