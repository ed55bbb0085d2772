"""What the fake GitHub answers about webhooks: those of a repository, and the logs of theirs and of the App's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.code.values import Repo
from sandbox.errors import VendorError
from sandbox.github.deeds import Deeds
from sandbox.github.render import Json, Renderer, iso
from sandbox.hooks import Hook, Hooks
from sandbox.http import Call, Reply
from sandbox.tracker import Tracker
from sandbox.vendor import Ask
from sandbox.webhooks import Delivery, DeliveryState, Dispatcher

MOST = 100


class HookApi:
    """Registering, the logs, and sending again. The App's hook is the one no repository has."""

    def __init__(self, hooks: Hooks, deeds: Deeds, dispatcher: Dispatcher, tracker: Tracker, render: Renderer) -> None:
        self._hooks, self._deeds, self._dispatcher = hooks, deeds, dispatcher
        self._clock, self._render = tracker.clock, render

    def all(self, repo: Repo) -> list[Json]:
        """A repository's hooks."""
        return [self._json(hook) for hook in self._hooks.live() if hook.container == str(repo.id)]

    def create(self, ask: Ask, repo: Repo) -> Reply:
        """Make one; a form is what it sends by default."""
        body = ask.json("name", "config")
        config = {"content_type": "form", "insecure_ssl": "0", **body["config"]}
        if body["name"] != "web" or not config.get("url"):
            raise VendorError(422, "Validation Failed")
        taken = [hook for hook in self._hooks.live() if hook.container == str(repo.id) and hook.url == config["url"]]
        if taken:
            raise VendorError(422, "Validation Failed: Hook already exists on this repository")
        hook = self._hooks.register(
            config["url"],
            ask.user,
            secret=config.pop("secret", ""),
            events=frozenset(body.get("events", ["push"])),
            container=str(repo.id),
            enabled=body.get("active", True),
            extra={"config": config},
        )
        self._deeds.ping(hook)
        return Reply(201, self._json(hook))

    def update(self, ask: Ask, repo: Repo) -> Json:
        """Change one; a config is replaced as a whole."""
        hook, body = self._hook(ask.params, repo), ask.json()
        values: dict[str, Any] = {}
        if "config" in body:
            config = {"content_type": "form", "insecure_ssl": "0", **body["config"]}
            values |= {"secret": config.pop("secret", ""), "url": config["url"], "extra": {"config": config}}
        if "events" in body:
            values["events"] = frozenset(body["events"])
        if "active" in body:
            values["enabled"] = body["active"]
        return self._json(self._hooks.change(hook.id, **values))

    def delete(self, ask: Ask, repo: Repo) -> Reply:
        """Remove one."""
        self._hooks.remove(self._hook(ask.params, repo).id)
        return Reply(204)

    def log(self, call: Call, params: Mapping[str, str], repo: Repo | None) -> Reply:
        """Attempts, newest first, after the opaque `cursor` of a link."""
        hook = self._hook(params, repo)
        rows = self._deeds.log(hook)
        size = min(int(call.query.get("per_page", 30)), MOST)
        after = call.query.get("cursor", "")
        if after:
            rows = [row for row in rows if row[0] < int(after.removeprefix("v1_"))]
        page = rows[:size]
        said = {}
        if len(rows) > size:
            said["Link"] = f'<{call.base_url}{call.path}?per_page={size}&cursor=v1_{page[-1][0]}>; rel="next"'
        number = repo.id if repo else None
        return Reply(200, [self._deeds.entry(n, delivery, hook, number) for n, delivery in page], said)

    def redeliver(self, params: Mapping[str, str], repo: Repo | None) -> Reply:
        """Send one again, now."""
        self._deeds.redeliver(self._hook(params, repo), int(params["delivery"]), self._again)
        return Reply(202, {})

    def _again(self, delivery: Delivery) -> None:
        now = self._clock.now()
        self._dispatcher.enqueue(replace(delivery, due=now, state=DeliveryState.PENDING, attempts=[], bent=[]))

    def _hook(self, params: Mapping[str, str], repo: Repo | None) -> Hook:
        """The hook of a repository, or the App's. Raises VendorError 404."""
        container = str(repo.id) if repo else None
        for hook in self._hooks.live():
            if hook.container == container and (repo is None or hook.id == params["hook"]):
                return hook
        raise VendorError(404, "Not Found")

    def _json(self, hook: Hook) -> Json:
        """A hook; its secret is not shown."""
        api = f"{self._render.url}/repositories/{hook.container}/hooks/{hook.id}"
        now = iso(self._clock.now())
        secret = {"secret": "********"} if hook.secret else {}
        return {
            "type": "Repository",
            "id": int(hook.id),
            "name": "web",
            "active": hook.enabled,
            "events": sorted(hook.events),
            "config": {**hook.extra["config"], **secret},
            "updated_at": now,
            "created_at": now,
            "url": api,
            "test_url": f"{api}/test",
            "ping_url": f"{api}/pings",
            "deliveries_url": f"{api}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None},
        }
