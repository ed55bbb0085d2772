"""What a ClickUp integration is configured with."""

from __future__ import annotations

from pydantic import Field, field_validator

from connectors import contract as c

MOST_LISTS = 100
"""Lists are named in the address of every poll, and addresses beyond 8 KB are refused on the way."""


class ClickUpConfig(c.TaskSyncConfig):
    """One Workspace, and which of its Lists.

    `projects[].external` is a List's id. Statuses are named by their name in any case or their id, priorities by their
    name or number. Without maps the types and the usual names of statuses decide (see README.md).
    """

    workspace_id: str = Field(pattern=r"^[0-9]{1,20}$", description="The first number in the Workspace's address.")
    marker_field: str | None = Field(
        None, min_length=1, description="Id of a text custom field that marks tasks created here, instead of a tag."
    )
    overlap_minutes: int = Field(5, ge=1, le=1440, description="How far each poll looks back before the last change.")

    container_form = r"[0-9]+"
    container_hint = "a List's id, the number behind /li/ in its address"

    @field_validator("projects")
    @classmethod
    def _fit_into_an_address(cls, projects: list[c.ProjectMapping]) -> list[c.ProjectMapping]:
        if len({project.external for project in projects}) > MOST_LISTS:
            raise ValueError(f"more than {MOST_LISTS} Lists; connect the others with an integration of their own")
        return projects
