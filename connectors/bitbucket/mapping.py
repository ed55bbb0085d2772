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

from connectors import contract as c
from connectors.bitbucket import shapes as bb
from connectors.times import moment

RESULTS = {
    "SUCCESSFUL": c.RunState.SUCCESS,
    "FAILED": c.RunState.FAILED,
    "ERROR": c.RunState.FAILED,
    "STOPPED": c.RunState.CANCELLED,
    "EXPIRED": c.RunState.CANCELLED,
}
"""How a pipeline, a step or a deployment ended; a word not known says nothing of success or failure."""

CLOSED = frozenset({"DECLINED", "SUPERSEDED"})

_BOT = re.compile(r"(^|[\s_\[-])bot\]?$", re.IGNORECASE)


def when(text: str) -> datetime:
    """A moment of Bitbucket's, in whole seconds. Raises BadPayload."""
    return moment(text).replace(microsecond=0)


def person(account: bb.Account | None, email: str | None = None) -> c.Person:
    """Somebody; an account that is gone has no id."""
    if account is None:
        return c.Person(None)
    return c.Person(account.uuid, account.display_name, email, _is_bot(account.type, account.display_name))


def _is_bot(type_: str, name: str) -> bool:
    return type_ == "app_user" or _BOT.search(name) is not None


def repository(home: bb.Home) -> c.RemoteRepository:
    """A repository as it is now. Bitbucket has no archives."""
    branch = home.mainbranch.name if home.mainbranch else None
    return c.RemoteRepository(home.uuid, home.full_name, home.links.html.href, branch or None)


# --- commits ----------------------------------------------------------------------------------------


def committed(repository: str, commit: bb.Commit) -> c.CodeEvent:
    """A commit on the default branch. Bitbucket's one time of a commit is its author's."""
    at, author = when(commit.date), commit.author
    name, email = parseaddr(author.raw) if author else ("", "")
    if author and author.user:
        who = person(author.user, email or None)
    else:
        who = c.Person(None, name, email or None, _is_bot("", name))
    title = commit.message.strip().partition("\n")[0].rstrip()
    return c.CodeEvent(repository, at, c.Committed(commit.hash, title, who, at))


def chained(pushes: Sequence[str]) -> list[tuple[str, str]]:
    """Pushes to a branch (`before:after`) as their ends, those that follow each other as one. One that was forced
    (`before:after:forced`) is for itself: what it threw away, and what came before, lie on no line to its end."""
    alone: list[tuple[str, str]] = []
    begins: dict[str, str] = {}
    for push in pushes:
        before, after, *forced = push.split(":")
        if forced:
            alone.append((before, after))
            continue
        begin = begins.pop(before, before)
        end = next((end for end, other in begins.items() if other == after), after)
        begins[end] = begin
    return alone + [(begin, end) for end, begin in begins.items()]


# --- changes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Landing:
    """What has to be asked for about a merged change: hashes in full, commits (newest first), and lines and files where
    they are counted. `committed` is the time of the commit by which it landed."""

    merge_sha: str
    head_sha: str
    commits: Sequence[bb.Commit]
    additions: int | None
    deletions: int | None
    files: int | None
    committed: str | None = None


def opened(repository: str, change: bb.Change) -> c.CodeEvent:
    """That a change was opened."""
    url, branch = change.links.html.href, change.source.branch.name
    what = c.ChangeOpened(str(change.id), change.title, url, person(change.author), branch)
    return c.CodeEvent(repository, when(change.created_on), what)


def ready(repository: str, change: bb.Change) -> c.CodeEvent:
    """That a change was ready for review when it was opened."""
    return c.CodeEvent(repository, when(change.created_on), c.ChangeReady(str(change.id)))


def of_change(repository: str, change: bb.Change, rows: Sequence[bb.Row]) -> list[c.CodeEvent]:
    """All that happened to a change and its activity (newest first) tells, without the merge."""
    events = [opened(repository, change)]
    oldest_first = [row.update for row in reversed(rows) if row.update]
    at = _ready_at(change, oldest_first)
    if at is not None:
        events.append(c.CodeEvent(repository, when(at), c.ChangeReady(str(change.id))))
    for row in reversed(rows):
        events += reviews(repository, change, row)
    ended = _came_to(change.state, oldest_first) if change.state in CLOSED else None
    if ended is not None:
        events.append(c.CodeEvent(repository, when(ended), c.ChangeClosed(str(change.id), when(ended))))
    return events


