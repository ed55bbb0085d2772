"""The ClickUp connector: reading, people, webhooks. What it writes is in `writing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from pydantic import SecretStr

from connectors import bytime
from connectors.bytime import Answer, Window
from connectors.clickup import webhook
from connectors.clickup.client import Page, Webhook
from connectors.clickup.manifest import MANIFEST
from connectors.clickup.mapping import Task, remote_user
from connectors.clickup.writing import Writer
from connectors.contract import (
    Account,
    Context,
    Cursor,
    Forbidden,
    Gone,
    GoneReason,
    Manifest,
    NotFound,
    RemoteTask,
    RemoteUser,
    Subscription,
    TaskPage,
    Vocabulary,
)
from connectors.reading import Sight, fetched, pages

BELIEVED = 2 * webhook.WEBHOOKS.renew_before
"""ClickUp suspends a webhook without a word: that it works is believed for so long, and looked at after half of it."""


class ClickUpConnector(Writer):
    """ClickUp, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._now = context.now
        self._lists = sorted({project.external for project in self._config.projects})

    def check(self) -> Account:
        """The Workspace, and who the token speaks for there: whoever connects a List, it must not be connected twice.
        Raises AuthFailed, Forbidden."""
        me, spaces = self._client.me(), {space.id: space for space in self._client.workspaces()}
        if self._config.workspace_id not in spaces:
            covered = ", ".join(f"{space.id} ({space.name})" for space in spaces.values()) or "none"
            raise Forbidden(
                f"The token is not good for the Workspace {self._config.workspace_id}, but for: {covered}. "
                "Correct workspace_id, or connect again and choose that Workspace."
            )
        name = f"{me.username or me.id} in {spaces[self._config.workspace_id].name}"
        return Account(self._config.workspace_id, name)

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Tasks by the time of their last change; with a List that is new in the config, all of them."""
        known = bytime.since(cursor, self._lists)
        overlap = self._config.overlap_minutes * 60_000
        for tasks in bytime.oldest_first(self._ask, 0 if known is None else known - overlap):
            known = max([known or 0, *(task.changed for task in tasks)]) or None
            yield TaskPage([self._reader.task(task) for task in tasks], bytime.cursor_at(known, self._lists))

    def _ask(self, window: Window) -> Answer[Task]:
        bounds = {"date_updated_gt": window.after} | ({"date_updated_lt": window.until} if window.until else {})
        order = {"order_by": "updated", "reverse": str(window.reverse).lower()}
        page = self._client.tasks(window.number, {"list_ids[]": self._lists, **order, **bounds})
        return Answer(page.tasks, page.last)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """The tasks now, a call each. What can't be read any more is proven deleted, or unreachable."""
        sight = Sight("List", self._sees)
        return fetched(ids, self._one, lambda task_id, text: sight.gone(task_id, text, self._lists))

    def _one(self, task_id: str) -> RemoteTask | Gone:
        try:
            return self._reader.task(self._client.task(task_id))
        except Forbidden as error:
            return Gone(task_id, GoneReason.UNREACHABLE, error.text)

    def _sees(self, list_id: str) -> bool:
        try:
            self._client.statuses(list_id)
        except (Forbidden, NotFound):
            return False
        return True

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all tasks in the mapped Lists, the archived ones last: no listing of the Workspace has them."""
        for tasks in bytime.oldest_first(self._ask, 0):
            yield [task.id for task in tasks]
        for list_id in self._lists:
            for page in pages(partial(self._client.archived, list_id), 0, Page.after):
                yield [task.id for task in page.tasks]

    # --- TaskVocabulary, UserDirectory --------------------------------------------------------------

    def vocabularies(self) -> Iterator[Vocabulary]:
        """The statuses of each mapped List, and the four priorities there are."""
        for list_id in self._lists:
            yield Vocabulary(list_id, self.statuses(list_id), self._reader.priorities.values())

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """The one member of the Workspace with this address."""
        spaces = [space for space in self._client.workspaces() if space.id == self._config.workspace_id]
        people = [member.user for space in spaces for member in space.members]
        exact = [user for user in people if (user.email or "").casefold() == email.casefold()]
        return remote_user(exact[0]) if len(exact) == 1 else None

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """One webhook for the only mapped List, or for the Workspace. One there is already is adopted, and set going
        again if ClickUp has suspended it. The secret is ClickUp's choice."""
        only = self._lists if len(self._lists) == 1 else []
        hooks = [hook for hook in self._client.webhooks() if hook.endpoint == url]
        fitting = [hook for hook in hooks if [str(hook.list_id)] == only or not (hook.list_id or only)][:1]
        for hook in hooks:
            if hook not in fitting:
                self._client.unregister(hook.id)
        if not fitting:
            return self._subscription(self._client.register(url, webhook.SUBSCRIBED, only))
        if not _works(fitting[0]):
            self._client.revive(fitting[0].id, url, webhook.SUBSCRIBED)
        return self._subscription(fitting[0])

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Nothing ends, but ClickUp gives up on webhooks: None for one it has dropped deliveries of, or has no more."""
        for hook in self._client.webhooks():
            if hook.id in subscription.external_ids and hook.endpoint == url and _works(hook):
                return self._subscription(hook)
        return None

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove it; one already gone is success."""
        for hook_id in subscription.external_ids:
            self._client.unregister(hook_id)

    def _subscription(self, hook: Webhook) -> Subscription:
        return Subscription((hook.id,), self._now() + BELIEVED, SecretStr(hook.secret))


def _works(hook: Webhook) -> bool:
    return hook.health.status == "active" and set(hook.events) >= set(webhook.SUBSCRIBED)
