"""The Azure Boards connector: reading and people. What it writes is in `writing`, its webhooks are all of Azure's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

from connectors.azure_boards import webhook, wiql
from connectors.azure_boards.manifest import MANIFEST
from connectors.azure_boards.mapping import person
from connectors.azure_boards.writing import Writer
from connectors.azure_subscriptions import ServiceHooks, Subscribed
from connectors.contract import (
    Account,
    BadPayload,
    Context,
    Cursor,
    Gone,
    GoneReason,
    Manifest,
    RemoteTask,
    RemoteUser,
    TaskPage,
    Vocabulary,
)
from connectors.reading import batches
from connectors.times import moment

BATCH = 200
"""Most work items of one call."""

WINDOW = 20_000
"""A stretch of ids that can't hold more than Azure gives."""


class _Window(NamedTuple):
    """Ids in order, when that was true by Azure's clock, and whether none are behind them."""

    ids: Sequence[int]
    as_of: str
    last: bool


class AzureBoardsConnector(Writer, Subscribed):
    """Azure Boards, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.now = context.now
        self._areas = sorted({project.external for project in self._config.projects})
        self._mine = wiql.items(self._areas, self._config.work_item_types)
        events = dict.fromkeys(webhook.SUBSCRIBED, "tfs")
        self.hooks = ServiceHooks(self._client, sorted(set(map(_project, self._areas))), events)

    def check(self) -> Account:
        """Whose credentials they are. Raises AuthFailed, ConsentPending, Forbidden, RateLimited, Transient."""
        me = self._client.me()
        return Account(f"{self._config.organization.lower()}/{me.id}", me.provider_display_name or me.id)

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Work items by id, so that none is missed when others change meanwhile; each as it is when its page is read.
        The cursor holds

        since     Azure's time (ISO) up to which everything is known; null: nothing is
        projects  the paths that is true for, under the types that are synced
        after     within a run: the id after which to carry on
        as_of     within a run: Azure's time when it began
        """
        scope = [*self._areas, *sorted(self._config.work_item_types)]
        state: dict[str, Any] = dict(cursor or {})
        if state.get("projects") != scope:
            state = {"since": None, "projects": scope}
        after, as_of = int(state.get("after") or 0), state.get("as_of")
        for window in self._windows(self._changed_since(state["since"]), after):
            as_of = as_of or window.as_of
            total = len(window.ids) if window.last and state["since"] is None and not after else None
            for batch in batches(window.ids, BATCH):
                after = batch[-1]
                carry_on = {**state, "after": after, "as_of": as_of}
                yield TaskPage(self._read(batch), carry_on, total)
        yield TaskPage([], {"since": as_of, "projects": scope})

    def _changed_since(self, since: str | None) -> str:
        if since is None:
            return self._mine
        return wiql.changed_since(self._mine, moment(since) - timedelta(minutes=self._config.overlap_minutes))

    def _windows(self, where: str, after: int = 0) -> Iterator[_Window]:
        """All ids above one, in order: at once, or, where there are more than Azure gives, stretch by stretch."""
        span = WINDOW
        while (found := self._client.query(wiql.ids(where, after))) is None:
            while (part := self._client.query(wiql.ids(where, after, after + span))) is None:
                if span == 1:
                    raise BadPayload("Azure says that a single work item is too much for a query.")
                span //= 2
            yield _Window(part.ids, part.as_of, last=False)
            after += span
            span *= 1 if part.ids else 2
        yield _Window(found.ids, found.as_of, last=True)

    def _read(self, ids: Sequence[int]) -> list[RemoteTask]:
        return [self._reader.task(item) for item in self._client.items(ids)]

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """The work items now. What can't be read is proven deleted by the recycle bin, and else only unreachable."""
        known = [task for batch in batches(ids, BATCH) for task in self._read(list(map(int, batch)))]
        found = {task.external_id: task for task in known}
        return {item_id: found.get(item_id) or self._gone(item_id) for item_id in ids}

    def _gone(self, item_id: str) -> Gone:
        if self._client.is_in_the_bin(item_id):
            return Gone(item_id, GoneReason.DELETED, "It is in the project's recycle bin.")
        text = "It can't be read and is not in the recycle bin: hidden from the account, or deleted for good."
        return Gone(item_id, GoneReason.UNREACHABLE, text)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all work items in the mapped paths."""
        for window in self._windows(self._mine):
            yield [str(item_id) for item_id in window.ids]

    # --- TaskSink: the rest is in writing -----------------------------------------------------------

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """The work items that carry the key, the oldest first."""
        ids = [item_id for window in self._windows(wiql.tagged(create_key)) for item_id in window.ids]
        tasks = [task for batch in batches(ids, BATCH) for task in self._read(batch)]
        return sorted((t for t in tasks if t.create_key == create_key), key=lambda task: int(task.external_id))

    # --- TaskVocabulary, UserDirectory --------------------------------------------------------------

    def vocabularies(self) -> Iterator[Vocabulary]:
        """The states of each mapped path's types, and Azure's four priorities."""
        wanted = {kind.casefold() for kind in self._config.work_item_types}
        for area in self._areas:
            project = _project(area)
            kinds = [kind for kind in self._client.types(project) if not wanted or kind.casefold() in wanted]
            names = {(kind, state.name) for kind in kinds for state in self._states(project, kind)}
            meant = {self._reader.status(project, kind, name) for kind, name in names}
            statuses = sorted(meant, key=lambda one: (one.name, one.here))
            yield Vocabulary(area, statuses, self._reader.priorities.values())

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """The member of one of the project's teams with this address, which is one person's in an organization."""
        people = self._client.members(_project(container))
        return next((person(one) for one in people if one.unique_name.casefold() == email.casefold()), None)

    parse = staticmethod(webhook.parse)


def _project(area: str) -> str:
    """The project of an area path."""
    return area.partition("\\")[0]
