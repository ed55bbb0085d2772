"""Do both ends say the same, and is it what people last said? Field by field, without any help from the connectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from cli.demo.outcome import Outcome
from cli.demo.people import Edit
from cli.demo.tool import POLL_SECONDS, Tool, Values
from cli.demo.world import Connected, World
from core.models import Task, User

FIELDS = ("title", "description", "status", "priority", "assignee")

AT_ONCE = timedelta(seconds=POLL_SECONDS + 2)
"""Edits of one field on both sides within this time are a conflict, in which either may win by the field's rule: an
edit whose webhook was lost is not known on the other side until the next poll, and who edits there has not seen it."""


@dataclass(frozen=True)
class Held:
    """A task as we hold it. `key` is its item's, or its own id while it has none."""

    task_id: str
    key: str
    values: Values


@dataclass(frozen=True)
class Difference:
    """One field on which two values should agree and don't; or a task or an item that has no counterpart."""

    key: str
    field: str
    here: str | None
    there: str | None

    def __str__(self) -> str:
        return f"{self.key} {self.field}: here {self.here!r}, there {self.there!r}"


@dataclass(frozen=True)
class Comparison:
    """How many pairs were compared, and what differed."""

    pairs: int
    differences: Sequence[Difference]

    @property
    def unequal(self) -> int:
        """How many items differ in anything."""
        return len({difference.key for difference in self.differences})


def read_by_api(world: World) -> list[Held]:
    """What the public API says we hold."""
    emails = _emails_by_user(world)
    listed = world.api.listed("/v1/tasks", workspace_id=world.workspace_id)
    return [_held(world.api.get(f"/v1/tasks/{task['id']}")["data"], emails) for task in listed]


def read_by_database(world: World) -> list[Held]:
    """The same from the database: cheap enough to do every second."""
    emails = _emails_by_user(world)
    with world.runtime.db.read() as session:
        tasks = session.scalars(select(Task).where(Task.workspace_id == world.workspace_id)).all()
    return [_held(vars(task), emails) for task in tasks]


def compare(ours: Iterable[Held], world: World) -> Comparison:
    """Pair tasks and items by key. A second task for the same item is a difference too."""
    theirs = {key: _known_people(values, world) for tool in world.tools for key, values in tool.items().items()}
    seen: set[str] = set()
    differences: list[Difference] = []
    for held in ours:
        if held.key in seen:
            differences.append(Difference(held.key, "task", "a second one", None))
        elif held.key not in theirs:
            differences.append(Difference(held.key, "item", "a task", None))
        else:
            differences += _differences(held.key, held.values, theirs[held.key])
        seen.add(held.key)
    differences += [Difference(key, "task", None, "an item") for key in theirs.keys() - seen]
    return Comparison(len(seen & theirs.keys()), differences)


def check(world: World, one: Connected[Tool]) -> Outcome:
    """How many tasks are of one tool. Their fields are compared in one go for all tools, see `compare`."""
    tasks = select(func.count(Task.id)).where(Task.external_source == one.vendor.type)
    with world.runtime.db.read() as session:
        ours = session.scalar(tasks) or 0
    theirs = len(one.vendor.items())
    differences = [f"{ours} tasks here, {theirs} items there"] if ours != theirs else []
    return Outcome(f"{ours} tasks", f"{theirs} items", differences)


def lost_edits(edits: Sequence[Edit], ours: Iterable[Held]) -> Iterator[str]:
    """Edits that should have stayed, and did not: the last of each field, unless the other side edited it at once."""
    names = {name: held for held in ours for name in (held.task_id, held.key)}
    last: dict[tuple[str, str], list[Edit]] = {}
    for edit in edits:
        held = names.get(edit.item)
        if held is None:
            yield f"{edit.item} is nowhere, and was given {dict(edit.values)}"
            continue
        for field in edit.values:
            before = last.get((held.task_id, field), [])
            rivals = [other for other in before if edit.at - other.at < AT_ONCE and other.here != edit.here]
            last[(held.task_id, field)] = [*rivals, edit]
    for (task_id, field), candidates in last.items():
        held = names[task_id]
        if held.values[field] not in [edit.values[field] for edit in candidates]:
            wanted = candidates[-1]
            where = "here" if wanted.here else f"in {wanted.tool}"
            yield f"{held.key} {field}: {wanted.values[field]!r} was set {where}, and it is {held.values[field]!r}"


def _differences(key: str, here: Values, there: Values) -> list[Difference]:
    return [Difference(key, name, here[name], there[name]) for name in FIELDS if here[name] != there[name]]


def _held(task: Mapping[str, Any], emails: Mapping[str, str]) -> Held:
    values = {name: task[name] for name in ("title", "description", "status", "priority")}
    values["assignee"] = emails[task["assignee_id"]] if task["assignee_id"] else None
    return Held(task["id"], task["external_id"] or task["id"], values)


def _known_people(values: Values, world: World) -> Values:
    """Whoever has no account here is nobody the platform could name."""
    assignee = values["assignee"]
    return {**values, "assignee": assignee if assignee in world.apis else None}


def _emails_by_user(world: World) -> dict[str, str]:
    with world.runtime.db.read() as session:
        return {user.id: user.email for user in session.scalars(select(User))}
