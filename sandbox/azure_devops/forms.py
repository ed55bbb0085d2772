"""Repositories, pull requests, builds and deployments as Azure shows them."""

from datetime import datetime
from typing import Any

from sandbox.azure.forms import identity, stamp
from sandbox.code.values import Commit, Deployment, Pull, Push, Repo, Review, Run
from sandbox.tracker import User

NONE = "0" * 40

VOTES = {"approved": 10, "changes_requested": -10, "dismissed": 0}

STATUSES = {"open": "active", "merged": "completed", "closed": "abandoned"}

RESULTS = {"success": "succeeded", "failed": "failed", "cancelled": "canceled"}
"""Of builds and of jobs that deploy."""

NOTED = {"closed": "Abandoned", "reopened": "Active", "merged": "Completed"}
"""What of a change's timeline is noted in a thread -> the status in it."""

APEX = "Apex"
"""The project a repository is in that names no other."""

Json = dict[str, Any]


def guid(number: int) -> str:
    """The id of a repository."""
    return f"0c0de000-0000-4000-8000-{number:012d}"


def project_id(name: str) -> str:
    """The id of a project."""
    return f"0a0b0c0d-0000-4000-8000-{sum(name.encode()):012d}"


def project_of(repo: Repo) -> str:
    """The project a repository is in."""
    return str(repo.extra.get("project", APEX))


def project(name: str) -> Json:
    """A project."""
    return {"id": project_id(name), "name": name, "state": "wellFormed", "visibility": "private"}


def repository(repo: Repo, base: str) -> Json:
    """A repository; the branch is missing while it is empty."""
    home = project_of(repo)
    web = f"{base}/{home}/_git/{repo.name}"
    made: Json = {
        "id": guid(repo.id),
        "name": repo.name,
        "url": f"{base}/{project_id(home)}/_apis/git/repositories/{guid(repo.id)}",
        "project": project(home),
        "size": 1024 * len(repo.commits),
        "remoteUrl": web,
        "webUrl": web,
        "isDisabled": repo.archived,
    }
    return made | ({"defaultBranch": f"refs/heads/{repo.default}"} if repo.branches else {})


def commit(one: Commit, people: dict[str, User]) -> Json:
    """A commit; counts are of files."""
    known = people.get(one.author or "")
    who = {"name": known.name if known else one.name, "email": (known.email if known else None) or one.email}
    return {
        "commitId": one.sha,
        "author": {**who, "date": stamp(one.authored)},
        "committer": {**who, "date": stamp(one.committed)},
        "comment": one.message,
        "changeCounts": {"Add": 0, "Edit": len(one.files), "Delete": 0},
    }


def push(one: Push, repo: Repo, people: dict[str, User], base: str, *, commits: bool = False) -> Json:
    """A push; the log of pushes has no commits."""
    update = {"name": one.ref, "oldObjectId": one.before or NONE, "newObjectId": one.after or NONE}
    made: Json = {
        "pushId": one.id,
        "date": stamp(one.at),
        "pushedBy": identity(people[one.who]),
        "refUpdates": [update],
        "repository": repository(repo, base),
    }
    if commits:
        made["commits"] = [commit(repo.commits[sha], people) for sha in reversed(one.commits)]
    return made


def pull(one: Pull, repo: Repo, people: dict[str, User], base: str) -> Json:
    """A pull request."""
    made: Json = {
        "pullRequestId": one.number,
        "status": STATUSES[one.state],
        "isDraft": one.draft,
        "title": one.title,
        "createdBy": identity(people[one.author]),
        "creationDate": stamp(one.created),
        "sourceRefName": f"refs/heads/{one.source}",
        "targetRefName": f"refs/heads/{one.target}",
        "mergeStatus": "succeeded",
        "lastMergeSourceCommit": {"commitId": one.head},
        "reviewers": reviewers(repo.reviews_of(one.number), people),
        "repository": repository(repo, base),
    }
    if one.closed is not None and one.closed_by is not None:
        made |= {"closedDate": stamp(one.closed), "closedBy": identity(people[one.closed_by])}
    if one.merge_sha:
        made["lastMergeCommit"] = {"commitId": one.merge_sha}
    return made


