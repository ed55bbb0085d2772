"""The part of a fake Bitbucket's API where webhooks are registered, for a workspace or a repository."""

from collections.abc import Callable, Sequence

from sandbox.bitbucket import webhooks
from sandbox.bitbucket.render import Json, iso
from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Hooks
from sandbox.http import NO_BODY, Reply
from sandbox.vendor import Ask, Endpoint

API = "/2.0"
HOME = API + "/repositories/{workspace}/{repo}"

LONGEST_SECRET = 128


class HookApi:
    """The endpoints. `place` finds the repository whose webhooks are meant (None: the workspace's), `listed` makes a
    page of rows."""

    def __init__(
        self, hooks: Hooks, place: Callable[[Ask], str | None], listed: Callable[..., Json], clock: Clock
    ) -> None:
        self._hooks, self._place, self._listed, self._clock = hooks, place, listed, clock

    def endpoints(self) -> Sequence[Endpoint]:
        """What can be done with webhooks."""
        table = [Endpoint("listHookEvents", "GET", API + "/hook_events/{subject}", self._hook_events)]
        for place, home in (("Workspace", API + "/workspaces/{workspace}/hooks"), ("Repository", HOME + "/hooks")):
            one = home + "/{hook}"
            table += [
                Endpoint(f"list{place}Hooks", "GET", home, self._hooks_there, "webhook"),
                Endpoint(f"create{place}Hook", "POST", home, self._register, "webhook"),
                Endpoint(f"update{place}Hook", "PUT", one, self._change_hook, "webhook"),
                Endpoint(f"delete{place}Hook", "DELETE", one, self._unregister, "webhook"),
            ]
        return table

    def _hook_events(self, ask: Ask) -> Json:
        events = webhooks.EVENTS.get(ask.params["subject"])
        if events is None:
            raise VendorError(404, "There is no such subject.")
        return self._listed(ask, events, lambda event: {"event": event, "category": event.partition(":")[0]})

    def _hooks_there(self, ask: Ask) -> Json:
        place = self._place(ask)
        return self._listed(ask, [hook for hook in self._hooks.live() if hook.container == place], webhooks.hook)

    def _register(self, ask: Ask) -> Reply:
        place, body = self._place(ask), ask.json("url", "events")
        more = {"created": iso(self._clock.now()), "description": body.get("description", "")}
        values = self._values(place, body) | {"container": place, "extra": more}
        made = self._hooks.register(body["url"], ask.user, **values)
        return Reply(201, webhooks.hook(made))

    def _values(self, place: str | None, body: Json) -> Json:
        """What a body says of a webhook. A secret that is not named stays, an empty one is taken away."""
        values: Json = {}
        if "events" in body:
            known = webhooks.EVENTS["workspace" if place is None else "repository"]
            strange = sorted(set(body["events"]) - set(known))
            if strange or not body["events"]:
                raise VendorError(400, f"Invalid events: {', '.join(strange) or 'none'}", field="events")
            values["events"] = frozenset(body["events"])
        if len(body.get("secret") or "") > LONGEST_SECRET:
            raise VendorError(400, "A secret has at most 128 characters.", field="secret")
        values |= {"enabled": body["active"]} if "active" in body else {}
        return values | ({"secret": body["secret"] or ""} if "secret" in body else {})

    def _hook(self, ask: Ask) -> Hook:
        place, found = self._place(ask), self._hooks.get(ask.params["hook"])
        if found.container != place:
            raise VendorError(404, "There is no such webhook here.")
        return found

    def _change_hook(self, ask: Ask) -> Json:
        found, body = self._hook(ask), ask.json()
        values = self._values(found.container, body) | ({"url": body["url"]} if "url" in body else {})
        return webhooks.hook(self._hooks.change(found.id, **values))

    def _unregister(self, ask: Ask) -> Reply:
        self._hooks.remove(self._hook(ask).id)
        return Reply(204, NO_BODY)
