"""GitLab as the simulator's vendor, and on the conformance kit's bench."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import connectors.gitlab
from connectors.contract import RawDelivery
from connectors.gitlab import GitLabConnector
from connectors.gitlab.issues import MARK
from sandbox.code import OWNER
from sandbox.gitlab import GitLabSandbox
from sandbox.tracker import Item as TrackerItem
from simulation.issueside import IssueSide, Word


class GitLabSide(IssueSide):
    """People in a GitLab group. An approval there is taken back, not dismissed."""

    name = "gitlab"
    connector_class = GitLabConnector
    sandbox_class = GitLabSandbox
    token_field = "token"
    last_calls = ("POST */issues", "PUT */issues/*")
    fixtures = Path(connectors.gitlab.__file__).with_name("fixtures")
    tells_deletions = False
    has_not = frozenset({"dismiss", "rerun"})
    status_words: ClassVar = {
        "workflow::in review": Word("in_review"),
        "workflow::in progress": Word("in_progress"),
        "opened": Word("backlog", label=False),
        "cancelled": Word("cancelled", closed=True),
        "closed": Word("done", closed=True, label=False),
    }
    priority_labels: ClassVar = {
        f"priority::{number}": word for number, word in enumerate(("critical", "high", "medium", "low"), 1)
    }

    def config(self) -> dict[str, Any]:
        """The group."""
        return {"group": OWNER, **super().config()}

    def edit(self, slot: int, field: str, value: str | int) -> str | None:
        """Nobody assigns anything there: who it is we only know of people who were assigned from here."""
        return None if field == "assignee" else super().edit(slot, field, value)

    def delivery_key(self, delivery: RawDelivery) -> str:
        """The same on a retry."""
        return delivery.headers.get("idempotency-key") or delivery.headers["webhook-id"]

    def external_id(self, item: TrackerItem) -> str:
        """The project's id, and the number there."""
        return f"{item.container}#{item.key}"

    def marker(self, item: TrackerItem) -> str | None:
        """In the text, where people do not see it."""
        found = MARK.search(item.description)
        return found[1] if found else None

    def text_here(self, description: str) -> str:
        """Without the mark."""
        return MARK.sub("", description)

    def assignees(self, item: TrackerItem) -> Iterable[str]:
        """All of them."""
        return [*super().assignees(item), *item.extra.get("others", ())]
