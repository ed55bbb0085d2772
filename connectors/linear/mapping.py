"""Linear's answers <-> the platform's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from connectors import contract as c
from connectors.chosen_id import key_of
from connectors.linear.config import LinearConfig
from connectors.texts import one_line, stored
from connectors.times import epoch_ms, moment
from connectors.words import PriorityWords, StatusWords, as_field
from connectors.writes import Write


class State(msgspec.Struct, gc=False):
    """A workflow state of a team; states of one type stand in the order of `position`."""

    id: str
    name: str
    type: str
    position: float = 0


class Nodes(msgspec.Struct):
    """The states of a team."""

    nodes: list[State] = []


class Team(msgspec.Struct):
    """A team; its states only where they were asked for."""

    id: str
    key: str
    states: Nodes = msgspec.field(default_factory=Nodes)


class User(msgspec.Struct, gc=False, rename="camel"):
    """A person or an app."""

    id: str
    name: str = ""
    email: str | None = None
    active: bool = True
    is_assignable: bool = True

    @property
    def remote(self) -> c.RemoteUser:
        """As the engine knows people."""
        return c.RemoteUser(self.id, self.name, self.email or None)


class Issue(msgspec.Struct, gc=False, rename="camel"):
    """One issue, as the API and a webhook give it (which leaves out what is null)."""

    id: str
    identifier: str
    title: str
    url: str
    updated_at: str
    priority: float
    state: State
    team: Team
    description: str | None = None
    assignee: User | None = None
    trashed: bool | None = None


TYPES = {
    "backlog": c.Status.BACKLOG,
    "unstarted": c.Status.BACKLOG,
    "started": c.Status.IN_PROGRESS,
    "completed": c.Status.DONE,
    "canceled": c.Status.CANCELLED,
    "triage": c.Status.BACKLOG,
    "duplicate": c.Status.CANCELLED,
}
"""What the types of states mean. Of states that mean the same, the one of the earlier type is written: triage and
duplicate are for people."""

IN_A_NAME = {c.Status.IN_PROGRESS: {c.Status.IN_REVIEW: ("review",)}}
"""In the name of a state of the type "started" it means in_review."""

PRIORITIES = (
    ("1", "Urgent", c.Priority.CRITICAL),
    ("2", "High", c.Priority.HIGH),
    ("3", "Medium", c.Priority.MEDIUM),
    ("4", "Low", c.Priority.LOW),
    ("0", "No priority", c.Priority.MEDIUM),
)
"""By Linear's number."""

INPUTS = {
    "title": "title",
    "description": "description",
    "status": "stateId",
    "priority": "priority",
    "assignee": "assigneeId",
}
"""Our field -> Linear's in `IssueCreateInput` and `IssueUpdateInput`."""


class Reader:
    """Reads issues, and words writes, under one configuration."""

    def __init__(self, config: LinearConfig) -> None:
        self._statuses = StatusWords(TYPES, config, default=c.Status.BACKLOG, in_a_name=IN_A_NAME)
        self.priorities = PriorityWords(PRIORITIES, config)

    def task(self, issue: Issue) -> c.RemoteTask:
        """An issue as the engine wants it. Raises BadPayload for a time in another form."""
        updated = moment(issue.updated_at)
        return c.RemoteTask(
            external_id=issue.id,
            key=issue.identifier,
            url=issue.url,
            container=issue.team.key,
            version=epoch_ms(updated),
            updated_at=updated,
            values={
                "title": c.RemoteValue(issue.title, issue.title),
                "description": stored(issue.description),
                "status": as_field(self.status(issue.state)),
                "priority": as_field(self.priorities.value(str(int(issue.priority)))),
            },
            assignee=issue.assignee.remote if issue.assignee else None,
            create_key=key_of(issue.id),
        )

    def status(self, state: State) -> c.VendorValue:
        """A state and what it means."""
        return self._statuses.value(state.id, state.name, state.type)

    def edit(self, changes: c.TaskChanges, team: Team | None, there: Mapping[str, str | None]) -> Write:
        """The changes as Linear takes them. `team` has its states where the status changes; a value that `there`, what
        Linear is believed to hold, means already is left alone: no priority stays none where that is medium."""
        write = Write()
        for name, value in changes.items():
            if name in ("status", "priority") and write.keep(name, value, there.get(name)):
                continue
            if name == "status":
                if one := write.choose(name, self._statuses, str(value), *self._states(team)):
                    write.send(name, as_field(one).there, {"stateId": one.id})
            elif name == "priority":
                if one := write.choose(name, self.priorities, str(value), "Linear"):
                    write.send(name, as_field(one).there, {name: int(one.id)})
            elif name == "description":
                write.send(name, stored(str(value)).there, {name: value})
            else:
                said = one_line(str(value)) if name == "title" else getattr(value, "id", None)
                write.send(name, said, {INPUTS[name]: said})
        return write

    def _states(self, team: Team | None) -> tuple[str, list[c.VendorValue]]:
        """Where a status is looked for, and what there is."""
        types, nodes = list(TYPES), team.states.nodes if team else []
        rank = {state.id: types.index(state.type) if state.type in types else len(types) for state in nodes}
        known = sorted(nodes, key=lambda state: (rank[state.id], state.position))
        return f"the team {team.key if team else ''}", list(map(self.status, known))
