"""Azure's pull requests, votes, builds and deployments as code events. Pure.

Line counts do not exist in this API, and nobody is told when a draft became ready: a change counts as ready from its
creation on as soon as it is no draft.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from connectors import contract as c
from connectors.azure_devops import client as az
from connectors.times import moment

NONE = "0001-01-01T00:00:00"
"""How Azure says that there was no such time."""

VOTES = {
    **dict.fromkeys(("10", "5"), c.ReviewState.APPROVED),
    **dict.fromkeys(("-5", "-10"), c.ReviewState.CHANGES_REQUESTED),
}
"""Approved, approved with suggestions, waiting for the author, rejected; 0 takes a vote back."""

BUILD_STATES = {
    **dict.fromkeys(("notStarted", "postponed", "none"), c.RunState.QUEUED),
    **dict.fromkeys(("inProgress", "cancelling"), c.RunState.RUNNING),
}

RESULTS = {
    **dict.fromkeys(("succeeded", "succeededWithIssues", "partiallySucceeded"), c.RunState.SUCCESS),
    "failed": c.RunState.FAILED,
    **dict.fromkeys(("canceled", "abandoned"), c.RunState.CANCELLED),
}
"""Of builds and of the jobs that deploy."""

WORST_FIRST = (c.RunState.FAILED, c.RunState.CANCELLED, c.RunState.SUCCESS)

BOT = re.compile(r"\bBuild Service \(|\[bot\]$", re.IGNORECASE)
"""The accounts pipelines act as; Azure does not mark them."""


def at(text: str | None) -> datetime | None:
    """A time, None where there was none."""
    return None if text is None or text.startswith(NONE) else moment(text)


def repository(repo: az.Repository) -> c.RemoteRepository:
    """A repository, named with its project."""
    branch = repo.default_branch and _short(repo.default_branch)
    return c.RemoteRepository(repo.id, f"{repo.project.name}/{repo.name}", repo.web_url, branch, repo.is_disabled)


def person(one: az.Identity) -> c.Person:
    """An account. A service's unique name is a number, not an address."""
    email = one.unique_name if "@" in one.unique_name else None
    return c.Person(one.id, one.display_name, email, bool(BOT.search(one.display_name)))


# --- pushes and commits -----------------------------------------------------------------------------


def push_events(repo: az.Repository, push: az.Push) -> Iterator[c.CodeEvent]:
    """What a push moved."""
    by = person(push.pushed_by)
    for ref in push.ref_updates:
        what = c.Pushed(ref.name, _sha(ref.old_object_id), _sha(ref.new_object_id), by)
        yield c.CodeEvent(repo.id, moment(push.date), what)


def commit_event(repo: az.Repository, commit: az.Commit) -> c.CodeEvent:
    """A commit of the default branch."""
    title = commit.comment.partition("\n")[0]
    author = c.Person(None, commit.author.name, commit.author.email or None, bool(BOT.search(commit.author.name)))
    what = c.Committed(commit.commit_id, title, author, moment(commit.author.date))
    return c.CodeEvent(repo.id, moment(commit.committer.date), what)


# --- changes ----------------------------------------------------------------------------------------


def change_events(
    repo: az.Repository, pull: az.Pull, threads: Sequence[az.Thread], commits: Sequence[az.Commit]
) -> Iterator[c.CodeEvent]:
    """All that happened to a pull request; `commits` are wanted of a completed one."""
    number, opened = str(pull.pull_request_id), moment(pull.creation_date)
    url = f"{repo.web_url}/pullrequest/{number}"
    what = c.ChangeOpened(number, pull.title, url, person(pull.created_by), _short(pull.source_ref_name))
    yield c.CodeEvent(repo.id, opened, what)
    if not pull.is_draft:
        yield c.CodeEvent(repo.id, opened, c.ChangeReady(number))
    notes = sorted(threads, key=lambda thread: thread.id)
    yield from _ended(repo, pull, notes)
    if pull.status == "completed" and pull.closed_date:
        yield c.CodeEvent(repo.id, moment(pull.closed_date), _merged(pull, commits))
    yield from _votes(repo, number, notes)
    yield from _comments(repo, pull, notes)


