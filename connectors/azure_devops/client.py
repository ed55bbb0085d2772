"""Azure Repos' and Pipelines' REST API 7.1: one method for each call we make; no decisions.

Times are texts as Azure sends them, some with seven digits of a second; `mapping.at` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from connectors.azure import API_VERSION, AzureClient, Project, part

T = TypeVar("T")

TOP = 100
"""Rows of a page of pull requests, pushes and commits."""

BUILDS = 200
"""Rows of a page of builds, and ids asked for at once: they stand in the address."""

ENVIRONMENTS_VERSION = "7.2-preview.1"
"""The only version environments speak."""


class Identity(msgspec.Struct, rename="camel"):
    """Somebody with an account. `unique_name` is an address, or a service's number."""

    id: str
    display_name: str = ""
    unique_name: str = ""


class Repository(msgspec.Struct, rename="camel"):
    """A repository; one without a default branch is empty."""

    id: str
    name: str
    project: Project
    default_branch: str | None = None
    is_disabled: bool = False
    web_url: str = ""


class Signature(msgspec.Struct):
    """Who made a commit, as they say themselves."""

    date: str
    name: str = ""
    email: str = ""


class Commit(msgspec.Struct, rename="camel"):
    """A commit."""

    commit_id: str
    author: Signature
    committer: Signature
    comment: str = ""


class RefUpdate(msgspec.Struct, rename="camel"):
    """A branch or tag that was moved; zeros stand for none."""

    name: str
    old_object_id: str
    new_object_id: str


class Push(msgspec.Struct, rename="camel"):
    """What somebody pushed at once."""

    push_id: int
    date: str
    pushed_by: Identity
    ref_updates: list[RefUpdate] = []


class _Sha(msgspec.Struct, rename="camel"):
    commit_id: str


class Reviewer(msgspec.Struct):
    """Somebody asked for a review, and how they vote."""

    id: str
    vote: int = 0


class Pull(msgspec.Struct, rename="camel"):
    """A pull request; `status` is active, completed or abandoned."""

    pull_request_id: int
    status: str
    title: str
    created_by: Identity
    creation_date: str
    source_ref_name: str
    target_ref_name: str
    is_draft: bool = False
    closed_date: str | None = None
    closed_by: Identity | None = None
    last_merge_source_commit: _Sha | None = None
    last_merge_commit: _Sha | None = None
    reviewers: list[Reviewer] = []


class Comment(msgspec.Struct, rename="camel"):
    """A comment; `comment_type` is text for those people wrote."""

    author: Identity
    published_date: str
    comment_type: str = ""
    is_deleted: bool = False


class Thread(msgspec.Struct, rename="camel"):
    """A conversation in a pull request, or a note of what was done to it. A property is `{"$type", "$value"}`."""

    id: int
    published_date: str
    comments: list[Comment] = []
    properties: dict[str, dict[str, Any]] | None = None
    identities: dict[str, Identity] | None = None

    def property(self, name: str) -> str:
        """One of its properties as text."""
        found = (self.properties or {}).get(name) or {}
        return str(found.get("$value", ""))


class _Definition(msgspec.Struct):
    name: str = ""


class _Home(msgspec.Struct):
    id: str | None = None
    type: str = ""


class Build(msgspec.Struct, rename="camel"):
    """A run of a pipeline of any kind."""

    id: int
    status: str
    queue_time: str
    source_branch: str
    source_version: str
    definition: _Definition
    result: str | None = None
    start_time: str | None = None
    finish_time: str | None = None
    reason: str = ""
    repository: _Home = msgspec.field(default_factory=_Home)
    requested_for: Identity | None = None


class Environment(msgspec.Struct):
    """What pipelines deploy to."""

    id: int
    name: str


class _Owner(msgspec.Struct):
    id: int


class Record(msgspec.Struct, rename="camel"):
    """A job that deployed to an environment; `owner` is its build. No result while it runs."""

    id: int
    environment_id: int
    owner: _Owner
    queue_time: str
    stage_name: str = ""
    stage_attempt: int = 1
    result: str | None = None
    start_time: str | None = None
    finish_time: str | None = None


class _List(msgspec.Struct, Generic[T]):
    value: list[T]


Params = Mapping[str, str | int]


