"""What a sync would do, as the API and `turnbuckle plan` show it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from api.explain_views import Digest, Told
from api.schemas import Moment
from sync.plan import MOST, Plan

CUT = 2000
"""Characters of a value that are shown; a plan of 200 items with long descriptions would be a book."""

DEFAULT = 50


def _cut(value: object) -> object:
    """A long text's beginning, saying how long it is."""
    if not isinstance(value, str) or len(value) <= CUT:
        return value
    return f"{value[:CUT]}… ({len(value)} characters in all)"


Shown = Annotated[str | None, BeforeValidator(_cut)]


class FieldPlanned(Told):
    """What would become of one field."""

    field: str = Field(examples=["status"])
    outcome: Literal["same", "agree", "take", "owe", "refused"] = Field(
        description="`take`: the tool's value becomes the task's; `owe`: the task's is written there; `agree`: only "
        "what both sides agree on moves; `refused`: the tool said no to this very value."
    )
    reason: str = Field(examples=["changed_there"])
    text: str = Field(description="The reason in words.")
    base_here: str | Digest | None = Field(description="What both sides last agreed on, in the platform's words.")
    base_there: str | Digest | None = Field(description="The same as the tool has it.")
    here: Shown
    there: Shown = Field(description="The tool's value in the platform's words.")
    there_raw: Shown = Field(description="The tool's own value.")


class WritePlanned(Told):
    """One operation the connector would be asked for."""

    operation: Literal["update_task", "create_task", "find_created"]
    external_id: str | None
    container: str = Field(description="The tool's project.", examples=["APEX"])
    changes: dict[str, Shown]
    expected: dict[str, str | Digest | None] = Field(description="What the tool is believed to hold in these fields.")
    expected_version: int | None


class ItemPlanned(Told):
    """What would become of one item and its task."""

    task_id: str | None
    external_id: str | None
    external_key: str | None = Field(examples=["APEX-1042"])
    title: str
    decision: Literal[
        "created",
        "updated",
        "agreed",
        "unchanged",
        "adopted",
        "stale",
        "skipped_unmapped",
        "ended",
        "unreachable",
        "unknown",
        "to_be_created",
    ]
    fields: list[FieldPlanned]
    writes: list[WritePlanned]


class PlanView(Told):
    """What a sync would do now."""

    integration_id: str
    at: Moment
    from_start: bool = Field(description="Nothing was synced yet: every item of the tool counts as changed.")
    complete: bool = Field(description=f"False when there was more than `limit` (at most {MOST}).")
    text: str = Field(description="Whether this is all, in words.")
    counts: dict[str, int] = Field(description="How many items by decision.", examples=[{"updated": 2, "unchanged": 6}])
    items: list[ItemPlanned]

    @classmethod
    def of(cls, plan: Plan) -> PlanView:
        """The view of a plan."""
        return cls.model_validate(plan)
