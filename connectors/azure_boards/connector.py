"""The Azure Boards connector: it decides which calls to make, and leaves words to `mapping`. Its webhooks are those of
all of Azure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from connectors import byid
from connectors import contract as c
from connectors.azure_boards import mapping, webhook, wiql
from connectors.azure_boards.client import BoardsClient
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.azure_boards.manifest import MANIFEST
from connectors.azure_boards.mapping import Reader, State, WorkItem
from connectors.azure_subscriptions import ServiceHooks, Subscribed
from connectors.reading import batches
from connectors.words import as_field
from connectors.writes import Write, created, drafted, taken

BATCH = 200
"""Most work items of one call."""

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


class AzureBoardsConnector(Subscribed):
    """Azure Boards, for one integration. Remembers the states of types."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: AzureBoardsConfig = context.config
        self._client, self.now = BoardsClient(context, self._config.organization), context.now
        self._states = cache(self._asked)
        base = f"{context.endpoints['api'].rstrip('/')}/{self._config.organization}"
        self._reader = Reader(self._config, base, self._states)
        self._areas = self._config.containers
        self._mine = wiql.items(self._areas, self._config.work_item_types)
        events = dict.fromkeys(webhook.SUBSCRIBED, "tfs")
        self.hooks = ServiceHooks(self._client, sorted(set(map(_project, self._areas))), events)

    def check(self) -> c.Account:
        """Whose credentials they are. Raises AuthFailed, ConsentPending, Forbidden, RateLimited, Transient."""
        me = self._client.me()
        return c.Account(f"{self._config.organization.lower()}/{me.id}", me.provider_display_name or me.id)

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: c.Cursor | None) -> Iterator[c.TaskPage]:
        """Work items by id, so that none is missed when others change meanwhile."""
        scope = [*self._areas, *sorted(self._config.work_item_types)]
        return byid.changed(cursor, scope, self._changed_since, self._read, BATCH)

    def _changed_since(self, since: datetime | None) -> byid.Query:
        if since is None:
            return self._query(self._mine)
        return self._query(wiql.changed_since(self._mine, since - timedelta(minutes=self._config.overlap_minutes)))

    def _query(self, where: str) -> byid.Query:
        return lambda after, upto: self._client.query(wiql.ids(where, after, upto))

    def _read(self, ids: Sequence[int]) -> list[c.RemoteTask]:
        return [self._reader.task(item) for item in self._client.items(ids)]

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, c.RemoteTask | c.Gone]:
        """The work items now. What can't be read is proven deleted by the recycle bin, and else only unreachable."""
        known = [task for batch in batches(ids, BATCH) for task in self._read(list(map(int, batch)))]
        found = {task.external_id: task for task in known}
        return {item_id: found.get(item_id) or self._gone(item_id) for item_id in ids}

    def _gone(self, item_id: str) -> c.Gone:
        if self._client.is_in_the_bin(item_id):
            return c.Gone(item_id, c.GoneReason.DELETED, "It is in the project's recycle bin.")
        text = "It can't be read and is not in the recycle bin: hidden from the account, or deleted for good."
        return c.Gone(item_id, c.GoneReason.UNREACHABLE, text)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all work items in the mapped paths."""
        for found, _ in byid.stretches(self._query(self._mine)):
            yield list(map(str, found.ids))

    # --- TaskSink -----------------------------------------------------------------------------------

    def find_created(self, create_key: str) -> Sequence[c.RemoteTask]:
        """The work items that carry the key, the oldest first."""
        ids = [item_id for found, _ in byid.stretches(self._query(wiql.tagged(create_key))) for item_id in found.ids]
        tasks = [task for batch in batches(ids, BATCH) for task in self._read(batch)]
        return sorted((t for t in tasks if t.create_key == create_key), key=lambda task: int(task.external_id))

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST that leaves the key as a tag. The status may take another: a work item begins in the first state of
        its type."""
        kind = self._config.work_item_type
        project, _, below = draft.container.partition("\\")
        area = {mapping.AREA: draft.container} if below else {}
        fixed = {mapping.TAGS: create_key, **self._config.create_fields, **area}
        write = self._reader.edit(drafted(draft), kind, fixed)
        item = created(lambda body: self._client.create(project, kind, _patch(body)), write, HINTS)
        item = self._started(item, draft.status, write)
        return write.done(self._reader.task(item))

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """One PATCH of the revision we know. Raises Conflict when somebody was faster."""
        item = self._client.item(external_id) if changes.keys() & BY_TYPE else None
        write = self._reader.edit(changes, item.fields.type if item else "")
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
        except c.ConnectorError:
            write.sent.pop("status", None)
            return item

    def _patched(self, item_id: str, rev: int, write: Write) -> WorkItem | None:
        """The work item after a change; None when nothing is left of it."""
        test = {"op": "test", "path": "/rev", "value": rev}
        return taken(lambda body: self._client.update(item_id, [test, *_patch(body)]), write, HINTS)

    def _put_status(self, item: WorkItem, target: str, write: Write) -> None:
        """How to get to a status; nothing where the work item is there already, or its type has no such state."""
        project, kind = item.fields.project, item.fields.type
        held = self._reader.status(project, kind, item.fields.state)
        if held.here == target:
            write.sent["status"] = as_field(held).there
            return
        states = [self._reader.status(project, kind, one.name) for one in self._states(project, kind)]
        if chosen := write.choose("status", self._reader.words, target, f"the type {kind}", states):
            write.send("status", as_field(chosen).there, {mapping.STATE: chosen.id})

    # --- TaskVocabulary, UserDirectory --------------------------------------------------------------

    def _asked(self, project: str, kind: str) -> list[State]:
        """The states of a type; none of a type that was taken away while work items of it are left, which must not keep
        others from being read."""
        try:
            return self._client.states(project, kind)
        except c.NotFound:
            return []

    def vocabularies(self) -> Iterator[c.Vocabulary]:
        """The states of each mapped path's types, and Azure's four priorities."""
        wanted = {kind.casefold() for kind in self._config.work_item_types}
        for area in self._areas:
            project = _project(area)
            types = [kind.name for kind in self._client.types(project)]
            kinds = [name for name in types if not wanted or name.casefold() in wanted]
            names = {(kind, state.name) for kind in kinds for state in self._states(project, kind)}
            meant = {self._reader.status(project, kind, name) for kind, name in names}
            statuses = sorted(meant, key=lambda one: (one.name, one.here))
            yield c.Vocabulary(area, statuses, self._reader.priorities.values())

    def find_user(self, email: str, container: str) -> c.RemoteUser | None:
        """The member of one of the project's teams with this address, which is one person's in an organization."""
        people = self._client.members(_project(container))
        return next((mapping.person(one) for one in people if one.unique_name.casefold() == email.casefold()), None)

    parse = staticmethod(webhook.parse)


def _project(area: str) -> str:
    """The project of an area path."""
    return area.partition("\\")[0]


def _patch(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in body.items()]
