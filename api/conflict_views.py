"""Conflicts as the API shows and takes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas import Body, Moment, View
from core.ledger import COLUMNS
from core.models import FieldConflict
from sync.reasons import sentence

Side = Literal["platform", "external"]


class PlatformSide(View):
    """What the platform had."""

    value: str | None
    by: str = Field(description="Who set it, as far as the history tells.", examples=["USR-26-000044"])
    at: Moment | None


class ExternalSide(View):
    """What the connected tool had."""

    value: str | None
    by: str = Field(description="The integration it came through.", examples=["INT-26-000042"])
    at: Moment | None = Field(description="The tool's own time of the item's last change, where it told.")


class Resolution(View):
    """What a person made of it."""

    keep: Side
    by: str
    at: Moment


class ConflictView(View):
    """One field that was changed on both sides, differently."""

    id: str = Field(examples=["CNF-26-000003"])
    integration_id: str
    task_id: str
    field: str = Field(examples=["status"])
    at: Moment = Field(description="When it was decided.")
    rule: str = Field(description="By which rule: a reason code.", examples=["conflict_latest"])
    text: str = Field(description="The rule in words.")
    winner: Side
    platform: PlatformSide
    external: ExternalSide
    source: str | None = Field(description="The sync, delivery or push that found it.", examples=["SYNC-26-000811"])
    resolution: Resolution | None

    @classmethod
    def of(cls, row: FieldConflict) -> ConflictView:
        """The view of a conflict."""
        return cls(
            id=row.id,
            integration_id=row.integration_id,
            task_id=row.task_id,
            field=COLUMNS[row.field],
            at=row.at,
            rule=row.rule,
            text=sentence(row.rule),
            winner=_side(row.winner),
            platform=PlatformSide(value=row.here, by=row.here_by, at=row.here_at),
            external=ExternalSide(value=row.there, by=row.integration_id, at=row.there_at),
            source=row.source,
            resolution=_resolution(row),
        )


def _resolution(row: FieldConflict) -> Resolution | None:
    if row.resolved_at is None or row.resolved_how is None or row.resolved_by is None:
        return None
    return Resolution(keep=_side(row.resolved_how), by=row.resolved_by, at=row.resolved_at)


def _side(stored: str) -> Side:
    return "platform" if stored == "platform" else "external"


class Resolve(Body):
    """How to settle a conflict."""

    keep: Side = Field(description="Whose value the task is to have.")
