"""What crosses between the two ends, and how long it took: the demo's eyes.

They look where the truth is: at the task history and the inbox here, and at what the sandbox tells its listeners there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import msgspec
from sqlalchemy import func, select

from cli.demo.people import People
from cli.demo.world import World
from core.models import Binding, Delivery, Event, Task, TaskHistory
from sandbox.jira.model import SiteEvent

CREATED = "created"
"""Stands for the field where a whole item crossed."""

SUPPRESSED = frozenset({"unchanged", "stale"})
"""Outcomes of a delivery that found nothing to do."""

BATCH = 500
"""Rows looked at in one go."""


@dataclass(frozen=True)
class Crossing:
    """One change that arrived at the other side. `how` is what brought it: a webhook, a poll, a write of ours."""

    at: datetime
    to_us: bool
    item: str
    field: str
    value: str | None
    how: str


@dataclass(frozen=True)
class Numbers:
    """Where things stand."""

    edits_here: int
    edits_there: int
    reconciled: int
    echoes: int
    conflicts: int
    healed: int
    calls: int
    latency: float | None


class _Actor(msgspec.Struct, rename="camel"):
    account_id: str = ""


class _Told(msgspec.Struct):
    """What we need of a webhook's body: who did it."""

    user: _Actor = msgspec.field(default_factory=_Actor)


@dataclass
class Watch:
    """Looks at both ends."""

    world: World
    people: People

    def __post_init__(self) -> None:
        self._ours = self.world.service_account()
        self._arrived_there: deque[SiteEvent] = deque()
        self.world.jira.site.listeners.append(self._arrived_there.append)
        self._counts: Counter[str] = Counter()
        self._seconds: list[float] = []
        self._open: dict[tuple[bool, str, str], datetime] = {}
        self._edits_seen = 0
        with self.world.runtime.db.read() as session:
            # What the first sync brought is no news.
            self._last_history = session.scalar(select(func.max(TaskHistory.id))) or 0
            self._last_delivery = session.scalar(select(func.max(Delivery.id))) or 0
            self._last_event = session.scalar(select(func.max(Event.id))) or ""

    def look(self) -> list[Crossing]:
        """See what is new; returns it, oldest first."""
        # Crossings first: one that is not yet in the list of edits was seen too early and counts without a time.
        for edit in self.people.edits[self._edits_seen :]:
            self._edits_seen += 1
            self._counts["here" if edit.here else "there"] += 1
            for name in edit.values:
                # A new item has another name on each side, but one title.
                subject = (CREATED, str(edit.values["title"])) if edit.created else (edit.item, name)
                self._open[(not edit.here, *subject)] = edit.at
        crossings = sorted([*self._here(), *self._there()], key=lambda crossing: crossing.at)
        for crossing in crossings:
            self._time(crossing)
        self._counts["reconciled"] += len(crossings)
        self._counts["healed"] += sum(crossing.how == "poll" for crossing in crossings)
        self._count_echoes()
        self._count_conflicts()
        return crossings

    def numbers(self) -> Numbers:
        """The counts so far."""
        return Numbers(
            edits_here=self._counts["here"],
            edits_there=self._counts["there"],
            reconciled=self._counts["reconciled"],
            echoes=self._counts["echoes"],
            conflicts=self._counts["conflicts"],
            healed=self._counts["healed"],
            calls=sum(self.world.jira.calls.counts().values()),
            latency=median(self._seconds) if self._seconds else None,
        )

    # --- arrivals -----------------------------------------------------------------------------------

    def _here(self) -> Iterator[Crossing]:
        """What vendors' changes did to tasks."""
        mine = self.world.integration_id
        with self.world.runtime.db.read() as session:
            rows = session.execute(
                select(TaskHistory, Task.external_id)
                .join(Task, Task.id == TaskHistory.task_id)
                .where(TaskHistory.id > self._last_history, TaskHistory.by == mine, TaskHistory.kind == "change")
                .order_by(TaskHistory.id)
                .limit(BATCH)
            ).all()
            born = session.execute(
                select(Event.id, Event.at, Task, Binding.source)
                .join(Task, Task.id == Event.subject_id)
                .join(Binding, Binding.task_id == Task.id)
                .where(Event.id > self._last_event, Event.type == "task.created", Event.actor == mine)
                .order_by(Event.id)
                .limit(BATCH)
            ).all()
        for line, key in rows:
            self._last_history = line.id
            yield Crossing(line.at, True, key or line.task_id, line.change, line.new, _brought_by(line.source))
        for event_id, at, task, source in born:
            self._last_event = event_id
            yield Crossing(at, True, task.external_id or task.id, CREATED, task.title, _brought_by(source))

    def _there(self) -> Iterator[Crossing]:
        """What our writes did to issues."""
        for event in self._taken():
            if event.actor != self._ours or not event.kind.startswith("jira:"):
                continue
            if event.kind == "jira:issue_created":
                yield Crossing(event.at, False, event.issue.key, CREATED, event.issue.summary, "write")
            for item in event.change.items if event.change else ():
                name = _NAMES.get(item.field)
                if name is not None:
                    yield Crossing(event.at, False, event.issue.key, name, item.new_string, "write")

    def _taken(self) -> Iterator[SiteEvent]:
        while self._arrived_there:
            yield self._arrived_there.popleft()

    def _time(self, crossing: Crossing) -> None:
        """How long the edit that caused it was under way."""
        created = crossing.field == CREATED
        subject = (CREATED, str(crossing.value)) if created else (crossing.item, crossing.field)
        since = self._open.pop((crossing.to_us, *subject), None)
        if since is not None and crossing.at >= since:
            self._seconds.append((crossing.at - since).total_seconds())

    # --- counts -------------------------------------------------------------------------------------

    def _count_echoes(self) -> None:
        """Deliveries about our own writes that led to nothing."""
        with self.world.runtime.db.read() as session:
            rows = session.scalars(
                select(Delivery).where(Delivery.id > self._last_delivery).order_by(Delivery.id).limit(BATCH)
            ).all()
        for delivery in rows:
            if delivery.state == "pending":
                return  # its outcome is still to come: go on from here next time
            self._last_delivery = delivery.id
            outcomes = set((delivery.outcome or {}).get("items", {}).values())
            if outcomes and outcomes <= SUPPRESSED and self._is_ours(delivery):
                self._counts["echoes"] += 1

    def _is_ours(self, delivery: Delivery) -> bool:
        return msgspec.json.decode(delivery.body, type=_Told).user.account_id == self._ours

    def _count_conflicts(self) -> None:
        with self.world.runtime.db.read() as session:
            found = session.scalar(select(func.count()).select_from(Event).where(Event.type == "task.conflict"))
        self._counts["conflicts"] = found or 0


_NAMES: dict[str, Any] = {
    "summary": "title",
    "description": "description",
    "status": "status",
    "priority": "priority",
    "assignee": "assignee",
}


def _brought_by(source: str | None) -> str:
    """The history's source in one word."""
    if source is None:
        return "request"
    return "poll" if source.startswith("SYNC-") else source.partition(":")[0].replace("delivery", "webhook")
