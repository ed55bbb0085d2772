"""GitLab's webhooks: what a deed is told by, how a delivery is signed, the log, and when a hook is paused."""

import base64
import hashlib
import hmac
import json
import uuid
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sandbox.code import Deed, Deployment, Kind, Pull, Push, Release, Repo, Review, Run
from sandbox.gitlab.render import DEPLOYMENT, PIPELINE, Json, Renderer, first, local, spaced
from sandbox.hooks import Hook, Hooks, Sending, alike
from sandbox.webhooks import Delivery, DeliveryState, RetryRule

RETRY_RULE = RetryRule((), lambda status: False)
"""GitLab promises no retries."""

FLAGS = {
    "push_events": "Push Hook",
    "tag_push_events": "Tag Push Hook",
    "merge_requests_events": "Merge Request Hook",
    "note_events": "Note Hook",
    "issues_events": "Issue Hook",
    "confidential_issues_events": "Confidential Issue Hook",
    "confidential_note_events": "Confidential Note Hook",
    "pipeline_events": "Pipeline Hook",
    "job_events": "Job Hook",
    "deployment_events": "Deployment Hook",
    "releases_events": "Release Hook",
}
"""A hook's switch -> the event it brings."""

PAUSED_AFTER, GIVEN_UP_AFTER = 4, 40
"""Failures in a row."""

LOGGED = 5_000
"""Deliveries a log holds here; GitLab's holds those of seven days."""

MOST_COMMITS = 20
NOTHING = "0" * 40

ACTIONS = {
    Kind.OPENED: "open",
    Kind.CLOSED: "close",
    Kind.REOPENED: "reopen",
    Kind.MERGED: "merge",
    Kind.EDITED: "update",
    Kind.DRAFTED: "update",
    Kind.READY: "update",
}


def alert_status(hook: Hook) -> str:
    """A hook's health, in GitLab's word."""
    if hook.extra["failures"] >= GIVEN_UP_AFTER:
        return "disabled"
    return "executable" if hook.enabled else "temporarily_disabled"


