"""A fake Bitbucket's webhooks: which events a deed is told by, what is in them, and how they are signed."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from uuid import UUID

from sandbox.bitbucket.render import Json, Renderer, iso
from sandbox.code import Deed, Kind, Pull, Push, Repo, Review, Run
from sandbox.hooks import Hook, Hooks, Sending
from sandbox.webhooks import RetryRule

MOST_BYTES = 256 * 1024
"""What is larger is dropped without a word."""

MOST_COMMITS = 5
"""Commits told of one change of a push."""

RETRY_RULE = RetryRule(((60.0, 60.0),) * 2, lambda status: status >= 500)
"""Two more attempts."""

CHANGED = {
    Kind.OPENED: "pullrequest:created",
    Kind.EDITED: "pullrequest:updated",
    Kind.DRAFTED: "pullrequest:updated",
    Kind.READY: "pullrequest:updated",
    Kind.MERGED: "pullrequest:fulfilled",
    Kind.CLOSED: "pullrequest:rejected",
}
GIVEN = {
    "approved": "pullrequest:approved",
    "changes_requested": "pullrequest:changes_request_created",
    "commented": "pullrequest:comment_created",
}
WITHDRAWN = {
    "approved": "pullrequest:unapproved",
    "changes_requested": "pullrequest:changes_request_removed",
    "commented": "pullrequest:comment_deleted",
}

REPOSITORY_EVENTS = (
    *("repo:push", "repo:fork", "repo:updated", "repo:transfer", "repo:deleted", "repo:imported"),
    *("repo:commit_comment_created", "repo:commit_status_created", "repo:commit_status_updated"),
    *dict.fromkeys(CHANGED.values()),
    *GIVEN.values(),
    *WITHDRAWN.values(),
    *("pullrequest:comment_updated", "pullrequest:comment_resolved", "pullrequest:comment_reopened"),
)
EVENTS: Mapping[str, tuple[str, ...]] = {
    "repository": REPOSITORY_EVENTS,
    "workspace": (*REPOSITORY_EVENTS, "repo:created", "project:updated"),
}
"""What can be subscribed to, of a repository and of a workspace."""


def sign(sending: Sending) -> dict[str, str]:
    """SHA-256 of the body, in the header that means SHA-1 elsewhere; none without a secret."""
    headers = {
        "X-Event-Key": sending.event,
        "X-Hook-UUID": sending.hook.id.strip("{}"),
        "X-Request-UUID": str(UUID(sending.delivery_id)),
        "X-Attempt-Number": str(sending.attempt + 1),
        "User-Agent": "Bitbucket-Webhooks/2.0",
    }
    if not sending.hook.secret:
        return headers
    digest = hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest()
    return headers | {"X-Hub-Signature": f"sha256={digest}"}


class Events:
    """Tells the hooks of deeds. `reviews` are those of a pull request."""

    def __init__(self, hooks: Hooks, render: Renderer, reviews: Callable[[Repo, int], list[Review]]) -> None:
        self._hooks, self._render, self._reviews = hooks, render, reviews

    def on_deed(self, deed: Deed) -> None:
        """Queue what a deed is told by; many are told by nothing."""
        what, repo = deed.what, deed.repo
        if isinstance(what, Push):
            self._tell("repo:push", deed, {"push": {"changes": [self._moved(repo, what)]}})
        elif isinstance(what, Pull) and deed.kind in CHANGED:
            self._tell(CHANGED[deed.kind], deed, {"pullrequest": self._pull(repo, what)})
        elif isinstance(what, Review):
            event = (WITHDRAWN if deed.kind is Kind.DISMISSED else GIVEN)[what.given]
            about = {"pullrequest": self._pull(repo, repo.pulls[what.number])}
            self._tell(event, deed, about | self._render.opinion(what, asked="changes_request"))
        elif isinstance(what, Run):
            self._status(deed, what, new=len(what.states) == 1)
        elif deed.kind is Kind.DEPLOYMENT_MOVED and what.run in repo.runs:
            # A deployment is a step: when it ends, its pipeline's status is told once more.
            self._status(deed, repo.runs[what.run], new=False)
        elif deed.kind is Kind.REPOSITORY_RENAMED:
            home = self._render.repository(repo)["full_name"].rpartition("/")[0]
            names = {"name": (deed.before, repo.name), "full_name": (f"{home}/{deed.before}", f"{home}/{repo.name}")}
            self._tell("repo:updated", deed, {"changes": {n: {"old": o, "new": w} for n, (o, w) in names.items()}})
        elif deed.kind is Kind.REPOSITORY_DELETED:
            self._tell("repo:deleted", deed, {})

    def _tell(self, event: str, deed: Deed, more: Json) -> None:
        actor, home = self._render.account(deed.who), self._render.repository(deed.repo, whole=False)
        body = {"actor": actor, "repository": home, **more}
        if len(json.dumps(body, ensure_ascii=False).encode()) <= MOST_BYTES:
            self._hooks.tell(event, lambda _hook, _delivery: body, str(deed.repo.id))

    def _status(self, deed: Deed, run: Run, new: bool) -> None:
        event = "repo:commit_status_created" if new else "repo:commit_status_updated"
        self._tell(event, deed, {"commit_status": self._render.status(deed.repo, run)})

    def _pull(self, repo: Repo, pull: Pull) -> Json:
        told = self._render.pull(repo, pull)
        return told | {"participants": self._render.participants(pull, self._reviews(repo, pull.number))}

    def _moved(self, repo: Repo, push: Push) -> Json:
        """A branch or tag: at most five commits, the newest first."""
        told = [self._render.commit(repo.commits[sha]) for sha in reversed(push.commits)]
        return {
            "old": self._node(repo, push.ref, push.before),
            "new": self._node(repo, push.ref, push.after),
            "created": push.before is None,
            "closed": push.after is None,
            "forced": push.forced,
            "truncated": len(told) > MOST_COMMITS,
            "commits": told[:MOST_COMMITS],
        }

    def _node(self, repo: Repo, ref: str, sha: str | None) -> Json | None:
        if sha is None:
            return None
        kind, _, name = ref.removeprefix("refs/").partition("/")
        commit = repo.commits[sha]
        target = {"type": "commit", "hash": sha, "date": iso(commit.authored), "message": commit.message}
        return {"type": "tag" if kind == "tags" else "branch", "name": name, "target": target}


def hook(registered: Hook) -> Json:
    """A webhook; its secret is never told."""
    kind = "workspace" if registered.container is None else "repository"
    told: Json = {
        "type": "webhook_subscription",
        "uuid": registered.id,
        "url": registered.url,
        "description": registered.extra.get("description", ""),
        "active": registered.enabled,
        "secret_set": bool(registered.secret),
        "events": sorted(registered.events),
        "subject_type": kind,
        "subject": {"type": kind},
    }
    return told | ({"created_at": registered.extra["created"]} if "created" in registered.extra else {})
