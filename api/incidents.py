"""/v1/incidents: what is wrong as monitors see it, its history, and what people do about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import select

from api import paging, scope
from api.auth import IncidentReader, IncidentWriter, Rt
from api.errors import documented
from api.filters import Several, Since
from api.incident_views import SEVERITIES, STATUSES, IncidentLine, IncidentPatch, IncidentRecord
from api.paging import Window
from api.schemas import Answer, Listing
from core import access
from core.models import Incident, IncidentUpdate
from sync.incidents import hand
from sync.incidents.timeline import What

router = APIRouter(tags=["Incidents"])


class IncidentFilters(Window):
    """What a list of incidents can be narrowed to."""

    workspace_id: Annotated[str | None, Field(description="Only incidents of this workspace.")] = None
    integration_id: Annotated[str | None, Field(description="Only those this integration told.")] = None
    service_line_id: Annotated[str | None, Field(description="Only those of this service line.")] = None
    status: Annotated[str, Several(STATUSES)] | None = None
    severity: Annotated[str, Several(SEVERITIES)] | None = None
    opened_since: Annotated[Since | None, Field(description="Only those that began then or later.")] = None


@router.get("/v1/incidents", responses=documented(404))
def list_incidents(
    rt: Rt, caller: IncidentReader, filters: Annotated[IncidentFilters, Query()]
) -> Listing[IncidentRecord]:
    """List incidents, those that became known last first. One that turned out to be part of another is not listed."""
    with rt.db.read() as session:
        wanted = select(Incident).where(
            scope.visible(caller, Incident.organization_id, Incident.workspace_id), Incident.merged_into.is_(None)
        )
        if filters.workspace_id is not None:
            access.workspace(session, caller, filters.workspace_id)
            wanted = wanted.where(Incident.workspace_id == filters.workspace_id)
        if filters.integration_id is not None:
            wanted = wanted.where(Incident.integration_id == filters.integration_id)
        if filters.service_line_id is not None:
            wanted = wanted.where(Incident.service_line_id == filters.service_line_id)
        for column, values in ((Incident.status, filters.status), (Incident.severity, filters.severity)):
            if values is not None:
                wanted = wanted.where(column.in_(values.split(",")))
        if filters.opened_since is not None:
            wanted = wanted.where(Incident.opened_at >= filters.opened_since)
        page = paging.fetch(session, wanted, Incident.id, filters)
        return Listing(data=[IncidentRecord.of(row) for row in page.rows], meta=page.meta)


@router.get("/v1/incidents/{incident_id}", responses=documented(404))
def get_incident(rt: Rt, caller: IncidentReader, incident_id: str) -> Answer[IncidentRecord]:
    """Retrieve an incident."""
    with rt.db.read() as session:
        return Answer(data=IncidentRecord.of(scope.incident(session, caller, incident_id)))


@router.get("/v1/incidents/{incident_id}/history", responses=documented(404))
def list_incident_history(
    rt: Rt, caller: IncidentReader, incident_id: str, filters: Annotated[Window, Query()]
) -> Listing[IncidentLine]:
    """List all that is known of an incident, in the order in which it was heard."""
    with rt.db.read() as session:
        scope.incident(session, caller, incident_id)
        wanted = select(IncidentUpdate).where(IncidentUpdate.incident_id == incident_id)
        page = paging.fetch(session, wanted, IncidentUpdate.id, filters, newest_first=False)
        return Listing(data=[IncidentLine.of(row) for row in page.rows], meta=page.meta)


@router.patch("/v1/incidents/{incident_id}", responses=documented(404, 409, 413))
def update_incident(rt: Rt, caller: IncidentWriter, incident_id: str, body: IncidentPatch) -> Answer[IncidentRecord]:
    """Acknowledge or resolve an incident.

    One that is so already is left as it is. What is resolved is opened again only by its monitor: by going wrong once
    more soon after it was over. Nothing is written to the vendor.
    """
    with rt.db.read() as session:
        scope.incident(session, caller, incident_id)
    with rt.db.write() as session:
        hand.change(session, incident_id, What(body.status), actor=caller.actor, note=body.note, now=rt.clock())
        session.expire_all()
        return Answer(data=IncidentRecord.of(scope.incident(session, caller, incident_id)))
