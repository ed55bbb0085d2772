"""Code: what a source control vendor says happened, the same however it is heard of.

A code event is a fact that never changes: its key, and everything in it, is the same whether a webhook, a poll or a
backfill brought it. So both may bring it, in any order and any number of times, and it counts once. What only one way
of hearing tells is left out, or asked for with a `CodeRef`; what may still change (a title, the labels) is told for
people's sake and never decides anything.

A key is made of the vendor's own numbers by the values below, never by a connector. Times are the vendor's, aware.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from connectors.contract.words import JsonObject


class CodeKind(StrEnum):
    """What an integration may follow: the values of `events` in its config."""

    PUSH = "push"
    PULL_REQUEST = "pull_request"
    DEPLOYMENT = "deployment"
    PIPELINE = "pipeline"
    RELEASE = "release"


class ReviewState(StrEnum):
    """What a reviewer said. `DISMISSED`: the review of that id counts no more."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"
    DISMISSED = "dismissed"


class RunState(StrEnum):
    """Where a deployment or a pipeline run is. The last three are final."""

    QUEUED = "queued"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED})
"""States after which nothing more comes of a deployment or run."""


@dataclass(frozen=True, slots=True)
class RemoteRepository:
    """A repository as the vendor has it now.

    external_id     the vendor's immutable id, which outlives renames and transfers
    name            what people call it, with its owner: `apex-digital/payments-api`
    url             deep link for people
    default_branch  None while it is empty
    archived        read-only: its history stays, nothing new comes
    """

    external_id: str
    name: str
    url: str
    default_branch: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Who did it: the vendor's immutable id of the account, None where only a commit's name and email are known.
    `email` is None where the vendor hides it; `bot` is what the vendor says, or the name shows."""

    id: str | None
    name: str = ""
    email: str | None = None
    bot: bool = False


# --- what happened ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pushed:
    """A branch or tag (`ref`, in full: `refs/heads/main`) was moved; `before`/`after` None: created/deleted."""

    type: ClassVar[str] = "code.push"
    ref: str
    before: str | None
    after: str | None
    by: Person
    forced: bool = False

    def key(self) -> str:
        """What this happening is known by in its repository."""
        return f"push:{self.ref}:{self.before}:{self.after}"


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit reached the default branch. It happened when it was committed; `title` is its message's first line."""

    type: ClassVar[str] = "code.commit"
    sha: str
    title: str
    author: Person
    authored_at: datetime

    def key(self) -> str:
        """As above."""
        return f"commit:{self.sha}"


@dataclass(frozen=True, slots=True)
class ChangeOpened:
    """A pull or merge request (a *change*) was opened. `number` is the vendor's, unique in the repository."""

    type: ClassVar[str] = "code.pull_request_opened"
    number: str
    title: str
    url: str
    author: Person
    source_branch: str

    def key(self) -> str:
        """As above."""
        return f"change:{self.number}:opened"


@dataclass(frozen=True, slots=True)
class ChangeReady:
    """A change was ready for review for the first time: when it was opened, unless it was opened as a draft."""

    type: ClassVar[str] = "code.pull_request_ready"
    number: str

    def key(self) -> str:
        """As above."""
        return f"change:{self.number}:ready"


@dataclass(frozen=True, slots=True)
class ChangeMerged:
    """A change was merged.

    merge_sha        the commit by which it is on the target branch (a squash: that commit; a fast-forward: the last)
    head_sha         the last commit of its branch
    first_commit_at  the author's time of its earliest commit, None where it has none
    additions, …     lines, files and commits in all; None where the vendor does not count them
    """

    type: ClassVar[str] = "code.pull_request_merged"
    number: str
    merge_sha: str
    head_sha: str
    target_branch: str
    by: Person | None
    first_commit_at: datetime | None
    additions: int | None
    deletions: int | None
    changed_files: int | None
    commits: int | None

    def key(self) -> str:
        """As above."""
        return f"change:{self.number}:merged"


@dataclass(frozen=True, slots=True)
class ChangeClosed:
    """A change was closed without being merged; it may be reopened, and closed again."""

    type: ClassVar[str] = "code.pull_request_closed"
    number: str
    at: datetime

    def key(self) -> str:
        """As above."""
        return f"change:{self.number}:closed:{_seconds(self.at)}"


