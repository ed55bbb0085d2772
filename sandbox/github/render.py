"""What GitHub's answers look like: field names and forms of the REST API, version 2022-11-28."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.code.values import Commit, Deployment, Moved, Pull, Release, Repo, Review, Run, Step
from sandbox.tracker import Tracker, User

Json = dict[str, Any]

DEPLOYMENT_WORDS = {
    "queued": "queued",
    "waiting": "pending",
    "running": "in_progress",
    "success": "success",
    "failed": "failure",
    "cancelled": "error",
}
RUN_WORDS: dict[str, tuple[str, str | None]] = {
    "queued": ("queued", None),
    "waiting": ("waiting", None),
    "running": ("in_progress", None),
    "success": ("completed", "success"),
    "failed": ("completed", "failure"),
    "cancelled": ("completed", "cancelled"),
}
STEPS = {"drafted": "convert_to_draft", "ready": "ready_for_review", "closed": "closed", "reopened": "reopened"}
"""Our steps of a pull request -> lines of GitHub's timeline."""

OWNER_ID = 9_919

LINKS = ("comments", "commits", "statuses", "html", "issue", "review_comments", "review_comment", "self")


def iso(at: datetime) -> str:
    """Whole seconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def login_of(user: User) -> str:
    """A person's login: their name in one word; an app's as it is."""
    return user.name.lower().replace(" ", "-")


class Renderer:
    """Writes what is in a host as GitHub does."""

    def __init__(self, owner: str, tracker: Tracker, where: Callable[[], str]) -> None:
        self._owner, self._tracker, self._where = owner, tracker, where

    @property
    def url(self) -> str:
        """Where the API is."""
        return self._where()

    # --- accounts -----------------------------------------------------------------------------------

    def user(self, who: str | None) -> Json | None:
        """An account by its id; None for one that is gone."""
        found = self._tracker.users.get(who) if who is not None else None
        if found is None:
            return None
        kind = "Bot" if found.name.endswith("[bot]") else "User"
        return self._account(login_of(found), int(found.id), kind)

    def owner(self) -> Json:
        """The organization."""
        return self._account(self._owner, OWNER_ID, "Organization")

    def _account(self, login: str, number: int, kind: str) -> Json:
        api = f"{self.url}/users/{login}"
        links = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events")
        return {
            "login": login,
            "id": number,
            "node_id": f"U_{number}",
            "avatar_url": f"{self.url}/u/{number}",
            "gravatar_id": "",
            "url": api,
            "html_url": f"https://github.com/{login}",
            **{f"{name}_url": f"{api}/{name}" for name in (*links, "received_events")},
            "type": kind,
            "site_admin": False,
        }

    # --- repositories -------------------------------------------------------------------------------

    def repository(self, repo: Repo) -> Json:
        """A repository in full."""
        api, name = f"{self.url}/repos/{self._owner}/{repo.name}", f"{self._owner}/{repo.name}"
        counts = ("forks", "watchers", "open_issues", "forks_count", "stargazers_count", "watchers_count")
        features = ("has_projects", "has_wiki", "has_pages", "has_discussions", "has_downloads", "fork", "disabled")
        return {
            "id": repo.id,
            "node_id": f"R_{repo.id}",
            "name": repo.name,
            "full_name": name,
            "owner": self.owner(),
            "private": True,
            "html_url": f"https://github.com/{name}",
            "description": None,
            "url": api,
            "homepage": None,
            "language": None,
            "license": None,
            "size": len(repo.commits),
            "default_branch": repo.default,
            "has_issues": True,
            "archived": repo.archived,
            "pushed_at": iso(repo.updated),
            "created_at": iso(repo.created),
            "updated_at": iso(repo.updated),
            "subscribers_count": 0,
            "network_count": 0,
            "open_issues_count": 0,
            **dict.fromkeys(counts, 0),
            **dict.fromkeys(features, False),
        }

    def pushed(self, repo: Repo, at: datetime) -> Json:
        """A repository as a push has it: two times are epoch seconds, one is not."""
        times = {"created_at": int(repo.created.timestamp()), "pushed_at": int(at.timestamp())}
        return self.repository(repo) | times

    # --- commits ------------------------------------------------------------------------------------

    def commit(self, repo: Repo, commit: Commit) -> Json:
        """A commit in a list: without its lines and files."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/commits/{commit.sha}"
        who = {"name": commit.name, "email": commit.email}
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "commit": {
                "author": who | {"date": iso(commit.authored)},
                "committer": who | {"date": iso(commit.committed)},
                "message": commit.message,
                "tree": {"sha": commit.sha, "url": f"{api}/tree"},
                "url": api,
                "comment_count": 0,
            },
            "url": api,
            "html_url": f"https://github.com/{self._owner}/{repo.name}/commit/{commit.sha}",
            "comments_url": f"{api}/comments",
            "author": self.user(commit.author),
            "committer": self.user(commit.author),
            "parents": [{"sha": sha, "url": api, "html_url": api} for sha in commit.parents],
        }

    def compared(self, repo: Repo, base: Commit, head: Commit, commits: Sequence[Commit], of: int, first: bool) -> Json:
        """Two commits beside one another; the files come with the first page only."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/compare/{base.sha}...{head.sha}"
        links = ("url", "html_url", "permalink_url", "diff_url", "patch_url")
        return {
            **dict.fromkeys(links, api),
            "base_commit": self.commit(repo, base),
            "merge_base_commit": self.commit(repo, base),
            "status": "identical" if base.sha == head.sha else "ahead",
            "ahead_by": of,
            "behind_by": 0,
            "total_commits": of,
            "commits": [self.commit(repo, commit) for commit in commits],
            **({"files": []} if first else {}),
        }

    # --- pull requests ------------------------------------------------------------------------------

    def pull(self, repo: Repo, pull: Pull) -> Json:
        """A pull request in a list. One that is open has the commit of a trial merge, which is thrown away."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/pulls/{pull.number}"
        merged = pull.closed if pull.state == "merged" else None
        urls = ("diff", "patch", "issue", "commits", "review_comments", "review_comment", "comments", "statuses")
        return {
            "url": api,
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "html_url": f"https://github.com/{self._owner}/{repo.name}/pull/{pull.number}",
            **{f"{name}_url": f"{api}/{name}" for name in urls},
            "number": pull.number,
            "state": "open" if pull.state == "open" else "closed",
            "locked": False,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": None,
            "labels": [],
            "milestone": None,
            "created_at": iso(pull.created),
            "updated_at": iso(pull.updated),
            "closed_at": iso(pull.closed) if pull.closed else None,
            "merged_at": iso(merged) if merged else None,
            "merge_commit_sha": pull.merge_sha or pull.head[::-1],
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "draft": pull.draft,
            "head": self._tip(repo, pull.source, pull.head),
            "base": self._tip(repo, pull.target, repo.commits[pull.commits[0]].parents[0]),
            "_links": {name: {"href": api} for name in LINKS},
            "author_association": "MEMBER",
            "auto_merge": None,
        }

    def _tip(self, repo: Repo, ref: str, sha: str) -> Json:
        whole = self.repository(repo)
        return {"label": f"{self._owner}:{ref}", "ref": ref, "sha": sha, "user": self.owner(), "repo": whole}

    def whole_pull(self, repo: Repo, pull: Pull) -> Json:
        """A single pull request: what is counted besides."""
        commits = [repo.commits[sha] for sha in pull.commits]
        merged = pull.state == "merged"
        return self.pull(repo, pull) | {
            "merged": merged,
            "mergeable": None,
            "rebaseable": None,
            "mergeable_state": "unknown",
            "merged_by": self.user(pull.closed_by) if merged else None,
            "comments": 0,
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": len(commits),
            "additions": sum(commit.additions for commit in commits),
            "deletions": sum(commit.deletions for commit in commits),
            "changed_files": len({file for commit in commits for file in commit.files}),
        }

    def review(self, repo: Repo, review: Review) -> Json:
        """A review, in the small letters of webhooks and timelines."""
        pull = repo.pulls[review.number]
        url = f"https://github.com/{self._owner}/{repo.name}/pull/{review.number}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self.user(review.author),
            "body": review.body,
            "commit_id": pull.head,
            "submitted_at": iso(review.at),
            "state": review.state,
            "html_url": url,
            "pull_request_url": f"{self.url}/repos/{self._owner}/{repo.name}/pulls/{review.number}",
            "author_association": "MEMBER",
            "_links": {"html": {"href": url}, "pull_request": {"href": url}},
        }

    def timeline(self, repo: Repo, pull: Pull) -> list[Json]:
        """All lines, oldest first; those of commits and reviews have a form of their own."""
        lines = [(repo.commits[sha].committed, self._committed(repo, repo.commits[sha])) for sha in pull.commits]
        lines += [(step.at, line) for step in pull.timeline for line in self._steps(repo, pull, step)]
        dismissed: dict[int, tuple[datetime, str]] = repo.extra.get("dismissed", {})
        for review in repo.reviews_of(pull.number):
            lines.append((review.at, self.review(repo, review) | {"event": "reviewed"}))
            if review.id in dismissed:
                at, who = dismissed[review.id]
                what = {"state": review.given, "review_id": review.id, "dismissal_message": "No longer"}
                lines.append((at, self._line(repo, review.id + 1, "review_dismissed", at, who, dismissed_review=what)))
        return [line for _, line in sorted(lines, key=lambda pair: pair[0])]

    def _committed(self, repo: Repo, commit: Commit) -> Json:
        whole = self.commit(repo, commit)
        inner = whole["commit"]
        kept = {name: inner[name] for name in ("author", "committer", "message", "tree")}
        links = {name: whole[name] for name in ("sha", "node_id", "url", "html_url", "parents")}
        return {"event": "committed", **links, **kept}

    def _steps(self, repo: Repo, pull: Pull, step: Step) -> list[Json]:
        if step.what == "merged":
            merged = self._line(repo, step.id, "merged", step.at, step.who, commit_id=pull.merge_sha)
            return [merged, self._line(repo, step.id + 1, "closed", step.at, step.who)]
        word = STEPS.get(step.what)
        return [self._line(repo, step.id, word, step.at, step.who)] if word else []

    def _line(self, repo: Repo, number: int, event: str, at: datetime, who: str, **more: Any) -> Json:
        return {
            "id": number,
            "node_id": f"E_{number}",
            "url": f"{self.url}/repos/{self._owner}/{repo.name}/issues/events/{number}",
            "actor": self.user(who),
            "event": event,
            "commit_id": None,
            "commit_url": None,
            "created_at": iso(at),
            "performed_via_github_app": None,
            **more,
        }

    # --- deployments, runs, releases ----------------------------------------------------------------

    def deployment(self, repo: Repo, deployment: Deployment) -> Json:
        """A deployment."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/deployments/{deployment.id}"
        return {
            "url": api,
            "id": deployment.id,
            "node_id": f"DE_{deployment.id}",
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": "deploy",
            "payload": {},
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "production_environment": deployment.environment == "production",
            "transient_environment": False,
            "description": None,
            "creator": self.user(deployment.creator),
            "created_at": iso(deployment.created),
            "updated_at": iso(deployment.updated),
            "statuses_url": f"{api}/statuses",
            "repository_url": f"{self.url}/repos/{self._owner}/{repo.name}",
        }

    def statuses(self, repo: Repo, deployment: Deployment) -> list[Json]:
        """Newest first. That a deployment was made is none."""
        return [self.status(repo, deployment, moved) for moved in reversed(deployment.states[1:])]

    def status(self, repo: Repo, deployment: Deployment, moved: Moved) -> Json:
        """A state that a deployment came to."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/deployments/{deployment.id}"
        return {
            "url": f"{api}/statuses/{moved.id}",
            "id": moved.id,
            "node_id": f"DES_{moved.id}",
            "state": DEPLOYMENT_WORDS[moved.state],
            "creator": self.user(deployment.creator),
            "description": "",
            "environment": deployment.environment,
            "target_url": "",
            "log_url": "",
            "environment_url": "",
            "created_at": iso(moved.at),
            "updated_at": iso(moved.at),
            "deployment_url": api,
            "repository_url": f"{self.url}/repos/{self._owner}/{repo.name}",
        }

    def run(self, repo: Repo, run: Run) -> Json:
        """A workflow run, in its last attempt."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/actions/runs/{run.id}"
        status, conclusion = RUN_WORDS[run.state]
        urls = ("jobs", "logs", "check_suite", "artifacts", "cancel", "rerun", "workflow")
        home = self.repository(repo)
        return {
            "id": run.id,
            "name": run.name,
            "node_id": f"WFR_{run.id}",
            "head_branch": run.branch,
            "head_sha": run.sha,
            "path": f".github/workflows/{run.name}.yml",
            "display_title": run.name,
            "run_number": run.number,
            "event": run.trigger,
            "status": status,
            "conclusion": conclusion,
            "workflow_id": 1,
            "url": api,
            "html_url": f"https://github.com/{self._owner}/{repo.name}/actions/runs/{run.id}",
            "pull_requests": [],
            "created_at": iso(run.created),
            "updated_at": iso(run.updated),
            "actor": self.user(run.who),
            "triggering_actor": self.user(run.who),
            "run_attempt": run.attempt,
            "run_started_at": iso(run.states[0].at),
            "previous_attempt_url": None,
            **{f"{name}_url": f"{api}/{name}" for name in urls},
            "head_commit": None,
            "repository": home,
            "head_repository": home,
        }

    def release(self, repo: Repo, release: Release) -> Json:
        """A release. `created_at` is its commit's time."""
        api = f"{self.url}/repos/{self._owner}/{repo.name}/releases/{release.id}"
        urls = ("assets", "upload", "tarball", "zipball")
        return {
            "url": api,
            "html_url": f"https://github.com/{self._owner}/{repo.name}/releases/tag/{release.tag}",
            **{f"{name}_url": f"{api}/{name}" for name in urls},
            "id": release.id,
            "node_id": f"RE_{release.id}",
            "tag_name": release.tag,
            "target_commitish": repo.default,
            "name": release.name,
            "body": None,
            "draft": False,
            "prerelease": release.prerelease,
            "created_at": iso(repo.commits[release.sha].committed),
            "published_at": iso(release.created),
            "author": self.user(release.author),
            "assets": [],
        }
