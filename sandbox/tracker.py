"""A tracker as a state machine: people, containers, statuses, priorities and items. No HTTP, no wall clock, no chance.

Every change makes a new version of the item, moves `updated`, `revision` and `change`, and is told to the listeners
and written into the journal, whoever made it: a person or an API call. What one vendor's items have besides goes into
`Item.extra`.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.history import History

TEXTS = ("title", "description")
CHOICES = ("status", "priority", "assignee")
SHARED = (*TEXTS, *CHOICES)

# The finest step of any vendor's timestamps; two changes of one item never share it.
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True)
class User:
    """Someone with an account. `email` is None where the vendor hides it."""

    id: str
    name: str
    email: str | None = None
    active: bool = True


@dataclass(frozen=True)
class Status:
    """A status; `kind` is the vendor's own grouping, such as `open`, `custom`, `closed`."""

    id: str
    name: str
    kind: str = ""


@dataclass(frozen=True)
class Priority:
    """A priority."""

    id: str
    name: str


@dataclass(frozen=True)
class Container:
    """A project, list, board or team. `statuses` are the ids of those its items can have (none named: all), the first
    is where items begin. `members` may see it (None: everybody)."""

    id: str
    key: str
    name: str
    statuses: tuple[str, ...] = ()
    members: frozenset[str] | None = None


@dataclass(frozen=True)
class Item:
    """One item at one moment; `container`, `status`, `priority` and `assignee` are ids.

    `revision` counts the item's versions from 1; `change` is the number its last change has among all changes, so it
    grows over the whole tracker. `updated` grows with every version of an item, by a millisecond at least.
    """

    id: str
    key: str
    container: str
    title: str
    status: str
    created: datetime
    updated: datetime
    description: str = ""
    priority: str | None = None
    assignee: str | None = None
    marker: str | None = None
    creator: str = ""
    revision: int = 1
    change: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


class Kind(StrEnum):
    """What became of an item."""

    CREATED = "created"
    UPDATED = "updated"
    MOVED = "moved"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True)
