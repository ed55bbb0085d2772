"""Bitbucket's JSON, of its API and of its webhooks, as far as it is read: both tell a thing in the same shape."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Account(msgspec.Struct, frozen=True):
    """Somebody: a `user`, a `team`, or an `app_user` (an app, or an access token)."""

    uuid: str | None = None
    display_name: str = ""
    type: str = "user"


class Named(msgspec.Struct, frozen=True):
    """Something with a name: a branch, a state, a kind of environment."""

    name: str = ""


class Hashed(msgspec.Struct, frozen=True):
    """A commit by its hash, which has 12 or 40 digits."""

    hash: str


class Href(msgspec.Struct, frozen=True):
    """An address."""

    href: str = ""


class Links(msgspec.Struct, frozen=True):
    """The page for people."""

    html: Href = Href()


class Home(msgspec.Struct, frozen=True):
    """A repository; `mainbranch` is null while it is empty, and not told in webhooks."""

    uuid: str
    full_name: str
    links: Links = Links()
    mainbranch: Named | None = None
    workspace: Account | None = None


class Author(msgspec.Struct, frozen=True):
    """Of a commit: `raw` is "Name <mail>", `user` is there where the mail is an account's."""

    raw: str = ""
    user: Account | None = None


class Commit(msgspec.Struct, frozen=True):
    """A commit. `date` is the author's; there is no other."""

    hash: str
    date: str
    message: str = ""
    author: Author | None = None
    parents: list[Hashed] = []


class End(msgspec.Struct, frozen=True):
    """One end of a change; a fork that was deleted leaves nothing of its end but the name of the branch."""

    branch: Named = Named()
    commit: Hashed | None = None


class Change(msgspec.Struct, frozen=True):
    """A pull request. There is no time of the merge; `updated_on` moves with every later comment."""

    id: int
    title: str
    state: str
    created_on: str
    updated_on: str
    source: End = End()
    destination: End = End()
    author: Account | None = None
    draft: bool = False
    merge_commit: Hashed | None = None
    closed_by: Account | None = None
    links: Links = Links()


class Update(msgspec.Struct, frozen=True):
    """A step of a change. `changes` is what changed, by name, as `old` and `new`; whether `draft` is told is not
    documented, so it is read wherever it may stand."""

    date: str
    state: str = ""
    author: Account | None = None
    draft: bool | None = None
    changes: dict[str, Any] | None = None


class Said(msgspec.Struct, frozen=True):
    """An approval, or a request for changes."""

    date: str
    user: Account | None = None


class Comment(msgspec.Struct, frozen=True):
    """A comment; a pending one is seen by its author alone."""

    id: int
    created_on: str
    user: Account | None = None
    pending: bool = False


class Row(msgspec.Struct, frozen=True):
    """A row of a change's activity: one of these. The webhook calls the third one `changes_request`."""

    update: Update | None = None
    approval: Said | None = None
    changes_requested: Said | None = None
    changes_request: Said | None = None
    comment: Comment | None = None


class Lines(msgspec.Struct, frozen=True):
    """What a change does to one file."""

    lines_added: int = 0
    lines_removed: int = 0


class RunState(msgspec.Struct, frozen=True):
    """`stage` of what is in progress, `result` of what is completed."""

    name: str
    stage: Named | None = None
    result: Named | None = None


class Selector(msgspec.Struct, frozen=True):
    """Which part of bitbucket-pipelines.yml runs."""

    pattern: str | None = None


class Target(msgspec.Struct, frozen=True):
    """What a pipeline runs on. That of a pull request names its `source` branch instead of a ref."""

    ref_name: str | None = None
    ref_type: str | None = None
    source: str | None = None
    commit: Hashed | None = None
    selector: Selector | None = None


class Trigger(msgspec.Struct, frozen=True):
    """What started it: `pipeline_trigger_push` and the like."""

    type: str = ""


class Pipeline(msgspec.Struct, frozen=True):
    """A run. When it began to run is not told."""

    uuid: str
    build_number: int
    state: RunState
    created_on: str
    completed_on: str | None = None
    target: Target | None = None
    trigger: Trigger | None = None


class DeploymentState(msgspec.Struct, frozen=True):
    """The live API says `started_on` and `completed_on`, its description the other two."""

    name: str
    status: Named | None = None
    started_on: str | None = None
    completed_on: str | None = None
    start_date: str | None = None
    completion_date: str | None = None


class Identified(msgspec.Struct, frozen=True):
    """Something by its id."""

    uuid: str = ""


class Environment(msgspec.Struct, frozen=True):
    """`environment_type` is Test, Staging or Production."""

    name: str = ""
    environment_type: Named | None = None


class Release(msgspec.Struct, frozen=True):
    """What is deployed. `name` is the number of its pipeline: "#186"."""

    name: str = ""
    commit: Hashed | None = None
    pipeline: Identified | None = None


class Deployment(msgspec.Struct, frozen=True):
    """A deployment: a pipeline's step to an environment, from the moment the pipeline knows of it."""

    uuid: str
    state: DeploymentState
    environment: Environment = Environment()
    release: Release = Release()
    step: Identified | None = None
    last_update_time: str | None = None


class StepRun(msgspec.Struct, frozen=True):
    """A step of a pipeline."""

    uuid: str
    state: RunState | None = None


class Hook(msgspec.Struct, frozen=True):
    """A registered webhook."""

    uuid: str
    url: str = ""
    active: bool = False


class HookEvent(msgspec.Struct, frozen=True):
    """An event that may be subscribed to."""

    event: str


class Page(msgspec.Struct, Generic[T]):
    """A page of a listing. Only `values` and `next` are promised."""

    values: list[T] = []
    next: str | None = None
    size: int | None = None
    page: int | None = None
    pagelen: int | None = None
