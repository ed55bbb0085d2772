"""Where the conformance kit finds a connector's fake vendor."""

from __future__ import annotations

from importlib.metadata import entry_points

from simulation.run import VENDORS
from simulation.stage import MakeVendor

ENTRY_POINTS = "turnbuckle.sandboxes"


def side_of(type_: str) -> MakeVendor | None:
    """What makes the vendor's side of the bench for connectors of this type; None where nobody wrote one."""
    if type_ in VENDORS:
        return VENDORS[type_]
    found = [entry_point for entry_point in entry_points(group=ENTRY_POINTS) if entry_point.name == type_]
    make: MakeVendor | None = found[0].load() if found else None
    return make
