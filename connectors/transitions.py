"""Statuses that are only reached, never set: by transitions, which depend on an item's workflow and its present status,
and may ask for fields. Which one is taken, what happens where somebody else is faster, and what is remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from connectors.contract import Conflict, RemoteValue, Status

T = TypeVar("T")

MAX_RACES = 3
"""How often a change is decided anew because somebody else was quicker."""

_PROGRESS = {
    Status.BACKLOG: 0,
    Status.IN_PROGRESS: 1,
    Status.IN_REVIEW: 2,
    Status.DONE: 3,
    Status.CANCELLED: 3,
}


class Way(NamedTuple):
    """A transition as it would be taken.

    name     what people call it; `to` and `to_name` are id and name of the status it leads to
    order    of two that are as good, the lower is taken
    lands    how the status reads afterwards
    fields   what is sent with it
    missing  the fields it asks for that can't be filled; `asks` counts all it asks for
    chosen   whether the config names the status it leads to
    is_open  whether it can be taken now
    """

    id: str
    name: str
    order: int
    to: str
    to_name: str
    lands: RemoteValue
    fields: Mapping[str, Any] = {}
    missing: tuple[str, ...] = ()
    asks: int = 0
    chosen: bool = False
    is_open: bool = True


class Unmoved(NamedTuple):
    """Why a transition can't be taken. `final`: what is sent is at fault; else others may have moved the item."""

    text: str
    final: bool = False


class Standing(NamedTuple, Generic[T]):
    """Where an item stands: what tells its workflow from others, id and name of its status, how that reads, and the
    transitions out of it."""

    workflow: Hashable
    at: str
    name: str
    reads: RemoteValue
    ways: Sequence[T]


class Steps(Protocol[T]):
    """The vendor's side of a move; `T` is a transition in its words."""

    def look(self, item_id: str) -> Standing[T]:
        """Where an item stands now."""

    def ways(self, item_id: str) -> Sequence[T]:
        """The transitions out of the status that a step of ours led to."""

    def way(self, told: T, target: Status | None) -> Way:
        """How to take a transition to get to a target; None: to wherever it leads."""

    def take(self, item_id: str, way: Way) -> Unmoved | None:
        """Take it; why not, where that can't be done."""


@dataclass
class Moved:
    """What came of a move.

    there    how the status reads now, in the vendor's words; None where the target was not reached
    passed   ids of the statuses the item was put in by us, in order
    blocked  why a person has to do it
    no_way   that there is no way, and which ones there are
    """

    there: str | None = None
    passed: list[str] = field(default_factory=list)
    blocked: str = ""
    no_way: str = ""

    def by(self, way: Way) -> None:
        """One step of it."""
        self.passed.append(way.to)
        self.there = way.lands.there


class Mover(Generic[T]):
    """Moves items to statuses. Remembers the ways out of a status of a workflow, so that the next change asks for less.
    Up to `hops` transitions are taken where no single one leads there; none of them with 0."""

    def __init__(self, vendor: str, steps: Steps[T], hops: int) -> None:
        self._vendor, self._steps, self._hops = vendor, steps, hops
        self._known: dict[tuple[Hashable, str], Sequence[T]] = {}

    def move(self, item_id: str, workflow: Hashable | None, target: Status, there: str | None) -> Moved:
        """Take the transition that leads to the target: at once if the ways out of the status we believe in (`id:ours`)
        are remembered, else after a look. When the status was changed meanwhile, look and decide again. Raises
        Conflict."""
        moved = Moved()
        if not self._blindly(item_id, workflow, target, there, moved):
            self._seeing(item_id, target, moved)
        return moved

    def _blindly(
        self, item_id: str, workflow: Hashable | None, target: Status, there: str | None, moved: Moved
    ) -> bool:
        """Whether a remembered transition could be taken. One that can't be is forgotten."""
        key = (workflow, there.partition(":")[0]) if workflow and there else None
        way = best(self._to(self._known.get(key, ()), target), target) if key else None
        if key is None or way is None or way.missing:
            return False
        if self._steps.take(item_id, way) is not None:
            del self._known[key]
            return False
        moved.by(way)
        return True

    def _seeing(self, item_id: str, target: Status, moved: Moved) -> None:
        failed = problem = None
        for _ in range(MAX_RACES):
            stands = self._steps.look(item_id)
            self._known[stands.workflow, stands.at] = stands.ways
            if stands.reads.here == target:
                moved.there = stands.reads.there
                return
            way = best(self._to(stands.ways, target), target)
            if way is None:
                self._walk(item_id, stands, target, moved)
                return
            if problem and way.id == failed:  # it is still there and can't be taken: no race, a rule of the workflow
                moved.blocked = self._refused(way, problem)
                return
            problem, failed = self._take(item_id, way, moved), way.id
            if problem is None:
                return
        raise Conflict(f"The status of {item_id} changed {MAX_RACES} times while it was being set.")

    def _take(self, item_id: str, way: Way, moved: Moved) -> Unmoved | None:
        """Take a transition; None when that is settled, done or blocked, else what the vendor said."""
        if way.missing:
            moved.blocked = f"The transition {way.name!r} asks for {', '.join(way.missing)}: do it in {self._vendor}."
            return None
        problem = self._steps.take(item_id, way)
        if problem is None:
            moved.by(way)
        elif problem.final:
            moved.blocked = self._refused(way, problem)
            return None
        return problem

    def _walk(self, item_id: str, stands: Standing[T], target: Status, moved: Moved) -> None:
        """No single transition leads to the target: take several if that is allowed, or say so."""
        name, ways, visited = stands.name, stands.ways, {stands.at}
        while len(visited) <= self._hops:
            way = best(self._to(ways, target), target) or next_hop(self._to(ways, None), target, visited)
            if way is None:
                break
            problem = self._take(item_id, way, moved)
            if problem is not None:
                raise Conflict(self._refused(way, problem))
            if way.lands.here == target or moved.blocked:
                return
            name, ways = way.to_name, self._steps.ways(item_id)
            visited.add(way.to)
        there_are = ", ".join(f"{way.name} (to {way.to_name})" for way in self._to(ways, None)) or "none"
        moved.no_way = f"No transition leads from {name!r} to a status that means {target}; there are: {there_are}."

    def _to(self, ways: Iterable[T], target: Status | None) -> list[Way]:
        return [self._steps.way(told, target) for told in ways]

    def _refused(self, way: Way, problem: Unmoved) -> str:
        return f"{self._vendor} refuses {way.name!r}: {problem.text}"


def best(ways: Iterable[Way], target: Status) -> Way | None:
    """The one to take for a target: one that asks for nothing we can't give, to the configured status, with the fewest
    required fields."""
    fitting = (way for way in ways if way.is_open and way.lands.here == target)
    return min(fitting, key=lambda way: (bool(way.missing), not way.chosen, way.asks, way.order), default=None)


def next_hop(ways: Iterable[Way], target: Status, visited: Collection[str]) -> Way | None:
    """The one that brings an item nearest to a target no single one leads to; `visited` are ids of statuses."""

    def distance(way: Way) -> tuple[int, int]:
        return abs(_PROGRESS[Status(way.lands.here or "")] - _PROGRESS[target]), way.order

    fitting = (way for way in ways if way.is_open and not way.missing and way.to not in visited)
    return min(fitting, key=distance, default=None)
