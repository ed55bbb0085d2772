"""GitHub's JSON -> code events. Pure, and the same functions for what a webhook tells and what an answer does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors import contract as c
from connectors.github import shapes as s
from connectors.times import moment

GHOST = c.Person(None, "ghost")
"""Who GitHub says it was when the account is deleted."""

REVIEWS = {
    "approved": c.ReviewState.APPROVED,
    "changes_requested": c.ReviewState.CHANGES_REQUESTED,
    "commented": c.ReviewState.COMMENTED,
}
"""Reviews that were given; `pending` is one that nobody else sees yet."""

DEPLOYMENT_STATES = {
    "pending": c.RunState.QUEUED,
    "queued": c.RunState.QUEUED,
    "waiting": c.RunState.WAITING,
    "in_progress": c.RunState.RUNNING,
    "success": c.RunState.SUCCESS,
    "failure": c.RunState.FAILED,
    "error": c.RunState.FAILED,
}
"""`inactive` is no state of the deployment: a later one took its place."""

CONCLUSIONS = {
    "success": c.RunState.SUCCESS,
    "failure": c.RunState.FAILED,
    "timed_out": c.RunState.FAILED,
    "startup_failure": c.RunState.FAILED,
    "action_required": c.RunState.WAITING,
}
"""How a completed run ended; in any other way it was not carried through."""

RUN_STATES = {"in_progress": c.RunState.RUNNING, "waiting": c.RunState.WAITING}
"""Where a run is that is not completed; in any other state it is yet to begin."""


def repository(found: s.Repository) -> c.RemoteRepository:
    """A repository by its number, which outlives renames and transfers."""
    return c.RemoteRepository(str(found.id), found.full_name, found.html_url, found.default_branch, found.archived)


def person(user: s.User | None) -> c.Person:
    """An account; GitHub tells neither name nor address of it."""
    if user is None or user.id is None:
        return GHOST
    return c.Person(str(user.id), user.login, bot=user.type == "Bot" or user.login.endswith("[bot]"))


def opened(repo: str, pull: s.Pull) -> c.CodeEvent:
    """That a pull request was opened."""
    what = c.ChangeOpened(str(pull.number), pull.title, pull.html_url, person(pull.user), pull.head.ref)
    return c.CodeEvent(repo, moment(pull.created_at), what)


def ready(repo: str, pull: s.Pull, timeline: Sequence[s.Step] = ()) -> Iterator[c.CodeEvent]:
    """When it was ready for review first: at once, unless it was opened as a draft, as its first turn tells."""
    turns = [step for step in timeline if step.event in ("ready_for_review", "convert_to_draft")]
    begun_as_draft = turns[0].event == "ready_for_review" if turns else pull.draft
    at = pull.created_at if not begun_as_draft else turns[0].created_at if turns else None
    if at is not None:
        yield c.CodeEvent(repo, moment(at), c.ChangeReady(str(pull.number)))


def change(repo: str, pull: s.Pull, timeline: Sequence[s.Step]) -> Iterator[c.CodeEvent]:
    """All that happened to a pull request. `pull` must be a single one where it is merged."""
    yield opened(repo, pull)
    yield from ready(repo, pull, timeline)
    yield from _reviews(repo, pull.number, timeline)
    yield from _turns(repo, pull, timeline)
    if pull.merged_at is not None:
        yield c.CodeEvent(repo, moment(pull.merged_at), _merged(pull, timeline))


def _turns(repo: str, pull: s.Pull, timeline: Sequence[s.Step]) -> Iterator[c.CodeEvent]:
    """Closed and reopened. Merging closes, too, and nothing is reopened after it."""
    turns = [step for step in timeline if step.event in ("closed", "reopened") and step.created_at]
    if pull.merged_at is not None and turns and turns[-1].event == "closed":
        turns.pop()
    for step in turns:
        at = moment(step.created_at or "")
        what = c.ChangeClosed if step.event == "closed" else c.ChangeReopened
        yield c.CodeEvent(repo, at, what(str(pull.number), at))


def _merged(pull: s.Pull, timeline: Sequence[s.Step]) -> c.ChangeMerged:
    authored = [moment(step.author.date) for step in timeline if step.event == "committed" and step.author is not None]
    return c.ChangeMerged(
        number=str(pull.number),
        merge_sha=pull.merge_commit_sha or pull.head.sha,
        head_sha=pull.head.sha,
        target_branch=pull.base.ref,
        by=person(pull.merged_by) if pull.merged_by else None,
        first_commit_at=min(authored, default=None),
        additions=pull.additions,
        deletions=pull.deletions,
        changed_files=pull.changed_files,
        commits=pull.commits,
    )


def _reviews(repo: str, number: int, timeline: Sequence[s.Step]) -> Iterator[c.CodeEvent]:
    """A dismissed review says no more what it was; the line about its dismissal does."""
    dismissed = {step.dismissed_review.review_id: step for step in timeline if step.dismissed_review is not None}
    for step in timeline:
        if step.event != "reviewed" or step.id is None or step.submitted_at is None:
            continue
        end = dismissed.get(step.id)
        was = end.dismissed_review.state if end is not None and end.dismissed_review is not None else step.state or ""
        yield from review(repo, number, s.Review(step.id, was, step.user, step.submitted_at))
        if end is not None and end.created_at is not None:
            what = c.Reviewed(str(number), str(step.id), person(step.user), c.ReviewState.DISMISSED)
            yield c.CodeEvent(repo, moment(end.created_at), what)


def review(repo: str, number: int, given: s.Review) -> Iterator[c.CodeEvent]:
    """That somebody reviewed a pull request; nothing for what can't be told so (a draft of a review)."""
    state = REVIEWS.get(given.state.lower())
    if state is not None and given.submitted_at is not None:
        what = c.Reviewed(str(number), str(given.id), person(given.user), state)
        yield c.CodeEvent(repo, moment(given.submitted_at), what)


