"""Why a task's fields have their values, as the API and `turnbuckle explain` show it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas import Moment, Reason, View
from sync.explain import Explanation


class Told(View):
    """Base: read from the engine's own structure."""

    model_config = ConfigDict(from_attributes=True)


class BroughtBy(Told):
    """What brought a value."""

    kind: Literal["sync", "delivery", "push", "request", "creation"]
    id: str | None = Field(description="The sync's or the delivery's.", examples=["SYNC-26-000811"])


class Digest(View):
    """A long text, which is only remembered for comparing."""

    sha256: str


class ToldReason(Told, Reason):
    """Why something is as it is."""


class LineExplained(Told):
    """One change of one field, or (`lost`) a value of the tool's that never became the task's."""

    at: Moment
    kind: Literal["change", "lost"]
    change: str = Field(description="The field.", examples=["status"])
    from_: str | None = Field(alias="from", validation_alias="old")
    to: str | None = Field(validation_alias="new")
    by: str = Field(description="`USR-*`, `AGT-*`, `INT-*`, or `KEY-*` for a token without a person.")
    rule: str | None = Field(description="The conflict rule, where it was one.", examples=["conflict_latest"])
    text: str | None = Field(description="The rule in words.")
    brought_by: BroughtBy


class FieldWithTool(Told):
    """How one connected tool stands with one field."""

    integration_id: str
    agreed: bool = Field(description="Whether both sides have ever agreed on a value.")
    agreed_here: str | Digest | None = Field(description="What they last agreed on, in the platform's words.")
    agreed_there: str | Digest | None = Field(description="The same as the tool has it.")
    owed: bool = Field(description="The value is still to be written there.")
    refused: ToldReason | None = Field(description="A value the tool would not take, and why.")


class FieldExplained(Told):
    """Why a field has its value."""

    field: str = Field(examples=["status"])
    value: str | None
    set_by: str
    set_at: Moment
    brought_by: BroughtBy
    rule: str | None = Field(description="The rule by which the value won a conflict.")
    text: str | None = Field(description="The rule in words.")
    conflict_id: str | None = Field(description="The newest conflict over the field.", examples=["CNF-26-000003"])
    lost: list[LineExplained] = Field(description="Values of the tools' that lost against it, or against earlier ones.")
    ties: list[FieldWithTool]


class FailureExplained(Told):
    """What went wrong last."""

    code: str
    text: str
    given_up: bool
    next_step: str = Field(description="What somebody can do about it.")


class TieExplained(Told):
    """How the task stands with one connected tool."""

    integration_id: str
    type: str
    name: str
    item: str | None = Field(description="What people there call the item.", examples=["APEX-1042"])
    url: str | None
    state: Literal["creating", "bound", "ended"]
    last_brought_by: BroughtBy | None
    agreed_at: Moment | None
    watermark: int = Field(description="The tool's version of the newest state seen.")
    owed: bool
    owed_since: Moment | None
    attempts: int
    next_attempt_at: Moment | None
    failure: FailureExplained | None


class TaskExplained(Told):
    """Why each field of a task has its value, and what is still to come."""

    id: str
    title: str
    created_by: str
    created_at: Moment
    fields: list[FieldExplained]
    ties: list[TieExplained]
    history: list[LineExplained] = Field(description="The newest 200 changes, oldest first.")

    @classmethod
    def of(cls, explanation: Explanation) -> TaskExplained:
        """The view of an explanation."""
        return cls.model_validate(explanation)

    def as_json(self) -> dict[str, Any]:
        """As it is sent."""
        return self.model_dump(mode="json")
