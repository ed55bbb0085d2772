"""Azure Boards as the simulator's vendor."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any, ClassVar

import connectors.azure_boards
from connectors.azure_boards import AzureBoardsConnector
from connectors.azure_boards.mapping import PRIORITIES
from connectors.contract import RawDelivery
from core.tasks import MARKER
from sandbox.azure_boards import ORGANIZATION, AzureBoardsSandbox
from sandbox.tracker import Item
from simulation.sandboxside import SandboxSide

_TAG = re.compile(r"<[^>]*>")


class AzureBoardsSide(SandboxSide):
    """People at an organization whose projects follow the Agile process."""

    name = "azure_boards"
    connector_class = AzureBoardsConnector
    sandbox_class = AzureBoardsSandbox
    status_names: ClassVar = {
        "New": "backlog",
        "Active": "in_progress",
        "Resolved": "in_review",
        "Closed": "done",
        "Removed": "cancelled",
    }
    priority_names: ClassVar = {word: priority.value for word, priority in PRIORITIES.items()}
    token_field = "personal_access_token"
    last_calls = ("PATCH /*/_apis/wit/workitems/*",)
    calls_of_a_write = 2
    fixtures = Path(connectors.azure_boards.__file__).with_name("fixtures")

    def config(self) -> dict[str, Any]:
        """New work items are of a type that has a state for each status."""
        return {"organization": ORGANIZATION, "work_item_type": "User Story", **super().config()}

    def statuses(self) -> list[str]:
        """The states of the Agile process."""
        return list(self.status_names)

    def text_there(self, markdown: str) -> str:
        """As the editor there makes it."""
        return f"<div>{html.escape(markdown)}</div>" if markdown else ""

    def text_here(self, description: str) -> str:
        """Without tags: what is written in simulations is plain."""
        return html.unescape(_TAG.sub("", description)).strip()

    def marker(self, item: Item) -> str | None:
        """A tag."""
        tags = str(item.extra.get("tags") or "").split("; ")
        return next((tag for tag in tags if tag.startswith(MARKER)), None)

    def delivery_key(self, delivery: RawDelivery) -> str:
        """A notification's number counts within its subscription."""
        body = json.loads(delivery.body)
        return f"{body['subscriptionId']}/{body['notificationId']}"