def commit(repo: str, found: s.Commit) -> c.CodeEvent:
    """That a commit is on the default branch."""
    written = found.commit
    author, committer = written.author or s.Signature(), written.committer or s.Signature()
    known = person(found.author)
    who = c.Person(known.id, author.name, author.email or None, known.bot or author.name.endswith("[bot]"))
    title = written.message.partition("\n")[0].rstrip()
    what = c.Committed(found.sha, title, who, moment(author.date or committer.date))
    return c.CodeEvent(repo, moment(committer.date or author.date), what)


def deployed(repo: str, found: s.Deployment) -> c.CodeEvent:
    """That a deployment was made."""
    what = c.Deployed(
        id=str(found.id),
        sha=found.sha,
        ref=found.ref,
        environment=found.original_environment or found.environment,
        by=person(found.creator) if found.creator else None,
        tier="production" if found.production_environment else None,
    )
    return c.CodeEvent(repo, moment(found.created_at), what)


def moved(repo: str, deployment: str, statuses: Sequence[s.DeploymentStatus]) -> list[c.CodeEvent]:
    """When a deployment came to each state first."""
    first: dict[c.RunState, str] = {}
    for status in sorted(statuses, key=lambda status: status.created_at):
        state = DEPLOYMENT_STATES.get(status.state)
        if state is not None:
            first.setdefault(state, status.created_at)
    return [c.CodeEvent(repo, moment(at), c.DeploymentMoved(deployment, state)) for state, at in first.items()]


def run(repo: str, found: s.Run) -> c.CodeEvent:
    """Where a run is. What is not over counts from the attempt's start, the only time of it that stays the same."""
    state = run_state(found)
    began = moment(found.run_started_at or found.created_at)
    finished = moment(found.updated_at) if state in c.FINAL else None
    what = c.PipelineRan(
        id=str(found.id),
        attempt=found.run_attempt,
        name=found.name or found.path,
        state=state,
        sha=found.head_sha,
        branch=found.head_branch,
        trigger=found.event,
        created_at=moment(found.created_at),
        started_at=began,
        finished_at=finished,
        url=found.html_url,
    )
    return c.CodeEvent(repo, finished or began, what)


def run_state(found: s.Run) -> c.RunState:
    """A run's state in our words."""
    if found.status == "completed":
        return CONCLUSIONS.get(found.conclusion or "", c.RunState.CANCELLED)
    return RUN_STATES.get(found.status or "", c.RunState.QUEUED)


def release(repo: str, found: s.Release) -> Iterator[c.CodeEvent]:
    """That a release was published; nothing for a draft."""
    if not found.draft and found.published_at is not None:
        name = found.name or found.tag_name
        what = c.Released(str(found.id), found.tag_name, name, found.html_url, found.prerelease)
        yield c.CodeEvent(repo, moment(found.published_at), what)
