"""People at work on both sides, as busy and as careless as people are.

Here they use the public API with tokens of their own; there they use Jira's user interface. One thread plays them all,
one scene after the other; the same seed plays the same scenes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from cli.demo.client import ApiClient
from cli.demo.world import PROJECT, World
from connectors.contract import ConnectorError
from core.clock import utc_now
from sandbox.faults import FaultKind
from sandbox.jira import JiraError, Person

STATUSES = {
    "To Do": "backlog",
    "In Progress": "in_progress",
    "In Review": "in_review",
    "Done": "done",
    "Won't Do": "cancelled",
}
PRIORITIES = {"Highest": "critical", "High": "high", "Medium": "medium", "Low": "low", "Lowest": "low"}
"""What people call things in Jira, and what they call the same here."""

PAUSE = (0.15, 0.45)
"""Seconds between two scenes: brisk, but slow enough to watch."""

VERBS = ("Fix", "Speed up", "Document", "Rework", "Test", "Monitor")
THINGS = ("the login", "the billing export", "the audit trail", "the nightly job", "the search page", "the retries")
JIRA_FIELDS = {"title": "summary", "description": "description", "assignee": "assignee"}


@dataclass(frozen=True)
class Edit:
    """One thing a person did, `here` by the API or there in Jira: set these values of an item, or made it with them.

    `item` is the name it had where it was done: an issue's key, or a task's id while it has no key yet.
    """

    here: bool
    item: str
    values: Mapping[str, str | None]
    at: datetime
    created: bool = False


@dataclass(frozen=True)
class Pair:
    """A task and its issue."""

    task_id: str
    key: str


@dataclass
class People:
    """The cast. `edits` is what they did so far; `drops` how many webhooks they lost on purpose."""

    world: World
    seed: int
    edits: list[Edit] = field(default_factory=list)
    drops: int = 0
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="people", daemon=True)
        self._number = 0
        # Each scene, and how often it is played in proportion to the others.
        self._scenes: Sequence[tuple[Callable[[], None], int]] = (
            (self._one_edits_here, 5),
            (self._one_edits_there, 5),
            (self._two_edit_two_fields, 2),
            (self._two_edit_the_same_field, 1),
            (self._one_creates_here, 1),
            (self._one_creates_there, 1),
            (self._a_webhook_is_lost, 1),
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the scene and go home."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        scenes = [scene for scene, weight in self._scenes for _ in range(weight)]
        while not self._stop.wait(self._rng.uniform(*PAUSE)):
            try:
                self._rng.choice(scenes)()
            except (ConnectorError, JiraError) as error:
                self.troubles.append(str(error))

    # --- scenes -------------------------------------------------------------------------------------

    def _one_edits_here(self) -> None:
        name, value = self._change()
        self._edit_here(self._pair(), name, value)

    def _one_edits_there(self) -> None:
        name, value = self._change()
        self._edit_there(self._pair(), name, value)

    def _two_edit_two_fields(self) -> None:
        """At the same moment, on the same item: both edits must live."""
        pair = self._pair()
        self._edit_here(pair, "priority", self._some(PRIORITIES.values()))
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
            "priority": self._some(PRIORITIES.values()),
            "status": self._some(("backlog", "in_progress")),
        }
        place = {"workspace_id": self.world.workspace_id, "service_line_id": self.world.service_line_id}
        at = _now()
        task = self._somebody_here().post("/v1/tasks", place | values)
        self.edits.append(Edit(True, task["id"], values, at, created=True))

    def _one_creates_there(self) -> None:
        title, description, priority = self._title(), self._sentence(), self._some(PRIORITIES)
        at = _now()
        issue = self._somebody_there().create(PROJECT, title, description=description, priority=priority)
        values = {"title": title, "description": description, "priority": PRIORITIES[priority]}
        self.edits.append(Edit(False, issue.key, values, at, created=True))

    def _a_webhook_is_lost(self) -> None:
        """Nobody tells us of this edit: the next poll finds it."""
        self.world.jira.faults.add(FaultKind.WEBHOOK_DROP, operation="jira:issue_updated", count=1)
        self.drops += 1
        self._edit_there(self._pair(), "title", self._title())

    # --- deeds --------------------------------------------------------------------------------------

    def _edit_here(self, pair: Pair, name: str, value: str | None) -> None:
        given: dict[str, Any] = {name: value}
        if name == "assignee":
            given = {"assignee_id": value and self.world.user_ids[value]}
        at = _now()
        task = self._somebody_here().patch(f"/v1/tasks/{pair.task_id}", given)
        if datetime.fromisoformat(task["updated_at"]) >= at:  # or it had that value already
            self.edits.append(Edit(True, pair.key, {name: value}, at))

    def _edit_there(self, pair: Pair, name: str, value: str | None) -> None:
        person = self._somebody_there()
        at = _now()
        if name == "status":
            status = next(theirs for theirs, ours in STATUSES.items() if ours == value)
            issue = person.transition(pair.key, status)
        elif name == "priority":
            issue = person.edit(pair.key, priority=next(theirs for theirs, ours in PRIORITIES.items() if ours == value))
        else:
            issue = person.edit(pair.key, **{JIRA_FIELDS[name]: value})
        if issue.updated >= at:
            self.edits.append(Edit(False, pair.key, {name: value}, at))

    # --- choices ------------------------------------------------------------------------------------

    def _change(self) -> tuple[str, str | None]:
        """Some field, and a value for it."""
        return self._rng.choice(
            (
                ("title", self._title()),
                ("description", self._sentence()),
                ("status", self._some(STATUSES.values())),
                ("status", self._some(STATUSES.values())),
                ("priority", self._some(PRIORITIES.values())),
                ("assignee", self._rng.choice([*self.world.apis, None])),
            )
        )

    def _pair(self) -> Pair:
        """Some item that both sides have."""
        tasks = self.world.api.get("/v1/tasks", workspace_id=self.world.workspace_id, limit=100)["data"]
        pairs = sorted((task["external_id"], task["id"]) for task in tasks if task["external_id"])
        key, task_id = self._rng.choice(pairs)
        return Pair(task_id, key)

    def _somebody_here(self) -> ApiClient:
        return self.world.apis[self._some(self.world.apis)]

    def _somebody_there(self) -> Person:
        return self.world.jira.person(self._some(self.world.apis))

    def _title(self) -> str:
        """A title nobody has used yet, so that it can be told when it arrives."""
        self._number += 1
        return f"{self._rng.choice(VERBS)} {self._rng.choice(THINGS)} ({self._number})"

    def _sentence(self) -> str:
        self._number += 1
        return f"Wanted: {self._rng.choice(VERBS).lower()} {self._rng.choice(THINGS)}, take {self._number}."

    def _some(self, words: Iterable[str]) -> str:
        return self._rng.choice(sorted(set(words)))


def _now() -> datetime:
    """In whole milliseconds, as both ends keep their times."""
    now = utc_now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
