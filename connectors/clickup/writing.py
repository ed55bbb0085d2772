"""What is written to ClickUp: creating once, and changing only what differs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import structlog

from connectors.clickup.client import ClickUpClient, Page
from connectors.clickup.config import ClickUpConfig
from connectors.clickup.mapping import Reader, Task, status_value
from connectors.contract import (
    ConnectorError,
    Context,
    Expected,
    Rejected,
    RemoteTask,
    RemoteUser,
    Status,
    TaskChanges,
    TaskDraft,
    TaskWritten,
    Transient,
    VendorValue,
)
from connectors.reading import pages
from connectors.texts import described, titled
from connectors.words import as_field
from connectors.writes import Write, differing, drafted

log = structlog.get_logger(__name__)

EMPTY = " "
"""What clears a description; ClickUp takes "" for "unchanged"."""


class Writer:
    """The connector's TaskSink. Remembers the statuses of Lists."""

    def __init__(self, context: Context) -> None:
        self._config: ClickUpConfig = context.config
        self._client, self._reader = ClickUpClient(context), Reader(context.config)
        self._known: dict[str, Sequence[VendorValue]] = {}

    def statuses(self, list_id: str) -> Sequence[VendorValue]:
        """The statuses of a List, asked for once."""
        if list_id not in self._known:
            self._known[list_id] = [self._reader.status(status) for status in self._client.statuses(list_id)]
        return self._known[list_id]

    # --- create -------------------------------------------------------------------------------------

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """One POST that leaves the key as a tag, or in the configured custom field. The task is read back only where
        the answer can't tell its description."""
        write = Write({"notify_all": False, "check_required_custom_fields": False, **self._marked(create_key)})
        for name, value in drafted(draft, "status", "description").items():
            if name == "assignee":
                write.send(name, value.id, {"assignees": [int(value.id)]})
            else:
                self._set(name, value, draft.container, write)
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
        log.warning("clickup.weak_marker", task=task.id, list=task.list.id, marker_field=self._config.marker_field)
        try:
            self._client.tag(task.id, create_key)
        except ConnectorError:
            return False
        return True

    def _marked(self, create_key: str) -> dict[str, Any]:
        if self._config.marker_field is None:
            return {"tags": [create_key]}
        return {"custom_fields": [{"id": self._config.marker_field, "value": create_key}]}

    def _post(self, draft: TaskDraft, write: Write) -> Task:
        """Create; once more if the status is not the List's any more: a refusal has created nothing."""
        try:
            return self._client.create(draft.container, write.body)
        except Rejected:
            if not self._remapped(draft.status, draft.container, write):
                raise
        return self._client.create(draft.container, write.body)

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """The tasks that carry the key, the oldest first: by the custom field, if there is one, and by tag."""
        wanted = [{"field_id": self._config.marker_field, "operator": "=", "value": create_key}]
        searches = {"tags[]": create_key} | (
            {"custom_fields": msgspec.json.encode(wanted).decode()} if self._config.marker_field else {}
        )
        found: dict[str, Task] = {}
        for name, value in searches.items():
            for page in pages(partial(self._client.tasks, filters={name: value}), 0, Page.after):
                found |= {task.id: task for task in page.tasks}
        oldest_first = sorted(found.values(), key=lambda task: (int(task.date_created), task.id))
        return [self._reader.task(task) for task in oldest_first]

    # --- update -------------------------------------------------------------------------------------

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """A look, and one PUT of what differs. ClickUp checks no versions and does not tell what a write replaced, so
        the look is all there is. Raises Conflict where it shows another value than was expected."""
        held = self._client.task(external_id)
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
            chosen = write.choose(name, self._reader.priorities, value, self._reader.priorities.values(), "ClickUp")
            if chosen is not None:
                number = int(chosen.id) if chosen.id.isdecimal() else None
                write.send(name, as_field(chosen).there, {"priority": number})
        else:
            self._set_status(Status(value), list_id, write)

    def _set_status(self, value: Status, list_id: str, write: Write) -> None:
        chosen = write.choose("status", self._reader.statuses, value, self.statuses(list_id), f"the List {list_id}")
        if chosen is not None:
            write.send("status", status_value(chosen).there, {"status": chosen.name})

    def _remapped(self, value: Status, list_id: str, write: Write) -> bool:
        """Look at the List's statuses once more; whether something else, or nothing, is to be sent now."""
        before = write.body.pop("status", None)
        self._known.pop(list_id, None)
        self._set_status(value, list_id, write)
        return bool(write.body.get("status") != before)
