"""The ClickUp connector: it decides which calls to make, and leaves words to `mapping` and deliveries to `webhook`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import msgspec
import structlog
from pydantic import SecretStr

from connectors import bytime
from connectors import contract as c
from connectors.clickup import webhook
from connectors.clickup.client import ClickUpClient, Page, Webhook
from connectors.clickup.config import ClickUpConfig
from connectors.clickup.manifest import MANIFEST
from connectors.clickup.mapping import Reader, Task, remote_user, status_value
from connectors.hooks import no_handshake
from connectors.reading import Sight, fetched, pages, with_email
from connectors.texts import described, titled
from connectors.words import as_field
from connectors.writes import Write, differing, drafted

log = structlog.get_logger(__name__)

BELIEVED = 2 * webhook.WEBHOOKS.renew_before
"""ClickUp suspends a webhook without a word: that it works is believed for so long, and looked at after half of it."""

EMPTY = " "
"""What clears a description; ClickUp takes "" for "unchanged"."""


class ClickUpConnector:
    """ClickUp, for one integration. Remembers the statuses of Lists."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: ClickUpConfig = context.config
        self._client, self._reader, self._now = ClickUpClient(context), Reader(context.config), context.now
        self._lists = self._config.containers
        self._statuses: dict[str, Sequence[c.VendorValue]] = {}

    def check(self) -> c.Account:
        """The Workspace, and who the token speaks for there: whoever connects a List, it must not be connected twice.
        Raises AuthFailed, Forbidden."""
        me, spaces = self._client.me(), {space.id: space for space in self._client.workspaces()}
        if self._config.workspace_id not in spaces:
            covered = ", ".join(f"{space.id} ({space.name})" for space in spaces.values()) or "none"
            raise c.Forbidden(
                f"The token is not good for the Workspace {self._config.workspace_id}, but for: {covered}. "
                "Correct workspace_id, or connect again and choose that Workspace."
            )
        name = f"{me.username or me.id} in {spaces[self._config.workspace_id].name}"
        return c.Account(self._config.workspace_id, name)

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: c.Cursor | None) -> Iterator[c.TaskPage]:
        """Tasks by the time of their last change; with a List that is new in the config, all of them."""
        overlap = timedelta(minutes=self._config.overlap_minutes)
        return bytime.changed(cursor, self._lists, self._ask, self._reader.task, overlap)

    def _ask(self, window: bytime.Window) -> bytime.Answer[Task]:
        bounds = {"date_updated_gt": window.after} | ({"date_updated_lt": window.until} if window.until else {})
        order = {"order_by": "updated", "reverse": str(window.reverse).lower()}
        page = self._client.tasks(window.number, {"list_ids[]": self._lists, **order, **bounds})
        return bytime.Answer(page.tasks, page.last)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, c.RemoteTask | c.Gone]:
        """The tasks now, a call each. What can't be read any more is proven deleted, or unreachable."""
        return fetched(ids, self._one, Sight("List", self._client.statuses, self._lists).gone)

    def _one(self, task_id: str) -> c.RemoteTask | c.Gone:
        try:
            return self._reader.task(self._client.task(task_id))
        except c.Forbidden as error:
            return c.Gone(task_id, c.GoneReason.UNREACHABLE, error.text)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all tasks in the mapped Lists, the archived ones last: no listing of the Workspace has them."""
        for tasks in bytime.oldest_first(self._ask, 0):
            yield [task.id for task in tasks]
        for list_id in self._lists:
            for page in pages(partial(self._client.archived, list_id), 0, Page.after):
                yield [task.id for task in page.tasks]

    # --- TaskSink -----------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST that leaves the key as a tag, or in the configured custom field. The task is read back only where
        the answer can't tell its description."""
        write = Write({"notify_all": False, "check_required_custom_fields": False, **self._marked(create_key)})
        for name, value in drafted(draft, "status", "description").items():
            if name == "assignee":
                write.send(name, value.id, {"assignees": [int(value.id)]})
            else:
                self._set(name, value, draft.container, write)
        create = partial(self._client.create, draft.container)
        try:
            task = create(write.body)
        except c.Rejected:  # it has created nothing
            if not self._remapped(draft.status, draft.container, write):
                raise
            task = create(write.body)
        findable = self._findable(task, create_key)
        try:
            if task.markdown_description is None and task.description:
                task = self._client.task(task.id)
        except c.ConnectorError as error:
            if findable:
                text = f"ClickUp created the task {task.id}, but reading it back failed: {error.text}"
                raise c.Transient(text) from None
            task.markdown_description = draft.description  # to say that it is unclear would make another one
        return write.done(self._reader.task(task))

    def _marked(self, create_key: str) -> dict[str, Any]:
        field = self._config.marker_field
        return {"custom_fields": [{"id": field, "value": create_key}]} if field else {"tags": [create_key]}

    def _findable(self, task: Task, create_key: str) -> bool:
        """Whether the key is in the task, by which it would be found if this answer were lost, too: ClickUp drops a
        custom field without a word that the List does not have. Then a tag has to do."""
        if self._reader.task(task).create_key == create_key:
            return True
        log.warning("clickup.weak_marker", task=task.id, list=task.list.id, marker_field=self._config.marker_field)
        try:
            self._client.tag(task.id, create_key)
        except c.ConnectorError:
            return False
        return True

    def find_created(self, create_key: str) -> Sequence[c.RemoteTask]:
        """The tasks that carry the key, the oldest first: by the custom field, if there is one, and by tag."""
        wanted = [{"field_id": self._config.marker_field, "operator": "=", "value": create_key}]
        by_field = {"custom_fields": msgspec.json.encode(wanted).decode()} if self._config.marker_field else {}
        found: dict[str, Task] = {}
        for name, value in {"tags[]": create_key, **by_field}.items():
            for page in pages(partial(self._client.tasks, filters={name: value}), 0, Page.after):
                found |= {task.id: task for task in page.tasks}
        oldest_first = sorted(found.values(), key=lambda task: (int(task.date_created), task.id))
        return [self._reader.task(task) for task in oldest_first]

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """A look, and one PUT of what differs. ClickUp checks no versions and does not tell what a write replaced, so
        the look is all there is. Raises Conflict where it shows another value than was expected."""
        held = self._client.task(external_id)
        write = Write()
        for name, value in differing(self._reader.task(held), changes, expected, write):
            if name == "assignee":
                self._assign(value if isinstance(value, c.RemoteUser) else None, held, write)
            else:
                self._set(name, str(value), held.list.id, write)
        task = self._put(held, changes, write) if write.body else held
        return write.done(self._reader.task(task))

    def _put(self, held: Task, changes: c.TaskChanges, write: Write) -> Task:
        """The task after the change, with its markdown: the answer to a write need not have that."""
        try:
            task = self._client.update(held.id, write.body)
        except c.Rejected as error:
            if "status" not in write.body or not self._remapped(str(changes["status"]), held.list.id, write):
                raise c.Rejected(error.text, next(iter(changes)) if len(changes) == 1 else None) from None
            task = self._client.update(held.id, write.body) if write.body else held
        if "markdown_content" not in write.body and task.description == held.description:
            task.markdown_description = task.markdown_description or held.markdown_description
        return self._client.task(held.id) if task.markdown_description is None else task

    def _assign(self, person: c.RemoteUser | None, held: Task, write: Write) -> None:
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

    def _set(self, name: str, value: str, list_id: str, write: Write) -> None:
        """One field in ClickUp's words."""
        if name == "title":
            write.send(name, titled(value).there, {"name": titled(value).here})
        elif name == "description":
            write.send(name, described(value).there, {"markdown_content": described(value).here or EMPTY})
        elif name == "status":
            if one := write.choose(name, self._reader.statuses, value, f"the List {list_id}", self.statuses(list_id)):
                write.send(name, status_value(one).there, {"status": one.name})
        elif one := write.choose(name, self._reader.priorities, value, "ClickUp"):
            write.send(name, as_field(one).there, {"priority": int(one.id) if one.id.isdecimal() else None})

    def _remapped(self, status: str, list_id: str, write: Write) -> bool:
        """Look at the List's statuses once more; whether something else, or nothing, is to be sent now."""
        before = write.body.pop("status", None)
        self._statuses.pop(list_id, None)
        self._set("status", status, list_id, write)
        return bool(write.body.get("status") != before)

    # --- TaskVocabulary, UserDirectory --------------------------------------------------------------

    def statuses(self, list_id: str) -> Sequence[c.VendorValue]:
        """The statuses of a List, asked for once."""
        if list_id not in self._statuses:
            self._statuses[list_id] = [self._reader.status(status) for status in self._client.statuses(list_id)]
        return self._statuses[list_id]

    def vocabularies(self) -> Iterator[c.Vocabulary]:
        """The statuses of each mapped List, and the four priorities there are."""
        for list_id in self._lists:
            yield c.Vocabulary(list_id, self.statuses(list_id), self._reader.priorities.values())

    def find_user(self, email: str, container: str) -> c.RemoteUser | None:
        """The one member of the Workspace with this address."""
        spaces = [space for space in self._client.workspaces() if space.id == self._config.workspace_id]
        return with_email((remote_user(member.user) for space in spaces for member in space.members), email)

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(no_handshake)

    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """One webhook for the only mapped List, or for the Workspace. One there is already is adopted, and set going
        again if ClickUp has suspended it. The secret is ClickUp's choice."""
        only = self._lists if len(self._lists) == 1 else []
        body = {"endpoint": url, "events": list(webhook.SUBSCRIBED)}
        hooks = self._hooks(url)
        fitting = [hook for hook in hooks if [str(hook.list_id)] == only or not (hook.list_id or only)][:1]
        for hook in hooks:
            if hook not in fitting:
                self._client.unregister(hook.id)
        if not fitting:
            place = {"list_id": int(only[0])} if only else {}
            return self._subscription(self._client.register(self._config.workspace_id, body | place))
        if not fitting[0].works(webhook.SUBSCRIBED):
            self._client.change(fitting[0].id, body | {"status": "active"})
        return self._subscription(fitting[0])

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Nothing ends, but ClickUp gives up on webhooks: None for one it has dropped deliveries of, or has no more."""
        ours = (hook for hook in self._hooks(url) if hook.id in subscription.external_ids)
        return next((self._subscription(hook) for hook in ours if hook.works(webhook.SUBSCRIBED)), None)

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove it; one already gone is success."""
        for hook_id in subscription.external_ids:
            self._client.unregister(hook_id)

    def _hooks(self, url: str) -> list[Webhook]:
        return [hook for hook in self._client.webhooks(self._config.workspace_id) if hook.endpoint == url]

    def _subscription(self, hook: Webhook) -> c.Subscription:
        return c.Subscription((hook.id,), self._now() + BELIEVED, SecretStr(hook.secret))
