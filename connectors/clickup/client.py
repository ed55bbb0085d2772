"""ClickUp's API v2: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from connectors.clickup.config import ClickUpConfig
from connectors.clickup.mapping import Named, Task, User, VendorStatus
from connectors.contract import AuthFailed, Context, Forbidden
from connectors.http import Params, Response
from connectors.response import words_of

PAGE = 100
"""Tasks of a full page. The size can't be chosen."""

WHOLE: Params = {"include_closed": "true", "subtasks": "true", "include_markdown_description": "true"}
"""By default ClickUp leaves closed tasks and subtasks out, which would then look deleted."""


class Page(msgspec.Struct):
    """Tasks, and whether they are the last; not every endpoint says so."""

    tasks: list[Task]
    last_page: bool | None = None

    @property
    def last(self) -> bool:
        """Whether nothing comes after them."""
        return len(self.tasks) < PAGE if self.last_page is None else self.last_page or not self.tasks


class Statuses(msgspec.Struct):
    """The statuses of a List, or of the Space it takes them from."""

    statuses: list[VendorStatus]
    space: Named | None = None


class Member(msgspec.Struct):
    """Somebody in a Workspace."""

    user: User


class Workspace(msgspec.Struct):
    """A Workspace and everybody in it."""

    id: str
    name: str = ""
    members: list[Member] = []


class Health(msgspec.Struct):
    """`status` is active, failing or suspended."""

    status: str = "active"


class Webhook(msgspec.Struct):
    """A registered webhook; `list_id` None: of the whole Workspace."""

    id: str
    endpoint: str
    secret: str
    events: list[str] = []
    list_id: int | str | None = None
    health: Health = msgspec.field(default_factory=Health)


class _Workspaces(msgspec.Struct):
    teams: list[Workspace]


class _Webhooks(msgspec.Struct):
    webhooks: list[Webhook]


class _Registered(msgspec.Struct):
    webhook: Webhook


class ClickUpClient:
    """Speaks for one token in one Workspace. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        config: ClickUpConfig = context.config
        self._workspace = config.workspace_id
        self._credentials = context.credentials
        self._base = context.endpoints["api"].rstrip("/") + "/api/v2"
        self._http = context.http
        self._http.errors_text = words_of("err", "ECODE")

    def _call(self, method: str, path: str, **more: Any) -> Response:
        headers = {"Authorization": self._credentials.authorization()}
        return self._http.request(method, self._base + path, headers=headers, **more)

    def _get(self, path: str, params: Params | None = None) -> Response:
        """A read. 401 is also ClickUp's word for what the account may not see: then the token itself still works, and
        the same is answered again."""
        try:
            return self._call("GET", path, params=params)
        except AuthFailed:
            self.me()
        try:
            return self._call("GET", path, params=params)
        except AuthFailed as error:
            raise Forbidden(error.text) from None

    def me(self) -> User:
        """Whose token it is."""
        return self._call("GET", "/user").decode(Member).user

    def workspaces(self) -> list[Workspace]:
        """The Workspaces the token is good for."""
        return self._call("GET", "/team").decode(_Workspaces).teams

    def statuses(self, list_id: str) -> list[VendorStatus]:
        """The statuses the tasks of a List can have, in order."""
        found = self._get(f"/list/{list_id}").decode(Statuses)
        if not found.statuses and found.space is not None:
            found = self._get(f"/space/{found.space.id}").decode(Statuses)
        return sorted(found.statuses, key=lambda status: float(status.orderindex))

    # --- tasks --------------------------------------------------------------------------------------

    def tasks(self, page: int, filters: Params) -> Page:
        """A page of the Workspace's tasks; pages count from 0. Archived ones are never among them."""
        return self._get(f"/team/{self._workspace}/task", {**WHOLE, "page": page, **filters}).decode(Page)

    def archived(self, list_id: str, page: int) -> Page:
        """A page of a List's archived tasks."""
        return self._get(f"/list/{list_id}/task", {**WHOLE, "page": page, "archived": "true"}).decode(Page)

    def task(self, task_id: str) -> Task:
        """A task, freshly read, by its id or its custom id (`DEV-42`)."""
        custom = {"custom_task_ids": "true", "team_id": self._workspace} if "-" in task_id else {}
        params: Params = {"include_markdown_description": "true", **custom}
        return self._get(f"/task/{quote(task_id, safe='')}", params).decode(Task)

    def create(self, list_id: str, body: dict[str, Any]) -> Task:
        """Make a task."""
        return self._call("POST", f"/list/{list_id}/task", json=body).decode(Task)

    def update(self, task_id: str, body: dict[str, Any]) -> Task:
        """Change what the body names."""
        return self._call("PUT", f"/task/{task_id}", json=body).decode(Task)

    def tag(self, task_id: str, name: str) -> None:
        """Tag a task."""
        self._call("POST", f"/task/{task_id}/tag/{quote(name, safe='')}")

    # --- webhooks -----------------------------------------------------------------------------------

    def webhooks(self) -> list[Webhook]:
        """The webhooks this token's user registered."""
        return self._get(f"/team/{self._workspace}/webhook").decode(_Webhooks).webhooks

    def register(self, url: str, events: Sequence[str], only: Sequence[str]) -> Webhook:
        """Register one, for a single List or for the whole Workspace; ClickUp chooses its secret."""
        where = {"list_id": int(only[0])} if only else {}
        body = {"endpoint": url, "events": list(events), **where}
        return self._call("POST", f"/team/{self._workspace}/webhook", json=body).decode(_Registered).webhook

    def revive(self, hook_id: str, url: str, events: Sequence[str]) -> None:
        """Set a webhook going again, for these events."""
        self._call("PUT", f"/webhook/{hook_id}", json={"endpoint": url, "events": list(events), "status": "active"})

    def unregister(self, hook_id: str) -> None:
        """Remove one; one already gone is fine."""
        self._call("DELETE", f"/webhook/{hook_id}", allow=(404,))
