"""Linear's answers <-> the platform's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from connectors.chosen_id import key_of
from connectors.contract import (
    Priority,
    Refusal,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    Status,
    TaskChanges,
)
from connectors.linear.config import LinearConfig
from connectors.texts import stored
from connectors.times import epoch_ms, moment
from connectors.words import Words, names


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
REVIEW = "review"
"""In the name of a state of the type "started" it means in_review."""

WRITTEN_FIRST = ("backlog", "unstarted", "started", "completed", "canceled", "triage", "duplicate")
"""Of states that mean the same, the one of the earlier type is written. Triage and duplicate are for people."""

PRIORITIES = {
    "1": Priority.CRITICAL,
    "2": Priority.HIGH,
    "3": Priority.MEDIUM,
    "4": Priority.LOW,
}
PRIORITY_NAMES = ("No priority", "Urgent", "High", "Medium", "Low")
"""By Linear's number: what is not set counts as medium."""

INPUTS = {
    "title": "title",
    "description": "description",
    "status": "stateId",
    "priority": "priority",
    "assignee": "assigneeId",
}
"""Our field -> Linear's in `IssueCreateInput` and `IssueUpdateInput`."""

NO_PATH = "No state of the team {team} means {status}. Add one in Linear, or name one in status_map or status_out."


@dataclass
class Edit:
    """A write: the input to send, what its fields will read back as, and what is not sent at all."""

    input: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)

    def refuse(self, name: str, text: str, code: str = "field_refused") -> None:
        """Leave a field out, with the reason."""
        self.input.pop(INPUTS[name], None)
        self.sent.pop(name, None)
        self.refused[name] = Refusal(code, text)


class Reader:
    """Reads issues, and words writes, under one configuration."""

    def __init__(self, config: LinearConfig) -> None:
        self._statuses = Words({}, Status.BACKLOG, config.status_map, config.status_out)
        self._priorities = Words(PRIORITIES, Priority.MEDIUM, config.priority_map, config.priority_out)
        self._status_out = config.status_out

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
            "status": self.status(issue.state),
            "priority": self.priority(int(issue.priority)),
            "assignee": RemoteValue(None, issue.assignee.id if issue.assignee else None),
        }

    def status(self, state: State) -> RemoteValue:
        """A state. `there` is `id:ours`."""
        here = TYPES.get(state.type, Status.BACKLOG)
        if here is Status.IN_PROGRESS and REVIEW in state.name.casefold():
            here = Status.IN_REVIEW
        here = self._statuses.told(state.id, state.name) or here
        return RemoteValue(here.value, f"{state.id}:{here}")

    def priority(self, number: int) -> RemoteValue:
        """A priority, 0 (none) to 4 (low). `there` is `number:ours`."""
        return self._priorities.read(str(number), *PRIORITY_NAMES[number : number + 1])

    def edit(self, changes: TaskChanges, team: Team | None, there: Mapping[str, str | None]) -> Edit:
        """The changes as Linear takes them. `team` has its states where the status changes; a value that `there`, what
        Linear is believed to hold, means already is left alone: no priority stays none where that is medium."""
        edit = Edit()
        for name, value in changes.items():
            held = there.get(name)
            if name in ("status", "priority") and held is not None and held.endswith(f":{value}"):
                edit.sent[name] = held
            elif name == "status":
                self._set_status(Status(str(value)), team, edit)
            elif name == "priority":
                number = self._number(Priority(str(value)))
                edit.input[name], edit.sent[name] = number, self.priority(number).there
            elif name == "description":
                edit.input[name], edit.sent[name] = value, stored(str(value)).there
            else:
                said = " ".join(str(value).split()) if name == "title" else getattr(value, "id", None)
                edit.input[INPUTS[name]] = edit.sent[name] = said
        return edit

    def _set_status(self, status: Status, team: Team | None, edit: Edit) -> None:
        wanted = self._status_out.get(status, "")
        known = team.states.nodes if team else []
        ways = [state for state in known if self.status(state).here == status]
        if not ways:
            edit.refuse("status", NO_PATH.format(team=team.key if team else "", status=status), "no_path")
            return
        best = min(ways, key=lambda state: (not names(wanted, state.id, state.name), _rank(state.type), state.position))
        edit.input["stateId"], edit.sent["status"] = best.id, self.status(best).there

    def _number(self, priority: Priority) -> int:
        word = self._priorities.there(priority) or "0"
        return next((n for n, name in enumerate(PRIORITY_NAMES) if names(word, str(n), name)), 0)


def _rank(type_: str) -> int:
    return WRITTEN_FIRST.index(type_) if type_ in WRITTEN_FIRST else len(WRITTEN_FIRST)
