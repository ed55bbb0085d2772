"""What the stream tells live of code, incidents, quality and integrations, and what is said of it in channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, or_, select

from cli.demo.watching import BATCH, Crossing
from cli.demo.world import World
from core.models import Event, NotificationMessage

TOLD = ("code.", "incident.", "quality.", "integration.sync_status_changed")
"""Beginnings of the events' names. Tasks have their own watcher."""


@dataclass
class StreamWatch:
    """Looks at the stream and at what was said; `arrived` counts the events."""

    world: World
    arrived: int = 0
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        with self.world.runtime.db.read() as session:
            self._last = session.scalar(select(func.max(Event.id))) or ""
        self._since = self.world.runtime.clock()

    def look(self) -> list[Crossing]:
        """See what is new; returns it, oldest first. What was history when we connected is no news."""
        labels = self.world.labels()
        wanted = or_(*(Event.type.startswith(name) for name in TOLD))
        query = select(Event).where(Event.id > self._last, wanted, ~Event.backfilled).order_by(Event.id).limit(BATCH)
        with self.world.runtime.db.read() as session:
            events = session.scalars(query).all()
        if events:
            self._last = events[-1].id
        self.arrived += len(events)
        told = [_crossing(event, labels.get(event.actor, "somebody")) for event in events]
        return sorted([*told, *self._spoken(labels)], key=lambda crossing: crossing.at)

    def _spoken(self, labels: Mapping[str, str]) -> Iterator[Crossing]:
        """What was said. It is not said in the order of ids, so those of before are remembered."""
        message = NotificationMessage
        query = select(message).where(message.state == "sent", message.finished_at >= self._since)
        with self.world.runtime.db.read() as session:
            rows = session.scalars(query.order_by(message.finished_at).limit(BATCH)).all()
        new = [row for row in rows if row.id not in self._said]
        self._said.update(row.id for row in new)
        for row in new:
            at = row.finished_at or row.created_at
            self._since = max(self._since, at)
            yield Crossing(
                at, False, labels[row.integration_id], row.channel or "default", row.event_type, row.title, "message"
            )


def _crossing(event: Event, label: str) -> Crossing:
    kind, _, what = event.type.partition(".")
    item, value = _WORDS.get(kind, _of_integration)(event.data)
    return Crossing(event.at, True, label, item, what, value, kind)


def _of_code(data: Mapping[str, Any]) -> tuple[str, str]:
    name = str(data["repository"]["name"]).rpartition("/")[2]
    number = f"#{data['number']}" if "number" in data else ""
    names = ("title", "state", "environment", "ref", "merge_sha")
    return f"{name}{number}", str(next((data[one] for one in names if data.get(one)), "-"))


def _of_incident(data: Mapping[str, Any]) -> tuple[str, str]:
    return str(data.get("monitor") or "-"), str(data.get("title") or "-")


def _of_quality(data: Mapping[str, Any]) -> tuple[str, str]:
    return str(data.get("subject") or "-"), str(data.get("name") or data.get("branch") or "-")


def _of_integration(data: Mapping[str, Any]) -> tuple[str, str]:
    return "integration", f"{data.get('from')} -> {data.get('to')}"


_WORDS = {"code": _of_code, "incident": _of_incident, "quality": _of_quality}
