"""GitLab's JSON, as its API has it: numbers as ids, times with milliseconds."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sandbox.code import Deployment, Pull, Push, Release, Repo, Review, Run
from sandbox.code.values import Commit, Moved
from sandbox.tracker import Tracker, User

Json = dict[str, Any]

FRACTION = timedelta(milliseconds=417)
"""The host counts whole seconds. GitLab's API tells fractions, which its webhooks leave out."""

BERLIN = timezone(timedelta(hours=2))

FINAL = ("success", "failed", "cancelled")
DEPLOYMENT = {"queued": "created", "waiting": "blocked", "cancelled": "canceled"}
PIPELINE = {"queued": "pending", "waiting": "manual", "cancelled": "canceled"}
"""The host's words -> GitLab's, where they differ."""

ROBOT_NAME = "group_1_bot_0a1b2c"
"""What the user of a group's access token is called."""


def iso(at: datetime | None) -> str | None:
    """A time as the API has it."""
    if at is None:
        return None
    return (at.astimezone(UTC) + FRACTION).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spaced(at: datetime) -> str:
    """A time as most webhooks have it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def local(at: datetime) -> str:
    """A time as the webhooks of deployments have it: in the server's own zone."""
    return at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S %z")


def first(states: tuple[Moved, ...], *wanted: str) -> datetime | None:
    """When one of these states was come to."""
    return next((moved.at for moved in states if moved.state in wanted), None)


