"""One table of what is done with each kind of vendor: who is at work there, and how the two ends are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cli.demo import code, incidents, quality, spoken
from cli.demo.comparing import check as check_tool
from cli.demo.crew import Crew
from cli.demo.host import Developers
from cli.demo.outcome import Outcome
from cli.demo.vendor import Vendor
from cli.demo.world import Connected, World


@dataclass(frozen=True)
class Kind:
    """A kind of vendor. `crew` makes the people at work in one; None: nobody, or those who work in several."""

    crew: Callable[[World, Connected[Any], int], Crew] | None
    check: Callable[[World, Connected[Any]], Outcome]


KINDS = {
    "tool": Kind(None, check_tool),
    "host": Kind(lambda world, one, seed: Developers(one.vendor, seed), code.check),
    "monitors": Kind(incidents.OnCall, incidents.check),
    "quality": Kind(quality.Builders, quality.check),
    "channels": Kind(None, spoken.check),
}


def crews(world: World, seed: int) -> Iterator[Crew]:
    """Everybody at work in one vendor. Each cast has chances of its own, or all would do the same at once."""
    for number, one in enumerate(world.connected):
        crew = KINDS[one.vendor.kind].crew
        if crew is not None:
            yield crew(world, one, seed + number)


def outcome(world: World, one: Connected[Vendor]) -> Outcome:
    """How a vendor and what we hold of it compare now."""
    return KINDS[one.vendor.kind].check(world, one)
