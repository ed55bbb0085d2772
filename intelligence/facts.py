"""From code events to facts, pure: which rows the events make of the rows that are there.

The order of the events, and how often each is seen, changes nothing. So a webhook and a backfill may tell the two ends
of a change in either order, and a rebuild makes the rows that following made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from connectors.contract import (
    FINAL,
    PRODUCTION,
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    ChangeReopened,
    Committed,
    Deployed,
    DeploymentMoved,
    PipelineRan,
    Released,
    Reviewed,
    ReviewState,
    RunState,
)
from core.models import CodeChange, CodeCommit, CodeDeployment, CodePipelineRun, CodeRelease, CodeReview
from core.models.facts import CodeFact

Row = dict[str, Any]

RANK = {state.value: rank for rank, state in enumerate(RunState)}
"""How far a deployment or run is; of two states told of one moment, the further one is the later."""

MODELS: tuple[type[CodeFact], ...] = (CodeChange, CodeReview, CodeDeployment, CodePipelineRun, CodeCommit, CodeRelease)
"""The tables of facts."""

COLUMNS: Mapping[type[CodeFact], tuple[str, ...]] = {model: tuple(model.__table__.columns.keys()) for model in MODELS}


@dataclass(frozen=True, slots=True)
class Seen:
    """A code event as the stream has it."""

    type: str
    workspace_id: str
    integration_id: str
    repository_id: str
    at: datetime
    data: Mapping[str, Any]

    def id(self, *parts: str) -> str:
        """The id of a row about something in the event's repository."""
        return ":".join((self.repository_id, *parts))


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows by table and id."""

    rows: Mapping[type[CodeFact], dict[str, Row]] = field(default_factory=lambda: {model: {} for model in MODELS})


def touched(events: Iterable[Seen]) -> dict[type[CodeFact], set[str]]:
    """The ids of the rows the events are about, by table: those that `fold` has to be given, where they exist, and with
    a change all its reviews."""
    ids: dict[type[CodeFact], set[str]] = {model: set() for model in MODELS}
    for event in events:
        if event.type in FOLDS:
            model, name, _ = FOLDS[event.type]
            ids[model].add(name(event))
            if model is CodeReview:
                ids[CodeChange].add(event.id(event.data["number"]))
    return ids


def fold(known: Facts, events: Sequence[Seen], patterns: Mapping[str, Sequence[str]]) -> Facts:
    """The rows after the events: those of `known`, changed, and new ones. `known` itself stays as it is.

    patterns  integration -> which environments are production
    """
    after = Facts({model: {id_: dict(row) for id_, row in rows.items()} for model, rows in known.rows.items()})
    for event in events:
        if event.type in FOLDS:
            model, name, apply = FOLDS[event.type]
            apply(_row(after, model, name(event), event), event)
            if model is CodeReview:  # it may come before anything else of its change
                _row(after, CodeChange, event.id(event.data["number"]), event)["number"] = event.data["number"]
    _settle_changes(after)
    for row in after.rows[CodeDeployment].values():
        row["is_production"] = is_production(
            row["environment"], row["tier"], patterns.get(row["integration_id"], PRODUCTION)
        )
    return after


def is_production(environment: str | None, tier: str | None, patterns: Sequence[str]) -> bool:
    """Whether a deployment there counts as one to production: by the vendor's word for it, or by the patterns."""
    if tier is not None and tier.casefold() == "production":
        return True
    if environment is None:
        return False
    return any(fnmatchcase(environment.casefold(), pattern.casefold()) for pattern in patterns)


def _row(facts: Facts, model: type[CodeFact], id_: str, event: Seen) -> Row:
    rows = facts.rows[model]
    if id_ not in rows:
        rows[id_] = dict.fromkeys(COLUMNS[model])
        rows[id_].update(
            id=id_,
            workspace_id=event.workspace_id,
            integration_id=event.integration_id,
            repository_id=event.repository_id,
        )
        if model is CodeReview:
            rows[id_]["dismissed"] = False
    return rows[id_]


# --- one event ----------------------------------------------------------------------------------------


def _opened(row: Row, event: Seen) -> None:
    row.update({name: event.data[name] for name in ("number", "title", "url", "source_branch")})
    row.update(_author(event.data["author"]), opened_at=event.at)


def _ready(row: Row, event: Seen) -> None:
    row["number"] = event.data["number"]
    row["ready_at"] = _earlier(row["ready_at"], event.at)


def _merged(row: Row, event: Seen) -> None:
    told = ("number", "merge_sha", "head_sha", "target_branch", "additions", "deletions", "changed_files", "commits")
    row.update({name: event.data[name] for name in told})
    row.update(merged_at=event.at, first_commit_at=_moment(event.data["first_commit_at"]))


