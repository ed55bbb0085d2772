"""ClickUp's webhooks: which events a change is told by, what is in them, and when one is suspended."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.clickup.render import Json, TaskRenderer, assignees, millis, person, tags
from sandbox.hooks import Hook, Hooks, Sending
from sandbox.tracker import Change, Item, Kind, Tracker
from sandbox.webhooks import Delivery, DeliveryState, RetryRule

SUSPENDING = (401, 410)
"""Answers after which ClickUp stops at once."""

SUSPENDED_AT = 100
"""Events lost in a row after which it stops, too."""

RETRY_RULE = RetryRule(((10.0, 30.0),) * 4, lambda status: status not in SUSPENDING)
"""Five attempts for each event."""

FIRST_HISTORY_ID = 2_800_787_326_392_370_170
"""Beyond what a double can hold, as ClickUp's are."""

HEALTHY: Json = {"status": "active", "fail_count": 0}

SPECIFIC = {
    "status": "taskStatusUpdated",
    "priority": "taskPriorityUpdated",
    "assignee_add": "taskAssigneeUpdated",
    "assignee_rem": "taskAssigneeUpdated",
    "tag": "taskTagUpdated",
    "tag_removed": "taskTagUpdated",
    "section_moved": "taskMoved",
}
"""A field of the history -> the event of its own that comes besides `taskUpdated`."""


def sign(sending: Sending) -> dict[str, str]:
    """Lower-case hex of HMAC-SHA256 over the body, without a prefix or a time."""
    digest = hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest()
    return {"X-Signature": digest, "User-Agent": "ClickUp-Webhooks"}


class Events:
    """Tells the hooks of changes. `render` makes a renderer of tasks."""

    def __init__(self, tracker: Tracker, hooks: Hooks, render: Callable[[], TaskRenderer]) -> None:
        self._tracker, self._hooks, self._render = tracker, hooks, render
        self._told = 0

    def on_change(self, change: Change) -> None:
        """Queue what a change is told by."""
        if change.kind is Kind.DELETED:
            self._tell("taskDeleted", change, None)
            return
        items = [self._history(change, *entry) for entry in self._entries(change)]
        if change.kind is Kind.CREATED:
            self._tell("taskCreated", change, items)
            self._tell("taskStatusUpdated", change, items[:1])
            return
        for item in items:
            if item["field"] in SPECIFIC:
                self._tell(SPECIFIC[item["field"]], change, [item])
            self._tell("taskUpdated", change, [item])

    def _tell(self, event: str, change: Change, history: list[Json] | None) -> None:
        more: Json = {} if history is None else {"history_items": history}

        def body(hook: Hook, _delivery: str) -> Json:
            return {"event": event, **more, "task_id": change.item.id, "webhook_id": hook.id}

        self._hooks.tell(event, body, change.item.container)

    def _history(self, change: Change, field: str, values: Json) -> Json:
        self._told += 1
        return {
            "id": str(FIRST_HISTORY_ID + self._told),
            "type": 1,
            "date": millis(change.at),
            "field": field,
            "parent_id": change.item.container,
            "data": {},
            "source": None,
            "user": person(self._tracker.users[change.who]),
            **values,
        }

    def _entries(self, change: Change) -> Iterator[tuple[str, Json]]:
        """(field, what it was and is) for each thing that changed."""
        before, after = change.before, change.after
        assert after is not None
        if change.kind is Kind.CREATED:
            yield "status", {"before": {"status": None, "type": "removed"}, "after": self._value(after, "status")}
            yield "task_creation", {"before": None, "after": None}
            return
        if before is None:
            yield "restored", {"before": None, "after": None}
            return
        if before.container != after.container:
            yield "section_moved", {"before": {"id": before.container}, "after": {"id": after.container}}
        for name, field in (
            ("title", "name"),
            ("description", "content"),
            ("status", "status"),
            ("priority", "priority"),
        ):
            if getattr(before, name) != getattr(after, name):
                yield field, {"before": self._value(before, field), "after": self._value(after, field)}
        yield from self._sets(before, after)

    def _sets(self, before: Item, after: Item) -> Iterator[tuple[str, Json]]:
        """People and tags come and go one by one; what is added has no `before`."""
        had, has = assignees(before), assignees(after)
        for user in (id_ for id_ in has if id_ not in had):
            yield "assignee_add", {"after": person(self._tracker.users[user])}
        for user in (id_ for id_ in had if id_ not in has):
            yield "assignee_rem", {"before": person(self._tracker.users[user])}
        if tags(before) != tags(after):
            field = "tag" if len(tags(after)) > len(tags(before)) else "tag_removed"
            yield field, {"before": None, "after": [{"name": name} for name in tags(after)]}
        for name in ("archived", "fields", "parent"):
            if before.extra.get(name) != after.extra.get(name):
                yield f"custom_{name}", {"before": None, "after": None}

    def _value(self, item: Item, field: str) -> Any:
        task = self._render().task(item, markdown=False)
        return task["text_content" if field == "content" else field]

    # Health

    def on_settled(self, delivery: Delivery) -> None:
        """Count what a hook lost in a row; too much, or the wrong answer, suspends it."""
        hook_id = json.loads(delivery.body)["webhook_id"]
        with self._tracker.lock:
            self._count(hook_id, delivery)

    def _count(self, hook_id: str, delivery: Delivery) -> None:
        hook = next((hook for hook in self._hooks.live() if hook.id == hook_id), None)
        if hook is None:
            return
        if delivery.state is DeliveryState.DELIVERED:
            health = HEALTHY if hook.enabled else hook.extra
        else:
            lost = hook.extra["fail_count"] + 1
            stop = lost >= SUSPENDED_AT or delivery.attempts[-1].status in SUSPENDING or not hook.enabled
            health = {"status": "suspended" if stop else "failing", "fail_count": lost}
        self._hooks.change(hook_id, extra=health, enabled=health["status"] != "suspended")
