"""GitHub's webhooks: by which events a deed is told, what is in them, how they are signed, and the log of them."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from random import Random

from sandbox.code.values import Deed, Deployment, Kind, Pull, Push, Repo, Run
from sandbox.errors import VendorError
from sandbox.github.render import Json, Renderer, iso
from sandbox.hooks import Hook, Hooks, Sending
from sandbox.webhooks import Delivery, DeliveryState, Dispatcher, RetryRule

RETRY_RULE = RetryRule((), lambda _: False)
"""GitHub never sends again by itself."""

NOBODY = "0" * 40

PULL_ACTIONS = {
    Kind.OPENED: "opened",
    Kind.DRAFTED: "converted_to_draft",
    Kind.READY: "ready_for_review",
    Kind.CLOSED: "closed",
    Kind.MERGED: "closed",
    Kind.REOPENED: "reopened",
}
REPOSITORY_ACTIONS = {
    Kind.REPOSITORY_RENAMED: "renamed",
    Kind.REPOSITORY_ARCHIVED: "archived",
    Kind.REPOSITORY_UNARCHIVED: "unarchived",
    Kind.REPOSITORY_DELETED: "deleted",
}
RUN_ACTIONS = {"queued": "requested", "running": "in_progress"}
"""A run that waits is told by no event; any that ended is `completed`."""

Told = tuple[str, Json]
"""An event, and its body without what all have."""


class Deeds:
    """Tells the hooks. The id of a delivery is the same for every hook that gets the event."""

    def __init__(self, hooks: Hooks, dispatcher: Dispatcher, render: Renderer, rng: Random) -> None:
        self._hooks, self._dispatcher, self._render, self._rng = hooks, dispatcher, render, rng
        self._guids: dict[str, str] = {}
        self._hook_of: dict[str, str] = {}
        self._again: set[int] = set()

    def on_deed(self, deed: Deed) -> None:
        """Queue what a deed is told by."""
        for event, body in self._events(deed):
            whole = {**body, "repository": self._repository(deed, body), "sender": self._render.user(deed.who)}
            self._tell(event, whole, str(deed.repo.id))

    def of_installation(self, event: str, number: int, body: Json, who: str) -> None:
        """What only the App is told: about its installation."""
        account = {"id": number, "account": self._render.owner()}
        whole = {**body, "installation": account | body.get("installation", {}), "sender": self._render.user(who)}
        self._tell(event, whole, None)

    def of_issue(self, repo: Repo, action: str, issue: Json, who: str) -> None:
        """That an issue was opened, changed or deleted."""
        body = {"action": action, "issue": issue, "repository": self._render.repository(repo)}
        self._tell("issues", {**body, "sender": self._render.user(who)}, str(repo.id))

    def ping(self, hook: Hook) -> None:
        """What a hook gets when it is made."""
        config = {"type": "Repository", "id": int(hook.id), "active": True, "events": sorted(hook.events)}
        self._send(
            hook, "ping", {"zen": "Keep it logically awesome.", "hook_id": int(hook.id), "hook": config}, self._guid()
        )

    def _tell(self, event: str, body: Json, repo: str | None) -> None:
        guid = self._guid()
        for hook in self._hooks.live():
            if hook.wants(event, repo):
                self._send(hook, event, body, guid)

    def _send(self, hook: Hook, event: str, body: Json, guid: str) -> None:
        number = hook.extra.get("installation")

        def whole(_: Hook, delivery: str) -> Json:
            self._guids[delivery], self._hook_of[delivery] = guid, hook.id
            return {**body, **({"installation": {"id": number} | body.get("installation", {})} if number else {})}

        self._hooks.send(hook, event, whole)

    def _guid(self) -> str:
        bits = f"{self._rng.getrandbits(128):032x}"
        return "-".join((bits[:8], bits[8:12], bits[12:16], bits[16:20], bits[20:]))

    def sign(self, sending: Sending) -> dict[str, str]:
        """The signature is over the raw body; a hook without a secret sends none."""
        headers = {
            "X-GitHub-Event": sending.event,
            "X-GitHub-Delivery": self._guids[sending.delivery_id],
            "X-GitHub-Hook-ID": sending.hook.id,
            "User-Agent": "GitHub-Hookshot/sandbox",
        }
        if not sending.hook.secret:
            return headers
        digest = hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest()
        return headers | {"X-Hub-Signature-256": f"sha256={digest}"}

    # --- what is told -------------------------------------------------------------------------------

    def _repository(self, deed: Deed, body: Json) -> Json:
        return self._render.pushed(deed.repo, deed.at) if "pusher" in body else self._render.repository(deed.repo)

    def _events(self, deed: Deed) -> Iterator[Told]:
        render, repo, what = self._render, deed.repo, deed.what
        if isinstance(what, Push):
            yield "push", self._push(repo, what, deed.who)
        elif isinstance(what, Pull):
            yield "pull_request", self._pull(deed, what)
        elif deed.kind in (Kind.REVIEWED, Kind.DISMISSED):
            action = "submitted" if deed.kind is Kind.REVIEWED else "dismissed"
            pull = render.pull(repo, repo.pulls[what.number])
            yield "pull_request_review", {"action": action, "review": render.review(repo, what), "pull_request": pull}
        elif isinstance(what, Deployment):
            yield self._deployment(repo, what, deed.kind)
        elif isinstance(what, Run):
            yield from self._run(repo, what)
        elif deed.kind is Kind.RELEASED:
            for action in ("created", "published", "released"):
                yield "release", {"action": action, "release": render.release(repo, what)}
        elif deed.kind in REPOSITORY_ACTIONS:
            changes = {"changes": {"repository": {"name": {"from": deed.before}}}} if deed.before else {}
            yield "repository", {"action": REPOSITORY_ACTIONS[deed.kind], **changes}

    def _push(self, repo: Repo, push: Push, who: str) -> Json:
        """Commits have the time their author's clock showed, with its offset."""
        commits = [self._pushed_commit(repo, sha) for sha in push.commits]
        return {
            "ref": push.ref,
            "before": push.before or NOBODY,
            "after": push.after or NOBODY,
            "created": push.before is None,
            "deleted": push.after is None,
            "forced": push.forced,
            "base_ref": None,
            "commits": commits,
            "head_commit": commits[-1] if commits else None,
            "pusher": {"name": (self._render.user(who) or {}).get("login", ""), "email": None},
        }

    def _pushed_commit(self, repo: Repo, sha: str) -> Json:
        commit = repo.commits[sha]
        return {
            "id": sha,
            "message": commit.message,
            "timestamp": commit.committed.isoformat(timespec="seconds"),
            "author": {"name": commit.name, "email": commit.email, "username": commit.name},
            "added": [],
            "removed": [],
            "modified": list(commit.files),
            "distinct": True,
        }

    def _pull(self, deed: Deed, pull: Pull) -> Json:
        last = pull.timeline[-1]
        edited = "synchronize" if last.what == "pushed" and last.at == pull.updated else "edited"
        whole = self._render.whole_pull(deed.repo, pull)
        return {"action": PULL_ACTIONS.get(deed.kind, edited), "number": pull.number, "pull_request": whole}

    def _deployment(self, repo: Repo, deployment: Deployment, kind: Kind) -> Told:
        whole = {"action": "created", "deployment": self._render.deployment(repo, deployment)}
        if kind is Kind.DEPLOYED:
            return "deployment", whole
        status = self._render.status(repo, deployment, deployment.states[-1])
        return "deployment_status", whole | {"deployment_status": status}

    def _run(self, repo: Repo, run: Run) -> Iterator[Told]:
        action = RUN_ACTIONS.get(run.state, "completed")
        if run.state != "waiting":
            yield "workflow_run", {"action": action, "workflow_run": self._render.run(repo, run)}

    # --- the log ------------------------------------------------------------------------------------

    def log(self, hook: Hook) -> list[tuple[int, Delivery]]:
        """A hook's deliveries that were tried, newest first, with their numbers."""
        ours = [(n, d) for n, d in enumerate(self._dispatcher.log(), 1) if self._hook_of[d.id] == hook.id]
        return [(n, d) for n, d in reversed(ours) if d.attempts or d.state is DeliveryState.DROPPED]

    def entry(self, number: int, delivery: Delivery, hook: Hook, repo: int | None) -> Json:
        """A line of the log; what never arrived timed out."""
        last = delivery.attempts[-1] if delivery.attempts else None
        well = delivery.state is DeliveryState.DELIVERED
        status = "OK" if well else "timed out" if last is None or last.status is None else "Invalid HTTP Response"
        return {
            "id": number,
            "guid": self._guids[delivery.id],
            "delivered_at": iso(last.at if last else delivery.due),
            "redelivery": number in self._again,
            "duration": 0.1,
            "status": status,
            "status_code": (last.status if last else None) or 0,
            "event": delivery.event,
            "action": None,
            "installation_id": hook.extra.get("installation"),
            "repository_id": repo,
            "throttled_at": None,
        }

    def redeliver(self, hook: Hook, number: int, send: Callable[[Delivery], None]) -> None:
        """The same once more, as another line. Raises VendorError 404."""
        for known, delivery in self.log(hook):
            if known == number:
                self._again.add(len(self._dispatcher.log()) + 1)
                send(delivery)
                return
        raise VendorError(404, "Not Found")