class Events:
    """Tells the hooks of one server."""

    def __init__(self, hooks: Hooks, render: Renderer, instance: str) -> None:
        self._hooks, self._render, self._instance = hooks, render, instance
        self._sent: dict[str, tuple[str, dict[str, str]]] = {}
        self._logs: dict[str, deque[Json]] = {}
        self._logged = 0

    # --- bodies -------------------------------------------------------------------------------------

    def tell(self, deed: Deed) -> None:
        """Queue what a deed is told by. Projects' hooks hear nothing of what becomes of the project itself."""
        for event, body in self.bodies(deed):
            self._hooks.tell(event, alike(body), str(deed.repo.id))

    def bodies(self, deed: Deed) -> Iterator[tuple[str, Json]]:
        """(event, body) for each delivery."""
        repo, who, at = deed.repo, deed.who, deed.at
        match deed.what:
            case Push() as push:
                yield self._push(repo, who, push)
            case Pull() as pull:
                yield (
                    "Merge Request Hook",
                    self._request(repo, who, pull, ACTIONS[deed.kind], self._changes(deed, pull)),
                )
            case Review() as review:
                yield self._review(repo, review, deed)
            case Deployment() as deployment:
                yield "Deployment Hook", self._deployment(repo, who, deployment, at)
            case Run() as run:
                yield "Pipeline Hook", self._pipeline(repo, who, run)
            case Release() as release:
                yield "Release Hook", self._release(repo, release)

    def _user(self, who: str) -> Json:
        user = self._render.user(who)
        return {name: user[name] for name in ("id", "name", "username", "avatar_url")} | {"email": "[REDACTED]"}

    def _project(self, repo: Repo) -> Json:
        project = self._render.project(repo)
        names = ("id", "name", "description", "web_url", "path_with_namespace", "default_branch")
        return {name: project[name] for name in names} | {"namespace": project["name_with_namespace"]}

    def _push(self, repo: Repo, who: str, push: Push) -> tuple[str, Json]:
        tag, user = push.ref.startswith("refs/tags/"), self._render.user(who)
        body = {
            "object_kind": "tag_push" if tag else "push",
            "event_name": "tag_push" if tag else "push",
            "before": push.before or NOTHING,
            "after": push.after or NOTHING,
            "ref": push.ref,
            "checkout_sha": push.after,
            "user_id": user["id"],
            "user_name": user["name"],
            "user_username": user["username"],
            "user_email": "",
            "project_id": repo.id,
            "project": self._project(repo),
            "commits": [self._commit(repo, sha) for sha in push.commits[-MOST_COMMITS:]],
            "total_commits_count": len(push.commits),
        }
        return ("Tag Push Hook" if tag else "Push Hook"), body

    def _commit(self, repo: Repo, sha: str) -> Json:
        commit = repo.commits[sha]
        return {
            "id": sha,
            "message": f"{commit.message}\n",
            "title": commit.message.partition("\n")[0],
            "timestamp": commit.committed.isoformat(),
            "url": f"{self._render.web(repo)}/-/commit/{sha}",
            "author": {"name": commit.name, "email": commit.email},
            "added": [],
            "modified": list(commit.files),
            "removed": [],
        }

    def _changes(self, deed: Deed, pull: Pull) -> Json:
        if deed.kind in (Kind.DRAFTED, Kind.READY):
            return {"draft": {"previous": not pull.draft, "current": pull.draft}}
        if deed.kind is not Kind.EDITED or _pushed(pull, deed.at):
            return {}
        return {"title": {"previous": "", "current": pull.title}}

    def _request(self, repo: Repo, who: str, pull: Pull, action: str, changes: Json) -> Json:
        shown, author = self._render.request(repo, pull), self._render.user(pull.author)
        names = ("id", "iid", "title", "description", "state", "draft", "work_in_progress", "merge_commit_sha")
        attributes = {name: shown[name] for name in names} | {
            "source_branch": pull.source,
            "target_branch": pull.target,
            "source_project_id": repo.id,
            "target_project_id": repo.id,
            "author_id": author["id"],
            "last_commit": self._commit(repo, pull.head),
            "created_at": spaced(pull.created),
            "updated_at": spaced(pull.updated),
            "url": shown["web_url"],
            "action": action,
        }
        if action == "update" and _pushed(pull, pull.updated):
            attributes["oldrev"] = pull.commits[-2] if len(pull.commits) > 1 else NOTHING
        return {
            "object_kind": "merge_request",
            "event_type": "merge_request",
            "user": self._user(who),
            "project": self._project(repo),
            "object_attributes": attributes,
            "labels": [],
            "changes": changes,
            "reviewers": [],
            "assignees": [],
        }

    def _review(self, repo: Repo, review: Review, deed: Deed) -> tuple[str, Json]:
        pull = repo.pulls[review.number]
        if review.given == "commented":
            return "Note Hook", self._note(repo, review, pull)
        taken_back = deed.kind is Kind.DISMISSED
        action = {"approved": "unapproved" if taken_back else "approved"}.get(review.given, "update")
        people = [self._user(review.author) | {"state": "requested_changes"}]
        changes = {"reviewers": [[], people]} if action == "update" else {}
        return "Merge Request Hook", self._request(repo, review.author, pull, action, changes)

    def _note(self, repo: Repo, review: Review, pull: Pull) -> Json:
        request = self._request(repo, review.author, pull, "", {})
        return {
            "object_kind": "note",
            "event_type": "note",
            "user": self._user(review.author),
            "project_id": repo.id,
            "project": self._project(repo),
            "object_attributes": {
                "id": review.id * 10,
                "note": review.body or "Hm.",
                "noteable_type": "MergeRequest",
                "noteable_id": pull.id,
                "system": False,
                "created_at": spaced(review.at),
                "updated_at": spaced(review.at),
                "action": "create",
            },
            "merge_request": request["object_attributes"],
        }

    def _deployment(self, repo: Repo, who: str, deployment: Deployment, at: datetime) -> Json:
        return {
            "object_kind": "deployment",
            "status": DEPLOYMENT.get(deployment.state, deployment.state),
            "status_changed_at": local(at),
            "deployment_id": deployment.id,
            "deployable_id": deployment.id * 10,
            "deployable_url": f"{self._render.web(repo)}/-/jobs/{deployment.id * 10}",
            "environment": deployment.environment,
            "project": self._project(repo),
            "short_sha": deployment.sha[:8],
            "user": self._user(who),
            "commit_url": f"{self._render.web(repo)}/-/commit/{deployment.sha}",
            "ref": deployment.ref,
        }

    def _pipeline(self, repo: Repo, who: str, run: Run) -> Json:
        shown, ended = self._render.pipeline_alone(repo, run), first(run.states, "success", "failed", "cancelled")
        names = ("id", "iid", "name", "ref", "tag", "sha", "before_sha", "source", "duration", "queued_duration")
        return {
            "object_kind": "pipeline",
            "object_attributes": {name: shown[name] for name in names}
            | {
                "status": PIPELINE.get(run.state, run.state),
                "detailed_status": {"success": "passed"}.get(run.state, run.state),
                "created_at": spaced(run.created),
                "finished_at": spaced(ended) if ended else None,
                "url": shown["web_url"],
            },
            "merge_request": None,
            "user": self._user(who),
            "project": self._project(repo),
            "commit": self._commit(repo, run.sha),
            "builds": [],
        }

    def _release(self, repo: Repo, release: Release) -> Json:
        return {
            "object_kind": "release",
            "id": release.id,
            "tag": release.tag,
            "name": release.name,
            "description": "",
            "created_at": spaced(release.created),
            "released_at": spaced(release.created),
            "action": "create",
            "url": f"{self._render.web(repo)}/-/releases/{release.tag}",
            "project": self._project(repo),
            "commit": self._commit(repo, release.sha),
        }

    # --- headers and health -------------------------------------------------------------------------

    def headers(self, sending: Sending, numbered: bool) -> dict[str, str]:
        """A delivery's headers; `numbered`: the server is new enough to say which event it is."""
        hook = sending.hook
        id_ = str(uuid.UUID(sending.delivery_id))
        headers = {
            "User-Agent": "GitLab/19.1.0",
            "X-Gitlab-Event": sending.event,
            "X-Gitlab-Instance": self._instance,
            "X-Gitlab-Webhook-UUID": str(uuid.UUID(int=int(hook.id))),
            "X-Gitlab-Event-UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, id_)),
        }
        if numbered:
            headers["Idempotency-Key"] = id_
        if hook.extra["token"]:
            headers["X-Gitlab-Token"] = hook.extra["token"]
        if hook.extra["signing_token"]:
            headers |= signature(hook.extra["signing_token"], id_, int(sending.now.timestamp()), sending.body)
        self._sent[sending.delivery_id] = (hook.id, headers)
        return headers

    def on_settled(self, delivery: Delivery) -> None:
        """Log a delivery; pause a hook that failed too often, set one going that was answered well."""
        hook_id, headers = self._sent.pop(delivery.id, ("", {}))
        hook = next((hook for hook in self._hooks.live() if hook.id == hook_id), None)
        if hook is None:
            return
        last, good = delivery.attempts[-1], delivery.state is DeliveryState.DELIVERED
        self._logged += 1
        entry = {
            "id": self._logged,
            "url": hook.url,
            "trigger": next(flag for flag, event in FLAGS.items() if event == delivery.event).replace(
                "events", "hooks"
            ),
            "request_headers": headers | ({"X-Gitlab-Token": "[REDACTED]"} if "X-Gitlab-Token" in headers else {}),
            "request_data": json.loads(delivery.body),
            "response_status": "internal error" if last.status is None else str(last.status),
            "execution_duration": 0.25,
        }
        self._logs.setdefault(hook.id, deque(maxlen=LOGGED)).appendleft(entry)
        failures = 0 if good else hook.extra["failures"] + 1
        pause = timedelta(minutes=min(2 ** max(0, failures - PAUSED_AFTER), 24 * 60))
        until = last.at + pause if failures >= PAUSED_AFTER else None
        extra = {**hook.extra, "failures": failures, "disabled_until": until}
        self._hooks.change(hook.id, enabled=until is None, extra=extra)

    def wake(self, now: datetime) -> None:
        """Set those going again whose pause is over."""
        for hook in self._hooks.live():
            until = hook.extra["disabled_until"]
            if until is not None and until <= now and hook.extra["failures"] < GIVEN_UP_AFTER:
                self._hooks.change(hook.id, enabled=True, extra={**hook.extra, "disabled_until": None})

    def log(self, hook_id: str) -> list[Json]:
        """A hook's deliveries, newest first."""
        return list(self._logs.get(hook_id, ()))


def signature(token: str, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    key = base64.b64decode(token.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signed = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(timestamp), "webhook-signature": signed}


def _pushed(pull: Pull, at: datetime) -> bool:
    last: Any = pull.timeline[-1] if pull.timeline else None
    return last is not None and last.what == "pushed" and last.at == at
