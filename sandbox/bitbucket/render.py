"""The JSON of a fake Bitbucket: the same shapes in its API and in its webhooks."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

from sandbox.code import Deployment, Pull, Repo, Review, Run
from sandbox.code.values import Commit, Step
from sandbox.tracker import User

Json = dict[str, Any]

WEB = "https://bitbucket.org"
SHORT = 12
"""Digits of a hash in a pull request."""

MICROSECONDS = ".204518"
NANOSECONDS = ".481279334"
"""Behind a time's whole seconds in pull requests, and in pipelines and deployments."""

TYPES = {"production": "Production", "staging": "Staging"}
"""Environment -> what kind it is; the others are for tests."""

STATES = {"open": "OPEN", "merged": "MERGED", "closed": "DECLINED"}
RUNS: Mapping[str, Json] = {
    "queued": {"name": "PENDING", "type": "pipeline_state_pending"},
    "running": {"name": "IN_PROGRESS", "type": "pipeline_state_in_progress", "stage": {"name": "RUNNING"}},
    "waiting": {"name": "IN_PROGRESS", "type": "pipeline_state_in_progress", "stage": {"name": "PAUSED"}},
}
RESULTS = {"success": "SUCCESSFUL", "failed": "FAILED", "cancelled": "STOPPED"}
STATUSES = RESULTS | {"queued": "INPROGRESS", "running": "INPROGRESS", "waiting": "INPROGRESS"}


def uuid(kind: str, number: int) -> str:
    """An id as Bitbucket has them, braces and all, from which the number can be had again."""
    return f"{{{sum(kind.encode()):08x}-0000-4000-8000-{number:012x}}}"


def number_of(id_: str) -> int:
    """The number an id was made of; -1 for one that is none."""
    try:
        return int(id_.strip("{}").rpartition("-")[2], 16)
    except ValueError:
        return -1


def iso(at: datetime, fraction: str = "") -> str:
    """A time with its offset."""
    return f"{at.replace(tzinfo=None).isoformat(timespec='seconds')}{fraction}+00:00"


def zulu(at: datetime | None) -> str | None:
    """A time as Pipelines tell it."""
    return None if at is None else f"{at.replace(tzinfo=None).isoformat(timespec='seconds')}{NANOSECONDS}Z"


