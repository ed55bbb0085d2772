"""People at work on both sides, as busy and as careless as people are.

Here they use the public API with tokens of their own; there they use the tools' user interfaces. One thread plays them
all, one scene after the other; the same seed plays the same scenes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.demo.client import ApiClient
from cli.demo.crew import Crew, Scene
from cli.demo.tool import Tool
from cli.demo.world import World
from core.clock import utc_now

OURS = {
    "status": ("backlog", "in_progress", "in_review", "done", "cancelled"),
    "priority": ("low", "medium", "high", "critical"),
}

BRISK = (0.15, 0.45)
"""Seconds between two scenes: slow enough to watch."""

CALM = (0.3, 0.9)
"""With all tools: ClickUp, which is one of them then, allows a hundred calls a minute."""

FEW = 2

VERBS = ("Fix", "Speed up", "Document", "Rework", "Test", "Monitor")
THINGS = ("the login", "the billing export", "the audit trail", "the nightly job", "the search page", "the retries")


@dataclass(frozen=True)
class Edit:
    """One thing a person did, `here` by the API or there in `tool`: set these values of an item, or made it with them.

    `item` is the name it had where it was done: an item's key, or a task's id while it has no key yet.
    """

    here: bool
    tool: str
    item: str
    values: Mapping[str, str | None]
    at: datetime
    created: bool = False


@dataclass(frozen=True)
class Pair:
    """A task and its item in a tool."""

    task_id: str
    key: str
    tool: Tool


class People(Crew):
    """The cast. `edits` is what they did so far; `drops` how many webhooks they lost on purpose."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(seed)
        self.pause = BRISK if len(world.trackers) <= FEW else CALM
        self.world = world
        self.edits: list[Edit] = []
        self.drops = 0
        self._number = 0

    def scenes(self) -> Sequence[Scene]:
        """Edits above all."""
        return (
            (self._one_edits_here, 5),
            (self._one_edits_there, 5),
            (self._two_edit_two_fields, 2),
            (self._two_edit_the_same_field, 1),
            (self._one_creates_here, 1),
            (self._one_creates_there, 1),
            (self._a_webhook_is_lost, 1),
        )

    # --- scenes -------------------------------------------------------------------------------------

    def _one_edits_here(self) -> None:
        pair = self._pair()
        self._edit_here(pair, *self._change(pair.tool))

    def _one_edits_there(self) -> None:
        pair = self._pair()
        self._edit_there(pair, *self._change(pair.tool))

    def _two_edit_two_fields(self) -> None:
        """At the same moment, on the same item: both edits must live."""
        pair = self._pair()
        self._edit_here(pair, "priority", self._some(OURS["priority"]))
        self._edit_there(pair, "title", self._title())

    def _two_edit_the_same_field(self) -> None:
        """At the same moment, on the same field: the later one lives, and the other is kept in the history."""
        pair = self._pair()
        self._edit_there(pair, "title", self._title())
        self._edit_here(pair, "title", self._title())

    def _one_creates_here(self) -> None:
        values = {
            "title": self._title(),
            "description": self._sentence(),
            "priority": self._some(OURS["priority"]),
            "status": self._some(("backlog", "in_progress")),
        }
        one = self.rng.choice(self.world.trackers)
        place = {"workspace_id": self.world.workspace_id, "service_line_id": one.service_line_id}
        at = _now()
        task = self._somebody_here().post("/v1/tasks", place | values)
        self.edits.append(Edit(True, one.vendor.label, task["id"], values, at, created=True))

    def _one_creates_there(self) -> None:
        tool = self.rng.choice(self.world.tools)
        title, description, priority = self._title(), self._sentence(), self._some(tool.priorities)
        at = _now()
        key = tool.create(self._somebody(tool), title, description, priority)
        values = {"title": title, "description": description, "priority": tool.priorities[priority]}
        self.edits.append(Edit(False, tool.label, key, values, at, created=True))

    def _a_webhook_is_lost(self) -> None:
        """Nobody tells us of this edit: the next poll finds it."""
        pair = self._pair()
        pair.tool.lose_a_webhook()
        self.drops += 1
        self._edit_there(pair, "title", self._title())

    # --- deeds --------------------------------------------------------------------------------------

    def _edit_here(self, pair: Pair, name: str, value: str | None) -> None:
        given: dict[str, Any] = {name: value}
        if name == "assignee":
            given = {"assignee_id": value and self.world.user_ids[value]}
        at = _now()
        task = self._somebody_here().patch(f"/v1/tasks/{pair.task_id}", given)
        if datetime.fromisoformat(task["updated_at"]) >= at:  # or it had that value already
            self.edits.append(Edit(True, pair.tool.label, pair.key, {name: value}, at))

    def _edit_there(self, pair: Pair, name: str, value: str | None) -> None:
        at = _now()
        changed_at = pair.tool.edit(self._somebody(pair.tool), pair.key, name, value)
        if changed_at >= at:
            self.edits.append(Edit(False, pair.tool.label, pair.key, {name: value}, at))

    # --- choices ------------------------------------------------------------------------------------

    def _change(self, tool: Tool) -> tuple[str, str | None]:
        """Some field, and a value for it."""
        return self.rng.choice(
            (
                ("title", self._title()),
                ("description", self._sentence()),
                ("status", self._some(OURS["status"])),
                ("status", self._some(OURS["status"])),
                ("priority", self._some(OURS["priority"])),
                ("assignee", self.rng.choice([*(worker.email for worker in tool.workers()), None])),
            )
        )

    def _pair(self) -> Pair:
        """Some item that both sides have."""
        tools = {tool.type: tool for tool in self.world.tools}
        tasks = self.world.api.get("/v1/tasks", workspace_id=self.world.workspace_id, limit=100)["data"]
        tied = sorted((t["external_id"], t["id"], t["external_source"]) for t in tasks if t["external_id"])
        key, task_id, source = self.rng.choice(tied)
        return Pair(task_id, key, tools[source])

    def _somebody_here(self) -> ApiClient:
        return self.world.apis[self._some(self.world.apis)]

    def _somebody(self, tool: Tool) -> str:
        """The address of somebody who works in a tool."""
        return self._some(worker.email for worker in tool.workers())

    def _title(self) -> str:
        """A title nobody has used yet, so that it can be told when it arrives."""
        self._number += 1
        return f"{self.rng.choice(VERBS)} {self.rng.choice(THINGS)} ({self._number})"

    def _sentence(self) -> str:
        self._number += 1
        return f"Wanted: {self.rng.choice(VERBS).lower()} {self.rng.choice(THINGS)}, take {self._number}."

    def _some(self, words: Iterable[str]) -> str:
        return self.rng.choice(sorted(set(words)))


def _now() -> datetime:
    """In whole milliseconds, as both ends keep their times."""
    now = utc_now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
