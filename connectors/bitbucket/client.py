"""Bitbucket's API 2.0: one method for each call, no decisions.

Repositories are named by their ids, which outlive renames; ids have braces, which have to be encoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from connectors import contract as c
from connectors.bitbucket import shapes as bb
from connectors.http import Params
from connectors.response import Response, plain_words

T = TypeVar("T")

API = "/2.0"
MOST = 100
"""Rows of a page."""
MOST_CHANGES = 50
"""Rows of a page of pull requests and of their activity."""

STATES = ("OPEN", "MERGED", "DECLINED", "SUPERSEDED")
"""All there are; only the open ones are listed unless they are named."""

PEOPLE = ("uuid", "display_name", "type")
CHANGE_FIELDS = (
    *("id", "title", "state", "draft", "created_on", "updated_on", "merge_commit.hash", "links.html.href"),
    *("source.branch.name", "source.commit.hash", "destination.branch.name", "destination.commit.hash"),
    *(f"{who}.{name}" for who in ("author", "closed_by") for name in PEOPLE),
)
COMMIT_FIELDS = ("hash", "date", "message", "author.raw", *(f"author.user.{name}" for name in PEOPLE))


def only(fields: Sequence[str]) -> str:
    """Asks for these fields of each row. `next` has to be among them, or there is no second page."""
    return ",".join(["next", "size", "page", "pagelen", *(f"values.{name}" for name in fields)])


def words(response: Response) -> str:
    """What Bitbucket says is wrong: `{"error": {"message", "detail"}}`, or plain text where a plan has lapsed."""
    try:
        error = json.loads(response.content)["error"]
        said = [error.get("message"), error.get("detail")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return plain_words(response)
    return " ".join(str(text) for text in said if text) or plain_words(response)


def home_of(workspace: str, repository: str) -> str:
    """The path of a repository, by its name or id."""
    return f"/repositories/{_part(workspace)}/{_part(repository)}"


def _part(name: str) -> str:
    return quote(name, safe="")


class BitbucketClient:
    """Speaks for one credential. Raises the contract's errors."""

    def __init__(self, context: c.Context) -> None:
        self._credentials = context.credentials
        self._http = context.http
        context.http.errors_text = words
        self._workspace: str = context.config.workspace
        self._base = context.endpoints["api"].rstrip("/") + API

    def _call(self, method: str, path: str, *, allow: Sequence[int] = (), **more: Any) -> Response:
        headers = {"Authorization": self._credentials.authorization()}
        response = self._http.request(method, self._base + path, headers=headers, allow=(402, *allow), **more)
        if response.status == 402:
            raise c.Forbidden(f"The workspace's plan does not allow it any more; Bitbucket said: {words(response)}")
        return response

    def _page(self, path: str, type_: type[T], params: Params | None = None) -> bb.Page[T]:
        query = f"{path}?{urlencode(params, doseq=True)}" if params else path
        return self.follow(query, type_)

    def follow(self, path: str, type_: type[T]) -> bb.Page[T]:
        """A page by its path and query; its `next` is the next one's path, on our own address whatever the vendor's
        link says: credentials go nowhere else."""
        # The shape is made at run time, of the caller's row: no checker can follow that.
        page = self._call("GET", path).decode(bb.Page[type_])  # type: ignore[valid-type]
        if page.next is not None:
            page.next = _path_of(page.next)
        elif page.page and page.pagelen and page.page * page.pagelen < (page.size or 0):
            # Some listings forget the link (BCLOUD-13806); those count their pages.
            page.next = _numbered(path, page.page + 1)
        if not page.values:
            page.next = None
        return page

    def _all(self, path: str, type_: type[T], params: Params | None = None) -> Iterator[bb.Page[T]]:
        return self.walk(self._page(path, type_, params), type_)

    def walk(self, page: bb.Page[T], type_: type[T]) -> Iterator[bb.Page[T]]:
        """A page, and those that follow it."""
        yield page
        while page.next is not None:
            page = self.follow(page.next, type_)
            yield page

    def _in(self, repository: str, path: str = "") -> str:
        return home_of(self._workspace, repository) + path

    # --- repositories and commits -------------------------------------------------------------------

    def repositories(self, size: int = MOST) -> Iterator[bb.Page[bb.Home]]:
        """All of the workspace that can be seen."""
        fields = ("uuid", "full_name", "links.html.href", "mainbranch.name", *(f"workspace.{n}" for n in PEOPLE))
        return self._all(f"/repositories/{_part(self._workspace)}", bb.Home, {"pagelen": size, "fields": only(fields)})

    def repository(self, repository: str) -> bb.Home:
        """One, by its name or id."""
        return self._call("GET", self._in(repository)).decode(bb.Home)

    def commits(self, repository: str, include: str, exclude: str | None) -> bb.Page[bb.Commit]:
        """The commits that can be reached from one and not from the other, newest first."""
        without = {"exclude": exclude} if exclude else {}
        params: Params = {"include": include, **without, "pagelen": MOST, "fields": only(COMMIT_FIELDS)}
        return self._page(self._in(repository, "/commits"), bb.Commit, params)

    def commit(self, repository: str, sha: str) -> bb.Commit:
        """One commit, by the beginning of its hash or all of it."""
        return self._call("GET", self._in(repository, f"/commit/{_part(sha)}")).decode(bb.Commit)

    # --- changes ------------------------------------------------------------------------------------

    def changes(self, repository: str, since: str | None) -> bb.Page[bb.Change]:
        """Those updated since (whole seconds count), the longest unchanged first."""
        asked = {"q": f"updated_on >= {since}"} if since else {}
        params: Params = {"state": STATES, **asked, "sort": "updated_on", "pagelen": MOST_CHANGES}
        return self._page(self._in(repository, "/pullrequests"), bb.Change, {**params, "fields": only(CHANGE_FIELDS)})

    def change(self, repository: str, number: str) -> bb.Change:
        """One."""
        return self._call("GET", self._in(repository, f"/pullrequests/{number}")).decode(bb.Change)

    def activity(self, repository: str, number: int) -> Iterator[bb.Page[bb.Row]]:
        """What happened to a change, newest first."""
        path = self._in(repository, f"/pullrequests/{number}/activity")
        return self._all(path, bb.Row, {"pagelen": MOST_CHANGES})

    def change_commits(self, repository: str, number: int) -> Iterator[bb.Page[bb.Commit]]:
        """A change's own commits, newest first."""
        path = self._in(repository, f"/pullrequests/{number}/commits")
        return self._all(path, bb.Commit, {"pagelen": MOST, "fields": only(("hash", "date"))})

    def change_lines(self, repository: str, number: int) -> Iterator[bb.Page[bb.Lines]]:
        """What a change does to each file. Bitbucket answers with where to find it; the way there needs our
        credentials."""
        response = self._call("GET", self._in(repository, f"/pullrequests/{number}/diffstat"), allow=(302,))
        location = response.headers.get("location", "")
        if response.status != 302 or not location:
            raise c.BadPayload("Bitbucket did not say where a pull request's diffstat is.")
        return self._all(_path_of(location), bb.Lines)

    def commit_lines(self, repository: str, sha: str) -> Iterator[bb.Page[bb.Lines]]:
        """What a commit does to each file, beside its first parent."""
        fields = only(("lines_added", "lines_removed"))
        return self._all(self._in(repository, f"/diffstat/{_part(sha)}"), bb.Lines, {"pagelen": MOST, "fields": fields})

    # --- pipelines and deployments ------------------------------------------------------------------

    def pipelines(self, repository: str) -> bb.Page[bb.Pipeline]:
        """The youngest first. Without the slash at the end there is no such address."""
        return self._page(self._in(repository, "/pipelines/"), bb.Pipeline, {"sort": "-created_on", "pagelen": MOST})

    def pipeline(self, repository: str, run: str) -> bb.Pipeline:
        """One, by its id or its number."""
        return self._call("GET", self._in(repository, f"/pipelines/{_part(run)}")).decode(bb.Pipeline)

    def steps(self, repository: str, run: str) -> Iterator[bb.Page[bb.StepRun]]:
        """The steps of a pipeline."""
        return self._all(self._in(repository, f"/pipelines/{_part(run)}/steps/"), bb.StepRun)

    def deployments(self, repository: str) -> bb.Page[bb.Deployment]:
        """The last changed first, as far as Bitbucket keeps to it: its order is not documented."""
        params: Params = {"sort": "-last_update_time", "pagelen": MOST}
        return self._page(self._in(repository, "/deployments/"), bb.Deployment, params)

    # --- webhooks -----------------------------------------------------------------------------------

    def hook_events(self, subject: str) -> set[str]:
        """What can be subscribed to of a `workspace` or a `repository`."""
        pages = self._all(f"/hook_events/{subject}", bb.HookEvent, {"pagelen": MOST})
        return {row.event for page in pages for row in page.values}

    def hooks(self, place: str) -> list[bb.Hook]:
        """The webhooks of a workspace or repository (its path). Raises Forbidden for who is no administrator."""
        return [hook for page in self._all(f"{place}/hooks", bb.Hook, {"pagelen": MOST}) for hook in page.values]

    def put_hook(self, place: str, known: bb.Hook | None, fields: dict[str, Any]) -> str:
        """Register a webhook, or change one; its path."""
        if known is None:
            known = self._call("POST", f"{place}/hooks", json=fields).decode(bb.Hook)
        else:
            self._call("PUT", hook_path(place, known), json=fields)
        return hook_path(place, known)

    def delete_hook(self, path: str) -> None:
        """Remove a webhook; one already gone is fine."""
        self._call("DELETE", path, allow=(404,))


def hook_path(place: str, hook: bb.Hook) -> str:
    """Where a webhook is found."""
    return f"{place}/hooks/{_part(hook.uuid)}"


def workspace_path(workspace: str) -> str:
    """Where a workspace is found."""
    return f"/workspaces/{_part(workspace)}"


def _path_of(link: str) -> str:
    """The path and query behind the version of the API. Raises BadPayload."""
    parts = urlsplit(link)
    _, version, path = parts.path.partition(API + "/")
    if not version:
        raise c.BadPayload("Bitbucket's link to a next page leads out of its API.")
    return f"/{path}?{parts.query}" if parts.query else f"/{path}"


def _numbered(path: str, number: int) -> str:
    """The same listing's page of this number."""
    bare, _, query = path.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("page=")]
    return f"{bare}?{'&'.join([*kept, f'page={number}'])}"
