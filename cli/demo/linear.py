"""The demo's Linear."""

from __future__ import annotations

from typing import Any, ClassVar

from cli.demo.tracker import TrackerTool
from sandbox.linear import LinearSandbox
from sandbox.vendor import API_TOKEN


class LinearTool(TrackerTool):
    """A workspace with the usual states."""

    type = "linear"
    label = "Linear"
    container = "ENG"
    told_on_change = "Issue"
    creates = "Create"
    sandbox_class = LinearSandbox
    statuses: ClassVar = {
        "Backlog": "backlog",
        "Todo": "backlog",
        "Triage": "backlog",
        "In Progress": "in_progress",
        "In Review": "in_review",
        "Done": "done",
        "Canceled": "cancelled",
        "Duplicate": "cancelled",
    }
    priorities: ClassVar = {
        "Urgent": "critical",
        "High": "high",
        "Medium": "medium",
        "Low": "low",
        "No priority": "medium",
    }

    def config(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {}

    def credentials(self) -> dict[str, Any]:
        """A personal API key."""
        return {"api_key": API_TOKEN}
