"""Linear's answers <-> the platform's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from connectors.chosen_id import key_of
from connectors.contract import (
    Priority,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    Status,
    TaskChanges,
    VendorValue,
)
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
    "triage": Status.BACKLOG,
    "backlog": Status.BACKLOG,
    "unstarted": Status.BACKLOG,
    "started": Status.IN_PROGRESS,
    "completed": Status.DONE,
    "canceled": Status.CANCELLED,
    "duplicate": Status.CANCELLED,
}
IN_A_NAME = {Status.IN_PROGRESS: {Status.IN_REVIEW: ("review",)}}
"""In the name of a state of the type "started" it means in_review."""

WRITTEN_FIRST = ("backlog", "unstarted", "started", "completed", "canceled", "triage", "duplicate")
"""Of states that mean the same, the one of the earlier type is written. Triage and duplicate are for people."""

PRIORITIES = (
    ("1", "Urgent", Priority.CRITICAL),
    ("2", "High", Priority.HIGH),
    ("3", "Medium", Priority.MEDIUM),
    ("4", "Low", Priority.LOW),
    ("0", "No priority", Priority.MEDIUM),
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
        self._statuses = StatusWords(TYPES, config, default=Status.BACKLOG, in_a_name=IN_A_NAME)
        self.priorities = PriorityWords(PRIORITIES, config)

    def task(self, issue: Issue) -> RemoteTask:
        """An issue as the engine wants it. Raises BadPayload for a time in another form."""
        updated, person = moment(issue.updated_at), issue.assignee
        values = self.values(issue)
        del values["assignee"]
        return RemoteTask(
            external_id=issue.id,
            key=issue.identifier,
            url=issue.url,
            container=issue.team.key,
            version=epoch_ms(updated),
            updated_at=updated,
            values=values,
            assignee=RemoteUser(person.id, person.name, person.email or None) if person else None,
            create_key=key_of(issue.id),
        )

    def values(self, issue: Issue) -> dict[str, RemoteValue]:
        """All five fields; people as their ids."""
        return {
            "title": RemoteValue(issue.title, issue.title),
            "description": stored(issue.description),
            "status": as_field(self.status(issue.state)),
            "priority": as_field(self.priorities.value(str(int(issue.priority)))),
            "assignee": RemoteValue(None, issue.assignee.id if issue.assignee else None),
        }

    def status(self, state: State) -> VendorValue:
        """A state and what it means."""
        return self._statuses.value(state.id, state.name, state.type)

    def edit(self, changes: TaskChanges, team: Team | None, there: Mapping[str, str | None]) -> Write:
        """The changes as Linear takes them. `team` has its states where the status changes; a value that `there`, what
        Linear is believed to hold, means already is left alone: no priority stays none where that is medium."""
        write = Write()
        for name, value in changes.items():
            held = there.get(name)
            if name in ("status", "priority") and held is not None and held.endswith(f":{value}"):
                write.sent[name] = held
            elif name == "status":
                self._set_status(str(value), team, write)
            elif name == "priority":
                chosen = write.choose(name, self.priorities, str(value), self.priorities.values(), "Linear")
                if chosen is not None:
                    write.send(name, as_field(chosen).there, {name: int(chosen.id)})
            elif name == "description":
                write.send(name, stored(str(value)).there, {name: value})
            else:
                said = one_line(str(value)) if name == "title" else getattr(value, "id", None)
                write.send(name, said, {INPUTS[name]: said})
        return write

    def _set_status(self, status: str, team: Team | None, write: Write) -> None:
        known = sorted(team.states.nodes, key=_rank) if team else []
        where = f"the team {team.key if team else ''}"
        chosen = write.choose("status", self._statuses, status, list(map(self.status, known)), where)
        if chosen is not None:
            write.send("status", as_field(chosen).there, {"stateId": chosen.id})


def _rank(state: State) -> tuple[int, float]:
    first = WRITTEN_FIRST.index(state.type) if state.type in WRITTEN_FIRST else len(WRITTEN_FIRST)
    return first, state.position
