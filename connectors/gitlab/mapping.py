"""What GitLab's answers say happened. Pure.

GitLab tells one moment in three forms, and with fractions of a second in one of them only: all times here are in whole
seconds, so that they are the same however they are heard of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.contract import (
    FINAL,
    BadPayload,
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    ChangeReopened,
    CodeEvent,
    Committed,
    Deployed,
    DeploymentMoved,
    Happening,
    Person,
    PipelineRan,
    Pushed,
    Released,
    RemoteRepository,
    Reviewed,
    ReviewState,
    RunState,
)
from connectors.gitlab.shapes import (
    Commit,
    Deployment,
    Diff,
    MergeRequest,
    Note,
    Pipeline,
    Project,
    PushEvent,
    Release,
    StateEvent,
    User,
)

DEPLOYMENT_STATES = {
    "created": RunState.QUEUED,
    "blocked": RunState.WAITING,
    "running": RunState.RUNNING,
    "success": RunState.SUCCESS,
    "failed": RunState.FAILED,
    "canceled": RunState.CANCELLED,
    "skipped": RunState.CANCELLED,
}
PIPELINE_STATES = {
    **dict.fromkeys(
        ("created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "scheduled"),
        RunState.QUEUED,
    ),
    "running": RunState.RUNNING,
    "manual": RunState.WAITING,
    "success": RunState.SUCCESS,
    "failed": RunState.FAILED,
    **dict.fromkeys(("canceling", "canceled", "skipped"), RunState.CANCELLED),
}

APPROVED, UNAPPROVED, OBJECTED = "approved this merge request", "unapproved this merge request", "requested changes"
"""How GitLab's own notes begin that tell of reviews."""

READY = ("marked this merge request as **ready**", "unmarked as a **Work In Progress**")
DRAFTED = ("marked this merge request as **draft**", "marked as a **Work In Progress**")

UNNAMED = "pipeline"
"""What a pipeline is called whose configuration gives it no name."""

_BOT = re.compile(r"^(project|group)_\d+_bot|^service_account_|(^|[-_.])bot([-_.\d]|$)|^dependabot")
"""User names of access tokens and of well-known robots; GitLab says `bot` nowhere."""

_DRAFT = re.compile(r"^\s*(draft:|\[draft\]|\(draft\)|wip:|\[wip\])\s*", re.IGNORECASE)
"""How a title marks a draft: the mark goes, the title stays."""


def when(text: str) -> datetime:
    """`2026-04-01T08:00:00.417Z`, `2026-04-01 08:00:00 UTC` or `2026-04-01 10:00:00 +0200`, in UTC and whole seconds;
    what names no offset is UTC. Raises BadPayload."""
    try:
        at = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except ValueError:
        raise BadPayload(f"GitLab sent a time in an unknown form: {text[:40]!r}") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


def repository(project: Project) -> RemoteRepository:
    """A project."""
    id_, name = str(project.id), project.path_with_namespace
    return RemoteRepository(id_, name, project.web_url, project.default_branch, bool(project.archived))


def person(user: User) -> Person:
    """Somebody with an account."""
    return Person(str(user.id), user.name or user.username, bot=bool(_BOT.search(user.username)))


def plain_title(title: str) -> str:
    """A change's title without the mark of a draft."""
    return _DRAFT.sub("", title)


def committed(project: str, commit: Commit) -> CodeEvent:
    """A commit of the default branch."""
    email = commit.author_email or None
    author = Person(None, commit.author_name, email, bot=bool(_BOT.search((email or "").partition("@")[0])))
    what = Committed(commit.id, commit.title, author, when(commit.authored_date))
    return CodeEvent(project, when(commit.committed_date), what)


def pushed(project: str, event: PushEvent) -> CodeEvent | None:
    """A push; None of several branches at once, of which GitLab does not say which. Whether it was forced it does not
    say either."""
    data = event.push_data
    if data is None or data.ref is None:
        return None
    ref = f"refs/{'tags' if data.ref_type == 'tag' else 'heads'}/{data.ref}"
    what = Pushed(ref, _sha(data.commit_from), _sha(data.commit_to), person(event.author))
    return CodeEvent(project, when(event.created_at), what)


