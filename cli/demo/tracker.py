"""The demo's tools whose sandboxes are built on the tracker store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from cli.demo.tool import POLL_SECONDS, Arrival, Tool, Values, Worker
from cli.demo.vendor import KitVendor
from sandbox.tracker import Change, Item, Kind
from sandbox.vendor import TrackerSandbox

FIELDS = ("title", "description", "status", "priority", "assignee")


class TrackerTool(KitVendor, Tool):
    """A tool with a tracker; subclasses say how it is connected and what things are called."""

    sandbox_class: ClassVar[type[TrackerSandbox]]
    endpoint_names: ClassVar[tuple[str, ...]] = ("api", "auth")

    def __init__(self, seed: int, items: int) -> None:
        super().__init__(seed, items)
        self.sandbox: TrackerSandbox = self.sandbox_class(seed=seed)
        self.sandbox.plant(items, self.container)
        self.sandbox.tracker.listeners.append(self._on_change)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What the integration's config has besides the mapping."""

    @abstractmethod
    def credentials(self) -> dict[str, Any]:
        """The robot's token."""

    def text_there(self, text: str) -> str:
        """A description as people there write it."""
        return text

    def text_here(self, text: str) -> str:
        """A description as people there read it."""
        return text

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """One container, with the robot's token."""
        projects = [{"external": self.container, "service_line_id": service_line_id}]
        config = {**self.config(), "projects": projects, "poll_seconds": POLL_SECONDS}
        return {"config": config, "credentials": self.credentials()}

    def workers(self) -> Sequence[Worker]:
        """Everybody with an address but the robot."""
        users = self.sandbox.tracker.users.values()
        return [Worker(u.name, u.email) for u in users if u.email and u.active and u.id != self.sandbox.robot.id]

    def create(self, email: str, title: str, description: str, priority: str) -> str:
        """An item."""
        fields = {"description": self.text_there(description), "priority": priority}
        return self.sandbox.person(email).create(self.container, title, **fields).key

    def edit(self, email: str, key: str, field: str, value: str | None) -> datetime:
        """Any field."""
        given = self.there(field, value)
        if field == "description":
            given = self.text_there(str(given))
        return self.sandbox.person(email).edit(key, **{field: given}).updated

    def items(self) -> Mapping[str, Values]:
        """The container's items."""
        tracker = self.sandbox.tracker
        with tracker.lock:
            home = tracker.container(self.container).id
            return {item.key: self._values(item) for item in tracker.items.values() if item.container == home}

    def _values(self, item: Item) -> Values:
        tracker = self.sandbox.tracker
        return {
            "title": item.title,
            "description": self.text_here(item.description),
            "status": self.statuses[tracker.statuses[item.status].name],
            "priority": self.priorities[tracker.priorities[item.priority].name] if item.priority else "medium",
            "assignee": tracker.users[item.assignee].email if item.assignee else None,
        }

    def _on_change(self, change: Change) -> None:
        item = change.item
        self._heard(item.id, change.at, change.who == self.sandbox.robot.id, self._arrivals(change))

    def _arrivals(self, change: Change) -> Iterator[Arrival]:
        item = change.item
        if change.kind is Kind.CREATED:
            yield Arrival(change.at, item.id, item.key, "created", item.title, True)
            return
        for name in FIELDS:
            if name in change.fields:
                yield Arrival(change.at, item.id, item.key, name, self._shown(name, getattr(item, name)), True)

    def _shown(self, field: str, value: str | None) -> str | None:
        """A value as people see it."""
        tracker = self.sandbox.tracker
        named: Mapping[str, Mapping[str, Any]] = {
            "status": tracker.statuses,
            "priority": tracker.priorities,
            "assignee": tracker.users,
        }
        return str(named[field][value].name) if value and field in named else value
