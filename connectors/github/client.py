"""GitHub's REST API: one method for each call we make, and one table for all lists of a repository; no decisions.

Repositories are addressed by number (`/repositories/{id}`), the form of GitHub's own links to further pages: a name is
answered with a redirect once somebody renames or transfers the repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from connectors.contract import Context, NotFound
from connectors.github import shapes as s
from connectors.github.access import HEADERS, ByApp, ByToken
from connectors.github.config import InstallationCredentials
from connectors.http import Params, Response
from connectors.limits import says_limited
from connectors.response import words_of
from connectors.rest import RestClient, member

T = TypeVar("T")

PAGE = 100
"""The most GitHub gives of any list."""

MOVED = (301, 302, 307)

_LINK = re.compile(r'<([^<>]+)>;\s*rel="(\w+)"')
_REPOSITORY = re.compile(r"/repositories/([0-9]+)")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a list. `next` is the cursor or number of the page after it, `last` how many pages there are where that
    is told. `unchanged`: it is as it was when it had the `etag` that was asked with, and costs nothing."""

    rows: list[T]
    next: str | None = None
    last: int | None = None
    etag: str = ""
    unchanged: bool = False


class Hook(msgspec.Struct):
    """A repository's webhook."""

    id: int
    events: list[str]
    config: dict[str, Any]
    active: bool = True


class Delivery(msgspec.Struct):
    """An attempt to deliver. `guid` is the same in every attempt, `status` OK or what went wrong."""

    id: int
    guid: str
    delivered_at: str
    status: str
    event: str
    installation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository's things of a kind are. `at`: the member of an answer that is the list; None: all is."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    at: str | None = None


PLACES: Mapping[type, Place] = {
    s.Commit: Place("commits"),
    s.Pull: Place("pulls", {"state": "all"}),
    s.Deployment: Place("deployments"),
    # Without any filter: with one, GitHub gives the first thousand only.
    s.Run: Place("actions/runs", {"exclude_pull_requests": "true"}, "workflow_runs"),
    s.Release: Place("releases"),
    s.Issue: Place("issues", {"state": "all"}),
    s.User: Place("assignees"),
    Hook: Place("hooks"),
}
"""Lists come newest first unless they are asked for otherwise. Pull requests are issues, too, and among them. Users are
those who can be assigned. GitHub allows twenty hooks for an event."""


