"""What is written to Azure Boards: creating once, and changing what is still as we know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.azure_boards.client import BoardsClient
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.azure_boards.mapping import (
    AREA,
    ASSIGNED_TO,
    DESCRIPTION,
    PRIORITY,
    REPRO_STEPS,
    STATE,
    TAGS,
    TITLE,
    TITLE_LIMIT,
    Reader,
    States,
    WorkItem,
)
from connectors.azure_boards.refusal import problem_of
from connectors.contract import (
    Conflict,
    ConnectorError,
    Expected,
    Priority,
    Refusal,
    Rejected,
    RemoteUser,
    Status,
    TaskChanges,
    TaskDraft,
    TaskWritten,
)
from connectors.markup.html import from_html, to_html
from connectors.response import Response
from connectors.texts import one_line, rich
from connectors.words import folded

TEXTS = {"description": DESCRIPTION, "repro_steps": REPRO_STEPS}

BY_TYPE = frozenset({"status", "description"})
"""Fields of ours that are written differently to different types."""

HINTS = {
    "title": "Shorten the title, or allow it in the process.",
    "description": "Shorten the text, or add the field to the type.",
    "status": "A rule of the process is in the way: do what it asks for in Azure, or map another state in status_out.",
    "priority": "Add the field to the type, or name this process's priorities in priority_out.",
    "assignee": "The person must be a member of the organization, with access to the project.",
}
"""Our field -> what an operator can do when Azure refuses it."""

Op = Mapping[str, Any]


@dataclass
class _Outcome:
    """What one write came to so far."""

    sent: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)

    def refuse(self, name: str, code: str, text: str) -> None:
        self.sent.pop(name, None)
        self.refused[name] = Refusal(code, text)


class Writer:
    """Writes under one configuration with one client."""

    def __init__(self, config: AzureBoardsConfig, client: BoardsClient, reader: Reader, states: States) -> None:
        self._config, self._client, self._reader, self._states = config, client, reader, states

    def create(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """Create a work item with the key as a tag, and bring it to the draft's status: it begins in the first state of
        its type."""
        outcome, kind = _Outcome(), self._config.work_item_type
        project, _, below = draft.container.partition("\\")
        fixed = [_set(TAGS, create_key), *(_set(name, value) for name, value in self._config.create_fields.items())]
        if below:
            fixed.append(_set(AREA, draft.container))
        ops = self._ops(_drafted(draft), kind, outcome)
        item = self._sent(lambda patch: self._client.create(project, kind, patch), fixed, ops, outcome, {"title"})
        assert item is not None  # the title is not left out
        item = self._started(item, draft.status, outcome)
        return TaskWritten(self._reader.task(item), outcome.sent, outcome.refused)

    def update(self, item_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """One PATCH of the revision we know. Raises Conflict when somebody was faster."""
        outcome, item, kind = _Outcome(), None, ""
        if changes.keys() & BY_TYPE:
            item = self._client.item(item_id)
            kind = item.fields.type
        ops = self._ops(changes, kind, outcome)
        if item is not None and "status" in changes:
            ops |= self._to_state(item, Status(str(changes["status"])), outcome)
        item = (self._patched(item_id, expected.version, ops, outcome) if ops else item) or self._client.item(item_id)
        return TaskWritten(self._reader.task(item), outcome.sent, outcome.refused)

    def _started(self, item: WorkItem, status: Status, outcome: _Outcome) -> WorkItem:
        """The new work item in the status. It exists, whatever happens here: what stops this now will show when the
        status is written again."""
        try:
            ops = self._to_state(item, status, outcome)
            return (self._patched(str(item.id), item.rev, ops, outcome) if ops else None) or item
        except ConnectorError:
            outcome.sent.pop("status", None)
            return item

    def _patched(self, item_id: str, rev: int, ops: dict[str, Op], outcome: _Outcome) -> WorkItem | None:
        test = {"op": "test", "path": "/rev", "value": rev}
        return self._sent(lambda patch: self._client.update(item_id, patch), [test], ops, outcome)

    def _sent(
        self,
        send: Callable[[Sequence[Op]], Response],
        fixed: Sequence[Op],
        ops: dict[str, Op],
        outcome: _Outcome,
        needed: frozenset[str] | set[str] = frozenset(),
    ) -> WorkItem | None:
        """The work item after a change; None when nothing is left of it. Fields Azure refuses are left out and sent no
        more, except what is needed: a 400 has changed nothing."""
        response = send([*fixed, *ops.values()])
        if response.status != 400:
            return response.decode(WorkItem)
        problem = problem_of(response)
        text = self._client.http.redact(problem.text)
        if problem.is_a_race:
            raise Conflict(text)
        wrong = [name for name, op in ops.items() if op["path"].removeprefix("/fields/") in problem.fields]
        if not wrong or needed & set(wrong):
            raise Rejected(f"Azure did not take the change: {text}", wrong[0] if wrong else None)
        for name in wrong:
            del ops[name]
            code = "needs_human" if name == "status" else "field_refused"
            outcome.refuse(name, code, f"Azure says: {text} {HINTS[name]}")
        return self._sent(send, fixed, ops, outcome, needed) if ops else None

    def _ops(self, changes: TaskChanges, kind: str, outcome: _Outcome) -> dict[str, Op]:
        """What is sent for these changes but the status; what it will read back as is noted."""
        ops: dict[str, Op] = {}
        for name, value in changes.items():
            if name == "title":
                outcome.sent[name] = one_line(str(value), TITLE_LIMIT)
                ops[name] = _set(TITLE, outcome.sent[name])
            elif name == "description":
                html = to_html(str(value))
                outcome.sent[name] = rich(from_html(html)).there
                ops[name] = _set(TEXTS[self._reader.text_of(kind)], html)
            elif name == "priority":
                ops |= self._to_priority(Priority(str(value)), outcome)
            elif name == "assignee":
                user = value if isinstance(value, RemoteUser) else None
                outcome.sent[name] = user.id if user else None
                ops[name] = _set(ASSIGNED_TO, (user.email or user.id) if user else "")
        return ops

    def _to_priority(self, priority: Priority, outcome: _Outcome) -> dict[str, Op]:
        word = self._reader.priorities.there(priority)
        if word is None or not word.isdecimal():
            outcome.refuse("priority", "no_path", f"No priority of Azure's means {priority}: name one in priority_out.")
            return {}
        outcome.sent["priority"] = self._reader.priorities.read(word).there
        return {"priority": _set(PRIORITY, int(word))}

    def _to_state(self, item: WorkItem, target: Status, outcome: _Outcome) -> dict[str, Op]:
        """How to get to a status; nothing where the work item is there already, or its type has no such state."""
        project, kind, state = item.fields.project, item.fields.type, item.fields.state
        held = self._reader.status(project, kind, state)
        if held.here == target:
            outcome.sent["status"] = held.there
            return {}
        states = [one.name for one in self._states(project, kind)]
        wanted = folded(self._config.status_out.get(target, ""))
        named = [name for name in states if folded(name) == wanted]
        meant = [name for name in states if self._reader.status(project, kind, name).here == target]
        if not named + meant:
            text = f"{kind} has no state that means {target}; it has: {', '.join(states) or 'none'}."
            outcome.refuse("status", "no_path", f"{text} Name one of them in status_out.")
            return {}
        choice = (named + meant)[0]
        outcome.sent["status"] = self._reader.status(project, kind, choice).there
        return {"status": _set(STATE, choice)}


def _set(name: str, value: str | int | None) -> Op:
    return {"op": "add", "path": f"/fields/{name}", "value": value}


def _drafted(draft: TaskDraft) -> dict[str, str | RemoteUser | None]:
    """What a draft sets. The priority always: what Azure would choose is not ours."""
    changes: dict[str, str | RemoteUser | None] = {"title": draft.title, "priority": draft.priority}
    if draft.description.strip():
        changes["description"] = draft.description
    if draft.assignee is not None:
        changes["assignee"] = draft.assignee
    return changes
