"""ClickUp's tasks <-> the platform's words. Pure.

The Structs name only the fields that are used: msgspec skips the rest of an answer unread.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from connectors import contract as c
from connectors.clickup.config import ClickUpConfig
from connectors.reading import marker_in
from connectors.texts import described, titled
from connectors.words import PriorityWords, StatusWords, as_field, folded

KINDS = {"open": c.Status.BACKLOG, "unstarted": c.Status.BACKLOG, "done": c.Status.DONE, "closed": c.Status.DONE}
"""What types of status mean; `custom`, and one that is new, is in progress."""

PRIORITIES = (
    ("1", "urgent", c.Priority.CRITICAL),
    ("2", "high", c.Priority.HIGH),
    ("3", "normal", c.Priority.MEDIUM),
    ("4", "low", c.Priority.LOW),
    ("none", "none", c.Priority.MEDIUM),
)
"""Number, name, ours; "none" is our word for a task without one."""


class VendorStatus(msgspec.Struct, gc=False):
    """A status; `status` is its name. Only Lists tell the order."""

    status: str
    type: str = ""
    id: str | None = None
    orderindex: int | float | str = 0


class User(msgspec.Struct, gc=False):
    """A person."""

    id: int
    username: str | None = None
    email: str | None = None


class Named(msgspec.Struct, gc=False):
    """A List, Space or priority (by its id), a tag (by its name), a custom field (its value has its type's shape)."""

    id: str = ""
    name: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class Task(msgspec.Struct, gc=False):
    """One task. Times are epoch milliseconds, as text; the markdown is there only where it was asked for."""

    id: str
    name: str
    status: VendorStatus
    list: Named
    date_created: str
    date_updated: str | None = None
    url: str | None = None
    custom_id: str | None = None
    description: str | None = None
    markdown_description: str | None = None
    priority: Named | None = None
    assignees: tuple[User, ...] = ()
    tags: tuple[Named, ...] = ()
    custom_fields: tuple[Named, ...] = ()

    @property
    def changed(self) -> int:
        """When it last was, in epoch milliseconds."""
        return int(self.date_updated or self.date_created)

    @property
    def person(self) -> User | None:
        """Of several assignees the one with the lowest id: the same in every answer, whatever their order."""
        return min(self.assignees, key=lambda user: user.id, default=None)


class Reader:
    """Reads tasks under one configuration, and finds the words to write."""

    def __init__(self, config: ClickUpConfig) -> None:
        self._marker_field = config.marker_field
        self.statuses = StatusWords(KINDS, config)
        self.priorities = PriorityWords(PRIORITIES, config)

    def task(self, task: Task) -> c.RemoteTask:
        """A task as the engine wants it."""
        return c.RemoteTask(
            external_id=task.id,
            key=task.custom_id or task.id,
            url=task.url or f"https://app.clickup.com/t/{task.id}",
            container=task.list.id,
            version=task.changed,
            updated_at=datetime.fromtimestamp(task.changed / 1000, UTC),
            values={
                "title": titled(task.name),
                "description": described(task.markdown_description or task.description),
                "status": status_value(self.status(task.status)),
                "priority": as_field(self.priorities.value(task.priority.id if task.priority else "none")),
            },
            assignee=remote_user(task.person) if task.person else None,
            create_key=self._marker(task),
        )

    def status(self, status: VendorStatus) -> c.VendorValue:
        """A status and what it means."""
        return self.statuses.value(status.id or status.status, status.status, status.type)

    def _marker(self, task: Task) -> str | None:
        """The key in the configured custom field, or in a tag."""
        fields = (msgspec.json.decode(one.value) for one in task.custom_fields if one.id == self._marker_field)
        return marker_in([*fields, *(tag.name for tag in task.tags)])


def status_value(status: c.VendorValue) -> c.RemoteValue:
    """A status as a field of a task. `there` is `name:ours`: a List's statuses are written by their name."""
    return c.RemoteValue(status.here, f"{folded(status.name)}:{status.here}")


def remote_user(user: User) -> c.RemoteUser:
    """A person as the engine knows people."""
    return c.RemoteUser(str(user.id), user.username or "", user.email or None)
