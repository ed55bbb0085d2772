"""What goes wrong in the demo's Datadog, and whether our incidents say what its monitors say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import func, select

from cli.demo.crew import Crew, Scene
from cli.demo.datadog import GROUPS, OK, DatadogTool, Wrong
from cli.demo.outcome import Outcome
from cli.demo.world import Connected, World
from core.models import MeasureSeries
from sandbox.faults import FaultKind

APART = 1.1
"""Seconds between an end and a new beginning: Datadog tells times in whole ones, and of two at once nobody could say
which came first."""


class OnCall(Crew):
    """Things go wrong, flap and recover, and somebody here looks at them."""

    pause = (3.0, 5.0)  # an event is two calls of the fifty a minute that Slack allows

    def __init__(self, world: World, one: Connected[DatadogTool], seed: int) -> None:
        super().__init__(seed)
        self._world, self._one, self._sandbox = world, one, one.vendor.sandbox
        monitors = {monitor.name: monitor.id for monitor in self._sandbox.monitors.values()}
        self._groups = [(monitors[name], group) for name, groups in GROUPS.items() for group in groups]

    def opening(self) -> Sequence[Callable[[], None]]:
        """Two things are wrong at once, and then Datadog itself."""
        return (self._two_fire, self._is_down, self._flaps)

    def scenes(self) -> Sequence[Scene]:
        """As much ends as begins."""
        return (
            (self._fires, 3),
            (self._recovers, 3),
            (self._flaps, 2),
            (self._fires_on, 1),
            (self._somebody_acknowledges, 2),
            (self._fires_unheard, 1),
            (self._is_down, 1),
        )

    def _fires(self) -> None:
        self._set(*self._some(fires=False), fires=True)

    def _two_fire(self) -> None:
        self._fires()
        self._fires()

    def _recovers(self) -> None:
        self._set(*self._some(fires=True), fires=False)

    def _flaps(self) -> None:
        """Over, and again at once: one incident."""
        monitor, group = self._some(fires=True)
        self._set(monitor, group, fires=False)
        self.wait(APART)
        self._set(monitor, group, fires=True)

    def _fires_on(self) -> None:
        """It is said once more that a group fires, if one does."""
        monitor, group = self._some(fires=True)
        with self._sandbox.tracker.lock:
            if self._sandbox.monitors[monitor].group(group).status != OK:
                self._sandbox.renotify(monitor, group)

    def _fires_unheard(self) -> None:
        """Nobody tells us: the next poll finds it."""
        self._sandbox.faults.add(FaultKind.WEBHOOK_DROP, operation="Triggered", count=1)
        self._fires()

    def _is_down(self) -> None:
        """Its monitors can't be asked for a moment: the integration is degraded until the next poll."""
        self._sandbox.faults.add(FaultKind.ERROR, operation="listMonitors", count=1)

    def _somebody_acknowledges(self) -> None:
        listed = self._world.api.get("/v1/incidents", status="open", integration_id=self._one.integration_id)
        for incident in listed["data"][:1]:
            body = {"status": "acknowledged", "note": "I look at it."}
            self._world.apis[self.rng.choice(sorted(self._world.apis))].patch(f"/v1/incidents/{incident['id']}", body)

    def _set(self, monitor: int, group: str, fires: bool) -> None:
        with self._sandbox.tracker.lock:
            (self._sandbox.trigger if fires else self._sandbox.recover)(monitor, group)

    def _some(self, fires: bool) -> tuple[int, str]:
        """A group that fires, or one that does not; any if all are alike."""
        with self._sandbox.tracker.lock:
            states = {one: self._sandbox.monitors[one[0]].group(one[1]).status != OK for one in self._groups}
        return self.rng.choice([one for one, state in states.items() if state == fires] or self._groups)


def check(world: World, one: Connected[DatadogTool]) -> Outcome:
    """Every incident of the API beside the monitor's own state."""
    listed = list(world.api.listed("/v1/incidents", integration_id=one.integration_id))
    wrong = one.vendor.wrong()
    with world.runtime.db.read() as session:
        series = session.scalar(
            select(func.count(MeasureSeries.id)).where(MeasureSeries.integration_id == one.integration_id)
        )
    going = sum(state.fires for state in wrong.values())
    flaps = sum(incident["flaps"] for incident in listed)
    brought = f"{len(listed)} incidents ({going} going on, {flaps} flaps), {series} series"
    return Outcome(brought, f"{len(wrong)} groups of monitors, {going} firing", list(differences(listed, wrong)))


def differences(listed: Sequence[Mapping[str, Any]], wrong: Mapping[tuple[int, str], Wrong]) -> Iterator[str]:
    """Where an incident and its monitor do not say the same."""
    by_group: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for incident in listed:
        by_group[int(incident["monitor"]), incident["scope"]].append(incident)
    for key in sorted(by_group.keys() - wrong.keys()):
        yield f"{_ids(by_group[key])}: monitor {key[0]} of {key[1] or 'all'} was never wrong there"
    for key, state in wrong.items():
        yield from _compared(by_group[key], state)


def _compared(incidents: Sequence[Mapping[str, Any]], state: Wrong) -> Iterator[str]:
    where = f"{state.title} ({state.scope or 'all'})"
    going = [incident for incident in incidents if incident["status"] != "resolved"]
    if not incidents:
        yield f"{where}: there it was wrong, here is no incident"
        return
    if len(going) != state.fires:
        yield f"{where}: there it {'fires' if state.fires else 'is well'}, here {_ids(going) or 'nothing'} is going on"
    newest = max(incidents, key=lambda incident: str(incident["id"]))
    if not state.fires and not going and datetime.fromisoformat(newest["resolved_at"]) != state.ended:
        yield f"{newest['id']} resolved_at: here {newest['resolved_at']}, there {state.ended}"
    for incident, name in product(incidents, ("title", "severity")):
        if incident[name] != getattr(state, name):
            yield f"{incident['id']} {name}: here {incident[name]!r}, there {getattr(state, name)!r}"


def _ids(incidents: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(incident["id"]) for incident in incidents)