def _sha(sha: str | None) -> str | None:
    return sha if sha and sha.strip("0") else None


# --- changes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Brought:
    """What a merged change consists of; the lines are None where GitLab would not show all of them."""

    first_commit_at: datetime | None
    commits: int
    files: int | None
    additions: int | None
    deletions: int | None


def brought(commits: Iterable[Commit], pages: Iterable[Sequence[Diff]], most: int) -> Brought:
    """Count commits and changed lines; no lines and files of a change with more than `most` pages of files."""
    first, count = None, 0
    for commit in commits:
        at = when(commit.authored_date)
        first, count = at if first is None else min(first, at), count + 1
    files, added, deleted, shown = 0, 0, 0, True
    for number, page in enumerate(pages):
        if number >= most:
            return Brought(first, count, None, None, None)
        for one in page:
            more, fewer = _lines(one.diff or "")
            files, added, deleted = files + 1, added + more, deleted + fewer
            shown = shown and not (one.collapsed or one.too_large)
    return Brought(first, count, files, added if shown else None, deleted if shown else None)


def _lines(diff: str) -> tuple[int, int]:
    """Added and deleted lines of unified text, which begins with its first hunk."""
    lines = diff.split("\n")
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def opened(project: str, number: str, title: str, url: str, author: User, branch: str, at: str) -> CodeEvent:
    """A change was opened: told whole in both ways of hearing."""
    return CodeEvent(project, when(at), ChangeOpened(number, plain_title(title), url, person(author), branch))


def change(
    project: str, request: MergeRequest, notes: Sequence[Note], states: Sequence[StateEvent], of: Brought | None
) -> Iterator[CodeEvent]:
    """All that happened to a change; `of` where it was merged."""
    number = request.key
    yield opened(
        project, number, request.title, request.web_url, request.author, request.source_branch, request.created_at
    )
    ready = _ready_at(request, notes)
    if ready is not None:
        yield CodeEvent(project, ready, ChangeReady(number))
    for at, what in (*_reviews(request, notes), *_turns(request, states)):
        yield CodeEvent(project, at, what)
    if of is not None:
        yield _merged(project, request, states, of)


def _ready_at(request: MergeRequest, notes: Sequence[Note]) -> datetime | None:
    """A change was opened as a draft if the first that was done to it in this respect made it ready."""
    marks = [note for note in notes if note.system and note.body.startswith((*READY, *DRAFTED))]
    if not marks:
        is_draft = request.draft if request.draft is not None else request.work_in_progress
        return None if is_draft else when(request.created_at)
    return when(marks[0].created_at if marks[0].body.startswith(READY) else request.created_at)


def _reviews(request: MergeRequest, notes: Sequence[Note]) -> Iterator[tuple[datetime, Happening]]:
    """Approvals and objections are told by GitLab's own notes; whoever else than the author comments, reviews."""
    standing: dict[int, Note] = {}
    for note in notes:
        at, author = when(note.created_at), note.author
        state, review = _review(note), note
        if note.system and note.body.startswith(UNAPPROVED) and author.id in standing:
            state, review = ReviewState.DISMISSED, standing.pop(author.id)
        elif state is ReviewState.COMMENTED and author.id == request.author.id:
            continue
        elif state is ReviewState.APPROVED:
            standing[author.id] = note
        if state is not None:
            yield at, Reviewed(request.key, str(review.id), person(author), state)


def _review(note: Note) -> ReviewState | None:
    if not note.system:
        return ReviewState.COMMENTED
    if note.body.startswith(APPROVED):
        return ReviewState.APPROVED
    return ReviewState.CHANGES_REQUESTED if note.body.startswith(OBJECTED) else None