class Renderer:
    """Renders for one workspace. `users` are the people by id; `robot` is the id of the account of an access token."""

    def __init__(self, workspace: str, users: Mapping[str, User], robot: str) -> None:
        self._workspace, self._users, self._robot = workspace, users, robot

    def workspace(self) -> Json:
        """The workspace, as repositories have it."""
        name = self._workspace
        return {"type": "workspace", "uuid": uuid("workspace", 1), "slug": name, "name": name, "display_name": name}

    def account(self, who: str) -> Json:
        """Somebody; a token acts as an account of its own kind."""
        user = self._users[who]
        told = {"uuid": uuid("user", number_of(who.strip("U"))), "display_name": user.name, "nickname": user.name}
        if who == self._robot:
            return {"type": "app_user", **told}
        return {"type": "user", **told, "account_id": f"557058:{who}"}

    def repository(self, repo: Repo, whole: bool = True) -> Json:
        """A repository; in webhooks without its default branch."""
        full = f"{self._workspace}/{repo.name}"
        told = {
            "type": "repository",
            "uuid": uuid("repository", repo.id),
            "full_name": full,
            "name": repo.name,
            "is_private": True,
            "workspace": self.workspace(),
            "links": {"html": {"href": f"{WEB}/{full}"}},
        }
        if not whole:
            return told
        empty = repo.default not in repo.branches
        main = None if empty else {"type": "branch", "name": repo.default}
        times = {"created_on": iso(repo.created, MICROSECONDS), "updated_on": iso(repo.updated, MICROSECONDS)}
        return told | {"slug": repo.name, "scm": "git", "mainbranch": main, **times}

    def commit(self, commit: Commit) -> Json:
        """A commit; an author without an account is only a name."""
        author: Json = {"type": "author", "raw": f"{commit.name} <{commit.email}>"}
        if commit.author in self._users:
            author["user"] = self.account(str(commit.author))
        return {
            "type": "commit",
            "hash": commit.sha,
            "date": iso(commit.authored),
            "message": f"{commit.message}\n",
            "author": author,
            "parents": [{"type": "commit", "hash": sha} for sha in commit.parents],
        }

    # --- changes ------------------------------------------------------------------------------------

    def pull(self, repo: Repo, pull: Pull) -> Json:
        """A pull request. A fork that was deleted (`extra`: "lost_forks") leaves neither repository nor commit."""
        lost = pull.number in repo.extra.get("lost_forks", ())
        full = f"{self._workspace}/{repo.name}"
        home = None if lost else {"type": "repository", "uuid": uuid("repository", repo.id), "full_name": full}
        base = repo.commits[pull.commits[0]].parents[:1]
        source: Json = {"branch": {"name": pull.source}, "commit": None if lost else _short(pull.head)}
        told: Json = {
            "type": "pullrequest",
            "id": pull.number,
            "title": pull.title,
            "state": STATES[pull.state],
            "draft": pull.draft,
            "author": self.account(pull.author),
            "source": source | {"repository": home},
            "destination": {
                "branch": {"name": pull.target},
                "commit": _short(base[0]) if base else None,
                "repository": {"type": "repository", "uuid": uuid("repository", repo.id), "full_name": full},
            },
            "merge_commit": {"hash": pull.merge_sha[:SHORT]} if pull.merge_sha else None,
            "closed_by": self.account(pull.closed_by) if pull.closed_by else None,
            "created_on": iso(pull.created, MICROSECONDS),
            "updated_on": iso(pull.updated, MICROSECONDS),
            "comment_count": 0,
            "task_count": 0,
            "links": {"html": {"href": f"{WEB}/{full}/pull-requests/{pull.number}"}},
        }
        return told

    def participants(self, pull: Pull, reviews: Sequence[Review]) -> list[Json]:
        """Who took part, and what they think now."""
        last = {review.author: review for review in reviews if review.given != "commented"}
        return [
            {
                "type": "participant",
                "user": self.account(who),
                "role": "REVIEWER",
                "approved": review.state == "approved",
                "state": review.state if review.state in ("approved", "changes_requested") else None,
                "participated_on": iso(review.at, MICROSECONDS),
            }
            for who, review in last.items()
        ]

    def activity(self, pull: Pull, reviews: Sequence[Review]) -> list[Json]:
        """What happened, newest first. An opinion that was withdrawn is not there any more."""
        rows = [(step.at, step.id, {"update": self._update(pull, step)}) for step in pull.timeline]
        kept = [review for review in reviews if review.state != "dismissed"]
        rows += [(review.at, review.id, self.opinion(review)) for review in kept]
        about = {"type": "pullrequest", "id": pull.number, "title": pull.title}
        return [{"pull_request": about, **row} for _, _, row in sorted(rows, key=lambda row: row[:2], reverse=True)]

    def _update(self, pull: Pull, step: Step) -> Json:
        state = {"merged": "MERGED", "closed": "DECLINED"}.get(step.what, "OPEN")
        drafted = step.what == "drafted"
        changes = {"draft": {"old": not drafted, "new": drafted}} if step.what in ("drafted", "ready") else {}
        told = {"state": state, "date": iso(step.at, MICROSECONDS), "author": self.account(step.who), "reason": ""}
        return {**told, "title": pull.title, "changes": changes}

    def opinion(self, review: Review, asked: str = "changes_requested") -> Json:
        """An approval, a request for changes (the webhook has another name for it), or a comment."""
        who = self.account(review.author)
        if review.given == "commented":
            told = {"type": "pullrequest_comment", "id": review.id, "created_on": iso(review.at, MICROSECONDS)}
            return {"comment": {**told, "content": {"raw": review.body}, "user": who}}
        name = "approval" if review.given == "approved" else asked
        return {name: {"date": iso(review.at, MICROSECONDS), "user": who}}

    # --- pipelines and deployments ------------------------------------------------------------------

    def run(self, repo: Repo, run: Run) -> Json:
        """A pipeline."""
        ended = run.state in RESULTS
        done = {"name": "COMPLETED", "type": "pipeline_state_completed"}
        told: Json = {
            "type": "pipeline",
            "uuid": uuid("pipeline", run.id),
            "build_number": run.number,
            "state": done | {"result": {"name": RESULTS[run.state]}} if ended else RUNS[run.state],
            "created_on": zulu(run.created),
            "target": {
                "type": "pipeline_ref_target",
                "ref_type": "branch",
                "ref_name": run.branch,
                "selector": {"type": "branches", "pattern": run.name},
                "commit": {"type": "commit", "hash": run.sha},
            },
            "trigger": {"type": f"pipeline_trigger_{run.trigger}"},
            "creator": self.account(run.who),
        }
        return told | ({"completed_on": zulu(run.states[-1].at), "build_seconds_used": 60} if ended else {})

    def status(self, repo: Repo, run: Run) -> Json:
        """What a commit says of its pipeline: the one thing that is heard of it."""
        home = f"{WEB}/{self._workspace}/{repo.name}/addon/pipelines/home#!"
        return {
            "type": "build",
            "key": str(run.id),
            "name": f"Pipeline #{run.number} for {run.branch}",
            "state": STATUSES[run.state],
            "refname": run.branch,
            "url": f"{home}/results/{run.number}",
            "commit": {"type": "commit", "hash": run.sha},
            "created_on": iso(run.created, MICROSECONDS),
            "updated_on": iso(run.updated, MICROSECONDS),
        }

    def deployment(self, repo: Repo, deployment: Deployment) -> Json:
        """A deployment, which has no time before it begins."""
        run = repo.runs.get(deployment.run or 0)
        kind = TYPES.get(deployment.environment, "Test")
        release: Json = {"type": "deployment_release", "name": f"#{run.number}" if run else deployment.sha[:SHORT]}
        sha = deployment.sha[:SHORT] if repo.extra.get("short_releases") else deployment.sha
        release |= {"commit": {"type": "commit", "hash": sha}, "created_on": zulu(deployment.created)}
        release |= {"pipeline": {"type": "pipeline", "uuid": uuid("pipeline", run.id)}} if run else {}
        return {
            "type": "deployment",
            "uuid": uuid("deployment", deployment.id),
            "step": {"type": "pipeline_step", "uuid": uuid("step", deployment.id)},
            "environment": {
                "type": "deployment_environment",
                "uuid": uuid("environment", crc32(deployment.environment.encode())),
                "name": deployment.environment,
                "environment_type": {"type": "deployment_environment_type", "name": kind},
            },
            "release": release,
            "state": _deployment_state(deployment, told=not repo.extra.get("silent_results")),
            "last_update_time": zulu(deployment.updated),
        }

    def step(self, deployment: Deployment) -> Json:
        """The step of a pipeline that deploys."""
        told: Json = {"type": "pipeline_step", "uuid": uuid("step", deployment.id)}
        ended = deployment.state in RESULTS
        done: Json = {"name": "COMPLETED", "type": "pipeline_step_state_completed"}
        return told | {"state": done | {"result": {"name": RESULTS[deployment.state]}} if ended else RUNS["running"]}


