"""The fake GitHub's issues, kept in the tracker: what is not title, text, state or assignee is in labels."""

from collections.abc import Iterable
from typing import Any

from sandbox.code.values import Repo
from sandbox.errors import VendorError
from sandbox.github.render import Json, Renderer, iso
from sandbox.tracker import Item, Tracker
from sandbox.vendor import Ask

FIRST = 100_000
"""Issues and pull requests share their numbers; here issues begin behind all pull requests."""


class Issues:
    """Issues of all repositories. A label is made by being given."""

    def __init__(self, tracker: Tracker, render: Renderer) -> None:
        self._tracker, self._render = tracker, render

    @staticmethod
    def number(item: Item) -> int:
        """What people call it."""
        return FIRST + int(item.id)

    def assignable(self) -> list[Json]:
        """Whoever is there."""
        return [user for id_ in self._tracker.users if (user := self._render.user(id_)) is not None]

    def listed(self, ask: Ask, repo: Repo) -> list[Json]:
        """Issues, and pull requests among them, which have a part that says so."""
        query = ask.call.query
        rows = [self.json(repo, item) for item in self._tracker.items.values() if item.container == str(repo.id)]
        rows += [self._pull(repo, number) for number in repo.pulls]
        rows = [row for row in rows if query.get("state", "open") in ("all", row["state"])]
        rows = [row for row in rows if row["updated_at"] >= query.get("since", "")]
        order = "updated_at" if query.get("sort") == "updated" else "created_at"
        rows.sort(key=lambda row: (row[order], row["number"]), reverse=query.get("direction", "desc") == "desc")
        return rows

    def get(self, ask: Ask, repo: Repo) -> Json:
        """One; 410 where it was deleted."""
        return self.json(repo, self._found(ask, repo))

    def create(self, ask: Ask, repo: Repo) -> Json:
        """Make one; it is open."""
        body = ask.json("title")
        values = self._values(body, None)
        return self.json(repo, self._tracker.create(ask.user, str(repo.id), body["title"], **values))

    def update(self, ask: Ask, repo: Repo) -> Json:
        """Change what the body names. A reason counts only where the state changes."""
        item, body = self._found(ask, repo), ask.json()
        return self.json(repo, self._tracker.update(ask.user, item.id, **self._values(body, item)))

    def _values(self, body: Json, item: Item | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        if item is not None and "title" in body:
            values["title"] = body["title"]
        if "body" in body:
            values["description"] = body["body"] or ""
        if "labels" in body:
            extra["labels"] = tuple(body["labels"])
        if "assignees" in body:
            extra["assignees"] = tuple(self._who(login) for login in body["assignees"])
        if item is not None and body.get("state", item.status) != item.status:
            values["status"] = body["state"]
            extra["reason"] = body.get("state_reason", "completed") if body["state"] == "closed" else "reopened"
        return values | ({"extra": extra} if extra else {})

    def _who(self, login: str) -> str:
        for id_ in self._tracker.users:
            if (self._render.user(id_) or {}).get("login") == login:
                return id_
        raise VendorError(422, "Validation Failed")

    def _found(self, ask: Ask, repo: Repo) -> Item:
        number = int(ask.params["number"]) - FIRST
        item = self._tracker.items.get(str(number))
        if item is None and str(number) in self._tracker.trash:
            raise VendorError(410, "This issue was deleted")
        if item is None or item.container != str(repo.id):
            raise VendorError(404, "Not Found")
        return item

    # --- what it looks like ---------------------------------------------------------------------------

    def json(self, repo: Repo, item: Item) -> Json:
        """An issue."""
        labels: Iterable[str] = item.extra.get("labels", ())
        people = item.extra.get("assignees") or ((item.assignee,) if item.assignee else ())
        closed = item.status == "closed"
        return self._row(repo, self.number(item), item.title, iso(item.created), iso(item.updated)) | {
            "id": 500_000 + int(item.id),
            "state": item.status,
            "state_reason": item.extra.get("reason", "completed" if closed else None),
            "body": item.description or None,
            "labels": [_label(name) for name in labels],
            "assignees": [user for id_ in people if (user := self._render.user(id_)) is not None],
            "user": self._render.user(item.creator),
            "closed_at": iso(item.updated) if closed else None,
        }

    def _pull(self, repo: Repo, number: int) -> Json:
        pull = repo.pulls[number]
        row = self._row(repo, number, pull.title, iso(pull.created), iso(pull.updated))
        state = "open" if pull.state == "open" else "closed"
        part = dict.fromkeys(("url", "html_url", "diff_url", "patch_url"), self._render.pull(repo, pull)["html_url"])
        return row | {"state": state, "user": self._render.user(pull.author), "pull_request": part}

    def _row(self, repo: Repo, number: int, title: str, created: str, updated: str) -> Json:
        whole = self._render.repository(repo)
        api = f"{whole['url']}/issues/{number}"
        return {
            "id": number,
            "node_id": f"I_{number}",
            "url": api,
            "repository_url": whole["url"],
            **{f"{name}_url": f"{api}/{name}" for name in ("labels", "comments", "events")},
            "html_url": f"{whole['html_url']}/issues/{number}",
            "number": number,
            "title": title,
            "state_reason": None,
            "body": None,
            "labels": [],
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "locked": False,
            "comments": 0,
            "closed_at": None,
            "created_at": created,
            "updated_at": updated,
            "author_association": "MEMBER",
            "performed_via_github_app": None,
        }


def _label(name: str) -> Json:
    number = sum(name.encode())
    return {
        "id": number,
        "node_id": f"LA_{number}",
        "url": f"https://api.github.com/labels/{number}",
        "name": name,
        "description": None,
        "color": "ededed",
        "default": False,
    }