class Renderer:
    """Everything of one server. `url` is its address, `group` the path all projects are in."""

    def __init__(self, tracker: Tracker, url: str, group: str) -> None:
        self._tracker, self._url, self._group = tracker, url, group

    def username(self, user: User) -> str:
        """What somebody is called by."""
        robot = list(self._tracker.users.values())[-1]
        return ROBOT_NAME if user is robot else user.name.lower().replace(" ", ".")

    def user(self, who: str) -> Json:
        """Somebody, without an address: GitLab shows those to administrators only."""
        user = self._tracker.users[who]
        name = self.username(user)
        known = {"id": int(user.id), "username": name, "name": user.name, "state": "active", "locked": False}
        return known | {"avatar_url": None, "web_url": f"{self._url}/{name}"}

    def path(self, repo: Repo) -> str:
        """A project's full path."""
        return f"{self._group}/{repo.name}"

    def web(self, repo: Repo) -> str:
        """A project's address."""
        return f"{self._url}/{self.path(repo)}"

    def project(self, repo: Repo) -> Json:
        """A project."""
        return {
            "id": repo.id,
            "description": "",
            "name": repo.name.rpartition("/")[2],
            "name_with_namespace": self.path(repo).replace("/", " / "),
            "path": repo.name.rpartition("/")[2],
            "path_with_namespace": self.path(repo),
            "created_at": iso(repo.created),
            "default_branch": repo.default if repo.branches else None,
            "web_url": self.web(repo),
            "last_activity_at": iso(repo.updated),
            "archived": repo.archived,
            "visibility": "private",
        }

    # --- commits and merge requests -----------------------------------------------------------------

    def commit(self, repo: Repo, commit: Commit) -> Json:
        """A commit; its committer's and author's names only."""
        return {
            "id": commit.sha,
            "short_id": commit.sha[:8],
            "created_at": local_iso(commit.committed),
            "parent_ids": list(commit.parents),
            "title": commit.message.partition("\n")[0],
            "message": commit.message,
            "author_name": commit.name,
            "author_email": commit.email,
            "authored_date": local_iso(commit.authored),
            "committer_name": commit.name,
            "committer_email": commit.email,
            "committed_date": local_iso(commit.committed),
            "web_url": f"{self.web(repo)}/-/commit/{commit.sha}",
        }

    def request(self, repo: Repo, pull: Pull) -> Json:
        """A merge request, as it is listed."""
        merged, closed = pull.state == "merged", pull.state == "closed"
        by = self.user(pull.closed_by) if pull.closed_by else None
        return {
            "id": pull.id,
            "iid": pull.number,
            "project_id": repo.id,
            "title": f"Draft: {pull.title}" if pull.draft else pull.title,
            "description": "",
            "state": {"open": "opened"}.get(pull.state, pull.state),
            "created_at": iso(pull.created),
            "updated_at": iso(pull.updated),
            "prepared_at": iso(pull.created),
            "merged_by": by if merged else None,
            "merge_user": by if merged else None,
            "merged_at": iso(pull.closed) if merged else None,
            "closed_by": by if closed else None,
            "closed_at": iso(pull.closed) if closed else None,
            "target_branch": pull.target,
            "source_branch": pull.source,
            "author": self.user(pull.author),
            "assignees": [],
            "assignee": None,
            "reviewers": [],
            "source_project_id": repo.id,
            "target_project_id": repo.id,
            "labels": [],
            "draft": pull.draft,
            "work_in_progress": pull.draft,
            "sha": pull.head,
            "merge_commit_sha": None if pull.squashed else pull.merge_sha,
            "squash_commit_sha": pull.merge_sha if pull.squashed else None,
            "detailed_merge_status": "mergeable" if pull.state == "open" else "not_open",
            "user_notes_count": 0,
            "web_url": f"{self.web(repo)}/-/merge_requests/{pull.number}",
        }

    def push(self, repo: Repo, push: Push) -> Json:
        """A push among a project's events."""
        _, kind, ref = push.ref.split("/", 2)
        action = "created" if push.before is None else "pushed" if push.after else "removed"
        author = self.user(push.who)
        return {
            "id": push.id,
            "project_id": repo.id,
            "action_name": {"created": "pushed new", "pushed": "pushed to", "removed": "deleted"}[action],
            "target_id": None,
            "target_iid": None,
            "target_type": None,
            "author_id": author["id"],
            "target_title": None,
            "created_at": iso(push.at),
            "author": author,
            "push_data": {
                "commit_count": len(push.commits),
                "action": action,
                "ref_type": "tag" if kind == "tags" else "branch",
                "commit_from": push.before,
                "commit_to": push.after,
                "ref": ref,
                "commit_title": repo.commits[push.after].message if push.after else None,
                "ref_count": None,
            },
            "author_username": author["username"],
        }

    def notes(self, pull: Pull, reviews: list[Review]) -> list[Json]:
        """Comments and what GitLab wrote down itself, oldest first."""
        steps = {"drafted": "marked this merge request as **draft**", "ready": "marked this merge request as **ready**"}
        told = {"approved": "approved this merge request", "changes_requested": "requested changes"}
        notes = [
            self._note(step.id * 10 + 3, step.at, step.who, steps[step.what], True)
            for step in pull.timeline
            if step.what in steps
        ]
        for review in reviews:
            text = told.get(review.given)
            notes.append(self._note(review.id * 10, review.at, review.author, text or review.body or "Hm.", bool(text)))
            if review.dismissed is not None and review.given == "approved":
                id_, at = review.dismissed.id * 10 + 2, review.dismissed.at
                notes.append(self._note(id_, at, review.author, "unapproved this merge request", True))
        return sorted(notes, key=lambda note: (note["created_at"], note["id"]))

    def _note(self, id_: int, at: datetime, who: str, body: str, system: bool) -> Json:
        known = {"id": id_, "type": None, "body": body, "author": self.user(who), "system": system}
        times = {"created_at": iso(at), "updated_at": iso(at)}
        return known | times | {"noteable_type": "MergeRequest", "resolvable": False, "internal": False}

    def state_events(self, pull: Pull) -> list[Json]:
        """When it was closed, reopened and merged."""
        return [
            {
                "id": step.id,
                "user": self.user(step.who),
                "created_at": iso(step.at),
                "resource_type": "MergeRequest",
                "resource_id": pull.id,
                "state": step.what,
            }
            for step in pull.timeline
            if step.what in ("closed", "reopened", "merged")
        ]

    def diffs(self, repo: Repo, pull: Pull, hidden: bool) -> list[Json]:
        """What it changes, a file for each commit; `hidden`: too much to show."""
        found = []
        for commit in (repo.commits[sha] for sha in pull.commits):
            path = f"{commit.sha[:6]}/{commit.files[0]}"
            text = "@@ -1 +1 @@\n" + "+new\n" * commit.additions + "-old\n" * commit.deletions
            file = {"old_path": path, "new_path": path, "a_mode": "100644", "b_mode": "100644"}
            state = {"new_file": False, "renamed_file": False, "deleted_file": False, "generated_file": False}
            found.append(file | state | {"diff": "" if hidden else text, "collapsed": hidden, "too_large": False})
        return found

    # --- deployments, pipelines, releases -----------------------------------------------------------

    def deployment(self, deployment: Deployment) -> Json:
        """A deployment with its job."""
        status = DEPLOYMENT.get(deployment.state, deployment.state)
        began, ended = first(deployment.states, "running"), first(deployment.states, *FINAL)
        job = {
            "id": deployment.id * 10,
            "status": status,
            "stage": "deploy",
            "name": f"deploy {deployment.environment}",
            "ref": deployment.ref,
            "tag": False,
            "created_at": iso(deployment.created),
            "started_at": iso(began),
            "finished_at": iso(ended),
            "duration": (ended - began).total_seconds() if began and ended else None,
            "pipeline": {"id": deployment.run} if deployment.run else None,
        }
        return {
            "id": deployment.id,
            "iid": deployment.id,
            "ref": deployment.ref,
            "sha": deployment.sha,
            "status": status,
            "created_at": iso(deployment.created),
            "updated_at": iso(deployment.updated),
            "user": self.user(deployment.creator),
            "environment": {"id": 1, "name": deployment.environment, "slug": deployment.environment},
            "deployable": job,
        }

    def environments(self, repo: Repo) -> list[Json]:
        """Where was ever deployed to."""
        names = sorted({deployment.environment for deployment in repo.deployments.values()})
        return [
            {"id": number, "name": name, "slug": name, "external_url": None, "state": "available", "tier": tier(name)}
            for number, name in enumerate(names, 1)
        ]

    def pipeline(self, repo: Repo, run: Run) -> Json:
        """A pipeline, as it is listed."""
        return {
            "id": run.id,
            "iid": run.number,
            "project_id": repo.id,
            "sha": run.sha,
            "ref": run.branch,
            "status": PIPELINE.get(run.state, run.state),
            "source": run.trigger,
            "name": run.name,
            "created_at": iso(run.created),
            "updated_at": iso(run.updated),
            "web_url": f"{self.web(repo)}/-/pipelines/{run.id}",
        }

    def pipeline_alone(self, repo: Repo, run: Run) -> Json:
        """A pipeline, with its times."""
        began, ended = run.first("running"), run.first(*FINAL)
        return self.pipeline(repo, run) | {
            "before_sha": "0" * 40,
            "tag": False,
            "yaml_errors": None,
            "user": self.user(run.who),
            "started_at": iso(began),
            "finished_at": iso(ended),
            "duration": int((ended - began).total_seconds()) if began and ended else None,
            "queued_duration": int((began - run.created).total_seconds()) if began else None,
            "coverage": None,
        }

    def release(self, repo: Repo, release: Release) -> Json:
        """A release."""
        return {
            "tag_name": release.tag,
            "name": release.name,
            "description": "",
            "created_at": iso(release.created),
            "released_at": iso(release.created),
            "upcoming_release": False,
            "author": self.user(release.author),
            "commit": self.commit(repo, repo.commits[release.sha]),
            "_links": {"self": f"{self.web(repo)}/-/releases/{release.tag}"},
        }


def local_iso(at: datetime) -> str:
    """A commit's time: in its author's zone."""
    return (at.astimezone(BERLIN) + FRACTION).isoformat(timespec="milliseconds")


def tier(environment: str) -> str:
    """What GitLab makes of an environment's name."""
    return next((word for word in ("production", "staging", "testing") if word in environment), "other")
