"""Repositories as the API and the command line show them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas import Moment, Reason, View, reason
from core.models import Repository
from sync.repositories import shown_state


class RepositoryView(View):
    """A repository of a source control integration."""

    id: str = Field(description="The `subject_id` of its events.", examples=["RPO-26-000012"])
    integration_id: str
    external_id: str = Field(description="The vendor's own id, which outlives renames and transfers.")
    name: str = Field(examples=["apex-digital/payments-api"])
    url: str
    default_branch: str | None
    state: Literal["backfilling", "live", "archived", "gone", "left_out", "failed"] = Field(
        description="`backfilling`: its history is being read; `live`: polled; `archived`: read, nothing new comes; "
        "`gone`: not visible any more; `left_out`: the config names others; `failed`: it can't be read."
    )
    done: int | None = Field(description="How far its first reading has come, in the vendor's own count.")
    total: int | None
    last_polled_at: Moment | None = Field(description="When it was last read to its end.")
    backfilled_at: Moment | None = Field(description="When its history was read.")
    next_attempt_at: Moment | None = Field(description="It is left alone until then.")
    reason: Reason | None = Field(description="What went wrong when it was last read.")

    @classmethod
    def of(cls, row: Repository) -> RepositoryView:
        """The view of a repository."""
        return cls(
            id=row.id,
            integration_id=row.integration_id,
            external_id=row.external_id,
            name=row.name,
            url=row.url,
            default_branch=row.default_branch,
            state=shown_state(row),
            done=row.done,
            total=row.total,
            last_polled_at=row.polled_at,
            backfilled_at=row.backfilled_at,
            next_attempt_at=row.next_poll_at if row.failures else None,
            reason=reason(row.reason_code, row.reason_text),
        )
