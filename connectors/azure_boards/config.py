"""What an Azure Boards integration is configured with."""

from __future__ import annotations

from pydantic import Field

from connectors import contract as c
from connectors.azure import ORGANIZATION


class AzureBoardsConfig(c.TaskSyncConfig):
    """One organization, and which of its projects.

    `projects[].external` is a project's name, or one of its area paths (`Web\\Team A`), which then stands for all below
    it. States are named as people see them, priorities as 1 to 4.
    """

    organization: str = Field(pattern=ORGANIZATION, description="As in https://dev.azure.com/organization.")
    work_item_type: str = Field("Task", min_length=1, description="Type of the work items created here.")
    work_item_types: list[str] = Field(
        default_factory=list, description="Types that are synced; all where none is named. Others are left alone."
    )
    repro_steps_types: list[str] = Field(
        default_factory=lambda: ["Bug"], description="Types that show Repro Steps in the place of the description."
    )
    create_fields: dict[str, str] = Field(
        default_factory=dict, description="Field reference name -> value, for what new work items must have besides."
    )
    overlap_minutes: int = Field(5, ge=1, le=1440, description="How far each poll looks back before the one before.")

    container_form = r"\s*[^\\\s][^\\]*(\\\s*[^\\\s][^\\]*)*"
    container_hint = "a project's name, or an area path as Project\\Team"
