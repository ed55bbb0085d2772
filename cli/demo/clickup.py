"""The demo's ClickUp."""

from __future__ import annotations

from typing import Any, ClassVar

from cli.demo.tracker import TrackerTool
from sandbox.clickup import WORKSPACE, ClickUpSandbox
from sandbox.vendor import API_TOKEN


class ClickUpTool(TrackerTool):
    """A Workspace; of its Lists the first."""

    type = "clickup"
    label = "ClickUp"
    container = "901523452618"
    told_on_change = "taskUpdated"
    creates = "createTask"
    sandbox_class = ClickUpSandbox
    endpoint_names = ("api", "app")
    statuses: ClassVar = {
        "to do": "backlog",
        "in progress": "in_progress",
        "in review": "in_review",
        "complete": "done",
        "cancelled": "cancelled",
    }
    priorities: ClassVar = {"urgent": "critical", "high": "high", "normal": "medium", "low": "low"}

    def config(self) -> dict[str, Any]:
        """The Workspace."""
        return {"workspace_id": WORKSPACE}

    def credentials(self) -> dict[str, Any]:
        """A personal token."""
        return {"api_token": API_TOKEN}
