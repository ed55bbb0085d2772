"""The demo's Azure Boards."""

from __future__ import annotations

import html
import re
from typing import Any, ClassVar

from cli.demo.tracker import TrackerTool
from sandbox.azure_boards import ORGANIZATION, AzureBoardsSandbox
from sandbox.vendor import API_TOKEN

_TAG = re.compile(r"<[^>]*>")


class BoardsTool(TrackerTool):
    """An organization whose projects follow the Agile process."""

    type = "azure_boards"
    label = "Azure Boards"
    container = "Web"
    told_on_change = "workitem.updated"
    creates = "createWorkItem"
    sandbox_class = AzureBoardsSandbox
    endpoint_names = ("api", "login")
    statuses: ClassVar = {
        "New": "backlog",
        "Active": "in_progress",
        "Resolved": "in_review",
        "Closed": "done",
        "Removed": "cancelled",
    }
    priorities: ClassVar = {"1": "critical", "2": "high", "3": "medium", "4": "low"}

    def config(self) -> dict[str, Any]:
        """User stories have a state for each of our statuses."""
        return {"organization": ORGANIZATION, "work_item_type": "User Story"}

    def credentials(self) -> dict[str, Any]:
        """A personal access token."""
        return {"personal_access_token": API_TOKEN}

    def text_there(self, text: str) -> str:
        """As the editor there makes it."""
        return f"<div>{html.escape(text)}</div>" if text else ""

    def text_here(self, text: str) -> str:
        """What people read."""
        return html.unescape(_TAG.sub("", text)).strip()