def reviewers(reviews: list[Review], people: dict[str, User]) -> list[Json]:
    """Who votes how now; nobody says when."""
    votes = {review.author: VOTES[review.state] for review in reviews if review.state in VOTES}
    return [{**identity(people[who]), "vote": vote, "isRequired": False} for who, vote in votes.items()]


def threads(one: Pull, repo: Repo, people: dict[str, User]) -> list[Json]:
    """Votes, changes of status, and comments, each as a thread."""
    made = []
    for review in repo.reviews_of(one.number):
        if review.given == "commented":
            made.append(_thread(review.id, review.at, people[review.author], review.body or "Hm.", "text", {}))
            continue
        made.append(_vote(review.id, review.at, people[review.author], VOTES[review.given]))
        if review.dismissed:
            made.append(_vote(review.dismissed.id, review.dismissed.at, people[review.author], 0))
    for step in one.timeline:
        if step.what in NOTED:
            noted = {"CodeReviewThreadType": "StatusUpdate", "CodeReviewStatus": NOTED[step.what]}
            made.append(_thread(step.id, step.at, people[step.who], "The status changed.", "system", noted))
    return sorted(made, key=lambda thread: thread["id"])


def _vote(number: int, at: datetime, who: User, vote: int) -> Json:
    noted = {
        "CodeReviewThreadType": "VoteUpdate",
        "CodeReviewVoteResult": str(vote),
        "CodeReviewVotedByTfId": who.id,
    }
    return _thread(number, at, who, f"{who.name} voted {vote}", "system", noted)


def _thread(number: int, at: datetime, who: User, text: str, kind: str, noted: dict[str, str]) -> Json:
    said = {
        "id": 1,
        "author": identity(who),
        "content": text,
        "commentType": kind,
        "publishedDate": stamp(at),
        "lastUpdatedDate": stamp(at),
    }
    return {
        "id": number,
        "publishedDate": stamp(at),
        "lastUpdatedDate": stamp(at),
        "comments": [said],
        "properties": {name: {"$type": "System.String", "$value": value} for name, value in noted.items()},
        "isDeleted": False,
    }


def status(run: Run) -> str:
    """Where a run is, in Azure's word."""
    return {"queued": "notStarted", "waiting": "postponed", "running": "inProgress"}.get(run.state, "completed")


def build(run: Run, repo: Repo, people: dict[str, User]) -> Json:
    """A run of a pipeline. What has not come yet is missing."""
    made: Json = {
        "id": run.id,
        "buildNumber": f"{run.created:%Y%m%d}.{run.number}",
        "status": status(run),
        "queueTime": stamp(run.created),
        "lastChangedDate": stamp(run.updated),
        "sourceBranch": f"refs/heads/{run.branch}",
        "sourceVersion": run.sha,
        "definition": {"id": 1, "name": run.name},
        "project": project(project_of(repo)),
        "reason": "individualCI" if run.trigger == "push" else "manual",
        "requestedFor": identity(people[run.who]),
        "repository": {"id": guid(repo.id), "type": "TfsGit"},
    }
    started = run.first("running")
    if started:
        made["startTime"] = stamp(started)
    if run.state in RESULTS:
        made |= {"result": RESULTS[run.state], "finishTime": stamp(run.states[-1].at)}
    return made


def record(one: Deployment, environment: int) -> Json:
    """The job that deployed."""
    made: Json = {
        "id": one.id,
        "environmentId": environment,
        "definition": {"id": 1, "name": "deploy"},
        "owner": {"id": one.run or 0, "name": "deploy"},
        "stageName": "Deploy",
        "jobName": "Deploy",
        "stageAttempt": 1,
        "jobAttempt": 1,
        "planType": "Build",
        "queueTime": stamp(one.created),
    }
    started = next((moved.at for moved in one.states if moved.state == "running"), None)
    if started:
        made["startTime"] = stamp(started)
    if one.state in RESULTS:
        made |= {"result": RESULTS[one.state], "finishTime": stamp(one.states[-1].at)}
    return made
