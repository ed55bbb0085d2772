"""What GitLab answers, as much of it as is used."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.times import epoch_ms, moment


class User(msgspec.Struct):
    """Somebody with an account."""

    id: int
    username: str = ""
    name: str = ""
    email: str | None = None


class Project(msgspec.Struct):
    """A project. An empty one has no default branch."""

    id: int
    path_with_namespace: str
    web_url: str
    default_branch: str | None = None
    archived: bool | None = None


class _Changing(msgspec.Struct):
    updated_at: str

    @property
    def changed(self) -> int:
        """Its last change, in epoch milliseconds."""
        return epoch_ms(moment(self.updated_at))


class MergeRequest(_Changing):
    """A merge request. Older servers name some fields otherwise: the names in the second part."""

    iid: int
    title: str
    state: str
    created_at: str
    author: User
    source_branch: str
    target_branch: str
    web_url: str
    draft: bool | None = None
    sha: str | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    merged_at: str | None = None
    merge_user: User | None = None
    closed_at: str | None = None

    work_in_progress: bool | None = None
    merged_by: User | None = None

    @property
    def key(self) -> str:
        """What it is known by in its project."""
        return str(self.iid)


class Issue(_Changing):
    """An issue. `moved_to_id`: it goes on as another one, in another project."""

    iid: int
    project_id: int
    title: str
    state: str
    web_url: str
    description: str | None = None
    labels: list[str] = []
    assignees: list[User] = []
    moved_to_id: int | None = None

    @property
    def key(self) -> str:
        """What it is known by on its server."""
        return f"{self.project_id}#{self.iid}"


class Note(msgspec.Struct):
    """A comment, or what GitLab itself wrote down (`system`)."""

    id: int
    body: str
    author: User
    created_at: str
    system: bool = False


class StateEvent(msgspec.Struct):
    """A merge request was `closed`, `reopened` or `merged`."""

    state: str
    created_at: str


class Commit(msgspec.Struct):
    """A commit. Its author is a name and an address, nobody's account."""

    id: str
    title: str
    author_name: str
    authored_date: str
    committed_date: str
    author_email: str | None = None


class PushData(msgspec.Struct):
    """Where a branch or tag (without `refs/…`) was moved; a push of many at once names none."""

    ref_type: str = "branch"
    ref: str | None = None
    commit_from: str | None = None
    commit_to: str | None = None


class PushEvent(msgspec.Struct):
    """Somebody pushed."""

    created_at: str
    author: User
    push_data: PushData | None = None

    @property
    def changed(self) -> int:
        """When, in epoch milliseconds."""
        return epoch_ms(moment(self.created_at))


class Diff(msgspec.Struct):
    """What became of one file, as unified text; left out where it is too much to show."""

    diff: str | None = None
    collapsed: bool | None = None
    too_large: bool | None = None


class Environment(msgspec.Struct):
    """Where deployments go."""

    name: str
    tier: str | None = None


class Job(msgspec.Struct):
    """The job that deployed."""

    started_at: str | None = None
    finished_at: str | None = None


class Deployment(_Changing):
    """A deployment."""

    id: int
    sha: str
    status: str
    created_at: str
    environment: Environment
    ref: str | None = None
    user: User | None = None
    deployable: Job | None = None

    @property
    def key(self) -> str:
        """What it is known by."""
        return str(self.id)


class Pipeline(_Changing):
    """A pipeline; the second part is told of a single one only."""

    id: int
    sha: str
    ref: str
    status: str
    created_at: str
    web_url: str = ""
    source: str | None = None

    name: str | None = None
    tag: bool | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def key(self) -> str:
        """What it is known by."""
        return str(self.id)


class Links(msgspec.Struct):
    """A release's addresses."""

    self: str | None = None


class Release(msgspec.Struct):
    """A release; its tag is its id."""

    tag_name: str
    created_at: str
    name: str | None = None
    released_at: str | None = None
    links: Links = msgspec.field(name="_links", default_factory=Links)


class Hook(msgspec.Struct):
    """A project's webhook. Servers that know no signing tokens do not say whether there is one."""

    id: int
    url: str
    name: str | None = None
    alert_status: str | None = None
    signing_token_present: bool | None = None


class Logged(msgspec.Struct):
    """A delivery in a hook's log. `response_status` is a number as text, or words where nothing answered."""

    id: int
    response_status: str | int | None = None
    request_headers: dict[str, Any] = {}
    request_data: msgspec.Raw = msgspec.Raw(b"{}")
