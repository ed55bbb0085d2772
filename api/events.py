"""/v1/events and /v1/audit-logs: what happened, and who did it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api import paging, scope
from api.auth import AuditReader, EventReader, Rt
from api.errors import documented
from api.filters import Names, Since, Until
from api.paging import Window
from api.schemas import Listing, Moment, View
from core import access
from core.access import Principal
from core.models import AuditRecord, Event

router = APIRouter(tags=["Events"])


class EventView(View):
    """A fact of the platform's stream."""

    id: str = Field(examples=["EVT-26-000731"])
    workspace_id: str | None = Field(description="null for what is the whole organization's.")
    type: str = Field(examples=["task.status_changed"])
    subject_id: str = Field(description="What it is about.", examples=["TSK-26-018841"])
    actor: str = Field(description="Who caused it: `USR-*`, `AGT-*`, `INT-*` or `KEY-*`.")
    data: dict[str, Any] = Field(examples=[{"from": "in_progress", "to": "done"}])
    at: Moment
    occurred_at: Moment | None = Field(description="When it happened at the vendor; null for the platform's own.")
    backfilled: bool = Field(description="It is history that was read later, and was sent to no webhook endpoint.")

    @classmethod
    def of(cls, event: Event) -> EventView:
        """The view of an event."""
        return cls(**{name: getattr(event, name) for name in cls.model_fields})


class AuditView(View):
    """One change that was asked for, and by whom."""

    id: str = Field(examples=["AUD-26-000102"])
    workspace_id: str | None
    actor: str
    token_id: str | None = Field(description="The API token it was asked with.")
    action: str = Field(examples=["task.updated"])
    subject_id: str
    data: dict[str, Any] = Field(examples=[{"fields": ["status"]}])
    at: Moment

    @classmethod
    def of(cls, record: AuditRecord) -> AuditView:
        """The view of an audit record."""
        return cls(**{name: getattr(record, name) for name in cls.model_fields})


class Period(Window):
    """A workspace and a stretch of time."""

    model_config = ConfigDict(validate_by_name=True)

    workspace_id: Annotated[str | None, Field(description="Needs no saying with a token of one workspace.")] = None
    subject_id: Annotated[str | None, Field(description="What it is about.", examples=["TSK-26-018841"])] = None
    since: Annotated[Since | None, Field(alias="from", description="A date, or a time with its offset.")] = None
    until: Annotated[
        Until | None, Field(alias="to", description="A date, which is included, or a time, which is not.")
    ] = None


class EventFilters(Period):
    """What the stream can be narrowed to."""

    type: Annotated[
        Names | None,
        Field(
            description="One type, or several with commas between them; `task.*` stands for all that begin so.",
            examples=["task.*", "task.created,integration.connected"],
        ),
    ] = None


class AuditFilters(Period):
    """What the audit trail can be narrowed to."""

    actor: Annotated[str | None, Field(examples=["AGT-26-000012"])] = None
    action: Annotated[Names | None, Field(description="As `type` of events.", examples=["task.updated"])] = None


@router.get("/v1/events", responses=documented(404))
def list_events(rt: Rt, caller: EventReader, filters: Annotated[EventFilters, Query()]) -> Listing[EventView]:
    """List the platform's events, newest first."""
    with rt.db.read() as session:
        wanted = select(Event).where(*_common(session, caller, filters, Event))
        if filters.type is not None:
            wanted = wanted.where(_named(Event.type, filters.type))
        page = paging.fetch(session, wanted, Event.id, filters)
        return Listing(data=[EventView.of(event) for event in page.rows], meta=page.meta)


@router.get("/v1/audit-logs", responses=documented(404))
def list_audit_logs(rt: Rt, caller: AuditReader, filters: Annotated[AuditFilters, Query()]) -> Listing[AuditView]:
    """List what was done through the API and the command line, newest first."""
    with rt.db.read() as session:
        wanted = select(AuditRecord).where(*_common(session, caller, filters, AuditRecord))
        if filters.actor is not None:
            wanted = wanted.where(AuditRecord.actor == filters.actor)
        if filters.action is not None:
            wanted = wanted.where(_named(AuditRecord.action, filters.action))
        page = paging.fetch(session, wanted, AuditRecord.id, filters)
        return Listing(data=[AuditView.of(record) for record in page.rows], meta=page.meta)


def _common(
    session: Session, caller: Principal, filters: Period, model: type[Event] | type[AuditRecord]
) -> list[ColumnElement[bool]]:
    """The caller's scope and the filters both lists have."""
    conditions = [scope.visible(caller, model.organization_id, model.workspace_id)]
    if filters.workspace_id is not None:
        access.workspace(session, caller, filters.workspace_id)
        conditions.append(model.workspace_id == filters.workspace_id)
    if filters.subject_id is not None:
        conditions.append(model.subject_id == filters.subject_id)
    if filters.since is not None:
        conditions.append(model.at >= filters.since)
    if filters.until is not None:
        conditions.append(model.at < filters.until)
    return conditions


def _named(column: InstrumentedAttribute[str], names: str) -> ColumnElement[bool]:
    """Any of the names between the commas; one that ends in `*` means all that begin so."""
    return or_(
        *(
            column.startswith(name[:-1], autoescape=True) if name.endswith("*") else column == name
            for name in names.split(",")
        )
    )