class GitHubClient(RestClient):
    """Speaks for one token, or one installation of the App. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        credentials = context.credentials
        self.app = ByApp(context) if isinstance(credentials, InstallationCredentials) else None
        access = self.app or ByToken(credentials.token.get_secret_value())
        super().__init__(context.http, context.endpoints["api"].rstrip("/"), access.authorization)
        self.http.errors_text, self.http.limited = _words, limited

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
        """One call; those about the App are signed by the App itself."""
        if self.app is not None and path.startswith("/app/"):
            own = self.app.app_headers()
        else:
            own = {**HEADERS, "Authorization": self._authorization()}
        return self.http.request(method, self._base + path, headers={**own, **(headers or {})}, **more)

    def _list(
        self, path: str, row: type[T], page: int, at: str | None = None, etag: str = "", **params: str
    ) -> Listing[T]:
        condition = {"If-None-Match": etag} if etag else {}
        asked: Params = {"per_page": PAGE, "page": page, **params}
        answer = self.call("GET", path, headers=condition, params=asked, allow=(304,))
        if answer.status == 304:
            return Listing([], etag=etag, unchanged=True)
        rows = answer.decode_list(row) if at is None else member(answer, at, list[row])  # type: ignore[valid-type]
        return _listing(answer, rows)

    # --- of a repository ----------------------------------------------------------------------------

    def listed(self, kind: type[T], repo: str, page: int = 1, etag: str = "", **params: str) -> Listing[T]:
        """A page of all there is of a kind of `PLACES`, on GitHub's further conditions."""
        place = PLACES[kind]
        path = f"/repositories/{repo}/{place.path}"
        return self._list(path, kind, page, place.at, etag, **{**place.params, **params})

    def one(self, kind: type[T], repo: str, id_: int | str) -> T:
        """One of a kind of `PLACES`."""
        return self.get(f"/repositories/{repo}/{PLACES[kind].path}/{id_}", kind)

    def head(self, repo: str, branch: str) -> str:
        """The last commit of a branch."""
        return self.get(f"/repositories/{repo}/branches/{quote(branch, safe='')}", s.Branch).commit.sha

    def compare(self, repo: str, base: str, head: str, page: int) -> Listing[s.Commit]:
        """Commits reachable from `head` and not from `base`, whenever they were made."""
        return self._list(f"/repositories/{repo}/compare/{base}...{head}", s.Commit, page, "commits")

    def timeline(self, repo: str, number: int | str) -> list[s.Step]:
        """All that happened to a pull request: its commits, reviews and turns."""
        path = f"/repositories/{repo}/issues/{number}/timeline"
        return [step for rows in every(lambda page: self._list(path, s.Step, page)) for step in rows]

    def statuses(self, repo: str, deployment: int | str) -> list[s.DeploymentStatus]:
        """The states of a deployment; a hundred are more than one ever has."""
        return self._list(f"/repositories/{repo}/deployments/{deployment}/statuses", s.DeploymentStatus, 1).rows

    # --- accounts and repositories ------------------------------------------------------------------

    def owner(self, login: str) -> tuple[s.User, Mapping[str, str]]:
        """An organization or user, and the answer's headers, which tell a classic token's scopes."""
        answer = self.call("GET", f"/users/{login}")
        return answer.decode(s.User), answer.headers

    def installed(self, page: int) -> Listing[s.Repository]:
        """Repositories of the installation."""
        return self._list("/installation/repositories", s.Repository, page, "repositories")

    def of_organization(self, login: str, page: int) -> Listing[s.Repository]:
        """Repositories of an organization. Raises NotFound for a user."""
        return self._list(f"/orgs/{login}/repos", s.Repository, page)

    def ours(self, page: int) -> Listing[s.Repository]:
        """Repositories the token's user owns or works in."""
        return self._list("/user/repos", s.Repository, page)

    def repository(self, owner: str, name: str) -> s.Repository:
        """A repository by the name it has, or once had."""
        answer = self.call("GET", f"/repos/{owner}/{name}", allow=MOVED)
        if answer.status not in MOVED:
            return answer.decode(s.Repository)
        moved = _REPOSITORY.search(answer.headers.get("location", ""))
        if moved is None:
            raise NotFound(f"GitHub says that {owner}/{name} is elsewhere, and not where.")
        return self.numbered(moved[1])

    def numbered(self, repo: str) -> s.Repository:
        """A repository by its number."""
        return self.get(f"/repositories/{repo}", s.Repository)

    # --- issues -------------------------------------------------------------------------------------

    def issue(self, repo: str, number: str) -> s.Issue | int:
        """One; the status where it is not to be had: 404 nowhere to be seen, 410 deleted, 301 moved elsewhere."""
        answer = self.call("GET", f"/repositories/{repo}/issues/{number}", allow=(*MOVED, 404, 410))
        return answer.decode(s.Issue) if answer.status == 200 else answer.status

    def create_issue(self, repo: str, body: dict[str, Any]) -> s.Issue:
        """Make one; it is open."""
        return self.send("POST", f"/repositories/{repo}/issues", body, s.Issue)

    def update_issue(self, repo: str, number: str, body: dict[str, Any]) -> s.Issue:
        """Change what the body names; labels and assignees are replaced as a whole."""
        return self.send("PATCH", f"/repositories/{repo}/issues/{number}", body, s.Issue)

    # --- webhooks -----------------------------------------------------------------------------------

    def register(self, repo: str, body: dict[str, Any]) -> Hook:
        """Make one."""
        return self.send("POST", f"/repositories/{repo}/hooks", {"name": "web", **body}, Hook)

    def change_hook(self, repo: str, hook: int, body: dict[str, Any]) -> None:
        """Change one."""
        self.call("PATCH", f"/repositories/{repo}/hooks/{hook}", json=body)

    def unregister(self, repo: str, hook: str) -> None:
        """Remove one; one already gone is fine."""
        self.call("DELETE", f"/repositories/{repo}/hooks/{hook}", allow=(404,))

    def deliveries(self, hook: str) -> Iterator[list[Delivery]]:
        """Attempts to deliver, newest first: of a hook (`/repositories/1/hooks/2`), or of the App's (`/app/hook`)."""
        cursor: Params | None = {}
        while cursor is not None:
            answer = self.call("GET", f"{hook}/deliveries", params={"per_page": PAGE, **cursor})
            page = _listing(answer, answer.decode_list(Delivery))
            yield page.rows
            cursor = {"cursor": page.next} if page.next is not None else None

    def redeliver(self, delivery: str) -> None:
        """Have one sent again (`/app/hook/deliveries/3`)."""
        self.call("POST", f"{delivery}/attempts")


def every(ask: Callable[[int], Listing[T]]) -> Iterator[list[T]]:
    """The rows of all pages of a numbered list."""
    page: int | None = 1
    while page is not None:
        listing = ask(page)
        yield listing.rows
        page = page + 1 if listing.next is not None else None


def limited(response: Response) -> bool:
    """A secondary limit may come without any header that tells it from a missing permission."""
    if response.status == 403 and b"secondary rate limit" in response.content.lower():
        return True
    return says_limited(response)


def _listing(answer: Response, rows: list[T]) -> Listing[T]:
    links = {rel: url for url, rel in _LINK.findall(answer.headers.get("link", ""))}
    query = {rel: parse_qs(urlsplit(url).query) for rel, url in links.items()}
    after = query.get("next", {})
    last = query.get("last", {}).get("page", [""])[0]
    following = (after.get("cursor") or after.get("page") or [None])[0]
    return Listing(rows, following, int(last) if last.isdecimal() else None, answer.headers.get("etag", ""))


def _words(response: Response) -> str:
    """GitHub's words, and the permission it would have wanted."""
    wanted = response.headers.get("x-accepted-github-permissions", "")
    return words_of("message")(response) + (f" (the App or token needs {wanted})" if wanted else "")
