"""Bitbucket's API 2.0: one method for each call, no decisions.

Repositories are named by their ids, which outlive renames; ids have braces, which have to be encoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from connectors import contract as c
from connectors.bitbucket import shapes as bb
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
COMMIT_FIELDS = ("hash", "date", "message", "parents.hash", "author.raw", *(f"author.user.{name}" for name in PEOPLE))


@dataclass(frozen=True, slots=True)
class Of(Generic[T]):
    """Where a repository's things are: a listing, or one of them. `path` has places for ids; `fields` are all that is
    asked for of each row."""

    path: str
    row: type[T]
    most: int | None = MOST
    fields: Sequence[str] = ()
    sort: str | None = None

    def params(self) -> dict[str, Any]:
        """What a listing is asked with."""
        told = {"sort": self.sort, "pagelen": self.most, "fields": only(self.fields) if self.fields else None}
        return {name: value for name, value in told.items() if value}


def only(fields: Sequence[str]) -> str:
    """Asks for these fields of each row. `next` has to be among them, or there is no second page."""
    return ",".join(["next", "size", "page", "pagelen", *(f"values.{name}" for name in fields)])


HOME = Of("", bb.Home)
COMMIT = Of("/commit/{}", bb.Commit)  # by the beginning of its hash or all of it
CHANGE = Of("/pullrequests/{}", bb.Change)
PIPELINE = Of("/pipelines/{}", bb.Pipeline)  # by its id or its number
COMMITS = Of("/commits", bb.Commit, fields=COMMIT_FIELDS)  # reached from `include` and not `exclude`, newest first
CHANGES = Of("/pullrequests", bb.Change, MOST_CHANGES, CHANGE_FIELDS, "updated_on")  # the longest unchanged first
ACTIVITY = Of("/pullrequests/{}/activity", bb.Row, MOST_CHANGES)  # what happened to a change, newest first
CHANGE_COMMITS = Of("/pullrequests/{}/commits", bb.Commit, fields=("hash", "date"))  # its own, newest first
COMMIT_LINES = Of("/diffstat/{}", bb.Lines, fields=("lines_added", "lines_removed"))  # beside the first parent
# Without the slash at the end there are no such addresses. The order of deployments is not documented.
PIPELINES = Of("/pipelines/", bb.Pipeline, sort="-created_on")
STEPS = Of("/pipelines/{}/steps/", bb.StepRun, None)
DEPLOYMENTS = Of("/deployments/", bb.Deployment, sort="-last_update_time")


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

    def walk(self, page: bb.Page[T], type_: type[T]) -> Iterator[bb.Page[T]]:
        """A page, and those that follow it."""
        yield page
        while page.next is not None:
            page = self.follow(page.next, type_)
            yield page

    # --- a repository's things ----------------------------------------------------------------------

    def _path(self, of: Of[Any], repository: str, ids: Sequence[object]) -> str:
        return home_of(self._workspace, repository) + of.path.format(*(_part(str(id_)) for id_ in ids))

    def one(self, of: Of[T], repository: str, *ids: object) -> T:
        """One, by its id."""
        return self._call("GET", self._path(of, repository, ids)).decode(of.row)

    def page(self, of: Of[T], repository: str, *ids: object, **params: Any) -> bb.Page[T]:
        """The first page of a listing."""
        return self.follow(_asked(self._path(of, repository, ids), of.params() | params), of.row)

    def rows(self, of: Of[T], repository: str, *ids: object, **params: Any) -> Iterator[T]:
        """All of a listing."""
        return self._rows(self.page(of, repository, *ids, **params), of.row)

    def _rows(self, page: bb.Page[T], type_: type[T]) -> Iterator[T]:
        return (row for one in self.walk(page, type_) for row in one.values)

    def repositories(self, size: int = MOST) -> Iterator[bb.Page[bb.Home]]:
        """All of the workspace that can be seen."""
        fields = ("uuid", "full_name", "links.html.href", "mainbranch.name", *(f"workspace.{n}" for n in PEOPLE))
        path = _asked(f"/repositories/{_part(self._workspace)}", {"pagelen": size, "fields": only(fields)})
        return self.walk(self.follow(path, bb.Home), bb.Home)

    def changes(self, repository: str, since: str | None) -> bb.Page[bb.Change]:
        """Those updated since (whole seconds count)."""
        asked = {"q": f"updated_on >= {since}"} if since else {}
        return self.page(CHANGES, repository, state=STATES, **asked)

    def last_changes(self, repository: str) -> list[bb.Change]:
        """The last updated ones."""
        return self.page(CHANGES, repository, state=STATES, sort="-updated_on").values

    def commits(self, repository: str, include: str, exclude: str | None) -> bb.Page[bb.Commit]:
        """The commits that can be reached from one and not from the other, newest first."""
        return self.page(COMMITS, repository, include=include, **({"exclude": exclude} if exclude else {}))

    def change_lines(self, repository: str, number: int) -> Iterator[bb.Lines]:
        """What a change does to each file. Bitbucket answers with where to find it; the way there needs our
        credentials."""
        path = self._path(CHANGE, repository, [number]) + "/diffstat"
        response = self._call("GET", path, allow=(302,))
        location = response.headers.get("location", "")
        if response.status != 302 or not location:
            raise c.BadPayload("Bitbucket did not say where a pull request's diffstat is.")
        return self._rows(self.follow(_path_of(location), bb.Lines), bb.Lines)

    # --- webhooks -----------------------------------------------------------------------------------

    def hook_events(self, subject: str) -> set[str]:
        """What can be subscribed to of a `workspace` or a `repository`."""
        page = self.follow(f"/hook_events/{subject}?pagelen={MOST}", bb.HookEvent)
        return {row.event for row in self._rows(page, bb.HookEvent)}

    def hooks(self, place: str) -> list[bb.Hook]:
        """The webhooks of a workspace or repository (its path). Raises Forbidden for who is no administrator."""
        return list(self._rows(self.follow(f"{place}/hooks?pagelen={MOST}", bb.Hook), bb.Hook))

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


def _asked(path: str, params: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(params, doseq=True)}" if params else path


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
