"""Azure's pull requests, votes, builds and deployments as code events. Pure.

Line counts do not exist in this API, and nobody is told when a draft became ready: a change counts as ready from its
creation on as soon as it is no draft.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from connectors.azure_devops.client import (
    Build,
    Commit,
    Environment,
    Identity,
    Pull,
    Push,
    Record,
    Repository,
    Thread,
)
from connectors.contract import (
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    ChangeReopened,
    CodeEvent,
    Committed,
    Deployed,
    DeploymentMoved,
    Person,
    PipelineRan,
    Pushed,
    RemoteRepository,
    Reviewed,
    ReviewState,
    RunState,
)
from connectors.times import moment

NONE = "0001-01-01T00:00:00"
"""How Azure says that there was no such time."""

VOTES = {
    "10": ReviewState.APPROVED,
    "5": ReviewState.APPROVED,
    "-5": ReviewState.CHANGES_REQUESTED,
    "-10": ReviewState.CHANGES_REQUESTED,
}
"""Approved, approved with suggestions, waiting for the author, rejected; 0 takes a vote back."""

BUILD_STATES = {
    "notStarted": RunState.QUEUED,
    "postponed": RunState.QUEUED,
    "none": RunState.QUEUED,
    "inProgress": RunState.RUNNING,
    "cancelling": RunState.RUNNING,
}

RESULTS = {
    "succeeded": RunState.SUCCESS,
    "succeededWithIssues": RunState.SUCCESS,
    "partiallySucceeded": RunState.SUCCESS,
    "failed": RunState.FAILED,
    "canceled": RunState.CANCELLED,
    "abandoned": RunState.CANCELLED,
}
"""Of builds and of the jobs that deploy."""

WORST_FIRST = (RunState.FAILED, RunState.CANCELLED, RunState.SUCCESS)

BOT = re.compile(r"\bBuild Service \(|\[bot\]$", re.IGNORECASE)
"""The accounts pipelines act as; Azure does not mark them."""


def at(text: str | None) -> datetime | None:
    """A time, None where there was none."""
    return None if text is None or text.startswith(NONE) else moment(text)


def repository(repo: Repository) -> RemoteRepository:
    """A repository, named with its project."""
    branch = repo.default_branch and _short(repo.default_branch)
    return RemoteRepository(repo.id, f"{repo.project.name}/{repo.name}", repo.web_url, branch, repo.is_disabled)


def person(one: Identity) -> Person:
    """An account. A service's unique name is a number, not an address."""
    email = one.unique_name if "@" in one.unique_name else None
    return Person(one.id, one.display_name, email, bool(BOT.search(one.display_name)))


# --- pushes and commits -----------------------------------------------------------------------------


def push_events(repo: Repository, push: Push) -> Iterator[CodeEvent]:
    """What a push moved."""
    by = person(push.pushed_by)
    for ref in push.ref_updates:
        what = Pushed(ref.name, _sha(ref.old_object_id), _sha(ref.new_object_id), by)
        yield CodeEvent(repo.id, moment(push.date), what)


def commit_event(repo: Repository, commit: Commit) -> CodeEvent:
    """A commit of the default branch."""
    title = commit.comment.partition("\n")[0]
    author = Person(None, commit.author.name, commit.author.email or None, bool(BOT.search(commit.author.name)))
    what = Committed(commit.commit_id, title, author, moment(commit.author.date))
    return CodeEvent(repo.id, moment(commit.committer.date), what)


# --- changes ----------------------------------------------------------------------------------------


def change_events(
    repo: Repository, pull: Pull, threads: Sequence[Thread], commits: Sequence[Commit]
) -> Iterator[CodeEvent]:
    """All that happened to a pull request; `commits` are wanted of a completed one."""
    number, opened = str(pull.pull_request_id), moment(pull.creation_date)
    url = f"{repo.web_url}/pullrequest/{number}"
    what = ChangeOpened(number, pull.title, url, person(pull.created_by), _short(pull.source_ref_name))
    yield CodeEvent(repo.id, opened, what)
    if not pull.is_draft:
        yield CodeEvent(repo.id, opened, ChangeReady(number))
    notes = sorted(threads, key=lambda thread: thread.id)
    yield from _ended(repo, pull, notes)
    if pull.status == "completed" and pull.closed_date:
        yield CodeEvent(repo.id, moment(pull.closed_date), _merged(pull, commits))
    yield from _votes(repo, number, notes)
    yield from _comments(repo, pull, notes)


def _merged(pull: Pull, commits: Sequence[Commit]) -> ChangeMerged:
    head = pull.last_merge_source_commit.commit_id if pull.last_merge_source_commit else ""
    return ChangeMerged(
        number=str(pull.pull_request_id),
        merge_sha=pull.last_merge_commit.commit_id if pull.last_merge_commit else head,
        head_sha=head,
        target_branch=_short(pull.target_ref_name),
        by=person(pull.closed_by) if pull.closed_by else None,
        first_commit_at=min((moment(commit.author.date) for commit in commits), default=None),
        additions=None,
        deletions=None,
        changed_files=None,
        commits=len(commits),
    )


def _ended(repo: Repository, pull: Pull, threads: Iterable[Thread]) -> Iterator[CodeEvent]:
    """When it was abandoned and taken up again. Azure notes each in a thread; a server that does not has the last."""
    number, told = str(pull.pull_request_id), False
    for thread in threads:
        if thread.property("CodeReviewThreadType") != "StatusUpdate":
            continue
        when = moment(thread.published_date)
        match thread.property("CodeReviewStatus"):
            case "Abandoned":
                told = True
                yield CodeEvent(repo.id, when, ChangeClosed(number, when))
            case "Active" if told:
                yield CodeEvent(repo.id, when, ChangeReopened(number, when))
    if pull.status == "abandoned" and pull.closed_date and not told:
        when = moment(pull.closed_date)
        yield CodeEvent(repo.id, when, ChangeClosed(number, when))


