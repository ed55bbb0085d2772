"""Bitbucket's things as code events. Pure; for webhooks and for polls alike.

All times are cut to whole seconds: Bitbucket tells one moment with microseconds here, with nanoseconds there, and
with neither elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import quote

from connectors.bitbucket.shapes import (
    Account,
    Change,
    Comment,
    Commit,
    Deployment,
    Home,
    Pipeline,
    Row,
    RunState,
    Said,
    Target,
    Update,
)
from connectors.contract import (
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    CodeEvent,
    Committed,
    Deployed,
    DeploymentMoved,
    Happening,
    Person,
    PipelineRan,
    RemoteRepository,
    Reviewed,
    ReviewState,
)
from connectors.contract import RunState as State
from connectors.times import moment

RESULTS = {
    "SUCCESSFUL": State.SUCCESS,
    "FAILED": State.FAILED,
    "ERROR": State.FAILED,
    "STOPPED": State.CANCELLED,
    "EXPIRED": State.CANCELLED,
}
"""How a pipeline, a step or a deployment ended; a word not known says nothing of success or failure."""

CLOSED = frozenset({"DECLINED", "SUPERSEDED"})

_BOT = re.compile(r"(^|[\s_\[-])bot\]?$", re.IGNORECASE)


def when(text: str) -> datetime:
    """A moment of Bitbucket's, in whole seconds. Raises BadPayload."""
    return moment(text).replace(microsecond=0)


def person(account: Account | None, email: str | None = None) -> Person:
    """Somebody; an account that is gone has no id."""
    if account is None:
        return Person(None)
    return Person(account.uuid, account.display_name, email, _is_bot(account.type, account.display_name))


def _is_bot(type_: str, name: str) -> bool:
    return type_ == "app_user" or _BOT.search(name) is not None


def repository(home: Home) -> RemoteRepository:
    """A repository as it is now. Bitbucket has no archives."""
    branch = home.mainbranch.name if home.mainbranch else None
    return RemoteRepository(home.uuid, home.full_name, home.links.html.href, branch or None)


# --- commits ----------------------------------------------------------------------------------------


def committed(repository: str, commit: Commit) -> CodeEvent:
    """A commit on the default branch. Bitbucket's one time of a commit is its author's."""
    at, author = when(commit.date), commit.author
    name, email = parseaddr(author.raw) if author else ("", "")
    if author and author.user:
        who = person(author.user, email or None)
    else:
        who = Person(None, name, email or None, _is_bot("", name))
    title = commit.message.strip().partition("\n")[0].rstrip()
    return CodeEvent(repository, at, Committed(commit.hash, title, who, at))


# --- changes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Landing:
    """What has to be asked for about a merged change: hashes in full, commits (newest first), and lines and files where
    they are counted. `committed` is the time of the commit by which it landed."""

    merge_sha: str
    head_sha: str
    commits: Sequence[Commit]
    additions: int | None
    deletions: int | None
    files: int | None
    committed: str | None = None


def opened(repository: str, change: Change) -> CodeEvent:
    """That a change was opened."""
    what = ChangeOpened(
        str(change.id), change.title, change.links.html.href, person(change.author), change.source.branch.name
    )
    return CodeEvent(repository, when(change.created_on), what)


def ready(repository: str, change: Change) -> CodeEvent:
    """That a change was ready for review when it was opened."""
    return CodeEvent(repository, when(change.created_on), ChangeReady(str(change.id)))


def of_change(repository: str, change: Change, rows: Sequence[Row]) -> list[CodeEvent]:
    """All that happened to a change and its activity (newest first) tells, without the merge."""
    events = [opened(repository, change)]
    oldest_first = [row.update for row in reversed(rows) if row.update]
    at = _ready_at(change, oldest_first)
    if at is not None:
        events.append(CodeEvent(repository, when(at), ChangeReady(str(change.id))))
    for row in reversed(rows):
        events += reviews(repository, change, row)
    ended = _came_to(change.state, oldest_first) if change.state in CLOSED else None
    if ended is not None:
        events.append(CodeEvent(repository, when(ended), ChangeClosed(str(change.id), when(ended))))
    return events


def merged(repository: str, change: Change, rows: Sequence[Row], landing: Landing) -> CodeEvent:
    """That a change was merged. Bitbucket tells the time in the activity alone; `updated_on` moves on with comments."""
    oldest_first = [row.update for row in reversed(rows) if row.update]
    by = change.closed_by or next((update.author for update in oldest_first if update.state == "MERGED"), None)
    what = ChangeMerged(
        number=str(change.id),
        merge_sha=landing.merge_sha,
        head_sha=landing.head_sha,
        target_branch=change.destination.branch.name,
        by=person(by) if by else None,
        first_commit_at=min((when(commit.date) for commit in landing.commits), default=None),
        additions=landing.additions,
        deletions=landing.deletions,
        changed_files=landing.files,
        commits=len(landing.commits) or None,
    )
    at = _came_to("MERGED", oldest_first) or landing.committed or change.updated_on
    return CodeEvent(repository, when(at), what)


