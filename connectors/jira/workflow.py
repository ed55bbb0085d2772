"""Jira's side of a change of status: it is never set in Jira, only reached, by transitions that depend on the workflow
and on the present status, and may ask for fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from connectors import contract as c
from connectors.jira.client import JiraClient
from connectors.jira.config import JiraConfig
from connectors.jira.mapping import CANCELLED, FieldMeta, Issue, Reader, Transition, VendorStatus
from connectors.transitions import Standing, Unmoved, Way
from connectors.words import folded, names

RESOLUTION = "resolution"

MAX_PLACES = 10_000
"""Issues whose project and type are remembered (about 2 MB), so that their next status change asks for less."""


class Place(NamedTuple):
    """What decides an issue's workflow."""

    project: str
    issue_type: str


class Steps:
    """What moves issues (see `connectors.transitions`). Remembers where issues live and what statuses there are."""

    def __init__(self, client: JiraClient, reader: Reader, config: JiraConfig) -> None:
        self._client, self._reader, self._config = client, reader, config
        self.places: dict[str, Place] = {}
        self.statuses: dict[str, VendorStatus] = {}

    def see(self, issues: Iterable[Issue]) -> None:
        """Remember what these issues tell."""
        for issue in issues:
            fields = issue.fields
            self.places[issue.id] = Place(fields.project.key, fields.issuetype.id)
            self.statuses[fields.status.id] = fields.status
        while len(self.places) > MAX_PLACES:
            del self.places[next(iter(self.places))]

    def look(self, item_id: str) -> Standing[Transition]:
        """The issue now, and the ways out of its status with the fields they ask for."""
        issue = self._client.issue(item_id, expand="transitions")
        ways: Sequence[Transition] = issue.transitions or ()
        if any(way.has_screen and way.fields is None for way in ways):
            ways = self.ways(item_id)
        self.see([issue])
        self.statuses.update((way.to.id, way.to) for way in ways)
        status = issue.fields.status
        return Standing(self.places[item_id], status.id, status.name, self._reader.status_of(issue), ways)

    def ways(self, item_id: str) -> Sequence[Transition]:
        """The ways out of the issue's present status, with their screens."""
        return self._client.transitions(item_id)

    def way(self, told: Transition, target: c.Status | None) -> Way:
        """See `way_of`."""
        return way_of(told, target, self._reader, self._config)

    def take(self, item_id: str, way: Way) -> Unmoved | None:
        """Take a transition. Where Jira blames a field, it is no race."""
        problem = self._client.transition(item_id, way.id, dict(way.fields))
        return None if problem is None else Unmoved(problem.words(), final=bool(problem.errors))


def way_of(transition: Transition, target: c.Status | None, reader: Reader, config: JiraConfig) -> Way:
    """How to take a transition to get to a target; None: to wherever it leads. Pure."""
    to, screens = transition.to, transition.fields or {}
    target = target or c.Status(reader.status(to).here or "")
    screen = screens.get(RESOLUTION)
    resolution = _resolution(screen, target, config) if screen else ""
    asked = {name: meta for name, meta in screens.items() if meta.required}
    return Way(
        id=transition.id,
        name=transition.name,
        order=int(transition.id),
        to=to.id,
        to_name=to.name,
        lands=reader.status(to, resolution),
        fields={RESOLUTION: {"name": resolution}} if resolution else {},
        missing=tuple(
            meta.name or name
            for name, meta in asked.items()
            if not meta.has_default_value and not (name == RESOLUTION and resolution)
        ),
        asks=len(asked),
        chosen=names(config.status_out.get(target, ""), to.id, to.name),
        is_open=transition.is_available,
    )


def _resolution(screen: FieldMeta, target: c.Status, config: JiraConfig) -> str:
    """The resolution to send, spelt as Jira spells it; "" for none."""
    if target not in (c.Status.DONE, c.Status.CANCELLED) and not screen.required:
        return ""
    names = [str(value["name"]) for value in screen.allowed_values if isinstance(value, dict) and "name" in value]
    allowed = {folded(name): name for name in names}
    if target is not c.Status.CANCELLED:
        return allowed.get(folded(config.resolution), "")
    return allowed.get(folded(config.cancelled_resolution)) or next((allowed[n] for n in allowed if n in CANCELLED), "")
