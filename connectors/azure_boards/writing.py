"""What is written to Azure Boards: creating once, and changing what is still as we know it."""

from __future__ import annotations

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
    State,
    WorkItem,
)
from connectors.contract import (
    ConnectorError,
    Context,
    Expected,
    NotFound,
    RemoteUser,
    TaskChanges,
    TaskDraft,
    TaskWritten,
)
from connectors.markup.html import from_html, to_html
from connectors.texts import one_line, rich
from connectors.words import as_field
from connectors.writes import Write, drafted, taken

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


class Writer:
    """The connector's TaskSink, but for finding what was created. Remembers the states of types."""

    def __init__(self, context: Context) -> None:
        self._config: AzureBoardsConfig = context.config
        self._client = BoardsClient(context, self._config.organization)
        self._known_states: dict[tuple[str, str], list[State]] = {}
        base = f"{context.endpoints['api'].rstrip('/')}/{self._config.organization}"
        self._reader = Reader(self._config, base, self._states)

    def _states(self, project: str, kind: str) -> list[State]:
        """The states of a type, asked for once; none of a type that was taken away while work items of it are left,
        which must not keep others from being read."""
        if (project, kind) not in self._known_states:
            try:
                self._known_states[project, kind] = self._client.states(project, kind)
            except NotFound:
                self._known_states[project, kind] = []
        return self._known_states[project, kind]

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """One POST that leaves the key as a tag. The status may take another: a work item begins in the first state of
        its type."""
        kind = self._config.work_item_type
        project, _, below = draft.container.partition("\\")
        write = Write({TAGS: create_key, **self._config.create_fields} | ({AREA: draft.container} if below else {}))
        self._put(drafted(draft), kind, write)
        item = taken(lambda: self._client.create(project, kind, _patch(write)), write, HINTS, {"title"})
        assert item is not None  # the title is not left out
        item = self._started(item, draft.status, write)
        return write.done(self._reader.task(item))

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """One PATCH of the revision we know. Raises Conflict when somebody was faster."""
        write, item = Write(), None
        if changes.keys() & BY_TYPE:
            item = self._client.item(external_id)
        self._put(changes, item.fields.type if item else "", write)
        if item and "status" in changes:
            self._put_status(item, str(changes["status"]), write)
        item = self._patched(external_id, expected.version, write) or item or self._client.item(external_id)
        return write.done(self._reader.task(item))

    def _started(self, item: WorkItem, status: str, write: Write) -> WorkItem:
        """The new work item in the status. It exists, whatever happens here: what stops this now will show when the
        status is written again."""
        step = Write(sent=write.sent, refused=write.refused)
        try:
            self._put_status(item, status, step)
            return self._patched(str(item.id), item.rev, step) or item
        except ConnectorError:
            write.sent.pop("status", None)
            return item

    def _patched(self, item_id: str, rev: int, write: Write) -> WorkItem | None:
        """The work item after a change; None when nothing is left of it."""
        test = {"op": "test", "path": "/rev", "value": rev}
        return taken(lambda: self._client.update(item_id, [test, *_patch(write)]), write, HINTS)

    def _put(self, changes: TaskChanges, kind: str, write: Write) -> None:
        """What is sent for these changes but the status."""
        for name, value in changes.items():
            if name == "title":
                write.send(name, one_line(str(value), TITLE_LIMIT), {TITLE: one_line(str(value), TITLE_LIMIT)})
            elif name == "description":
                html = to_html(str(value))
                write.send(name, rich(from_html(html)).there, {TEXTS[self._reader.text_of(kind)]: html})
            elif name == "priority":
                word = self._reader.priorities.there(str(value)) or ""
                if word.isdecimal():  # it may be one of the process's own
                    write.send(name, as_field(self._reader.priorities.value(word)).there, {PRIORITY: int(word)})
                else:
                    text = f"No priority of Azure's means {value}: name one in priority_out."
                    write.refuse(name, "no_path", text)
            elif name == "assignee":
                user = value if isinstance(value, RemoteUser) else None
                write.send(name, user.id if user else None, {ASSIGNED_TO: (user.email or user.id) if user else ""})

    def _put_status(self, item: WorkItem, target: str, write: Write) -> None:
        """How to get to a status; nothing where the work item is there already, or its type has no such state."""
        project, kind = item.fields.project, item.fields.type
        held = self._reader.status(project, kind, item.fields.state)
        if held.here == target:
            write.sent["status"] = as_field(held).there
            return
        states = [self._reader.status(project, kind, one.name) for one in self._states(project, kind)]
        chosen = write.choose("status", self._reader.words, target, states, f"the type {kind}")
        if chosen is not None:
            write.send("status", as_field(chosen).there, {STATE: chosen.id})


def _patch(write: Write) -> list[dict[str, Any]]:
    return [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in write.body.items()]
