"""Which transition leads to a status. Pure.

A status is never set in Jira, only reached: transitions depend on the workflow and on the present status, and may
ask for fields.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from connectors import contract as c
from connectors.jira.config import JiraConfig
from connectors.jira.mapping import CANCELLED, FieldMeta, Reader, Transition
from connectors.words import folded, names

RESOLUTION = "resolution"

_PROGRESS = {
    c.Status.BACKLOG: 0,
    c.Status.IN_PROGRESS: 1,
    c.Status.IN_REVIEW: 2,
    c.Status.DONE: 3,
    c.Status.CANCELLED: 3,
}


class Way(NamedTuple):
    """A transition that can be taken. `fields` are sent with it, `missing` names required fields we can't fill, and
    `lands` is the status as it will read afterwards."""

    transition: Transition
    fields: dict[str, Any]
    missing: tuple[str, ...]
    lands: c.RemoteValue


def best_way(transitions: Sequence[Transition], target: c.Status, reader: Reader, config: JiraConfig) -> Way | None:
    """The transition to take for a target: one that asks for nothing we can't give, to the configured status, with
    the fewest required fields, then the lowest id."""
    wanted = config.status_out.get(target, "")

    def rank(way: Way) -> tuple[bool, bool, int, int]:
        to = way.transition.to
        required = sum(meta.required for meta in (way.transition.fields or {}).values())
        return bool(way.missing), not names(wanted, to.id, to.name), required, int(way.transition.id)

    ways = [
        way for t in transitions if t.is_available and (way := _way(t, target, reader, config)).lands.here == target
    ]
    return min(ways, key=rank, default=None)


def next_hop(
    transitions: Sequence[Transition], target: c.Status, reader: Reader, config: JiraConfig, visited: Collection[str]
) -> Way | None:
    """The transition that brings an issue nearest to a target no single one leads to; `visited` are status ids."""

    def distance(way: Way) -> tuple[int, int]:
        return abs(_PROGRESS[_ours(way.lands)] - _PROGRESS[target]), int(way.transition.id)

    open_ = [t for t in transitions if t.is_available and t.to.id not in visited]
    ways = [_way(t, _ours(reader.status(t.to)), reader, config) for t in open_]
    return min((way for way in ways if not way.missing), key=distance, default=None)


def _ours(status: c.RemoteValue) -> c.Status:
    return c.Status(status.here or "")


def _way(transition: Transition, target: c.Status, reader: Reader, config: JiraConfig) -> Way:
    screens = transition.fields or {}
    screen = screens.get(RESOLUTION)
    resolution = _resolution(screen, target, config) if screen else ""
    missing = tuple(
        meta.name or name
        for name, meta in screens.items()
        if meta.required and not meta.has_default_value and not (name == RESOLUTION and resolution)
    )
    fields = {RESOLUTION: {"name": resolution}} if resolution else {}
    return Way(transition, fields, missing, reader.status(transition.to, resolution))


def _resolution(screen: FieldMeta, target: c.Status, config: JiraConfig) -> str:
    """The resolution to send, spelt as Jira spells it; "" for none."""
    if target not in (c.Status.DONE, c.Status.CANCELLED) and not screen.required:
        return ""
    names = [str(value["name"]) for value in screen.allowed_values if isinstance(value, dict) and "name" in value]
    allowed = {folded(name): name for name in names}
    if target is not c.Status.CANCELLED:
        return allowed.get(folded(config.resolution), "")
    return allowed.get(folded(config.cancelled_resolution)) or next((allowed[n] for n in allowed if n in CANCELLED), "")
