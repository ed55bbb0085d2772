"""The bench for code: what people at a source control vendor do.

What they do is named by words, so that one story can be played at every vendor: each does the named thing to the newest
there is to do it to (the newest open change, the last deployment). A vendor that has no such thing lets it be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

DEEDS: Mapping[str, str] = {
    "push": "a commit straight to the default branch",
    "open": "a branch of two commits, and a change that asks for it",
    "draft": "the same, as a draft",
    "ready": "the draft is ready for review",
    "add": "another commit on the change's branch",
    "retitle": "another title",
    "request": "a review: changes requested",
    "comment": "a review: a comment",
    "approve": "a review: approved",
    "dismiss": "the approval counts no more",
    "merge": "the change is merged",
    "squash": "the change is merged as one commit",
    "close": "the change is closed unmerged",
    "reopen": "it is opened again",
    "deploy": "a deployment of the default branch to production, by the last run if there is one",
    "deploying": "it runs",
    "deployed": "it succeeded",
    "undeployed": "it failed",
    "run": "a pipeline's run",
    "running": "it runs",
    "ran": "it succeeded",
    "broke": "it failed",
    "rerun": "it is run again",
    "release": "a release of the default branch",
    "rename": "the repository has another name",
    "archive": "it is read-only",
    "unarchive": "it is writable again",
    "delete": "it is gone",
    "hide": "the integration's account may not see it any more",
    "show": "it may again",
}
"""Every deed -> what it is."""

STORY = (
    *("draft", "comment", "ready", "request", "add", "approve", "dismiss", "approve", "merge"),
    *("run", "running", "deploy", "deploying", "deployed", "ran"),
    *("open", "close", "reopen"),
    *("open", "approve", "squash", "release"),
    *("open", "close", "push", "run", "running", "deploy", "deploying", "undeployed", "broke"),
)
"""Some days of a team: every kind of event, changes that end in every way, a deployment that fails. Each deployment is
made by a run of its own while that goes on, as the pipelines of all vendors make them."""


@dataclass(frozen=True, slots=True)
class There:
    """A repository at the vendor: its immutable id, and what people call it now, without its owner."""

    id: str
    name: str
    archived: bool = False


class CodePeople(Protocol):
    """People at a source control vendor. Repositories are picked by the order of their birth; two at first."""

    @property
    def only_live(self) -> AbstractSet[str]:
        """Types of events that this vendor tells when they happen and lists nowhere; only what is among
        `connectors.kit.codereading.MAY_BE_ONLY_LIVE` counts."""
        ...

    def repositories(self) -> Sequence[There]:
        """What is there."""
        ...

    def do(self, deed: str, repo: int = 0) -> bool:
        """One of DEEDS; False where the vendor has no such thing."""
        ...

    def add(self, name: str) -> There:
        """Another repository."""
        ...

    def followed_as(self, kind: str) -> Sequence[str]:
        """What the config's `events` calls this kind (of the contract's CodeKind)."""
        ...

    def plant_changes(self, count: int, repo: int = 0) -> None:
        """A history of so many changes, without webhooks."""
        ...

    def happened_in(self, repo: str) -> Counter[str]:
        """What there is to tell of a repository (by its id), as `connectors.kit.codereading.counted` counts it."""
        ...
