"""ClickUp's deliveries: is one to be believed, and which task is to be read again. Pure.

ClickUp suspends a webhook at once that answers 401 or 410, so what is not believed is answered 403. It chooses the
secret itself. The body never holds the task: it is always read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from connectors import contract as c
from connectors.clickup.config import ClickUpConfig
from connectors.envelope import digest_of, json_object, list_at, text_at
from connectors.hooks import hinted, read
from connectors.signing import hmac_hex

WEBHOOKS = c.WebhookFacts(rejection=403, accepted=200, max_body=2 * 1024 * 1024, renew_before=timedelta(minutes=10))

SAME_WITHIN = 600
"""Seconds in which two equal messages without any id are one and its retry; later, the same has happened again."""

SUBSCRIBED = ("taskCreated", "taskUpdated", "taskDeleted", "taskMoved")
"""What we ask for. Every other event of a task comes as `taskUpdated`, too."""

HINTS = frozenset({*SUBSCRIBED, "taskStatusUpdated", "taskPriorityUpdated", "taskAssigneeUpdated"})
APART = frozenset(
    {
        "taskCommentPosted",
        "taskCommentUpdated",
        "taskDueDateUpdated",
        "taskTagUpdated",
        "taskTimeEstimateUpdated",
        "taskTimeTrackedUpdated",
    }
)
NOT_OURS = frozenset({"comment", "time_spent", "time_estimate", "due_date", "start_date", "tag", "tag_removed"})
"""Events, and fields of a history, about what no task here has: nothing is read again for them."""


class _Item(msgspec.Struct):
    """One change. `parent_id` is the List the task is in."""

    field: str = ""
    parent_id: str | int | None = None


class _Body(msgspec.Struct):
    event: str
    task_id: str | None = None
    history_items: list[_Item] = []


def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
    """Check the signature: hex without a prefix. Raises BadSignature."""
    hmac_hex(delivery.body, delivery.headers.get("x-signature"), secrets.get("signing", ()))
    body = json_object(delivery.body)
    return c.Verified(delivery_key(body, delivery), text_at(body, "event") or "unknown")


def delivery_key(body: c.JsonObject, delivery: c.RawDelivery) -> str | None:
    """There is no delivery id. A change is told by an event of its own and again as `taskUpdated`, so the event belongs
    to the key; a deletion has no history at all."""
    history = [text_at(item, "id") for item in list_at(body, "history_items")]
    event = [text_at(body, name) for name in ("webhook_id", "event", "task_id")]
    if any(history):
        return digest_of(*event, *history)
    subject = text_at(body, "list_id") or text_at(body, "folder_id") or text_at(body, "space_id")
    if not any((*event, subject)):
        return None
    return digest_of(*event, subject, str(int(delivery.received_at.timestamp()) // SAME_WITHIN))


def parse(delivery: c.RawDelivery, config: ClickUpConfig) -> Sequence[c.Signal]:
    """Which task to read again, also one that is said to be deleted. Raises BadPayload."""
    body = read(delivery, _Body, "ClickUp")
    items = body.history_items
    if body.event in APART or (items and all(item.field in NOT_OURS for item in items)):
        return [c.Ignored("other_field", f"{body.event} of what a task here does not have")]
    lists = {str(item.parent_id) for item in items if item.parent_id is not None}
    if body.event in HINTS - {"taskMoved"} and lists and lists.isdisjoint(config.containers):
        return [c.Ignored("other_list", f"{body.event} in a List that is not mapped")]
    return hinted("ClickUp", body.event, body.task_id, HINTS)