@dataclass(frozen=True, slots=True)
class ChangeReopened:
    """A closed change was opened again."""

    type: ClassVar[str] = "code.pull_request_reopened"
    number: str
    at: datetime

    def key(self) -> str:
        """As above."""
        return f"change:{self.number}:reopened:{_seconds(self.at)}"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Somebody reviewed a change. `id` is the vendor's of the review, or what is unique and lasting about it. That a
    review was dismissed is a happening of its own, with the review's id; it bears the review's time where the vendor
    does not tell another in every way of hearing."""

    type: ClassVar[str] = "code.review_submitted"
    number: str
    id: str
    author: Person
    state: ReviewState

    def key(self) -> str:
        """As above."""
        dismissed = ":dismissed" if self.state is ReviewState.DISMISSED else ""
        return f"review:{self.number}:{self.id}{dismissed}"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment was made: `sha` is meant to run in `environment`. `tier` is the vendor's own word for what kind of
    environment it is (`production`, …), None where it has none."""

    type: ClassVar[str] = "code.deployment"
    id: str
    sha: str
    ref: str | None
    environment: str
    by: Person | None
    tier: str | None = None

    def key(self) -> str:
        """As above."""
        return f"deployment:{self.id}"


@dataclass(frozen=True, slots=True)
class DeploymentMoved:
    """A deployment came to a state for the first time. `started_at`: when it began to run, None where that is not told
    in every way of hearing."""

    type: ClassVar[str] = "code.deployment_status"
    id: str
    state: RunState
    started_at: datetime | None = None

    def key(self) -> str:
        """As above."""
        return f"deployment:{self.id}:{self.state}"


@dataclass(frozen=True, slots=True)
class PipelineRan:
    """A pipeline run came to a state. `id` is the run's; running it again is its next `attempt`. `name` is the
    pipeline's; `trigger` the vendor's word for what started it. `finished_at` only in a final state."""

    type: ClassVar[str] = "code.pipeline_run"
    id: str
    attempt: int
    name: str
    state: RunState
    sha: str
    branch: str | None
    trigger: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    url: str

    def key(self) -> str:
        """As above."""
        return f"run:{self.id}:{self.attempt}:{self.state}"


@dataclass(frozen=True, slots=True)
class Released:
    """A release was published; `id` is the vendor's, or its tag where releases have no id."""

    type: ClassVar[str] = "code.release"
    id: str
    tag: str
    name: str
    url: str
    prerelease: bool = False

    def key(self) -> str:
        """As above."""
        return f"release:{self.id}"


Happening = (
    Pushed
    | Committed
    | ChangeOpened
    | ChangeReady
    | ChangeMerged
    | ChangeClosed
    | ChangeReopened
    | Reviewed
    | Deployed
    | DeploymentMoved
    | PipelineRan
    | Released
)
"""What a code event can say."""


@dataclass(frozen=True, slots=True)
class CodeEvent:
    """Something happened in a repository (named by its `external_id`), at the vendor's time (aware)."""

    repository: str
    at: datetime
    what: Happening

    @property
    def key(self) -> str:
        """What it is known by in its integration, however it is heard of."""
        return f"{self.repository}:{self.what.key()}"


# --- reading it -------------------------------------------------------------------------------------


class RefKind(StrEnum):
    """What a reference leads to."""

    CHANGE = "change"
    DEPLOYMENT = "deployment"
    RUN = "run"
    PUSH = "push"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class CodeRef:
    """Something in a repository that has to be asked for. `repository` is empty where a delivery does not tell it:
    what is fetched does. `id` is the connector's own affair: a number, an id, or for a push what finds its commits."""

    repository: str
    kind: RefKind
    id: str


@dataclass(frozen=True, slots=True)
class CodePage:
    """Events of one repository, and the cursor from which to carry on after them.

    done, total  how far a first reading has come, in the vendor's own count of what is read (changes, runs, …); None
                 where it can't be told
    """

    events: Sequence[CodeEvent]
    cursor: JsonObject
    done: int | None = None
    total: int | None = None


def _seconds(at: datetime) -> int:
    """Vendors tell one moment with and without fractions."""
    return int(at.timestamp())
