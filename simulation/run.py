"""Running schedules: one, with its story, or as many as are asked for."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from simulation.invariants import ending, fingerprint, violations
from simulation.machine import Runaway
from simulation.quiet import Unrest, come_to_rest, tell_again
from simulation.report import Report, Result
from simulation.schedule import Schedule, draw
from simulation.shrink import shrink
from simulation.sides import side
from simulation.stage import Stage
from simulation.world import World

MILLION = 1_000_000

MOST_FAILURES = 5
"""Failures after which a run stops: one bug fails many schedules."""


def run(
    stage: Stage, schedule: Schedule, *, story: bool = False, seen: Callable[[World], None] = lambda _world: None
) -> Result:
    """Play a schedule, let the world come to rest, and look. `seen` may look at it, too."""
    world = World(stage, schedule, [] if story else None)
    seen(world)
    try:
        world.play()
        come_to_rest(world)
        settled = fingerprint(world)
        tell_again(world)
        found = violations(world)
        if fingerprint(world) != settled:
            found.append("at_rest: telling everything once more changed something")
    except (Unrest, Runaway) as error:
        found = [f"at_rest: {error}"]
    if story:
        for line in ending(world):
            world.tell(line)
    by_people = [change.by_people for change in world.vendor.journal()]
    here = len(world.rows("SELECT 1 FROM task_history WHERE by LIKE 'USR%'"))
    return Result(
        schedule=schedule,
        violations=tuple(found),
        story=tuple(world.story or ()),
        edits=here + sum(by_people),
        writes=len(by_people) - sum(by_people),
        disturbances=world.disturbances,
    )


def run_many(vendor: str, seeds: range) -> Report:
    """Run the schedules of these seeds. A failing one is shrunk and told; after a few of them it stops."""
    stage = Stage(side(vendor))
    report = Report(vendor)
    began = time.perf_counter()
    with _fewer_collections():
        for seed in seeds:
            result = run(stage, draw(seed))
            report.add(result)
            if result.violations:
                report.failures.append(explained(stage, result))
            if len(report.failures) >= MOST_FAILURES:
                break
    report.seconds = time.perf_counter() - began
    return report


def replay(vendor: str, seed: int) -> Report:
    """Run one schedule as it was drawn, and tell its story whether it ends well or not."""
    report = Report(vendor)
    result = run(Stage(side(vendor)), draw(seed), story=True)
    report.add(result)
    (report.failures if result.violations else report.told).append(result)
    return report


def explained(stage: Stage, failure: Result) -> Result:
    """The failure as a small schedule with its story. It must fail in the same way to be the same failure."""
    kinds = _kinds(failure)
    small = shrink(failure.schedule, lambda schedule: bool(kinds & _kinds(run(stage, schedule))))
    return replace(run(stage, small, story=True), schedule=small)


def _kinds(result: Result) -> set[str]:
    return {found.partition(":")[0] for found in result.violations}


def seeds_of(start: int, schedules: int) -> range:
    """The seeds of a run. Each start has its own million, so that two runs do not play the same schedules."""
    return range(start * MILLION, start * MILLION + schedules)


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Garbage is collected now and then, not at every few hundred objects: what one world leaves behind is little."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
