"""What is in a code host: repositories, commits, changes (pull requests), reviews, deployments, runs, releases.

What one vendor has besides goes into a repository's `extra`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

MAIN = "main"


@dataclass(frozen=True)
class Commit:
    """A commit. `author` is a person's id, or None for somebody without an account (then `name`, `email` tell)."""

    sha: str
    message: str
    author: str | None
    name: str
    email: str
    authored: datetime
    committed: datetime
    parents: tuple[str, ...] = ()
    additions: int = 10
    deletions: int = 2
    files: tuple[str, ...] = ("app.py",)


@dataclass(frozen=True)
class Step:
    """One line of a change's timeline: `opened`, `drafted`, `ready`, `pushed`, `closed`, `reopened`, `merged`."""

    id: int
    what: str
    at: datetime
    who: str


@dataclass(frozen=True)
class Pull:
    """A pull request. `state` is open, closed or merged; `commits` are its shas, oldest first."""

    id: int
    number: int
    title: str
    author: str
    source: str
    target: str
    created: datetime
    updated: datetime
    commits: tuple[str, ...]
    state: str = "open"
    draft: bool = False
    closed: datetime | None = None
    closed_by: str | None = None
    merge_sha: str | None = None
    squashed: bool = False
    timeline: tuple[Step, ...] = ()

    @property
    def head(self) -> str:
        """Its last commit."""
        return self.commits[-1]


@dataclass(frozen=True)
class Review:
    """`state` is approved, changes_requested, commented or dismissed; `given` is what it was before a dismissal."""

    id: int
    number: int
    author: str
    state: str
    given: str
    at: datetime
    body: str = ""


@dataclass(frozen=True)
class Moved:
    """A deployment or run came to a state: queued, waiting, running, success, failed, cancelled."""

    id: int
    state: str
    at: datetime


@dataclass(frozen=True)
class Deployment:
    """A deployment; its last state is how it stands."""

    id: int
    sha: str
    ref: str
    environment: str
    creator: str
    created: datetime
    updated: datetime
    states: tuple[Moved, ...]
    run: int | None = None

    @property
    def state(self) -> str:
        """How it stands."""
        return self.states[-1].state


@dataclass(frozen=True)
class Run:
    """A run of a pipeline; `states` are those of its last attempt."""

    id: int
    number: int
    name: str
    sha: str
    branch: str
    trigger: str
    who: str
    created: datetime
    updated: datetime
    states: tuple[Moved, ...]
    attempt: int = 1

    @property
    def state(self) -> str:
        """How it stands."""
        return self.states[-1].state

    def first(self, *states: str) -> datetime | None:
        """When it came to one of these states."""
        return next((moved.at for moved in self.states if moved.state in states), None)


@dataclass(frozen=True)
class Release:
    """A published release."""

    id: int
    tag: str
    name: str
    sha: str
    author: str
    created: datetime
    prerelease: bool = False


@dataclass
class Repo:
    """A repository and all that is in it. Dicts are in the order of birth. `members` may see it (None: everybody).

    mainline  the commits that are on the default branch
    asking    branch -> the open pull request that asks for it
    """

    id: int
    name: str
    created: datetime
    updated: datetime
    default: str = MAIN
    archived: bool = False
    members: frozenset[str] | None = None
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    reviews: dict[int, Review] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    releases: dict[int, Release] = field(default_factory=dict)
    mainline: set[str] = field(default_factory=set)
    asking: dict[str, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    _by_pull: dict[int, list[int]] = field(default_factory=dict, repr=False)
    _indexed: int = field(default=0, repr=False)

    def history(self, sha: str | None, without: str | None = None) -> list[Commit]:
        """The commits reachable from one and not from another, newest first."""
        hidden = {commit.sha for commit in self.history(without)} if without else set()
        found: dict[str, Commit] = {}
        waiting = [sha] if sha else []
        while waiting:
            one = waiting.pop()
            if one not in found and one not in hidden and one in self.commits:
                found[one] = self.commits[one]
                waiting += found[one].parents
        return sorted(found.values(), key=lambda commit: commit.committed, reverse=True)

    def own(self, tip: str | None) -> tuple[str, ...]:
        """The commits on a branch that are not on the default branch, oldest first."""
        found: list[str] = []
        while tip is not None and tip not in self.mainline:
            found.append(tip)
            parents = self.commits[tip].parents
            tip = parents[0] if parents else None
        return tuple(reversed(found))

    def reviews_of(self, number: int) -> list[Review]:
        """A pull request's reviews, oldest first."""
        if self._indexed < len(self.reviews):  # none is ever taken away
            for review in islice(self.reviews.values(), self._indexed, None):
                self._by_pull.setdefault(review.number, []).append(review.id)
            self._indexed = len(self.reviews)
        return [self.reviews[id_] for id_ in self._by_pull.get(number, [])]


class Kind(StrEnum):
    """What was done."""

    PUSHED = "pushed"
    OPENED = "opened"
    EDITED = "edited"
    DRAFTED = "drafted"
    READY = "ready"
    CLOSED = "closed"
    REOPENED = "reopened"
    MERGED = "merged"
    REVIEWED = "reviewed"
    DISMISSED = "dismissed"
    DEPLOYED = "deployed"
    DEPLOYMENT_MOVED = "deployment_moved"
    RUN_MOVED = "run_moved"
    RELEASED = "released"
    REPOSITORY_RENAMED = "repository_renamed"
    REPOSITORY_ARCHIVED = "repository_archived"
    REPOSITORY_UNARCHIVED = "repository_unarchived"
    REPOSITORY_DELETED = "repository_deleted"


@dataclass(frozen=True)
class Push:
    """A branch or tag moved. `ref` in full; None: it was not there before, or is not any more."""

    ref: str
    before: str | None
    after: str | None
    commits: tuple[str, ...] = ()
    forced: bool = False


@dataclass(frozen=True)
class Deed:
    """Something was done to `what`: a Push, Pull, Review, Deployment, Run, Release or Repo, as it is afterwards.
    `before` is the old name of a renamed repository."""

    kind: Kind
    repo: Repo
    who: str
    at: datetime
    what: Any
    before: str | None = None
