"""Incidents: what monitors say is wrong, from its beginning to its end, and the history each is made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey

_GOING = text("status <> 'resolved'")
_SHOWN = text("merged_into IS NULL")


class Incident(Base):
    """INC-*: a monitor's group went wrong. All but `service_line_id` can be made anew of its history.

    ref_key        whose history it is part of: the integration, the monitor and the scope, as one text
    cycle          the vendor's name for its going wrong, the last one
    status         open | acknowledged | resolved
    opened_at      the vendor's time; None where the beginning was missed
    resolved_at    the vendor's time, or ours where a person resolved it; `resolved_by` is INT-* or USR-*
    last_seen_at   when it was last said to be wrong
    watermark      the vendor's time of the newest that is known
    flaps          how often it began again
    flap_minutes   what begins again that soon is still this incident, as configured when it began
    merged_into    the incident it turned out to be part of; such a one is shown no more
    """

    __tablename__ = "incident"
    __table_args__ = (
        Index("uq_incident_going", "ref_key", unique=True, sqlite_where=_GOING, postgresql_where=_GOING),
        Index(None, "ref_key", "watermark"),
        Index("ix_incident_shown", "workspace_id", "id", sqlite_where=_SHOWN, postgresql_where=_SHOWN),
        Index("ix_incident_integration_going", "integration_id", sqlite_where=_GOING, postgresql_where=_GOING),
        Index(None, "service_line_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"))
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    ref_key: Mapped[str] = mapped_column(Text)
    monitor: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    cycle: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    service_line_id: Mapped[str | None] = mapped_column(ForeignKey("service_line.id"))
    url: Mapped[str] = mapped_column(Text)
    tags: Mapped[dict[str, Any]]
    opened_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None] = mapped_column(Text)
    last_seen_at: Mapped[datetime | None]
    watermark: Mapped[datetime]
    flaps: Mapped[int]
    flap_minutes: Mapped[int]
    merged_into: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class IncidentUpdate(Base):
    """One thing that is known of an incident: an alert, or what a person did. It is never changed, but for the incident
    it turns out to belong to.

    line_key   the same for the same thing, however often it is told
    what       firing | repeated | over | acknowledged | resolved
    at         when it happened; `placed_at`: where it stands among the others, in the vendor's time
    by         INT-* or USR-*
    source     the delivery or sync run that told it; `user` for what people do
    told_at    our time of hearing of it
    """

    __tablename__ = "incident_update"
    __table_args__ = (Index(None, "incident_id", "placed_at"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    line_key: Mapped[str] = mapped_column(Text, unique=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    what: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    placed_at: Mapped[datetime]
    severity: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    cycle: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[dict[str, Any]]
    by: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    told_at: Mapped[datetime]
