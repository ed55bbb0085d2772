"""What crosses from the demo's code host, and whether what we hold of it is what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from cli.demo.watching import BATCH, Crossing
from cli.demo.world import World
from core.models import CodeChange, CodeDeployment, CodeReview, Event

PREFIX = "code."


@dataclass
class CodeWatch:
    """Looks at the stream for what happened to code; `arrived` counts it."""

    world: World
    arrived: int = 0

    def __post_init__(self) -> None:
        with self.world.runtime.db.read() as session:
            self._last = session.scalar(select(func.max(Event.id))) or ""

    def look(self) -> list[Crossing]:
        """See what is new; returns it, oldest first. What was history when we connected is no news."""
        wanted = select(Event).where(Event.id > self._last, Event.type.startswith(PREFIX), ~Event.backfilled)
        with self.world.runtime.db.read() as session:
            events = session.scalars(wanted.order_by(Event.id).limit(BATCH)).all()
        if events:
            self._last = events[-1].id
        self.arrived += len(events)
        return [_crossing(event, self.world.host.tool.label) for event in events]


def _crossing(event: Event, label: str) -> Crossing:
    data: Mapping[str, Any] = event.data
    name = str(data["repository"]["name"]).rpartition("/")[2]
    number = f"#{data['number']}" if "number" in data else ""
    value = (
        data.get("title") or data.get("state") or data.get("environment") or data.get("ref") or data.get("merge_sha")
    )
    return Crossing(
        event.at, True, label, f"{name}{number}", event.type.removeprefix(PREFIX), str(value or "-"), "code"
    )


def held_here(world: World) -> Counter[str]:
    """What our facts say there is: the same counts as `CodeHostTool.held`."""
    mine = world.host.integration_id
    with world.runtime.db.read() as session:
        ends = session.execute(
            select(CodeChange.merged_at, CodeChange.closed_at).where(
                CodeChange.integration_id == mine, CodeChange.opened_at.is_not(None)
            )
        ).all()
        numbers = {
            "reviews": session.scalar(select(func.count(CodeReview.id)).where(CodeReview.integration_id == mine)),
            "deployments": session.scalar(
                select(func.count(CodeDeployment.id)).where(CodeDeployment.integration_id == mine)
            ),
        }
    states = Counter(f"{'merged' if merged else 'closed' if closed else 'open'} changes" for merged, closed in ends)
    return states + Counter({name: number or 0 for name, number in numbers.items()})
