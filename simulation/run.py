"""Running schedules: one, with its story, or many."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.invariants import fingerprint, violations
from simulation.machine import Runaway
from simulation.quiet import Unrest, come_to_rest, tell_again
from simulation.schedule import Schedule
from simulation.stage import Stage
from simulation.world import World


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one schedule: what is wrong, and the story if it was asked for."""

    schedule: Schedule
    violations: tuple[str, ...]
    story: tuple[str, ...]
    writes: int
    disturbances: int


def run(stage: Stage, schedule: Schedule, *, story: bool = False) -> Result:
    """Play a schedule, let the world come to rest, and look."""
    world = World(stage, schedule, [] if story else None)
    try:
        world.play()
        come_to_rest(world)
        settled = fingerprint(world)
        tell_again(world)
        found = violations(world)
        if fingerprint(world) != settled:
            found.append("rest: telling everything once more changed something")
    except (Unrest, Runaway) as error:
        found = [f"rest: {error}"]
    return Result(schedule, tuple(found), tuple(world.story or ()), len(world.vendor.journal()), world.disturbances)
