"""Linear as the simulator's vendor: its sandbox, and the connector that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import connectors.linear
from connectors.chosen_id import key_of
from connectors.linear import LinearConnector
from sandbox.linear import LinearSandbox
from sandbox.tracker import Item as TrackerItem
from simulation.sandboxside import SandboxSide


class LinearSide(SandboxSide):
    """People at a Linear workspace."""

    name = "linear"
    connector_class = LinearConnector
    sandbox_class = LinearSandbox
    status_names: ClassVar = {
        "Backlog": "backlog",
        "Todo": "backlog",
        "Triage": "backlog",
        "In Progress": "in_progress",
        "In Review": "in_review",
        "Done": "done",
        "Canceled": "cancelled",
        "Duplicate": "cancelled",
    }
    priority_names: ClassVar = {
        "No priority": "medium",
        "Urgent": "critical",
        "High": "high",
        "Medium": "medium",
        "Low": "low",
    }
    delivery_header = "linear-delivery"
    token_field = "api_key"
    fixtures = Path(connectors.linear.__file__).with_name("fixtures")

    def marker(self, item: TrackerItem) -> str | None:
        """It is the item's id."""
        return key_of(item.id)
