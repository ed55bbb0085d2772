"""Azure Boards' deliveries: Azure's service hooks about work items. Pure.

Nothing is signed, so a delivery only says which work item to read again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors.azure_boards.config import AzureBoardsConfig
from connectors.azure_hooks import WEBHOOKS, handshake, verify
from connectors.contract import BadPayload, Hint, Ignored, RawDelivery, Signal
from connectors.hooks import read

__all__ = ["SUBSCRIBED", "WEBHOOKS", "handshake", "parse", "verify"]

UPDATED = "workitem.updated"
SUBSCRIBED = ("workitem.created", UPDATED, "workitem.deleted", "workitem.restored")
IGNORED = {"workitem.commented": ("comment", "a comment is no part of a task; its work item's update comes, too")}


class _Resource(msgspec.Struct, rename="camel"):
    """Of an update, `id` is the update's number and not the work item's."""

    id: int | None = None
    work_item_id: int | None = None


class _Body(msgspec.Struct, rename="camel"):
    event_type: str
    resource: _Resource | None = None


class _Event(msgspec.Struct, rename="camel"):
    event_type: str


def parse(delivery: RawDelivery, config: AzureBoardsConfig) -> Sequence[Signal]:
    """Which work item to read again. Raises BadPayload."""
    event = read(delivery, _Event, "Azure").event_type
    if event in IGNORED:
        return [Ignored(*IGNORED[event])]
    if event not in SUBSCRIBED:
        return [Ignored("unsupported", event)]
    resource = read(delivery, _Body, "Azure").resource
    item = resource and (resource.work_item_id if event == UPDATED else resource.id)
    if not item:
        raise BadPayload(f"Azure's {event} names no work item")
    return [Hint(str(item))]