def _turns(request: MergeRequest, states: Sequence[StateEvent]) -> Iterator[tuple[datetime, Happening]]:
    """Closed and reopened, as often as it was; what was imported has only the last time."""
    for event in states:
        at = when(event.created_at)
        if event.state == "closed":
            yield at, ChangeClosed(request.key, at)
        elif event.state in ("reopened", "opened"):
            yield at, ChangeReopened(request.key, at)
    if not states and request.state == "closed" and request.closed_at:
        at = when(request.closed_at)
        yield at, ChangeClosed(request.key, at)


def _merged(project: str, request: MergeRequest, states: Sequence[StateEvent], of: Brought) -> CodeEvent:
    told = [event.created_at for event in states if event.state == "merged"]
    by, head = request.merge_user or request.merged_by, request.sha or ""
    what = ChangeMerged(
        number=request.key,
        merge_sha=request.merge_commit_sha or request.squash_commit_sha or head,
        head_sha=head,
        target_branch=request.target_branch,
        by=person(by) if by else None,
        first_commit_at=of.first_commit_at,
        additions=of.additions,
        deletions=of.deletions,
        changed_files=of.files,
        commits=of.commits,
    )
    return CodeEvent(project, when(request.merged_at or (told or [request.updated_at])[-1]), what)


# --- deployments, pipelines, releases ---------------------------------------------------------------


def deployment(project: str, row: Deployment, tier: str | None) -> Iterator[CodeEvent]:
    """A deployment and the states it came to, as far as its times tell. Its own status counts: its job may have been
    tried again since."""
    id_, made, job = row.key, when(row.created_at), row.deployable
    by = person(row.user) if row.user else None
    yield CodeEvent(project, made, Deployed(id_, row.sha, row.ref, row.environment.name, by, tier))
    yield CodeEvent(project, made, DeploymentMoved(id_, RunState.QUEUED))
    state = DEPLOYMENT_STATES.get(row.status, RunState.QUEUED)
    began = when(job.started_at) if job and job.started_at and state not in _NOT_BEGUN else None
    if began is not None:
        yield CodeEvent(project, began, DeploymentMoved(id_, RunState.RUNNING, began))
    if state is RunState.WAITING or (state is RunState.RUNNING and began is None):
        yield CodeEvent(project, when(row.updated_at), DeploymentMoved(id_, state))
    if state in FINAL:
        ended = job.finished_at if job and job.finished_at else row.updated_at
        yield CodeEvent(project, when(ended), DeploymentMoved(id_, state, began))


_NOT_BEGUN = frozenset({RunState.QUEUED, RunState.WAITING})


def pipeline(project: str, row: Pipeline) -> Iterator[CodeEvent]:
    """A pipeline and the states it came to. Jobs tried again make no attempt of it: GitLab does not count them."""
    made, state = when(row.created_at), PIPELINE_STATES.get(row.status, RunState.QUEUED)
    began = when(row.started_at) if row.started_at else None
    yield _ran(project, row, RunState.QUEUED, made, None, None)
    if began is not None:
        yield _ran(project, row, RunState.RUNNING, began, began, None)
    if state is RunState.WAITING or (state is RunState.RUNNING and began is None):
        yield _ran(project, row, state, when(row.updated_at), began, None)
    if state in FINAL:
        ended = when(row.finished_at or row.updated_at)
        yield _ran(project, row, state, ended, began, ended)


def _ran(
    project: str, row: Pipeline, state: RunState, at: datetime, began: datetime | None, ended: datetime | None
) -> CodeEvent:
    on_branch = not (row.tag or row.ref.startswith("refs/"))
    what = PipelineRan(
        id=row.key,
        attempt=1,
        name=row.name or UNNAMED,
        state=state,
        sha=row.sha,
        branch=row.ref if on_branch else None,
        trigger=row.source or "unknown",
        created_at=when(row.created_at),
        started_at=began,
        finished_at=ended,
        url=row.web_url,
    )
    return CodeEvent(project, at, what)


def released(project: str, row: Release) -> CodeEvent:
    """A release; GitLab has no id for it but its tag."""
    what = Released(row.tag_name, row.tag_name, row.name or row.tag_name, row.links.self or "")
    return CodeEvent(project, when(row.released_at or row.created_at), what)