class Change:
    """One line of the journal. `asked` are the fields somebody set, changed or not; a write that changed nothing is in
    the journal, too, but nobody is told of it."""

    kind: Kind
    who: str
    at: datetime
    before: Item | None
    after: Item | None
    asked: frozenset[str] = frozenset()

    @property
    def item(self) -> Item:
        """The item as it is, or last was."""
        return self.after or self.before  # type: ignore[return-value]  # one of them there is

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that differ, without the counters."""
        if self.before is None or self.after is None:
            return ()
        return tuple(n for n in _VALUES if getattr(self.before, n) != getattr(self.after, n))


_COUNTERS = frozenset({"id", "created", "updated", "revision", "change", "creator"})
_VALUES = tuple(f.name for f in fields(Item) if f.name not in _COUNTERS)
_SETTABLE = frozenset({*SHARED, "marker", "extra"})

Named = TypeVar("Named", User, Status, Priority, Container)


def usual_key(container: Container, number: int) -> str:
    """`PLAN-12`."""
    return f"{container.key}-{number}"


class Tracker:
    """The store. `lock` guards everything; the kit holds it around a request and around what a person does.

    `new_id` makes an item's id from its number in the order of birth, `new_key` its human key from its container and
    its number there; None where people, too, call it by its id. Methods raise VendorError: 404 for what is not there,
    400 (with `field`) for what can't be.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        users: Iterable[User],
        containers: Iterable[Container],
        statuses: Iterable[Status],
        priorities: Iterable[Priority] = (),
        default_priority: str | None = None,
        new_id: Callable[[int], str] = str,
        new_key: Callable[[Container, int], str] | None = usual_key,
    ) -> None:
        self.clock = clock
        self.users = {user.id: user for user in users}
        self.containers = {container.id: container for container in containers}
        self.statuses = {status.id: status for status in statuses}
        self.priorities = {priority.id: priority for priority in priorities}
        self.default_priority = default_priority
        self.items: dict[str, Item] = {}
        self.trash: dict[str, Item] = {}
        self.journal: list[Change] = []
        self.listeners: list[Callable[[Change], None]] = []
        self.lock = threading.RLock()
        self._new_id, self._new_key = new_id, new_key
        self._born = 0
        self._changes = 0
        self._numbers: dict[str, int] = {}
        self._history: History[str, Item] = History()

    # Looking things up

    def item(self, item_id: str, viewer: str | None = None) -> Item:
        """The item with this id, if the viewer (None: anybody) may see it. Raises VendorError 404."""
        found = self.items.get(item_id)
        if found is None or not self.visible(found, viewer):
            raise VendorError(404, f"There is no item {item_id!r}.")
        return found

    def find(self, id_or_key: str) -> Item:
        """An item by id or human key. Raises VendorError 404."""
        for item in self.items.values():
            if id_or_key in (item.id, item.key):
                return item
        raise VendorError(404, f"There is no item {id_or_key!r}.")

    def visible(self, item: Item, viewer: str | None) -> bool:
        """Whether somebody may see an item."""
        members = self.containers[item.container].members
        return viewer is None or members is None or viewer in members

    def user(self, who: str) -> User:
        """Somebody by id, email or name. Raises VendorError 400."""
        for user in self.users.values():
            if who in (user.id, user.email, user.name):
                return user
        raise VendorError(400, f"There is nobody called {who!r}.", field="assignee")

    def container(self, name: str) -> Container:
        """A container by id, key or name. Raises VendorError 404."""
        return _named(self.containers.values(), name, "container", 404)

    def status(self, name: str, container: str) -> Status:
        """A status of a container (by id), by id or name. Raises VendorError 400."""
        return _named(self.statuses_of(container), name, "status", 400)

    def priority(self, name: str) -> Priority:
        """A priority by id or name. Raises VendorError 400."""
        return _named(self.priorities.values(), name, "priority", 400)

    def statuses_of(self, container: str) -> list[Status]:
        """The statuses the items of a container (by id) can have, in order."""
        ids = self.containers[container].statuses or tuple(self.statuses)
        return [self.statuses[id_] for id_ in ids]

    def indexed(self, lag_seconds: float = 0.0) -> list[Item]:
        """The items in the order of their birth, as an index that is behind has them."""
        if not lag_seconds:
            return list(self.items.values())
        behind = self._history.changed_since(self.clock.now() - timedelta(seconds=lag_seconds))
        known = {**self.items, **{id_: item for id_, item in behind.items() if item is not None}}
        return [behind.get(id_, item) or item for id_, item in known.items() if behind.get(id_, item) is not None]

    # Changing things

    def create(self, who: str, container: str, title: str, *, item_id: str | None = None, **values: Any) -> Item:
        """Make an item in a container (by id); `item_id` where the client may choose it. `values` as in `update`."""
        home = self._home(container)
        if item_id in self.items or item_id in self.trash:
            raise VendorError(409, f"There is an item {item_id!r} already.", field="id")
        self._check(home.id, {"title": title, **values})
        now = self._tick(None)
        born = item_id or self._next_id()
        item = Item(
            id=born,
            key=self._next_key(home, born),
            container=home.id,
            title=title,
            creator=who,
            created=now,
            updated=now,
            **{"status": self.statuses_of(home.id)[0].id, "priority": self.default_priority, **values},
        )
        return self._record(Kind.CREATED, who, None, item, frozenset({"title", *values}))

    def update(self, who: str, item_id: str, **values: Any) -> Item:
        """Set values of an item: title, description, status, priority, assignee, marker (ids, not names), and `extra`,
        which is merged. What is equal already is no change."""
        item = self.item(item_id)
        self._check(item.container, values)
        if "extra" in values:
            values["extra"] = {**item.extra, **values["extra"]}
        changed = replace(item, **values)
        return self._record(Kind.UPDATED, who, item, changed, frozenset(values))

    def move(self, who: str, item_id: str, container: str) -> Item:
        """Into another container: the id stays, the key changes, and so does a status that is not known there."""
        item, home = self.item(item_id), self._home(container)
        if home.id == item.container:
            return item
        status = self._status_after_move(item, home)
        moved = replace(item, container=home.id, key=self._next_key(home, item.id), status=status)
        return self._record(Kind.MOVED, who, item, moved, frozenset({"container"}))

    def delete(self, who: str, item_id: str, forever: bool = False) -> Item:
        """Into the trash, or away for ever."""
        item = self.item(item_id)
        if not forever:
            self.trash[item_id] = item
        self._record(Kind.DELETED, who, item, None)
        return item

    def restore(self, who: str, item_id: str) -> Item:
        """Out of the trash. Raises VendorError 404."""
        item = self.trash.pop(item_id, None)
        if item is None:
            raise VendorError(404, f"There is no item {item_id!r} in the trash.")
        return self._record(Kind.RESTORED, who, None, item)

    def plant(self, count: int, container: str) -> list[Item]:
        """Ready-made items, without journal and listeners; each changed a second after the one before, all of them
        in the past."""
        home = self._home(container)
        statuses, priorities, users = self.statuses_of(home.id), list(self.priorities), list(self.users)
        start = self.clock.now() - timedelta(seconds=count + 60)
        planted = []
        for number in range(count):
            at = start + timedelta(seconds=number)
            born = self._next_id()
            item = Item(
                id=born,
                key=self._next_key(home, born),
                container=home.id,
                title=f"Planted {number + 1}",
                description=f"The item number {number + 1} of {count}.",
                status=statuses[number % len(statuses)].id,
                priority=priorities[number % len(priorities)] if priorities else None,
                assignee=(*users, None)[number % (len(users) + 1)],
                creator=users[0],
                created=at,
                updated=at,
                change=self._next_change(),
            )
            self.items[item.id] = item
            planted.append(item)
        return planted

    # Inside

    def _record(
        self, kind: Kind, who: str, before: Item | None, after: Item | None, asked: frozenset[str] = frozenset()
    ) -> Item:
        """Make the change happen: store it, count it, and tell of it."""
        if before == after:
            assert after is not None
            self.journal.append(Change(kind, who, self.clock.now(), before, after, asked))
            return after
        item = after or before
        assert item is not None
        at = self._tick(before or (after if kind is Kind.RESTORED else None))
        number = self._next_change()
        if after is None:
            del self.items[item.id]
        else:
            after = replace(after, updated=at, change=number, revision=after.revision + (kind is not Kind.CREATED))
            self.items[item.id] = item = after
        self._history.record(before, item.id, after, self.clock.now())
        change = Change(kind, who, at, before, after, asked)
        self.journal.append(change)
        for listener in self.listeners:
            listener(change)
        return item

    def _tick(self, before: Item | None) -> datetime:
        """The time of a change: now, in whole milliseconds, and after the item's last one."""
        now = self.clock.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return now if before is None else max(now, before.updated + TICK)

    def _check(self, container: str, values: Mapping[str, Any]) -> None:
        for name in values.keys() - _SETTABLE:
            raise VendorError(400, f"Items have no {name!r}.", field=name)
        for name in TEXTS:
            if not isinstance(values.get(name, ""), str):
                raise VendorError(400, f"The {name} must be text.", field=name)
        if not values.get("title", "x").strip():
            raise VendorError(400, "The title must not be empty.", field="title")
        known: dict[str, list[str | None]] = {
            "status": [status.id for status in self.statuses_of(container)],
            "priority": [*self.priorities, None],
            "assignee": [*(user.id for user in self.users.values() if user.active), None],
        }
        for name in CHOICES:
            if name in values and values[name] not in known[name]:
                raise VendorError(400, f"There is no {name} {values[name]!r} here.", field=name)

    def _home(self, container: str) -> Container:
        home = self.containers.get(container)
        if home is None:
            raise VendorError(404, f"There is no container {container!r}.")
        return home

    def _status_after_move(self, item: Item, home: Container) -> str:
        """The same status; else one of the same name, of the same kind, or the first."""
        was, there = self.statuses[item.status], self.statuses_of(home.id)
        best = min(there, key=lambda s: (s.id != was.id, s.name != was.name, s.kind != was.kind))
        return best.id

    def _next_id(self) -> str:
        self._born += 1
        return self._new_id(self._born)

    def _next_key(self, container: Container, item_id: str) -> str:
        if self._new_key is None:
            return item_id
        number = self._numbers.get(container.id, 0) + 1
        self._numbers[container.id] = number
        return self._new_key(container, number)

    def _next_change(self) -> int:
        self._changes += 1
        return self._changes


def _named(values: Iterable[Named], name: str, what: str, status: int) -> Named:
    for value in values:
        if name in (value.id, value.name, getattr(value, "key", None)):
            return value
    raise VendorError(status, f"There is no {what} {name!r} here.", field=what)