def _closed(row: Row, event: Seen) -> None:
    row["number"] = event.data["number"]
    row["last_closed_at"] = _later(row["last_closed_at"], event.at)


def _reopened(row: Row, event: Seen) -> None:
    row["number"] = event.data["number"]
    row["last_reopened_at"] = _later(row["last_reopened_at"], event.at)


def _reviewed(row: Row, event: Seen) -> None:
    row["change_id"] = event.id(event.data["number"])
    if event.data["state"] == ReviewState.DISMISSED:
        row["dismissed"] = True
        return
    row.update(_author(event.data["author"]), state=event.data["state"], at=event.at)


def _deployed(row: Row, event: Seen) -> None:
    row.update({name: event.data[name] for name in ("sha", "ref", "environment", "tier")})
    row["created_at"] = event.at


def _moved(row: Row, event: Seen) -> None:
    state = event.data["state"]
    began = _moment(event.data["started_at"]) or (event.at if state == RunState.RUNNING else None)
    row["started_at"] = _earlier(row["started_at"], began)
    if row["state"] is None or _order(state, event.at) > _order(row["state"], row["state_at"]):
        row.update(state=state, state_at=event.at, finished_at=event.at if state in FINAL else None)


def _ran(row: Row, event: Seen) -> None:
    data = event.data
    order = (data["attempt"], *_order(data["state"], event.at))
    if row["state"] is not None and order <= (row["attempt"], *_order(row["state"], row["state_at"])):
        return
    row.update({name: data[name] for name in ("attempt", "name", "state", "sha", "branch", "trigger", "url")})
    row.update({name: _moment(data[name]) for name in ("created_at", "started_at", "finished_at")}, state_at=event.at)


def _committed(row: Row, event: Seen) -> None:
    row.update(sha=event.data["sha"], title=event.data["title"], committed_at=event.at)
    row.update(_author(event.data["author"]), authored_at=_moment(event.data["authored_at"]))


def _released(row: Row, event: Seen) -> None:
    row.update({name: event.data[name] for name in ("tag", "name", "url", "prerelease")}, released_at=event.at)


def _change(event: Seen) -> str:
    return event.id(event.data["number"])


def _review(event: Seen) -> str:
    return event.id(event.data["number"], event.data["id"])


def _by_id(event: Seen) -> str:
    return event.id(event.data["id"])


FOLDS: Mapping[str, tuple[type[CodeFact], Callable[[Seen], str], Callable[[Row, Seen], None]]] = {
    ChangeOpened.type: (CodeChange, _change, _opened),
    ChangeReady.type: (CodeChange, _change, _ready),
    ChangeMerged.type: (CodeChange, _change, _merged),
    ChangeClosed.type: (CodeChange, _change, _closed),
    ChangeReopened.type: (CodeChange, _change, _reopened),
    Reviewed.type: (CodeReview, _review, _reviewed),
    Deployed.type: (CodeDeployment, _by_id, _deployed),
    DeploymentMoved.type: (CodeDeployment, _by_id, _moved),
    PipelineRan.type: (CodePipelineRun, _by_id, _ran),
    Committed.type: (CodeCommit, lambda event: event.id(event.data["sha"]), _committed),
    Released.type: (CodeRelease, _by_id, _released),
}
"""Type of an event -> the table it is about, the row's id, and what it does to the row."""


# --- what follows from several ------------------------------------------------------------------------


def _settle_changes(facts: Facts) -> None:
    reviews: dict[str, list[Row]] = defaultdict(list)
    for review in facts.rows[CodeReview].values():
        reviews[review["change_id"]].append(review)
    for change in facts.rows[CodeChange].values():
        change["closed_at"] = _closed_at(change)
        counted = [review["at"] for review in reviews[change["id"]] if _counts(review, change)]
        change["first_review_at"] = min(counted, default=None)


def _closed_at(change: Row) -> datetime | None:
    closed: datetime | None = change["last_closed_at"]
    reopened: datetime | None = change["last_reopened_at"]
    if closed is None or change["merged_at"] is not None or (reopened is not None and reopened > closed):
        return None
    return closed


def _counts(review: Row, change: Row) -> bool:
    """Whether somebody else looked at the change. Whose it is has to be known for that."""
    if review["at"] is None or review["dismissed"] or review["is_bot"] or change["opened_at"] is None:
        return False
    known = review["author_id"] is not None and change["author_id"] is not None
    by = "author_id" if known else "author_name"
    return bool(review[by] != change[by])


def _order(state: str, at: datetime) -> tuple[bool, datetime, int]:
    """The greater, the later: a final state comes after all others, whatever the clocks say."""
    return state in FINAL, at, RANK[state]


def _author(person: Mapping[str, Any]) -> Row:
    return {"author_id": person["id"], "author_name": person["name"], "is_bot": person["bot"]}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)
