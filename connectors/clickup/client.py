"""ClickUp's API v2: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from connectors import contract as c
from connectors.clickup.mapping import Named, Task, User, VendorStatus
from connectors.http import Params
from connectors.response import Response, words_of
from connectors.rest import Endpoint, RestClient

PAGE = 100
"""Tasks of a full page. The size can't be chosen."""

WHOLE: Params = {"include_closed": "true", "subtasks": "true", "include_markdown_description": "true"}
"""By default ClickUp leaves closed tasks and subtasks out, which would then look deleted."""

OF_THE_TOKEN = ("/user", "/team")
"""What every token may read: there, 401 is about the token itself."""


class Page(msgspec.Struct):
    """Tasks, and whether they are the last; not every endpoint says so."""

    tasks: list[Task]
    last_page: bool | None = None

    @property
    def last(self) -> bool:
        """Whether nothing comes after them."""
        return len(self.tasks) < PAGE if self.last_page is None else self.last_page or not self.tasks

    def after(self, number: int) -> int | None:
        """The number of the page behind this one; None where there is none."""
        return None if self.last else number + 1


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


class Webhook(msgspec.Struct):
    """A registered webhook; `list_id` None: of the whole Workspace. The `status` of its health is active, failing or
    suspended."""

    id: str
    endpoint: str
    secret: str
    events: list[str] = []
    list_id: int | str | None = None
    health: dict[str, Any] = {}

    def works(self, events: Collection[str]) -> bool:
        """Whether ClickUp still delivers all of these events to it."""
        return self.health.get("status", "active") == "active" and set(self.events) >= set(events)


class ClickUpClient(RestClient):
    """Speaks for one token. Pages count from 0."""

    def __init__(self, context: c.Context) -> None:
        base = context.endpoints["api"].rstrip("/") + "/api/v2"
        super().__init__(context.http, base, context.credentials.authorization)
        self.http.errors_text = words_of("err", "ECODE")
        self._workspace: str = context.config.workspace_id

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
        """One call. 401 is also ClickUp's word for what the account may not see: where a read gets it, the token itself
        still works, and the same is answered again, it is Forbidden."""
        ask = partial(super().call, method, path, headers=headers, **more)
        try:
            return ask()
        except c.AuthFailed:
            if method != "GET" or path in OF_THE_TOKEN:
                raise
        self.me()
        try:
            return ask()
        except c.AuthFailed as error:
            raise c.Forbidden(error.text) from None

    me = Endpoint("GET /user", User, "user")
    workspaces = Endpoint("GET /team", list[Workspace], "teams")

    def statuses(self, list_id: str) -> list[VendorStatus]:
        """The statuses the tasks of a List can have, in order."""
        found = self.get(f"/list/{list_id}", Statuses)
        if not found.statuses and found.space is not None:
            found = self.get(f"/space/{found.space.id}", Statuses)
        return sorted(found.statuses, key=lambda status: float(status.orderindex))

    # --- tasks --------------------------------------------------------------------------------------

    create = Endpoint("POST /list/{}/task", Task)
    update = Endpoint("PUT /task/{}", Task)
    tag = Endpoint("POST /task/{}/tag/{}", Response)

    def tasks(self, page: int, filters: Params) -> Page:
        """A page of the Workspace's tasks. Archived ones are never among them."""
        return self.get(f"/team/{self._workspace}/task", Page, params={**WHOLE, "page": page, **filters})

    def archived(self, list_id: str, page: int) -> Page:
        """A page of a List's archived tasks."""
        return self.get(f"/list/{list_id}/task", Page, params={**WHOLE, "page": page, "archived": "true"})

    def task(self, task_id: str) -> Task:
        """A task, freshly read, by its id or its custom id (`DEV-42`)."""
        custom = {"custom_task_ids": "true", "team_id": self._workspace} if "-" in task_id else {}
        params = {"include_markdown_description": "true", **custom}
        return self.get(f"/task/{quote(task_id, safe='')}", Task, params=params)

    # --- webhooks -----------------------------------------------------------------------------------

    webhooks = Endpoint("GET /team/{}/webhook", list[Webhook], "webhooks")
    """Those this token's user registered."""

    register = Endpoint("POST /team/{}/webhook", Webhook, "webhook")
    change = Endpoint("PUT /webhook/{}", Response)
    unregister = Endpoint("DELETE /webhook/{}", Response, allow=(404,))
