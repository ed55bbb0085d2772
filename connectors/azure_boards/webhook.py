"""Azure Boards' deliveries: Azure's service hooks about work items. Pure.

Nothing is signed, so a delivery only says which work item to read again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors import contract as c
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.hooks import hinted, read

UPDATED = "workitem.updated"
SUBSCRIBED = ("workitem.created", UPDATED, "workitem.deleted", "workitem.restored")
IGNORED = {"workitem.commented": ("comment", "a comment is no part of a task; its work item's update comes, too")}


class _Resource(msgspec.Struct, rename="camel"):
    """Of an update, `id` is the update's number and not the work item's."""

    id: int | None = None
    work_item_id: int | None = None


class _Event(msgspec.Struct, rename="camel"):
    event_type: str


class _Body(_Event):
    resource: _Resource | None = None


def parse(delivery: c.RawDelivery, config: AzureBoardsConfig) -> Sequence[c.Signal]:
    """Which work item to read again. Raises BadPayload."""
    event = read(delivery, _Event, "Azure").event_type
    resource = (read(delivery, _Body, "Azure").resource if event in SUBSCRIBED else None) or _Resource()
    item = resource.work_item_id if event == UPDATED else resource.id
    return hinted("Azure", event, item, SUBSCRIBED, IGNORED)