def merged(repository: str, change: bb.Change, rows: Sequence[bb.Row], landing: Landing) -> c.CodeEvent:
    """That a change was merged. Bitbucket tells the time in the activity alone; `updated_on` moves on with comments."""
    oldest_first = [row.update for row in reversed(rows) if row.update]
    by = change.closed_by or next((update.author for update in oldest_first if update.state == "MERGED"), None)
    what = c.ChangeMerged(
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
    return c.CodeEvent(repository, when(at), what)


def _came_to(state: str, oldest_first: Sequence[bb.Update]) -> str | None:
    return next((update.date for update in oldest_first if update.state == state), None)


def _ready_at(change: bb.Change, oldest_first: Sequence[bb.Update]) -> str | None:
    """When it was no draft for the first time: at its beginning, unless it was opened as one."""
    told = [(update.date, *_draft(update)) for update in oldest_first]
    first = next(((was, is_) for _, was, is_ in told if is_ is not None), (None, change.draft))
    began_as_draft = first[1] if first[0] is None else first[0]
    if not began_as_draft:
        return change.created_on
    return next((date for date, _, is_ in told if is_ is False), None)


def _draft(update: bb.Update) -> tuple[bool | None, bool | None]:
    """Whether it was a draft before and after a step, where that is told."""
    changed = (update.changes or {}).get("draft")
    if isinstance(changed, dict) and isinstance(changed.get("new"), bool):
        return not changed["new"], changed["new"]
    return None, update.draft


def reviews(repository: str, change: bb.Change, row: bb.Row, dismissed: bool = False) -> Iterator[c.CodeEvent]:
    """What a row of the activity, or a webhook, tells of somebody's opinion. What the change's own author says is no
    review, and a review is known by who gave it when. A withdrawn one bears the time of the opinion."""
    asked = row.changes_requested or row.changes_request
    number, author = str(change.id), person(change.author).id
    for state, opinion in ((c.ReviewState.APPROVED, row.approval), (c.ReviewState.CHANGES_REQUESTED, asked)):
        if opinion is not None and (who := person(opinion.user)).id != author:
            at = when(opinion.date)
            told = c.ReviewState.DISMISSED if dismissed else state
            yield c.CodeEvent(repository, at, c.Reviewed(number, f"{state}:{who.id}:{int(at.timestamp())}", who, told))
    said = row.comment
    if said is not None and not said.pending and (who := person(said.user)).id != author:
        what = c.Reviewed(number, f"comment:{said.id}", who, c.ReviewState.COMMENTED)
        yield c.CodeEvent(repository, when(said.created_on), what)


# --- deployments and pipelines ----------------------------------------------------------------------


def deployed(repository: str, deployment: bb.Deployment, sha: str, state: c.RunState | None) -> list[c.CodeEvent]:
    """What is known of a deployment: nothing before it has begun, as Bitbucket has one for each step that may deploy
    one day, and tells no time of it. `state` is how it ended, None while it runs."""
    now = deployment.state
    began, ended = now.started_on or now.start_date, now.completed_on or now.completion_date
    first = began or ended
    if first is None or now.name == "UNDEPLOYED":
        return []
    kind, place = deployment.environment.environment_type, deployment.environment.name
    made = c.Deployed(deployment.uuid, sha, None, place, None, kind.name.lower() if kind else None)
    moves = ((began, c.RunState.RUNNING), (ended, state))
    told = [(at, c.DeploymentMoved(deployment.uuid, to, when(first))) for at, to in moves if at and to]
    return [c.CodeEvent(repository, when(first), made), *(c.CodeEvent(repository, when(at), what) for at, what in told)]


def ended_as(name: str | None) -> c.RunState:
    """A final state of ours for Bitbucket's word."""
    return RESULTS.get(name or "", c.RunState.CANCELLED)


def run_state(state: bb.RunState) -> c.RunState:
    """Where a pipeline is."""
    if state.name == "COMPLETED":
        return ended_as(state.result.name if state.result else None)
    if state.name == "PENDING":
        return c.RunState.QUEUED
    return c.RunState.WAITING if state.stage and state.stage.name == "PAUSED" else c.RunState.RUNNING


def ran(repository: str, web: str, workspace: str, run: bb.Pipeline) -> list[c.CodeEvent]:
    """Where a run is; of one that has no commit (any more) nothing can be said. A run has one attempt."""
    target = run.target or bb.Target()
    if target.commit is None:
        return []
    created, state = when(run.created_on), run_state(run.state)
    finished = when(run.completed_on) if run.completed_on and run.state.name == "COMPLETED" else None
    home = f"{web.rstrip('/')}/{quote(workspace, safe='')}/{quote(repository, safe='')}"
    what = c.PipelineRan(
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
    return [c.CodeEvent(repository, finished or created, what)]
