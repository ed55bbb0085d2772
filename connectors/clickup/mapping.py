"""ClickUp's tasks <-> the platform's words. Pure.

The Structs name only the fields that are used: msgspec skips the rest of an answer unread.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from connectors.clickup.config import ClickUpConfig
from connectors.contract import Priority, RemoteTask, RemoteUser, RemoteValue, Status, VendorValue
from connectors.texts import described, titled
from connectors.words import StatusWords, Words, folded

MARKER = "scrums-tsk-"
"""How the tag starts (or the value of the custom field) that marks a task as one we created."""

KINDS = {"open": Status.BACKLOG, "unstarted": Status.BACKLOG, "done": Status.DONE, "closed": Status.DONE}
"""What types of status mean; `custom`, and one that is new, is in progress."""

PRIORITIES = {
    "urgent": Priority.CRITICAL,
    "high": Priority.HIGH,
    "normal": Priority.MEDIUM,
    "low": Priority.LOW,
    "none": Priority.MEDIUM,
}
NUMBERS: dict[str, int | None] = {"urgent": 1, "high": 2, "normal": 3, "low": 4, "none": None}
"""A priority's name -> how it is sent; "none" is our word for a task without one."""


class VendorStatus(msgspec.Struct, gc=False):
    """A status; `status` is its name. Only Lists tell the order."""

    status: str
    type: str = ""
    id: str | None = None
    orderindex: int | float | str = 0


class VendorPriority(msgspec.Struct, gc=False):
    """A priority by its number and name."""

    id: str
    priority: str


class User(msgspec.Struct, gc=False):
    """A person."""

    id: int
    username: str | None = None
    email: str | None = None


class Named(msgspec.Struct, gc=False):
    """A List or Space (by its id), a tag (by its name), a custom field (whose value has the shape of its type)."""

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
    priority: VendorPriority | None = None
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
        self._priorities = Words(PRIORITIES, Priority.MEDIUM, config.priority_map, config.priority_out)

    def task(self, task: Task) -> RemoteTask:
        """A task as the engine wants it."""
        return RemoteTask(
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
                "priority": self.priority(task.priority),
            },
            assignee=remote_user(task.person) if task.person else None,
            create_key=self._marker(task),
        )

    def status(self, status: VendorStatus) -> VendorValue:
        """A status and what it means."""
        return self.statuses.value(status.id or status.status, status.status, status.type)

    def priority(self, priority: VendorPriority | None) -> RemoteValue:
        """A priority, or that there is none. `there` is `name:ours`."""
        return self._priorities.read(*((priority.priority, priority.id) if priority else ("none",)))

    def priority_for(self, value: Priority) -> str | None:
        """The name of the priority to write; None where none means this value."""
        word = folded(self._priorities.there(value) or "")
        return next((name for name, number in NUMBERS.items() if word in (name, str(number))), None)

    def priorities(self) -> list[VendorValue]:
        """The priorities there are, and what they mean."""
        return [
            VendorValue(str(n or name), name, self._priorities.here(name, str(n)).value) for name, n in NUMBERS.items()
        ]

    def _marker(self, task: Task) -> str | None:
        fields = (msgspec.json.decode(one.value) for one in task.custom_fields if one.id == self._marker_field)
        return _first_marker([*fields, *(tag.name for tag in task.tags)])


def _first_marker(values: Iterable[object]) -> str | None:
    marks = (value.lower() for value in values if isinstance(value, str))
    return next((mark for mark in marks if mark.startswith(MARKER)), None)


def status_value(status: VendorValue) -> RemoteValue:
    """A status as a field of a task. `there` is `name:ours`: a List's statuses are written by their name."""
    return RemoteValue(status.here, f"{folded(status.name)}:{status.here}")


def remote_user(user: User) -> RemoteUser:
    """A person as the engine knows people."""
    return RemoteUser(str(user.id), user.username or "", user.email or None)
