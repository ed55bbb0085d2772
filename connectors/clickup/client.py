"""ClickUp's API v2: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from connectors import contract as c
from connectors.clickup.mapping import Named, Task, User, VendorStatus
from connectors.http import Params
from connectors.response import words_of
from connectors.rest import RestClient

T = TypeVar("T")

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
    """Speaks for one token in one Workspace."""

    def __init__(self, context: c.Context) -> None:
        base = context.endpoints["api"].rstrip("/") + "/api/v2"
        super().__init__(context.http, base, context.credentials.authorization)
        self.http.errors_text = words_of("err", "ECODE")
        self._team = f"/team/{context.config.workspace_id}"

    def get(self, path: str, shape: type[T], at: str | None = None, **more: Any) -> T:
        """A read. 401 is also ClickUp's word for what the account may not see: then the token itself still works, and
        the same is answered again."""
        try:
            return super().get(path, shape, at, **more)
        except c.AuthFailed:
            self.me()
        try:
            return super().get(path, shape, at, **more)
        except c.AuthFailed as error:
            raise c.Forbidden(error.text) from None

    def me(self) -> User:
        """Whose token it is."""
        return super().get("/user", User, "user")

    def workspaces(self) -> list[Workspace]:
        """The Workspaces the token is good for."""
        return super().get("/team", list[Workspace], "teams")

    def statuses(self, list_id: str) -> list[VendorStatus]:
        """The statuses the tasks of a List can have, in order."""
        found = self.get(f"/list/{list_id}", Statuses)
        if not found.statuses and found.space is not None:
            found = self.get(f"/space/{found.space.id}", Statuses)
        return sorted(found.statuses, key=lambda status: float(status.orderindex))

    # --- tasks --------------------------------------------------------------------------------------

    def tasks(self, page: int, filters: Params) -> Page:
        """A page of the Workspace's tasks; pages count from 0. Archived ones are never among them."""
        return self.get(f"{self._team}/task", Page, params={**WHOLE, "page": page, **filters})

    def archived(self, list_id: str, page: int) -> Page:
        """A page of a List's archived tasks."""
        return self.get(f"/list/{list_id}/task", Page, params={**WHOLE, "page": page, "archived": "true"})

    def task(self, task_id: str) -> Task:
        """A task, freshly read, by its id or its custom id (`DEV-42`)."""
        custom = {"custom_task_ids": "true", "team_id": self._team.rpartition("/")[2]} if "-" in task_id else {}
        params = {"include_markdown_description": "true", **custom}
        return self.get(f"/task/{quote(task_id, safe='')}", Task, params=params)

    def create(self, list_id: str, body: dict[str, Any]) -> Task:
        """Make a task."""
        return self.send("POST", f"/list/{list_id}/task", body, Task)

    def update(self, task_id: str, body: dict[str, Any]) -> Task:
        """Change what the body names."""
        return self.send("PUT", f"/task/{task_id}", body, Task)

    def tag(self, task_id: str, name: str) -> None:
        """Tag a task."""
        self.call("POST", f"/task/{task_id}/tag/{quote(name, safe='')}")

    # --- webhooks -----------------------------------------------------------------------------------

    def webhooks(self) -> list[Webhook]:
        """The webhooks this token's user registered."""
        return self.get(f"{self._team}/webhook", list[Webhook], "webhooks")

    def register(self, url: str, events: Sequence[str], only: Sequence[str]) -> Webhook:
        """Register one, for a single List or for the whole Workspace; ClickUp chooses its secret."""
        body = {"endpoint": url, "events": list(events), **({"list_id": int(only[0])} if only else {})}
        return self.send("POST", f"{self._team}/webhook", body, Webhook, "webhook")

    def revive(self, hook_id: str, url: str, events: Sequence[str]) -> None:
        """Set a webhook going again, for these events."""
        self.call("PUT", f"/webhook/{hook_id}", json={"endpoint": url, "events": list(events), "status": "active"})

    def unregister(self, hook_id: str) -> None:
        """Remove one; one already gone is fine."""
        self.call("DELETE", f"/webhook/{hook_id}", allow=(404,))
