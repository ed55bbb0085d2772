"""What people do with incidents: they acknowledge and resolve them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AlertRef
from core import events
from core.bulk import insert_rows, update_rows
from core.errors import Conflict
from core.events import Fact
from core.models import Incident, IncidentUpdate, Integration
from sync.incidents.known import Known, Row, line_rows, lines_of, stored
from sync.incidents.settle import hold_incidents, row_of
from sync.incidents.timeline import Line, Status, What, timeline
from sync.incidents.told import about

BY_HAND = "user"
"""The source of what people do."""

POSSIBLE: Mapping[str, frozenset[What]] = {
    Status.OPEN: frozenset({What.ACKNOWLEDGED, What.RESOLVED}),
    Status.ACKNOWLEDGED: frozenset({What.RESOLVED}),
    Status.RESOLVED: frozenset(),
}
"""Status -> what can be done about it. A resolved one is reopened by its monitor alone."""


def change(db: DbSession, incident_id: str, what: What, *, actor: str, note: str, now: datetime) -> None:
    """Acknowledge or resolve an incident that is there; `actor` is who does it. One that is so already stays as it is.
    Raises Conflict where its status does not allow it."""
    row = _held(db, incident_id)
    if row["merged_into"] is not None:
        raise Conflict(f"{incident_id} turned out to be part of {row['merged_into']}: change that one.")
    if row["status"] == what.value:
        return
    if what not in POSSIBLE[row["status"]]:
        raise Conflict(f"{incident_id} can't be {what.value}: {row['resolved_by']} resolved it.")
    integration = db.get_one(Integration, row["integration_id"])
    line = _line(row, what, actor, note, now)
    [story] = timeline([*lines_of(db, [row])[incident_id], line])
    ref = Known(row["ref_key"], AlertRef(row["monitor"], row["scope"]))
    after = row_of(integration, ref, incident_id, story, row["service_line_id"], now)
    update_rows(db, Incident.__table__, [after], key="id")
    insert_rows(db, IncidentUpdate.__table__, line_rows(incident_id, [(line, BY_HAND)], now))
    data = {**about(integration, after), "note": note, "changed": []}
    told = (row["organization_id"], row["workspace_id"], f"incident.{what.value}", incident_id, actor, data)
    events.append(db, [Fact(*told)], now)


def _held(db: DbSession, incident_id: str) -> Row:
    """The incident's row, which nobody else changes until the transaction ends."""
    whose = db.scalar(select(Incident.integration_id).where(Incident.id == incident_id))
    assert whose is not None, "incidents are never deleted"
    hold_incidents(db, whose)
    return dict(db.execute(select(Incident.__table__).where(Incident.id == incident_id)).mappings().one())


def _line(row: Row, what: What, actor: str, note: str, now: datetime) -> Line:
    return Line(
        key=f"{row['ref_key']}:{what.value}:{actor}:{now.timestamp()}",
        what=what,
        at=now,
        placed_at=row["watermark"],
        severity=row["severity"],
        title=row["title"],
        text=stored(note),
        url=row["url"],
        by=actor,
        flap=timedelta(minutes=row["flap_minutes"]),
    )
