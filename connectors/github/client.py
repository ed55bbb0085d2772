"""GitHub's REST API: one method for each call we make; no decisions.

Repositories are addressed by number (`/repositories/{id}`), the form of GitHub's own links to further pages: a name is
answered with a redirect once somebody renames or transfers the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from connectors.contract import Context, NotFound
from connectors.github.access import HEADERS, Access, ByApp, ByToken
from connectors.github.config import InstallationCredentials
from connectors.github.shapes import (
    Branch,
    Commit,
    Compared,
    Deployment,
    DeploymentStatus,
    Issue,
    Pull,
    Release,
    Repository,
    Run,
    Step,
    User,
)
from connectors.http import Params, Response
from connectors.limits import says_limited
from connectors.response import words_of

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


class _Repositories(msgspec.Struct):
    repositories: list[Repository]


class _Runs(msgspec.Struct):
    workflow_runs: list[Run]


class GitHubClient:
    """Speaks for one token, or one installation of the App. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        credentials = context.credentials
        self.app = ByApp(context) if isinstance(credentials, InstallationCredentials) else None
        self._access: Access = self.app or ByToken(credentials.token.get_secret_value())
        self._base = context.endpoints["api"].rstrip("/")
        self._http = context.http
        self._http.errors_text = _words
        self._http.limited = limited

    def _call(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
        sent = {**HEADERS, **(headers or {})}
        if "Authorization" not in sent:
            sent["Authorization"] = self._access.authorization()
        return self._http.request(method, self._base + path, headers=sent, **more)

    def _list(self, path: str, type_: type[T], params: Params | None = None, etag: str = "") -> Listing[T]:
        """A page of a bare list; `page` in the parameters says which."""
        answer = self._page(path, params, etag)
        if answer.status == 304:
            return Listing([], etag=etag, unchanged=True)
        return _listing(answer, answer.decode_list(type_))

    def _page(self, path: str, params: Params | None, etag: str = "") -> Response:
        condition = {"If-None-Match": etag} if etag else {}
        return self._call("GET", path, condition, params={"per_page": PAGE, **(params or {})}, allow=(304,))

    # --- accounts and repositories ------------------------------------------------------------------

    def owner(self, login: str) -> tuple[User, Mapping[str, str]]:
        """An organization or user, and the answer's headers, which tell a classic token's scopes."""
        answer = self._call("GET", f"/users/{login}")
        return answer.decode(User), answer.headers

    def installed(self, page: int) -> Listing[Repository]:
        """Repositories of the installation."""
        answer = self._page("/installation/repositories", {"page": page})
        return _listing(answer, answer.decode(_Repositories).repositories)

    def of_organization(self, login: str, page: int) -> Listing[Repository]:
        """Repositories of an organization. Raises NotFound for a user."""
        return self._list(f"/orgs/{login}/repos", Repository, {"page": page})

    def ours(self, page: int) -> Listing[Repository]:
        """Repositories the token's user owns or works in."""
        return self._list("/user/repos", Repository, {"page": page})

    def repository(self, owner: str, name: str) -> Repository:
        """A repository by the name it has, or once had."""
        answer = self._call("GET", f"/repos/{owner}/{name}", allow=MOVED)
        if answer.status not in MOVED:
            return answer.decode(Repository)
        moved = _REPOSITORY.search(answer.headers.get("location", ""))
        if moved is None:
            raise NotFound(f"GitHub says that {owner}/{name} is elsewhere, and not where.")
        return self.numbered(moved[1])

    def numbered(self, repo: str) -> Repository:
        """A repository by its number."""
        return self._call("GET", f"/repositories/{repo}").decode(Repository)

    # --- commits ------------------------------------------------------------------------------------

    def head(self, repo: str, branch: str) -> str:
        """The last commit of a branch."""
        path = f"/repositories/{repo}/branches/{quote(branch, safe='')}"
        return self._call("GET", path).decode(Branch).commit.sha

    def commits(self, repo: str, sha: str, page: int, since: str | None = None) -> Listing[Commit]:
        """Commits reachable from one, newest first, from a time of committing on."""
        params: Params = {"sha": sha, "page": page, **({"since": since} if since else {})}
        return self._list(f"/repositories/{repo}/commits", Commit, params)

    def compare(self, repo: str, base: str, head: str, page: int) -> Listing[Commit]:
        """Commits reachable from `head` and not from `base`, whenever they were made."""
        answer = self._page(f"/repositories/{repo}/compare/{base}...{head}", {"page": page})
        return _listing(answer, answer.decode(Compared).commits)

    # --- pull requests ------------------------------------------------------------------------------

    def pulls(self, repo: str, page: int, sort: str, direction: str, etag: str = "") -> Listing[Pull]:
        """Pull requests in any state."""
        params: Params = {"state": "all", "sort": sort, "direction": direction, "page": page}
        return self._list(f"/repositories/{repo}/pulls", Pull, params, etag)

    def pull(self, repo: str, number: int | str) -> Pull:
        """One, with what is counted of it."""
        return self._call("GET", f"/repositories/{repo}/pulls/{number}").decode(Pull)

    def timeline(self, repo: str, number: int | str) -> list[Step]:
        """All that happened to it: its commits, reviews and turns."""
        path, steps, page = f"/repositories/{repo}/issues/{number}/timeline", list[Step](), 1
        while True:
            listing = self._list(path, Step, {"page": page})
            steps += listing.rows
            if listing.next is None:
                return steps
            page += 1

    # --- deployments, runs, releases ----------------------------------------------------------------

    def deployments(self, repo: str, page: int, etag: str = "") -> Listing[Deployment]:
        """Deployments, newest first."""
        return self._list(f"/repositories/{repo}/deployments", Deployment, {"page": page}, etag)

    def deployment(self, repo: str, deployment: int | str) -> Deployment:
        """One."""
        return self._call("GET", f"/repositories/{repo}/deployments/{deployment}").decode(Deployment)

    def statuses(self, repo: str, deployment: int | str) -> list[DeploymentStatus]:
        """The states of a deployment; a hundred are more than one ever has."""
        return self._list(f"/repositories/{repo}/deployments/{deployment}/statuses", DeploymentStatus).rows

    def runs(self, repo: str, page: int, etag: str = "") -> Listing[Run]:
        """Workflow runs, newest first. Without any filter: with one, GitHub gives the first thousand only."""
        params: Params = {"page": page, "exclude_pull_requests": "true"}
        answer = self._page(f"/repositories/{repo}/actions/runs", params, etag)
        if answer.status == 304:
            return Listing([], etag=etag, unchanged=True)
        return _listing(answer, answer.decode(_Runs).workflow_runs)

    def run(self, repo: str, run: int | str) -> Run:
        """One."""
        return self._call("GET", f"/repositories/{repo}/actions/runs/{run}").decode(Run)

    def releases(self, repo: str, page: int, etag: str = "") -> Listing[Release]:
        """Releases, newest first."""
        return self._list(f"/repositories/{repo}/releases", Release, {"page": page}, etag)

    def release(self, repo: str, release: str) -> Release:
        """One."""
        return self._call("GET", f"/repositories/{repo}/releases/{release}").decode(Release)

    # --- issues -------------------------------------------------------------------------------------

    def issues(self, repo: str, page: int, **more: str) -> Listing[Issue]:
        """Issues in any state, pull requests among them."""
        params: Params = {"state": "all", "page": page, **more}
        return self._list(f"/repositories/{repo}/issues", Issue, params)

    def issue(self, repo: str, number: str) -> Issue | int:
        """One; the status where it is not to be had: 404 nowhere to be seen, 410 deleted, 301 moved elsewhere."""
        answer = self._call("GET", f"/repositories/{repo}/issues/{number}", allow=(*MOVED, 404, 410))
        return answer.decode(Issue) if answer.status == 200 else answer.status

    def create_issue(self, repo: str, body: dict[str, Any]) -> Issue:
        """Make one; it is open."""
        return self._call("POST", f"/repositories/{repo}/issues", json=body).decode(Issue)

    def update_issue(self, repo: str, number: str, body: dict[str, Any]) -> Issue:
        """Change what the body names; labels and assignees are replaced as a whole."""
        return self._call("PATCH", f"/repositories/{repo}/issues/{number}", json=body).decode(Issue)

    def assignable(self, repo: str, page: int) -> Listing[User]:
        """Who can be assigned."""
        return self._list(f"/repositories/{repo}/assignees", User, {"page": page})

    # --- webhooks -----------------------------------------------------------------------------------

    def hooks(self, repo: str) -> list[Hook]:
        """A repository's webhooks; GitHub allows twenty for an event."""
        return self._list(f"/repositories/{repo}/hooks", Hook).rows

    def register(self, repo: str, body: dict[str, Any]) -> Hook:
        """Make one."""
        return self._call("POST", f"/repositories/{repo}/hooks", json={"name": "web", **body}).decode(Hook)

    def change_hook(self, repo: str, hook: int, body: dict[str, Any]) -> None:
        """Change one."""
        self._call("PATCH", f"/repositories/{repo}/hooks/{hook}", json=body)

    def unregister(self, repo: str, hook: str) -> None:
        """Remove one; one already gone is fine."""
        self._call("DELETE", f"/repositories/{repo}/hooks/{hook}", allow=(404,))

    def deliveries(self, hook: str) -> Iterator[list[Delivery]]:
        """Attempts to deliver, newest first: of a hook (`/repositories/1/hooks/2`), or of the App's (`/app/hook`)."""
        cursor: dict[str, str] = {}
        while True:
            params: Params = {"per_page": PAGE, **cursor}
            answer = self._call("GET", f"{hook}/deliveries", self._for(hook), params=params)
            yield answer.decode(list[Delivery])
            after = _listing(answer, []).next
            if after is None:
                return
            cursor = {"cursor": after}

    def redeliver(self, delivery: str) -> None:
        """Have one sent again (`/app/hook/deliveries/3`)."""
        self._call("POST", f"{delivery}/attempts", self._for(delivery))

    def _for(self, path: str) -> dict[str, str]:
        """What authorizes a call about the App itself."""
        return self.app.app_headers() if self.app is not None and path.startswith("/app/") else {}


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