def _came_to(state: str, oldest_first: Sequence[Update]) -> str | None:
    return next((update.date for update in oldest_first if update.state == state), None)


def _ready_at(change: Change, oldest_first: Sequence[Update]) -> str | None:
    """When it was no draft for the first time: at its beginning, unless it was opened as one."""
    told = [(update.date, *_draft(update)) for update in oldest_first]
    first = next(((was, is_) for _, was, is_ in told if is_ is not None), (None, change.draft))
    began_as_draft = first[1] if first[0] is None else first[0]
    if not began_as_draft:
        return change.created_on
    return next((date for date, _, is_ in told if is_ is False), None)


def _draft(update: Update) -> tuple[bool | None, bool | None]:
    """Whether it was a draft before and after a step, where that is told."""
    changed = (update.changes or {}).get("draft")
    if isinstance(changed, dict) and isinstance(changed.get("new"), bool):
        return not changed["new"], changed["new"]
    return None, update.draft


def reviews(repository: str, change: Change, row: Row, dismissed: bool = False) -> Iterator[CodeEvent]:
    """What a row of the activity, or a webhook, tells of somebody's opinion. What the change's own author says is no
    review, and a review is known by who gave it when. A withdrawn one bears the time of the opinion."""
    said = ((ReviewState.APPROVED, row.approval), (ReviewState.CHANGES_REQUESTED, row.changes_requested))
    for state, opinion in (*said, (ReviewState.CHANGES_REQUESTED, row.changes_request)):
        if opinion is not None and _is_others(change, opinion):
            at = when(opinion.date)
            who = person(opinion.user)
            id_ = f"{state}:{who.id}:{int(at.timestamp())}"
            told = ReviewState.DISMISSED if dismissed else state
            yield CodeEvent(repository, at, Reviewed(str(change.id), id_, who, told))
    if row.comment is not None and not row.comment.pending and _is_others(change, row.comment):
        id_, who = f"comment:{row.comment.id}", person(row.comment.user)
        at = when(row.comment.created_on)
        yield CodeEvent(repository, at, Reviewed(str(change.id), id_, who, ReviewState.COMMENTED))


def _is_others(change: Change, opinion: Said | Comment) -> bool:
    return person(opinion.user).id != person(change.author).id


# --- deployments and pipelines ----------------------------------------------------------------------


def deployed(repository: str, deployment: Deployment, sha: str, state: State | None) -> list[CodeEvent]:
    """What is known of a deployment: nothing before it has begun, as Bitbucket has one for each step that may deploy
    one day, and tells no time of it. `state` is how it ended, None while it runs."""
    told = deployment.state
    began, ended = told.started_on or told.start_date, told.completed_on or told.completion_date
    first = began or ended
    if first is None or told.name == "UNDEPLOYED":
        return []
    started = when(first)
    kind = deployment.environment.environment_type
    what: list[tuple[str, Happening]] = [
        (
            first,
            Deployed(
                deployment.uuid, sha, None, deployment.environment.name, None, kind.name.lower() if kind else None
            ),
        )
    ]
    if began:
        what.append((began, DeploymentMoved(deployment.uuid, State.RUNNING, started)))
    if state is not None and ended:
        what.append((ended, DeploymentMoved(deployment.uuid, state, started)))
    return [CodeEvent(repository, when(at), happening) for at, happening in what]


def ended_as(name: str | None) -> State:
    """A final state of ours for Bitbucket's word."""
    return RESULTS.get(name or "", State.CANCELLED)


def run_state(state: RunState) -> State:
    """Where a pipeline is."""
    if state.name == "COMPLETED":
        return ended_as(state.result.name if state.result else None)
    if state.name == "PENDING":
        return State.QUEUED
    return State.WAITING if state.stage and state.stage.name == "PAUSED" else State.RUNNING


def ran(repository: str, web: str, workspace: str, run: Pipeline) -> list[CodeEvent]:
    """Where a run is; of one that has no commit (any more) nothing can be said. A run has one attempt."""
    target = run.target or Target()
    if target.commit is None:
        return []
    created, state = when(run.created_on), run_state(run.state)
    finished = when(run.completed_on) if run.completed_on and run.state.name == "COMPLETED" else None
    home = f"{web.rstrip('/')}/{quote(workspace, safe='')}/{quote(repository, safe='')}"
    what = PipelineRan(
        id=run.uuid,
        attempt=1,
        name=(target.selector.pattern if target.selector else None) or "default",
        state=state,
        sha=target.commit.hash,
        branch=target.ref_name if target.ref_type == "branch" else target.source,
        trigger=run.trigger.type.removeprefix("pipeline_trigger_") if run.trigger else "",
        created_at=created,
        started_at=None,
        finished_at=finished,
        url=f"{home}/pipelines/results/{run.build_number}",
    )
    return [CodeEvent(repository, finished or created, what)]
