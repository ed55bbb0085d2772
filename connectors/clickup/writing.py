"""What is written to ClickUp: creating once, and changing only what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from connectors.clickup.client import ClickUpClient
from connectors.clickup.mapping import NUMBERS, Reader, Task, status_value
from connectors.contract import (
    ConnectorError,
    Expected,
    Priority,
    Rejected,
    RemoteUser,
    Status,
    TaskChanges,
    TaskDraft,
    TaskWritten,
    Transient,
    VendorValue,
)
from connectors.texts import described, titled
from connectors.writes import Write, differing

log = structlog.get_logger(__name__)

EMPTY = " "
"""What clears a description; ClickUp takes "" for "unchanged"."""


class Writer:
    """Writes with one client. Remembers the statuses of Lists."""

    def __init__(self, client: ClickUpClient, reader: Reader, marker_field: str | None) -> None:
        self._client, self._reader, self._marker_field = client, reader, marker_field
        self._known: dict[str, Sequence[VendorValue]] = {}

    def statuses(self, list_id: str) -> Sequence[VendorValue]:
        """The statuses of a List, asked for once."""
        if list_id not in self._known:
            self._known[list_id] = [self._reader.status(status) for status in self._client.statuses(list_id)]
        return self._known[list_id]

    # --- create -------------------------------------------------------------------------------------

    def create(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """Make a task with the key in it; read it back only where the answer can't tell its description."""
        write = Write({"notify_all": False, "check_required_custom_fields": False, **self._marked(create_key)})
        for name in ("title", "description", "priority", "status"):
            self._set(name, getattr(draft, name), draft.container, write)
        if draft.assignee is not None:
            write.send("assignee", draft.assignee.id, {"assignees": [int(draft.assignee.id)]})
        task = self._post(draft, write)
        findable = self._findable(task, create_key)
        try:
            if task.markdown_description is None and task.description:
                task = self._client.task(task.id)
        except ConnectorError as error:
            text = f"ClickUp created the task {task.id}, but reading it back failed: {error.text}"
            if findable:
                raise Transient(text) from None
            task.markdown_description = draft.description  # to say that it is unclear would make another one
        return write.done(self._reader.task(task))

    def _findable(self, task: Task, create_key: str) -> bool:
        """Whether the key is in the task, by which it would be found if this answer were lost, too: ClickUp drops a
        custom field without a word that the List does not have. Then a tag has to do."""
        if self._reader.task(task).create_key == create_key:
            return True
        log.warning("clickup.weak_marker", task=task.id, list=task.list.id, marker_field=self._marker_field)
        try:
            self._client.tag(task.id, create_key)
        except ConnectorError:
            return False
        return True

    def _marked(self, create_key: str) -> dict[str, Any]:
        if self._marker_field is None:
            return {"tags": [create_key]}
        return {"custom_fields": [{"id": self._marker_field, "value": create_key}]}

    def _post(self, draft: TaskDraft, write: Write) -> Task:
        """Create; once more if the status is not the List's any more: a refusal has created nothing."""
        try:
            return self._client.create(draft.container, write.body)
        except Rejected:
            if not self._remapped(draft.status, draft.container, write):
                raise
        return self._client.create(draft.container, write.body)

    def find_created(self, create_key: str) -> list[Task]:
        """The tasks with the key, the oldest first: by the custom field, if there is one, and by tag."""
        wanted = [{"field_id": self._marker_field, "operator": "=", "value": create_key}]
        searches = {"tags[]": create_key} | (
            {"custom_fields": msgspec.json.encode(wanted).decode()} if self._marker_field else {}
        )
        found: dict[str, Task] = {}
        for name, value in searches.items():
            number, last = 0, False
            while not last:
                page = self._client.tasks(number, {name: value})
                found |= {task.id: task for task in page.tasks}
                number, last = number + 1, page.last
        return sorted(found.values(), key=lambda task: (int(task.date_created), task.id))

    # --- update -------------------------------------------------------------------------------------

    def update(self, task_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """Look, and set what differs. ClickUp checks no versions and does not tell what a write replaced, so the look
        is all there is. Raises Conflict where it shows another value than was expected."""
        held = self._client.task(task_id)
        write = Write()
        for name, value in differing(self._reader.task(held), changes, expected, write):
            if name == "assignee":
                self._assign(value if isinstance(value, RemoteUser) else None, held, write)
            else:
                self._set(name, str(value), held.list.id, write)
        task = self._put(held, changes, write) if write.body else held
        return write.done(self._reader.task(task))

    def _put(self, held: Task, changes: TaskChanges, write: Write) -> Task:
        """The task after the change, with its markdown: the answer to a write need not have that."""
        try:
            task = self._client.update(held.id, write.body)
        except Rejected as error:
            if "status" not in write.body or not self._remapped(Status(str(changes["status"])), held.list.id, write):
                raise Rejected(error.text, next(iter(changes)) if len(changes) == 1 else None) from None
            task = self._client.update(held.id, write.body) if write.body else held
        if "markdown_content" not in write.body and task.description == held.description:
            task.markdown_description = task.markdown_description or held.markdown_description
        return self._client.task(held.id) if task.markdown_description is None else task

    def _assign(self, person: RemoteUser | None, held: Task, write: Write) -> None:
        """Exchange the one who is the assignee here; others stay. Of several the first is read, so one who would not be
        the first can't be set."""
        bound = held.person
        others = sorted((user for user in held.assignees if user is not bound), key=lambda user: user.id)
        if person is not None and others and others[0].id < int(person.id):
            name = others[0].username or str(others[0].id)
            text = f"{name} is assigned in ClickUp, too, and comes first there: unassign them, or assign there."
            write.refuse("assignee", "needs_human", text)
            return
        change = {"add": [int(person.id)] if person else [], "rem": [bound.id] if bound else []}
        write.send("assignee", person.id if person else None, {"assignees": change})

    # --- fields -------------------------------------------------------------------------------------

    def _set(self, name: str, value: str, list_id: str, write: Write) -> None:
        """One field in ClickUp's words."""
        if name == "title":
            write.send(name, titled(value).there, {"name": titled(value).here})
        elif name == "description":
            write.send(name, described(value).there, {"markdown_content": described(value).here or EMPTY})
        elif name == "priority":
            found = self._reader.priority_for(Priority(value))
            if found is None:
                write.refuse(name, "no_path", f"No priority means {value}: name one in priority_out.")
            else:
                write.send(name, f"{found}:{value}", {"priority": NUMBERS[found]})
        else:
            self._set_status(Status(value), list_id, write)

    def _set_status(self, value: Status, list_id: str, write: Write) -> None:
        chosen = self._reader.statuses.choose(value, self.statuses(list_id))
        if chosen is None:
            there_are = ", ".join(status.name for status in self.statuses(list_id))
            text = f"No status of the List {list_id} means {value}; there are: {there_are}. Add one, or map one to it."
            write.refuse("status", "no_path", text)
        else:
            write.send("status", status_value(chosen).there, {"status": chosen.name})

    def _remapped(self, value: Status, list_id: str, write: Write) -> bool:
        """Look at the List's statuses once more; whether something else, or nothing, is to be sent now."""
        before = write.body.pop("status", None)
        self._known.pop(list_id, None)
        self._set_status(value, list_id, write)
        return bool(write.body.get("status") != before)