def _votes(repo: Repository, number: str, threads: Iterable[Thread]) -> Iterator[CodeEvent]:
    """Votes, each known by its thread. One that is taken back, by its voter or by a push, ends the vote before it."""
    standing: dict[str, tuple[str, Person, datetime]] = {}
    for thread in threads:
        voter = _voter(thread)
        if thread.property("CodeReviewThreadType") != "VoteUpdate" or voter is None:
            continue
        state = VOTES.get(thread.property("CodeReviewVoteResult"))
        if state is not None:
            when, id_ = moment(thread.published_date), str(thread.id)
            standing[str(voter.id)] = (id_, voter, when)
            yield CodeEvent(repo.id, when, Reviewed(number, id_, voter, state))
        elif str(voter.id) in standing:
            id_, who, when = standing.pop(str(voter.id))
            yield CodeEvent(repo.id, when, Reviewed(number, id_, who, ReviewState.DISMISSED))


def _voter(thread: Thread) -> Person | None:
    """Older servers name the voter by id, newer ones by the place in the thread's own list of people."""
    identities = thread.identities or {}
    named = identities.get(thread.property("CodeReviewVotedByIdentity"))
    id_ = thread.property("CodeReviewVotedByTfId")
    known = named or next((one for one in identities.values() if one.id == id_), None)
    if known is not None:
        return person(known)
    author = thread.comments[0].author if thread.comments else None
    return person(author) if author and author.id == id_ else Person(id_) if id_ else None


def _comments(repo: Repository, pull: Pull, threads: Iterable[Thread]) -> Iterator[CodeEvent]:
    """The first thread each person but the author began is a review, too."""
    number, heard = str(pull.pull_request_id), {pull.created_by.id}
    for thread in threads:
        first = thread.comments[0] if thread.comments else None
        if first is None or first.comment_type != "text" or first.author.id in heard:
            continue
        heard.add(first.author.id)
        what = Reviewed(number, str(thread.id), person(first.author), ReviewState.COMMENTED)
        yield CodeEvent(repo.id, moment(first.published_date), what)


# --- runs and deployments ---------------------------------------------------------------------------


def run_state(build: Build) -> RunState | None:
    """Where a build is; None for a result nobody knows."""
    return RESULTS.get(build.result or "") if build.status == "completed" else BUILD_STATES.get(build.status)


def run_event(repo: Repository, build: Build, url: str) -> CodeEvent | None:
    """A run in the state it is in."""
    state = run_state(build)
    if state is None:
        return None
    created, started = moment(build.queue_time), at(build.start_time)
    finished = at(build.finish_time) if build.status == "completed" else None
    what = PipelineRan(
        id=str(build.id),
        attempt=1,
        name=build.definition.name,
        state=state,
        sha=build.source_version,
        branch=_short(build.source_branch),
        trigger=build.reason,
        created_at=created,
        started_at=started,
        finished_at=finished,
        url=url,
    )
    return CodeEvent(repo.id, finished or started or created, what)


def deployments_of_run(repo: Repository, build: Build, pipeline: str) -> Iterator[CodeEvent]:
    """A run of the deploying pipeline is a deployment to an environment of the pipeline's name."""
    state, created = run_state(build), moment(build.queue_time)
    id_, by = f"pipeline:{build.id}", person(build.requested_for) if build.requested_for else None
    if state is None:
        return
    yield CodeEvent(repo.id, created, Deployed(id_, build.source_version, _short(build.source_branch), pipeline, by))
    yield _moved(repo, id_, state, created, at(build.start_time), at(build.finish_time))


def deployment_events(
    repo: Repository, project: str, environment: Environment, jobs: Sequence[Record], build: Build
) -> Iterator[CodeEvent]:
    """What the jobs of one stage deployed to an environment: one deployment, over when all of them are, and then as
    good as its worst job. A skipped job deployed nothing."""
    first = jobs[0]
    ends = {state for job in jobs if job.result and (state := RESULTS.get(job.result))}
    is_over = all(job.result for job in jobs)
    if is_over and not ends:
        return
    id_ = f"env:{project}:{environment.id}:{first.owner.id}:{first.stage_name}:{first.stage_attempt}"
    created = min(moment(job.queue_time) for job in jobs)
    by = person(build.requested_for) if build.requested_for else None
    branch = _short(build.source_branch)
    yield CodeEvent(repo.id, created, Deployed(id_, build.source_version, branch, environment.name, by))
    started = min((when for job in jobs if (when := at(job.start_time))), default=None)
    finished = max((when for job in jobs if (when := at(job.finish_time))), default=None)
    begun = RunState.RUNNING if started or ends else RunState.QUEUED
    state = next(state for state in WORST_FIRST if state in ends) if is_over else begun
    yield _moved(repo, id_, state, created, started, finished)


def _moved(
    repo: Repository,
    id_: str,
    state: RunState,
    created: datetime,
    started: datetime | None,
    finished: datetime | None,
) -> CodeEvent:
    is_over = state not in (RunState.QUEUED, RunState.RUNNING)
    when = (finished if is_over else started) or started or created
    return CodeEvent(repo.id, when, DeploymentMoved(id_, state, started))


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _sha(text: str) -> str | None:
    """Zeros stand for no commit."""
    return text if text.strip("0") else None