class ReposClient(AzureClient):
    """The calls about code. `search` are criteria as Azure names them; pages begin at the row `skip`."""

    def repositories(self, project: str) -> list[Repository]:
        """All repositories of a project. Raises NotFound."""
        return self.call("GET", f"{part(project)}/_apis/git/repositories").decode(_List[Repository]).value

    def pulls(self, repo: Repository, search: Params, skip: int = 0) -> Iterator[list[Pull]]:
        """Pull requests, the youngest first."""
        return self._turned(f"{_path(repo)}/pullrequests", Pull, _criteria(search), ("$top", "$skip"), skip)

    def pull(self, repo: Repository, number: str) -> Pull:
        """One pull request. Raises NotFound."""
        return self.call("GET", f"{_path(repo)}/pullrequests/{part(number)}").decode(Pull)

    def threads(self, repo: Repository, number: int) -> list[Thread]:
        """All that was said about a pull request and done to it."""
        return self.call("GET", f"{_path(repo)}/pullRequests/{number}/threads").decode(_List[Thread]).value

    def pull_commits(self, repo: Repository, number: int) -> Iterator[Commit]:
        """A pull request's commits."""
        return self._continued(f"{_path(repo)}/pullRequests/{number}/commits", Commit, {"$top": TOP})

    def commits(self, repo: Repository, search: Params, skip: int = 0) -> Iterator[list[Commit]]:
        """Commits of the default branch."""
        names = ("searchCriteria.$top", "searchCriteria.$skip")
        return self._turned(f"{_path(repo)}/commits", Commit, _criteria(search), names, skip)

    def push_commits(self, repo: Repository, push: int) -> Iterator[Commit]:
        """The commits a push brought."""
        for page in self._turned(f"{_path(repo)}/commits", Commit, {"pushId": push}, ("top", "skip")):
            yield from page

    def pushes(self, repo: Repository, search: Params, skip: int = 0) -> Iterator[list[Push]]:
        """Pushes, the youngest first."""
        params = _criteria({"includeRefUpdates": "true", **search})
        return self._turned(f"{_path(repo)}/pushes", Push, params, ("$top", "$skip"), skip)

    def push(self, repo: Repository, number: str) -> Push:
        """One push. Raises NotFound."""
        params: Params = {"includeRefUpdates": "true", "includeCommits": 0}
        return self.call("GET", f"{_path(repo)}/pushes/{part(number)}", params=params).decode(Push)

    def builds(self, project: str, filters: Params) -> Iterator[list[Build]]:
        """Builds, in the order asked for."""
        return self._pages(f"{part(project)}/_apis/build/builds", Build, {"$top": BUILDS, **filters})

    def build(self, project: str, number: str) -> Build:
        """One build. Raises NotFound."""
        return self.call("GET", f"{part(project)}/_apis/build/builds/{part(number)}").decode(Build)

    def environments(self, project: str) -> Iterator[Environment]:
        """What a project deploys to."""
        path = f"{part(project)}/_apis/pipelines/environments"
        return self._continued(path, Environment, {"$top": TOP}, ENVIRONMENTS_VERSION)

    def records(self, project: str, environment: int, token: str | None) -> tuple[list[Record], str | None]:
        """A page of what was deployed to an environment, the youngest first, and the token of the next page."""
        path = f"{part(project)}/_apis/pipelines/environments/{environment}/environmentdeploymentrecords"
        params: Params = {"top": TOP, **({"continuationToken": token} if token else {})}
        return self._page(path, Record, params, ENVIRONMENTS_VERSION)

    # --- pages --------------------------------------------------------------------------------------

    def _turned(
        self, path: str, row: type[T], params: Params, names: tuple[str, str], skip: int = 0
    ) -> Iterator[list[T]]:
        """Pages by number, until a short one; `names` are what size and start are called."""
        while True:
            page, _ = self._page(path, row, {**params, names[0]: TOP, names[1]: skip})
            yield page
            if len(page) < TOP:
                return
            skip += len(page)

    def _pages(self, path: str, row: type[T], params: Params, version: str = API_VERSION) -> Iterator[list[T]]:
        """Pages by token, until none comes."""
        page, token = self._page(path, row, params, version)
        yield page
        while token:
            page, token = self._page(path, row, {**params, "continuationToken": token}, version)
            yield page

    def _continued(self, path: str, row: type[T], params: Params, version: str = API_VERSION) -> Iterator[T]:
        for page in self._pages(path, row, params, version):
            yield from page

    def _page(self, path: str, row: type[T], params: Params, version: str = API_VERSION) -> tuple[list[T], str | None]:
        response = self.call("GET", path, version=version, params=params)
        # The shape is made at run time, of the caller's row: no checker can follow that.
        rows: list[T] = response.decode(_List[row]).value  # type: ignore[valid-type]
        return rows, response.headers.get("x-ms-continuationtoken")


def _path(repo: Repository) -> str:
    return f"{repo.project.id}/_apis/git/repositories/{repo.id}"


def _criteria(search: Params) -> Params:
    return {f"searchCriteria.{name}": value for name, value in search.items()}
