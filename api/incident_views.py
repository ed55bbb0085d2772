"""Incidents as the API shows them, and what people do with them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.schemas import Body, Moment, View
from connectors.contract import Severity
from core.models import Incident, IncidentUpdate

STATUSES = ("open", "acknowledged", "resolved")
SEVERITIES = tuple(severity.value for severity in Severity)

LONGEST_NOTE = 2000
"""Characters: a sentence or two for whoever looks next. What is longer belongs into a task."""

Status = Literal["open", "acknowledged", "resolved"]
What = Literal["firing", "repeated", "over", "acknowledged", "resolved"]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NOTE)]

WHO = "The integration (`INT-*`) or the person (`USR-*`)."


class IncidentRecord(View):
    """Something that a monitor says is, or was, wrong."""

    id: str = Field(examples=["INC-26-000031"])
    workspace_id: str
    integration_id: str
    service_line_id: str | None = Field(description="By the monitor's tags, as the integration's config maps them.")
    title: str
    text: str
    severity: Severity
    status: Status
    monitor: str = Field(description="The vendor's id of the monitor.")
    scope: str = Field(description="The group of it that is wrong: `key:value` tags joined with commas, or empty.")
    tags: dict[str, list[str]]
    url: str = Field(description="At the vendor.")
    opened_at: Moment | None = Field(description="null where nobody told of the beginning.")
    acknowledged_at: Moment | None
    acknowledged_by: str | None = Field(description=WHO)
    resolved_at: Moment | None
    resolved_by: str | None = Field(description=WHO)
    last_seen_at: Moment | None = Field(description="When the monitor last said that it is wrong.")
    flaps: int = Field(description="How often it was over and began again.")
    merged_into: str | None = Field(description="The incident it turned out to be part of; change that one.")
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, row: Incident) -> IncidentRecord:
        """The view of an incident."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class IncidentLine(View):
    """One thing that is known of an incident: what its monitor said, or what a person did."""

    at: Moment = Field(description="When it happened; the vendor's time for what the vendor says.")
    what: What
    severity: Severity
    title: str
    text: str = Field(description="Of what a person did: the note.")
    url: str
    by: str = Field(description=WHO)
    source: str = Field(
        description="The delivery or the sync that told it; `user` for people.", examples=["delivery:81"]
    )
    told_at: Moment = Field(description="When it was heard here.")

    @classmethod
    def of(cls, row: IncidentUpdate) -> IncidentLine:
        """The view of a line."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class IncidentPatch(Body):
    """What somebody does about an incident."""

    status: Literal["acknowledged", "resolved"]
    note: Note = ""
