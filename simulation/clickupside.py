"""ClickUp as the simulator's vendor: the stateful sandbox, called in-process, and the connector that is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import connectors.clickup
from connectors.clickup import ClickUpConnector
from connectors.clickup.webhook import delivery_key
from connectors.contract import RawDelivery
from core.tasks import MARKER
from sandbox.clickup import WORKSPACE, ClickUpSandbox
from sandbox.clickup.render import tags
from sandbox.tracker import Item as TrackerItem
from simulation.sandboxside import SandboxSide


class ClickUpSide(SandboxSide):
    """People in a ClickUp Workspace."""

    name = "clickup"
    connector_class = ClickUpConnector
    sandbox_class = ClickUpSandbox
    status_names: ClassVar = {
        "to do": "backlog",
        "in progress": "in_progress",
        "in review": "in_review",
        "cancelled": "cancelled",
        "complete": "done",
        "Open": "backlog",
        "In QA": "in_review",
        "Closed": "done",
    }
    priority_names: ClassVar = {"urgent": "critical", "high": "high", "normal": "medium", "low": "low", "": "medium"}
    last_calls = ("POST /api/v2/list/*/task", "PUT /api/v2/task/*")
    fixtures = Path(connectors.clickup.__file__).with_name("fixtures")

    def config(self) -> dict[str, Any]:
        """The Workspace; a poll every minute."""
        return {"workspace_id": WORKSPACE, "poll_seconds": 60}

    def priorities(self) -> list[str]:
        """A task may have none, and a map may name that."""
        return [*super().priorities(), "none"]

    def marker(self, item: TrackerItem) -> str | None:
        """The tag our connector left."""
        return next((name for name in tags(item) if name.startswith(MARKER)), None)

    def delivery_key(self, delivery: RawDelivery) -> str:
        """There is no id; the one the connector makes of the body."""
        return delivery_key(json.loads(delivery.body), delivery) or ""

    def writes_blindly(self, where: str, operation: str) -> bool:
        """Between the look at a task and its change: the answer does not tell what was replaced."""
        looked = where == "after_call" and operation.startswith("GET /api/v2/task/")
        return looked or (where == "before_call" and operation.startswith("PUT /api/v2/task/"))
