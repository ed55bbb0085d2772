"""GitHub as the simulator's vendor, and on the conformance kit's bench."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import connectors.github
from connectors.github import GitHubConnector
from connectors.github.issues import MARKER
from sandbox.code import OWNER
from sandbox.github import GitHubSandbox
from sandbox.tracker import Item as TrackerItem
from simulation.issueside import IssueSide, Word
from simulation.sandboxside import NAMES


class GitHubSide(IssueSide):
    """People in a GitHub organization, connected with a token."""

    name = "github"
    connector_class = GitHubConnector
    sandbox_class = GitHubSandbox
    token_field = "token"
    delivery_header = "x-github-delivery"
    last_calls = ("POST */issues", "PATCH */issues/*")
    fixtures = Path(connectors.github.__file__).with_name("fixtures")
    has_not = frozenset({"rerun"})
    sandbox: GitHubSandbox
    only_live = frozenset({"code.push"})
    kinds: ClassVar = {
        "pull_request": ("pull_request", "pull_request_review"),
        "deployment": ("deployment", "deployment_status"),
        "pipeline": ("workflow_run",),
    }
    people: ClassVar = {name: f"{name} of GitHub" for name in NAMES}
    status_words: ClassVar = {
        "status:in-progress": Word("in_progress"),
        "status:in-review": Word("in_review"),
        "open": Word("backlog", label=False),
        "completed": Word("done", closed=True, label=False, reason="completed"),
        "not_planned": Word("cancelled", closed=True, label=False, reason="not_planned"),
        "duplicate": Word("cancelled", closed=True, label=False, reason="duplicate"),
    }
    priority_labels: ClassVar = {f"priority:{word}": word for word in ("critical", "high", "medium", "low")}

    def config(self) -> dict[str, Any]:
        """The organization."""
        return {"organization": OWNER, **super().config()}

    def external_id(self, item: TrackerItem) -> str:
        """The repository's id, and the number there."""
        return f"{item.container}#{self.number(item)}"

    def number(self, item: TrackerItem) -> str:
        """Issues and pull requests share their numbers."""
        return str(self.sandbox.issues.number(item))

    def marker(self, item: TrackerItem) -> str | None:
        """In the text, where people do not see it."""
        found = MARKER.search(item.description)
        return found[1] if found else None

    def text_here(self, description: str) -> str:
        """Without the mark."""
        return MARKER.sub("", description)

    def assignees(self, item: TrackerItem) -> Iterable[str]:
        """Those of the API, or the one people chose."""
        return item.extra.get("assignees") or super().assignees(item)
