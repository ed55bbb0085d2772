"""GitHub's JSON, the same in answers and in webhooks: only the fields that are used; the rest is skipped unread."""

from __future__ import annotations

from typing import Any

import msgspec


class User(msgspec.Struct, gc=False):
    """An account. All is optional: GitHub answers `{}` for a commit's author it does not know."""

    id: int | None = None
    login: str = ""
    type: str = "User"


class Repository(msgspec.Struct):
    """A repository. In a push, `pushed_at` is an epoch in seconds."""

    id: int
    name: str
    full_name: str
    html_url: str = ""
    default_branch: str | None = None
    archived: bool = False
    owner: User = msgspec.field(default_factory=User)
    pushed_at: int | str | None = None


class Tip(msgspec.Struct, gc=False):
    """One side of a pull request; its repository may be gone."""

    ref: str
    sha: str


class Pull(msgspec.Struct):
    """A pull request. What is counted, and who merged it, only a single one tells."""

    number: int
    title: str
    html_url: str
    created_at: str
    updated_at: str
    head: Tip
    base: Tip
    user: User | None = None
    draft: bool = False
    merged_at: str | None = None
    merge_commit_sha: str | None = None
    merged_by: User | None = None
    additions: int | None = None
    deletions: int | None = None
    changed_files: int | None = None
    commits: int | None = None


class Signature(msgspec.Struct, gc=False):
    """Who is written in a commit, and when."""

    name: str = ""
    email: str = ""
    date: str = ""


class Dismissed(msgspec.Struct, gc=False):
    """What a review was that counts no more."""

    review_id: int
    state: str


class Step(msgspec.Struct):
    """One line of a pull request's timeline. `author` belongs to a commit; `user`, `state` and `submitted_at` to a
    review, whose `id` is the review's."""

    event: str = ""
    id: int | None = None
    created_at: str | None = None
    submitted_at: str | None = None
    state: str | None = None
    user: User | None = None
    author: Signature | None = None
    dismissed_review: Dismissed | None = None


class Review(msgspec.Struct):
    """A review as a webhook has it."""

    id: int
    state: str
    user: User | None = None
    submitted_at: str | None = None


class GitCommit(msgspec.Struct, gc=False):
    """What git knows of a commit."""

    message: str
    author: Signature | None = None
    committer: Signature | None = None


class Commit(msgspec.Struct):
    """A commit, and the account behind its author's address."""

    sha: str
    commit: GitCommit
    author: User | None = None


class Compared(msgspec.Struct):
    """The commits of one side that are not on the other."""

    commits: list[Commit]


class Branch(msgspec.Struct):
    """A branch; of its commit only the sha is used."""

    commit: Commit


class Deployment(msgspec.Struct):
    """A deployment. `environment` changes when a status names another; `original_environment` does not."""

    id: int
    sha: str
    environment: str
    created_at: str
    ref: str | None = None
    original_environment: str | None = None
    production_environment: bool | None = None
    creator: User | None = None


class DeploymentStatus(msgspec.Struct):
    """A state that a deployment came to."""

    state: str
    created_at: str


class Run(msgspec.Struct):
    """A run of a workflow, in its last attempt."""

    id: int
    head_sha: str
    event: str
    created_at: str
    updated_at: str
    html_url: str
    run_attempt: int = 1
    name: str | None = None
    path: str = ""
    status: str | None = None
    conclusion: str | None = None
    head_branch: str | None = None
    run_started_at: str | None = None


class Release(msgspec.Struct):
    """A release; a draft has no time of publication."""

    id: int
    tag_name: str
    html_url: str
    name: str | None = None
    draft: bool = False
    prerelease: bool = False
    published_at: str | None = None


class Label(msgspec.Struct, gc=False):
    """A label, by its name."""

    name: str = ""


class Issue(msgspec.Struct):
    """An issue; a pull request is one, too, in lists."""

    number: int
    title: str
    state: str
    html_url: str
    updated_at: str
    repository_url: str = ""
    body: str | None = None
    state_reason: str | None = None
    labels: list[Label] = []
    assignees: list[User] = []
    pull_request: dict[str, Any] | None = None
