"""GitLab's calls about a project's webhooks and their log."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.code import Deed, Kind
from sandbox.errors import VendorError
from sandbox.gitlab import webhooks
from sandbox.gitlab.render import Json
from sandbox.hooks import Hook, Sending, alike
from sandbox.http import NO_BODY, Reply
from sandbox.vendor import Ask
from sandbox.webhooks import Delivery

if TYPE_CHECKING:
    from sandbox.gitlab.sandbox import GitLabSandbox


class HookApi:
    """The webhooks of one server's projects."""

    def __init__(self, box: "GitLabSandbox") -> None:
        self._box = box

    def _found(self, ask: Ask) -> Hook:
        self._box.events.wake(self._box.clock.now())
        hook = self._box.hooks.get(ask.params["hook"])
        if hook.container != str(self._box.repo(ask).id):
            raise VendorError(404, "Not Found")
        return hook

    def get(self, ask: Ask) -> Json:
        """One."""
        return self._shown(self._found(ask))

    def all(self, ask: Ask) -> Reply:
        """A project's."""
        self._box.events.wake(self._box.clock.now())
        container = str(self._box.repo(ask).id)
        return self._box.paged(
            ask, [hook for hook in self._box.hooks.live() if hook.container == container], self._shown
        )

    def _shown(self, hook: Hook) -> Json:
        told = {flag: event in hook.events for flag, event in webhooks.FLAGS.items()}
        signed = {"signing_token_present": bool(hook.extra["signing_token"])} if self._box.settings.signs else {}
        until = hook.extra["disabled_until"]
        return {
            "id": int(hook.id),
            "url": hook.url,
            "name": hook.extra["name"],
            "project_id": int(hook.container or 0),
            "created_at": self._box.clock.now().isoformat(),
            "enable_ssl_verification": hook.extra["enable_ssl_verification"],
            "alert_status": webhooks.alert_status(hook),
            "disabled_until": until.isoformat() if until else None,
            "token_present": bool(hook.extra["token"]),
            **told,
            **signed,
        }

    def create(self, ask: Ask) -> Reply:
        """Make one, for pushes unless the body says otherwise."""
        repo, body = self._box.repo(ask), ask.json("url")
        first = {"name": None, "token": "", "signing_token": "", "failures": 0, "disabled_until": None}
        extra = first | {"enable_ssl_verification": True}
        made = self._box.hooks.register(
            body["url"], ask.user, events=frozenset({"Push Hook"}), container=str(repo.id), extra=extra
        )
        return Reply(201, self._shown(self._set(made, body)))

    def update(self, ask: Ask) -> Json:
        """Change what the body names."""
        return self._shown(self._set(self._found(ask), ask.json()))

    def _set(self, hook: Hook, body: Json) -> Hook:
        if "signing_token" in body and not self._box.settings.signs:
            body = {name: value for name, value in body.items() if name != "signing_token"}
        on = {event for flag, event in webhooks.FLAGS.items() if body.get(flag)}
        off = {event for flag, event in webhooks.FLAGS.items() if body.get(flag) is False}
        kept = ("name", "token", "signing_token", "enable_ssl_verification")
        extra = {**hook.extra, **{name: body[name] for name in kept if name in body}}
        events = frozenset((hook.events - off) | on)
        return self._box.hooks.change(hook.id, url=body.get("url", hook.url), events=events, extra=extra)

    def delete(self, ask: Ask) -> Reply:
        """Remove one."""
        self._box.hooks.remove(self._found(ask).id)
        return Reply(204, NO_BODY)

    def test(self, ask: Ask) -> Reply:
        """A sample of what is there; it goes out even while the hook is paused."""
        hook, repo, trigger = self._found(ask), self._box.repo(ask), ask.params["trigger"]
        held: dict[str, tuple[Kind, list[Any]]] = {
            "merge_requests_events": (Kind.EDITED, list(repo.pulls.values())),
            "push_events": (Kind.PUSHED, repo.pushes),
        }
        kind, samples = held.get(trigger, (Kind.PUSHED, []))
        if not samples:
            raise VendorError(422, f"Ensure the project has {trigger.removesuffix('_events').replace('_', ' ')}.")
        for event, body in self._box.events.bodies(Deed(kind, repo, ask.user, self._box.host.now(), samples[-1])):
            self._box.hooks.send(hook, event, alike(body))
        return Reply(201, {"message": "201 Created"})

    def log(self, ask: Ask) -> Reply:
        """Its deliveries, where they are kept."""
        hook = self._found(ask)
        if not self._box.settings.logs:
            raise VendorError(404, "Not Found")
        return self._box.paged(ask, self._box.events.log(hook.id), dict)

    def resend(self, ask: Ask) -> Reply:
        """The same body under the same key."""
        hook = self._found(ask)
        for entry in self._box.events.log(hook.id):
            if str(entry["id"]) == ask.params["event"]:
                headers = entry["request_headers"]
                self._again(hook, headers["Idempotency-Key"].replace("-", ""), headers["X-Gitlab-Event"], entry)
                return Reply(201, {"response_status": 200})
        raise VendorError(404, "Not Found")

    def _again(self, hook: Hook, id_: str, event: str, entry: Json) -> None:
        body = json.dumps(entry["request_data"], ensure_ascii=False, separators=(",", ":")).encode()

        def sign(attempt: int, now: datetime) -> dict[str, str]:
            sending = Sending(hook, id_, event, body, attempt, now)
            return {"Content-Type": "application/json", **self._box.sign(sending)}

        self._box.deliveries.enqueue(Delivery(id_, event, hook.url, body, sign, self._box.clock.now()))
