"""Making a failing schedule small: take away whatever it fails without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from simulation.schedule import Conditions, Interrupt, Schedule, Step

Fails = Callable[[Schedule], bool]

MOST_TRIES = 400
"""Schedules played to make one smaller: a few seconds."""


def shrink(schedule: Schedule, fails: Fails) -> Schedule:
    """A schedule that still fails and can't be made simpler by one change (or no more tries are left)."""
    tries = 0
    progress = True
    while progress:
        progress = False
        for simpler in _simpler(schedule):
            tries += 1
            if tries > MOST_TRIES:
                return schedule
            if fails(simpler):
                schedule, progress = simpler, True
                break
    return schedule


def _simpler(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with one thing less, the largest pieces first."""
    steps = schedule.steps
    for size in (len(steps) // 2, len(steps) // 4, 1):
        for start in range(0, len(steps), max(size, 1)):
            if size:
                yield replace(schedule, steps=steps[:start] + steps[start + size :])
    for at, step in enumerate(steps):
        for plainer in _plainer(step):
            yield replace(schedule, steps=(*steps[:at], plainer, *steps[at + 1 :]))
    usual = Conditions()
    for field in fields(Conditions):
        value = getattr(usual, field.name)
        if getattr(schedule.conditions, field.name) != value:
            yield replace(schedule, conditions=replace(schedule.conditions, **{field.name: value}))


def _plainer(step: Step) -> Iterator[Step]:
    if step.wait:
        yield replace(step, wait=0)
    if step.slot:
        yield replace(step, slot=0)
    for at, interrupt in enumerate(step.interrupts):
        before, after = step.interrupts[:at], step.interrupts[at + 1 :]
        yield replace(step, interrupts=before + after)
        for calmer in _calmer(interrupt):
            yield replace(step, interrupts=(*before, calmer, *after))


def _calmer(interrupt: Interrupt) -> Iterator[Interrupt]:
    if interrupt.seconds:
        yield replace(interrupt, seconds=0)
    for at in range(len(interrupt.then)):
        yield replace(interrupt, then=interrupt.then[:at] + interrupt.then[at + 1 :])