def _merged(pull: az.Pull, commits: Sequence[az.Commit]) -> c.ChangeMerged:
    head = pull.last_merge_source_commit.commit_id if pull.last_merge_source_commit else ""
    return c.ChangeMerged(
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


def _ended(repo: az.Repository, pull: az.Pull, threads: Iterable[az.Thread]) -> Iterator[c.CodeEvent]:
    """When it was abandoned and taken up again. Azure notes each in a thread; a server that does not has the last."""
    number, told = str(pull.pull_request_id), False
    for thread in threads:
        if thread.property("CodeReviewThreadType") != "StatusUpdate":
            continue
        when = moment(thread.published_date)
        match thread.property("CodeReviewStatus"):
            case "Abandoned":
                told = True
                yield c.CodeEvent(repo.id, when, c.ChangeClosed(number, when))
            case "Active" if told:
                yield c.CodeEvent(repo.id, when, c.ChangeReopened(number, when))
    if pull.status == "abandoned" and pull.closed_date and not told:
        when = moment(pull.closed_date)
        yield c.CodeEvent(repo.id, when, c.ChangeClosed(number, when))


def _votes(repo: az.Repository, number: str, threads: Iterable[az.Thread]) -> Iterator[c.CodeEvent]:
    """Votes, each known by its thread. One that is taken back, by its voter or by a push, ends the vote before it."""
    standing: dict[str, tuple[str, c.Person, datetime]] = {}
    for thread in threads:
        voter = _voter(thread)
        if thread.property("CodeReviewThreadType") != "VoteUpdate" or voter is None:
            continue
        state = VOTES.get(thread.property("CodeReviewVoteResult"))
        if state is not None:
            when, id_ = moment(thread.published_date), str(thread.id)
            standing[str(voter.id)] = (id_, voter, when)
            yield c.CodeEvent(repo.id, when, c.Reviewed(number, id_, voter, state))
        elif str(voter.id) in standing:
            id_, who, when = standing.pop(str(voter.id))
            yield c.CodeEvent(repo.id, when, c.Reviewed(number, id_, who, c.ReviewState.DISMISSED))


def _voter(thread: az.Thread) -> c.Person | None:
    """Older servers name the voter by id, newer ones by the place in the thread's own list of people."""
    identities = thread.identities or {}
    named = identities.get(thread.property("CodeReviewVotedByIdentity"))
    id_ = thread.property("CodeReviewVotedByTfId")
    known = named or next((one for one in identities.values() if one.id == id_), None)
    if known is not None:
        return person(known)
    author = thread.comments[0].author if thread.comments else None
    return person(author) if author and author.id == id_ else c.Person(id_) if id_ else None


def _comments(repo: az.Repository, pull: az.Pull, threads: Iterable[az.Thread]) -> Iterator[c.CodeEvent]:
    """The first thread each person but the author began is a review, too."""
    number, heard = str(pull.pull_request_id), {pull.created_by.id}
    for thread in threads:
        first = thread.comments[0] if thread.comments else None
        if first is None or first.comment_type != "text" or first.author.id in heard:
            continue
        heard.add(first.author.id)
        what = c.Reviewed(number, str(thread.id), person(first.author), c.ReviewState.COMMENTED)
        yield c.CodeEvent(repo.id, moment(first.published_date), what)


# --- runs and deployments ---------------------------------------------------------------------------


def run_state(build: az.Build) -> c.RunState | None:
    """Where a build is; None for a result nobody knows."""
    return RESULTS.get(build.result or "") if build.status == "completed" else BUILD_STATES.get(build.status)


def run_event(repo: az.Repository, build: az.Build, url: str) -> c.CodeEvent | None:
    """A run in the state it is in."""
    state = run_state(build)
    if state is None:
        return None
    created, started = moment(build.queue_time), at(build.start_time)
    finished = at(build.finish_time) if build.status == "completed" else None
    what = c.PipelineRan(
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
    return c.CodeEvent(repo.id, finished or started or created, what)


def deployments_of_run(repo: az.Repository, build: az.Build, pipeline: str) -> Iterator[c.CodeEvent]:
    """A run of the deploying pipeline is a deployment to an environment of the pipeline's name."""
    state, created = run_state(build), moment(build.queue_time)
    if state is None:
        return
    id_ = f"pipeline:{build.id}"
    yield c.CodeEvent(repo.id, created, _deployed(id_, build, pipeline))
    yield _moved(repo, id_, state, created, at(build.start_time), at(build.finish_time))


def deployment_events(
    repo: az.Repository, project: str, environment: az.Environment, jobs: Sequence[az.Record], build: az.Build
) -> Iterator[c.CodeEvent]:
    """What the jobs of one stage deployed to an environment: one deployment, over when all of them are, and then as
    good as its worst job. A skipped job deployed nothing."""
    first = jobs[0]
    ends = {state for job in jobs if job.result and (state := RESULTS.get(job.result))}
    is_over = all(job.result for job in jobs)
    if is_over and not ends:
        return
    id_ = f"env:{project}:{environment.id}:{first.owner.id}:{first.stage_name}:{first.stage_attempt}"
    created = min(moment(job.queue_time) for job in jobs)
    yield c.CodeEvent(repo.id, created, _deployed(id_, build, environment.name))
    started = min((when for job in jobs if (when := at(job.start_time))), default=None)
    finished = max((when for job in jobs if (when := at(job.finish_time))), default=None)
    begun = c.RunState.RUNNING if started or ends else c.RunState.QUEUED
    state = next(state for state in WORST_FIRST if state in ends) if is_over else begun
    yield _moved(repo, id_, state, created, started, finished)


def _deployed(id_: str, build: az.Build, environment: str) -> c.Deployed:
    by = person(build.requested_for) if build.requested_for else None
    return c.Deployed(id_, build.source_version, _short(build.source_branch), environment, by)


def _moved(repo: az.Repository, id_: str, state: c.RunState, created: datetime, *times: datetime | None) -> c.CodeEvent:
    """`times`: when it started and finished, as far as it has."""
    started, finished = times
    when = (finished if state in c.FINAL else None) or started or created
    return c.CodeEvent(repo.id, when, c.DeploymentMoved(id_, state, started))


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _sha(text: str) -> str | None:
    """Zeros stand for no commit."""
    return text if text.strip("0") else None
