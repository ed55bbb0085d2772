"""Acting as a person in front of a tracker's user interface: words instead of ids, no scopes, no limits."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.tracker import Item, Tracker


class Person:
    """Someone with an account. Methods take an item by id or key, and everything else by id or name.

    `fields` are title, description, status, priority, assignee and what else items have. Raises VendorError.
    """

    def __init__(self, tracker: Tracker, who: str) -> None:
        self.tracker = tracker
        self.id = tracker.user(who).id

    def create(self, container: str, title: str, **fields: Any) -> Item:
        """Make an item."""
        with self.tracker.lock:
            home = self.tracker.container(container).id
            return self.tracker.create(self.id, home, title, **self._read(home, fields))

    def edit(self, item: str, **fields: Any) -> Item:
        """Change any fields."""
        with self.tracker.lock:
            found = self.tracker.find(item)
            return self.tracker.update(self.id, found.id, **self._read(found.container, fields))

    def transition(self, item: str, status: str) -> Item:
        """Put the item into a status of its container."""
        return self.edit(item, status=status)

    def assign(self, item: str, who: str | None) -> Item:
        """Give the item to someone, or to nobody."""
        return self.edit(item, assignee=who)

    def move(self, item: str, container: str) -> Item:
        """Into another container: same id, new key."""
        with self.tracker.lock:
            home = self.tracker.container(container).id
            return self.tracker.move(self.id, self.tracker.find(item).id, home)

    def delete(self, item: str, forever: bool = False) -> Item:
        """Into the trash, or away for ever."""
        with self.tracker.lock:
            return self.tracker.delete(self.id, self.tracker.find(item).id, forever)

    def restore(self, item: str) -> Item:
        """Out of the trash, by id."""
        with self.tracker.lock:
            return self.tracker.restore(self.id, item)

    def _read(self, container: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A person's words as the tracker's values."""
        words: Mapping[str, Callable[[str], str]] = {
            "status": lambda name: self.tracker.status(name, container).id,
            "priority": lambda name: self.tracker.priority(name).id,
            "assignee": lambda name: self.tracker.user(name).id,
        }
        return {name: words[name](value) if value and name in words else value for name, value in fields.items()}


ACTIONS = frozenset({"create", "edit", "transition", "assign", "move", "delete", "restore"})
"""What the control endpoint's `act` can do."""