def _deployment_state(deployment: Deployment, told: bool) -> Json:
    began = next((moved.at for moved in deployment.states if moved.state == "running"), None)
    if deployment.state in RESULTS:
        ended = deployment.states[-1].at
        state: Json = {"type": "deployment_state_completed", "name": "COMPLETED", "completed_on": zulu(ended)}
        state |= {"status": {"name": RESULTS[deployment.state]}} if told else {}
        return state | ({"started_on": zulu(began)} if began else {})
    if deployment.state == "running":
        return {"type": "deployment_state_in_progress", "name": "IN_PROGRESS", "started_on": zulu(began)}
    return {"type": "deployment_state_undeployed", "name": "UNDEPLOYED"}


def _short(sha: str) -> Json:
    return {"type": "commit", "hash": sha[:SHORT]}


def trimmed(answer: Json, wanted: str) -> Json:
    """An answer with nothing but these fields (`next,values.id,values.author.uuid`)."""
    tree: Json = {}
    for path in wanted.split(","):
        node = tree
        for name in path.split("."):
            node = node.setdefault(name, {})
    return dict(_parts(answer, tree))


def _kept(value: Any, tree: Json) -> Any:
    if not tree or value is None:
        return value
    if isinstance(value, list):
        return [_kept(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return dict(_parts(value, tree))


def _parts(value: Json, tree: Json) -> Iterator[tuple[str, Any]]:
    for name, below in tree.items():
        if name in value:
            yield name, _kept(value[name], below)
