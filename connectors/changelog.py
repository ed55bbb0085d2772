"""What our writes replaced, told by an item's log of changes. Pure. For `TaskWritten.overwrote`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from connectors.contract import Expected, RemoteValue


class Entry(NamedTuple):
    """One change of one of our fields: what it was changed to, in the log's words, and what it was before."""

    field: str
    new: str | None
    before: RemoteValue


def overwritten(
    log: Sequence[Entry], made: Mapping[str, Sequence[str | None] | None], expected: Expected
) -> dict[str, RemoteValue]:
    """Field -> the value our write replaced, where that was not the expected one.

    log   the changes since the expected version, the newest first
    made  field -> the values we gave it, in order, in the log's words; None where these can't be compared: then the
          newest change is taken for ours, and it replaced something only if there was another one
    """
    found: dict[str, RemoteValue] = {}
    for name, values in made.items():
        entries = [entry for entry in log if entry.field == name]
        ours = (entries[0] if len(entries) > 1 else None) if values is None else _first_of(values, entries)
        if ours is not None and name in expected.there and ours.before.there != expected.there[name]:
            found[name] = ours.before
    return found


def _first_of(values: Sequence[str | None], entries: Sequence[Entry]) -> Entry | None:
    """The change before which somebody else's value stood: of several of ours the first. None when the value was there
    already."""
    left, first = list(values), None
    for entry in entries:
        if left and entry.new == left[-1]:
            first = entry
            left.pop()
    return first
