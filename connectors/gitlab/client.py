"""GitLab's REST API v4: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from connectors.contract import Context, NotFound
from connectors.gitlab.shapes import (
    Commit,
    Deployment,
    Diff,
    Environment,
    Hook,
    Issue,
    Logged,
    MergeRequest,
    Note,
    Pipeline,
    Project,
    PushEvent,
    Release,
    StateEvent,
    User,
)
from connectors.http import Params, Response
from connectors.response import words_of

PAGE = 100
"""Rows of a full page; GitLab's most."""

REDIRECTS = (301, 302, 307, 308)
"""How a project's old path is answered after it was renamed or moved."""

T = TypeVar("T")


class _Token(msgspec.Struct):
    scopes: list[str] = []


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows; whether they are the last; how many there are in all, None where GitLab does not count."""

    rows: list[T]
    last: bool
    total: int | None


class GitLabClient:
    """Speaks for one token on one server. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        self._credentials = context.credentials
        self._base = context.endpoints["api"].rstrip("/") + "/api/v4"
        self._http = context.http
        self._http.errors_text = words_of("message", "error", "error_description")
        self._http.limit_scope = limited_scope
        self.vendor_now = context.http.vendor_now

    def call(self, method: str, path: str, **more: Any) -> Response:
        """One request below `/api/v4`."""
        headers = {"Authorization": self._credentials.authorization()}
        return self._http.request(method, self._base + path, headers=headers, **more)

    def get(self, path: str, type_: type[T], params: Params | None = None) -> T:
        """One thing."""
        return self.call("GET", path, params=params).decode(type_)

    def page(
        self, path: str, type_: type[T], number: int = 1, params: Params | None = None, size: int = PAGE
    ) -> Page[T]:
        """A page of a listing; pages count from 1."""
        answer = self.call("GET", path, params={**(params or {}), "page": number, "per_page": size})
        rows = answer.decode_list(type_)
        following, total = answer.headers.get("x-next-page"), answer.headers.get("x-total", "")
        last = not following if following is not None else len(rows) < size
        return Page(rows, last or not rows, int(total) if total.isdecimal() else None)

    def pages(self, path: str, type_: type[T], params: Params | None = None) -> Iterator[list[T]]:
        """All of a listing that does not change while it is read, or only grows at its end."""
        number, last = 1, False
        while not last:
            page = self.page(path, type_, number, params)
            yield page.rows
            number, last = number + 1, page.last

    def rows(self, path: str, type_: type[T], params: Params | None = None) -> Iterator[T]:
        """The same, one by one."""
        for rows in self.pages(path, type_, params):
            yield from rows

    # --- who and what there is ----------------------------------------------------------------------

    def me(self) -> User:
        """Whose token it is; projects' and groups' tokens have users of their own."""
        return self.get("/user", User)

    def scopes(self) -> tuple[str, ...]:
        """What the access token may do; nothing where it may not even tell that."""
        answer = self.call("GET", "/personal_access_tokens/self", allow=(401, 403, 404))
        return tuple(answer.decode(_Token).scopes) if answer.status == 200 else ()

    def project(self, path_or_id: str) -> Project:
        """A project by its id or full path, an old path included."""
        answer = self.call("GET", f"/projects/{quote(path_or_id, safe='')}", allow=REDIRECTS)
        if answer.status not in REDIRECTS:
            return answer.decode(Project)
        moved_to = urlsplit(answer.headers.get("location", "")).path.rpartition("/")[2]
        if not moved_to.isdecimal() or moved_to == path_or_id:
            raise NotFound(f"The project {path_or_id} has moved, and GitLab does not say where to.")
        return self.project(moved_to)

    def group_projects(self, group: str) -> Iterator[list[Project]]:
        """Every project in a group and below it."""
        params: Params = {"include_subgroups": "true", "with_shared": "false", "order_by": "id", "sort": "asc"}
        return self.pages(f"/groups/{quote(group, safe='')}/projects", Project, params)

    def environments(self, project: str) -> Iterator[Environment]:
        """A project's environments, with their tiers."""
        return self.rows(f"/projects/{project}/environments", Environment)

    # --- merge requests and commits -----------------------------------------------------------------

    def merge_request(self, project: str, iid: str) -> MergeRequest:
        """A merge request, freshly read."""
        return self.get(f"/projects/{project}/merge_requests/{iid}", MergeRequest)

    def notes(self, project: str, iid: str) -> Iterator[Note]:
        """Comments and GitLab's own notes, oldest first."""
        params: Params = {"sort": "asc", "order_by": "created_at"}
        return self.rows(f"/projects/{project}/merge_requests/{iid}/notes", Note, params)

    def state_events(self, project: str, iid: str) -> Iterator[StateEvent]:
        """When it was closed, reopened, merged."""
        return self.rows(f"/projects/{project}/merge_requests/{iid}/resource_state_events", StateEvent)

    def own_commits(self, project: str, iid: str) -> Iterator[Commit]:
        """The commits it brings."""
        return self.rows(f"/projects/{project}/merge_requests/{iid}/commits", Commit)

    def diffs(self, project: str, iid: str) -> Iterator[list[Diff]]:
        """What it changes, in pages of files."""
        return self.pages(f"/projects/{project}/merge_requests/{iid}/diffs", Diff)

    def commits(self, project: str, revisions: str, number: int = 1, since: str | None = None) -> Page[Commit]:
        """Commits reachable from a branch, or between two (`a..b`), newest first."""
        params = {"ref_name": revisions} | ({"since": since} if since else {})
        return self.page(f"/projects/{project}/repository/commits", Commit, number, params)

    def pushes(self, project: str, number: int) -> Page[PushEvent]:
        """A page of what was pushed, newest first; GitLab keeps it for three years."""
        params: Params = {"action": "pushed", "sort": "desc"}
        return self.page(f"/projects/{project}/events", PushEvent, number, params)

    def tip(self, project: str, branch: str) -> str | None:
        """The last commit of a branch; None where it has none."""
        page = self.page(f"/projects/{project}/repository/commits", Commit, 1, {"ref_name": branch}, size=1)
        return page.rows[0].id if page.rows else None

    # --- deployments, pipelines, releases -----------------------------------------------------------

    def deployment(self, project: str, id_: str) -> Deployment:
        """A deployment."""
        return self.get(f"/projects/{project}/deployments/{id_}", Deployment)

    def pipeline(self, project: str, id_: str) -> Pipeline:
        """A pipeline, with its times."""
        return self.get(f"/projects/{project}/pipelines/{id_}", Pipeline)

    def release(self, project: str, tag: str) -> Release:
        """A release."""
        return self.get(f"/projects/{project}/releases/{quote(tag, safe='')}", Release)

    # --- issues -------------------------------------------------------------------------------------

    def issue(self, project: str, iid: str) -> Issue:
        """An issue, freshly read."""
        return self.get(f"/projects/{project}/issues/{iid}", Issue)

    def create_issue(self, project: str, body: Mapping[str, Any]) -> Issue:
        """Make an issue."""
        return self.call("POST", f"/projects/{project}/issues", json=dict(body)).decode(Issue)

    def update_issue(self, project: str, iid: str, body: Mapping[str, Any]) -> Issue:
        """Change what the body names."""
        return self.call("PUT", f"/projects/{project}/issues/{iid}", json=dict(body)).decode(Issue)

    def members(self, project: str, query: str) -> list[User]:
        """A project's members whom a name or an address fits, inherited ones too."""
        return list(self.rows(f"/projects/{project}/members/all", User, {"query": query}))

    # --- webhooks -----------------------------------------------------------------------------------

    def hooks(self, project: str) -> Iterator[Hook]:
        """A project's webhooks."""
        return self.rows(f"/projects/{project}/hooks", Hook)

    def hook(self, project: str, hook: str) -> Hook:
        """One of them, with its health."""
        return self.get(f"/projects/{project}/hooks/{hook}", Hook)

    def set_hook(self, project: str, hook: str | None, body: Mapping[str, Any]) -> Hook:
        """Make a webhook, or change one."""
        method, path = ("POST", "") if hook is None else ("PUT", f"/{hook}")
        return self.call(method, f"/projects/{project}/hooks{path}", json=dict(body)).decode(Hook)

    def test_hook(self, project: str, hook: str, trigger: str) -> None:
        """Have a sample delivered; that it is answered well sets a paused webhook going again."""
        self.call("POST", f"/projects/{project}/hooks/{hook}/test/{trigger}")

    def drop_hook(self, project: str, hook: str) -> None:
        """Remove a webhook; one already gone is fine."""
        self.call("DELETE", f"/projects/{project}/hooks/{hook}", allow=(404,))

    def logged(self, project: str, hook: str, number: int) -> Page[Logged]:
        """A page of a webhook's deliveries, newest first; servers before 17.3 keep none."""
        return self.page(f"/projects/{project}/hooks/{hook}/events", Logged, number)

    def resend(self, project: str, hook: str, event: str) -> None:
        """Have a delivery sent again."""
        self.call("POST", f"/projects/{project}/hooks/{hook}/events/{event}/resend")


def limited_scope(response: Response) -> str:
    """A 429 that says nothing of the account's window limits one kind of call (notes, tests of hooks) only."""
    return "account" if "ratelimit-remaining" in response.headers else "item"
