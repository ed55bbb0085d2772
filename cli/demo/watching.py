"""What crosses between the two ends, and how long it took: the demo's eyes.

They look where the truth is: at the task history and the inbox here, and at what the sandboxes tell their listeners.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlalchemy import func, select

from cli.demo.people import People
from cli.demo.world import World
from core.models import Binding, Delivery, Event, Task, TaskHistory

CREATED = "created"
"""Stands for the field where a whole item crossed."""

SUPPRESSED = frozenset({"unchanged", "stale"})
"""Outcomes of a delivery that found nothing to do."""

BATCH = 500
"""Rows looked at in one go."""


@dataclass(frozen=True)
class Crossing:
    """One change that arrived at the other side, from or at `tool`. `how` is what brought it: a webhook, a poll, a
    write of ours."""

    at: datetime
    to_us: bool
    tool: str
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


@dataclass
class Watch:
    """Looks at both ends."""

    world: World
    people: People

    def __post_init__(self) -> None:
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
            calls=sum(tool.calls() for tool in self.world.tools),
            latency=median(self._seconds) if self._seconds else None,
        )

    # --- arrivals -----------------------------------------------------------------------------------

    def _here(self) -> Iterator[Crossing]:
        """What vendors' changes did to tasks."""
        labels = {one.integration_id: one.vendor.label for one in self.world.trackers}
        with self.world.runtime.db.read() as session:
            rows = session.execute(
                select(TaskHistory, Task.external_id)
                .join(Task, Task.id == TaskHistory.task_id)
                .where(TaskHistory.id > self._last_history, TaskHistory.by.in_(labels), TaskHistory.kind == "change")
                .order_by(TaskHistory.id)
                .limit(BATCH)
            ).all()
            born = session.execute(
                select(Event.id, Event.at, Event.actor, Task, Binding.source)
                .join(Task, Task.id == Event.subject_id)
                .join(Binding, Binding.task_id == Task.id)
                .where(Event.id > self._last_event, Event.type == "task.created", Event.actor.in_(labels))
                .order_by(Event.id)
                .limit(BATCH)
            ).all()
        for line, key in rows:
            self._last_history = line.id
            how = _brought_by(line.source)
            yield Crossing(line.at, True, labels[line.by], key or line.task_id, line.change, line.new, how)
        for event_id, at, actor, task, source in born:
            self._last_event = event_id
            item = task.external_id or task.id
            yield Crossing(at, True, labels[actor], item, CREATED, task.title, _brought_by(source))

    def _there(self) -> Iterator[Crossing]:
        """What our writes did to items."""
        for tool in self.world.tools:
            for arrival in tool.news():
                yield Crossing(arrival.at, False, tool.label, arrival.key, arrival.field, arrival.value, "write")

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
        tied = {one.integration_id: one.vendor for one in self.world.trackers}
        told = select(Delivery).where(Delivery.id > self._last_delivery, Delivery.integration_id.in_(list(tied)))
        with self.world.runtime.db.read() as session:
            rows = session.scalars(told.order_by(Delivery.id).limit(BATCH)).all()
        for delivery in rows:
            if delivery.state == "pending":
                return  # its outcome is still to come: go on from here next time
            self._last_delivery = delivery.id
            outcomes: dict[str, str] = (delivery.outcome or {}).get("items", {})
            tool = tied[delivery.integration_id]
            ours = any(tool.was_ours(item_id, delivery.received_at) for item_id in outcomes)
            if ours and set(outcomes.values()) <= SUPPRESSED:
                self._counts["echoes"] += 1

    def _count_conflicts(self) -> None:
        with self.world.runtime.db.read() as session:
            found = session.scalar(select(func.count()).select_from(Event).where(Event.type == "task.conflict"))
        self._counts["conflicts"] = found or 0


def _brought_by(source: str | None) -> str:
    """The history's source in one word."""
    if source is None:
        return "request"
    return "poll" if source.startswith("SYNC-") else source.partition(":")[0].replace("delivery", "webhook")
