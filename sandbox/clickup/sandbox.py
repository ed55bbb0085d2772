"""The ClickUp sandbox as one object: build it, serve it or call it in-process, act, break, look."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from sandbox.clickup import render, webhooks
from sandbox.clickup.render import Json, TaskRenderer
from sandbox.clickup.seed import FIELD_LISTS, LISTS, PRIORITIES, SPACE, STATUSES, WORKSPACE
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Sending
from sandbox.http import NO_BODY, Reply
from sandbox.limits import Rate, Window, usual_headers
from sandbox.oauth import OAuthRules
from sandbox.paging import by_number
from sandbox.switches import Switches
from sandbox.tracker import Change, Item, Tracker
from sandbox.vendor import Ask, Endpoint, TrackerSandbox, usual_people

PAGE = 100
API = "/api/v2"

CODES = {400: "INPUT_003", 401: "OAUTH_025", 403: "ACCESS_032", 404: "ITEM_013", 429: "APP_002"}
"""The codes of errors that have none of their own."""


@dataclass
class Settings(Switches):
    """The switches of a ClickUp sandbox, besides the usual ones.

    `oldest_first`: which value of `reverse` sorts so, "true" or "false"; "never": there is no order. `tells_last_page`:
    whether the Workspace's listing says so. `answers_markdown`: whether answers to writes hold it. `hidden_status`: how
    what somebody may not see is answered, 401 or 403. `custom_ids`: whether tasks have them. `lists_tell_statuses`:
    whether a List names the statuses it takes from its Space, too.
    """

    oldest_first: str = "true"
    tells_last_page: bool = True
    answers_markdown: bool = False
    hidden_status: int = 401
    custom_ids: bool = True
    lists_tell_statuses: bool = True


class ClickUpSandbox(TrackerSandbox):
    """A ClickUp Workspace; options as of `TrackerSandbox`."""

    name = "clickup"
    switches = Settings
    settings: Settings
    schemes = ("plain", "bearer")
    oauth_rules = OAuthRules((), refresh_life=timedelta(0), name="Sandbox ClickUp", code_alone=True)
    oauth_paths: ClassVar = {"authorize": "/api", "token": f"{API}/oauth/token", "revoke": ""}
    rate = Rate(100, 60.0)
    retry_rule = webhooks.RETRY_RULE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._events = webhooks.Events(self.tracker, self.hooks, self._renderer)
        self._secrets = self.rng("secrets")
        self.deliveries.settled.append(self._events.on_settled)

    def make_tracker(self) -> Tracker:
        """Task ids are short texts; a custom id begins with its List's name."""
        return Tracker(
            self.clock,
            users=usual_people(lambda number: str(182 + number)),
            containers=LISTS,
            statuses=STATUSES,
            priorities=PRIORITIES,
            new_id=lambda number: f"86c9{number:05x}",
            new_key=lambda home, number: f"{home.name[:3].upper()}-{number}",
        )

    def endpoints(self) -> Sequence[Endpoint]:
        """API v2."""
        return [
            Endpoint("getUser", "GET", f"{API}/user", lambda ask: {"user": self._person(ask.user)}),
            Endpoint("getTeams", "GET", f"{API}/team", lambda ask: {"teams": [self._workspace()]}),
            Endpoint("getSpace", "GET", f"{API}/space/{{space}}", self._space),
            Endpoint("getList", "GET", f"{API}/list/{{list}}", self._list),
            Endpoint("getTasks", "GET", f"{API}/list/{{list}}/task", self._list_tasks),
            Endpoint("getTeamTasks", "GET", f"{API}/team/{{team}}/task", self._team_tasks),
            Endpoint("createTask", "POST", f"{API}/list/{{list}}/task", self._create),
            Endpoint("getTask", "GET", f"{API}/task/{{task}}", self._get),
            Endpoint("updateTask", "PUT", f"{API}/task/{{task}}", self._update),
            Endpoint("deleteTask", "DELETE", f"{API}/task/{{task}}", self._delete),
            Endpoint("addTag", "POST", f"{API}/task/{{task}}/tag/{{tag}}", self._tag),
            Endpoint("removeTag", "DELETE", f"{API}/task/{{task}}/tag/{{tag}}", self._untag),
            Endpoint("getWebhooks", "GET", f"{API}/team/{{team}}/webhook", self._webhooks),
            Endpoint("createWebhook", "POST", f"{API}/team/{{team}}/webhook", self._register),
            Endpoint("updateWebhook", "PUT", f"{API}/webhook/{{hook}}", self._change_hook),
            Endpoint("deleteWebhook", "DELETE", f"{API}/webhook/{{hook}}", self._unregister),
        ]

    def error_reply(self, error: VendorError) -> Reply:
        """Words and a code."""
        return Reply(error.status, {"err": error.text, "ECODE": error.code or CODES.get(error.status, "APP_001")})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """An epoch in seconds; ClickUp does not say Retry-After."""
        return {name: value for name, value in usual_headers(window).items() if name != "Retry-After"}

    @staticmethod
    def new_hook_id(number: int) -> str:
        """A UUID."""
        return f"7fa3ec74-0000-4000-8000-{number:012d}"

    def on_change(self, change: Change) -> None:
        """Tell the hooks."""
        self._events.on_change(change)

    def sign(self, sending: Sending) -> dict[str, str]:
        """See `webhooks.sign`."""
        return webhooks.sign(sending)

    # Who and where

    def _renderer(self) -> TaskRenderer:
        return TaskRenderer(self.tracker, self.url, self.settings.custom_ids)

    def _person(self, user: str) -> Json:
        return render.person(self.tracker.users[user])

    def _workspace(self) -> Json:
        members = [{"user": render.person(user)} for user in self.tracker.users.values() if user.active]
        return {"id": WORKSPACE, "name": "Apex", "color": "#536cfe", "avatar": None, "members": members}

    def _hidden(self) -> VendorError:
        return VendorError(self.settings.hidden_status, "Team not authorized", code="OAUTH_027")

    def _in_team(self, ask: Ask) -> None:
        if ask.params["team"] != WORKSPACE:
            raise self._hidden()

    def _home(self, ask: Ask) -> str:
        """The List of the path, if the caller may see it."""
        home = self.tracker.containers.get(ask.params["list"])
        if home is None:
            raise VendorError(404, "List not found")
        if home.members is not None and ask.user not in home.members:
            raise self._hidden()
        return home.id

    def _space(self, ask: Ask) -> Json:
        if ask.params["space"] != SPACE:
            raise VendorError(404, "Space not found")
        statuses = [render.status(value, order) for order, value in enumerate(self.tracker.statuses_of(LISTS[0].id))]
        known = {"id": SPACE, "name": "Engineering", "private": False, "archived": False, "statuses": statuses}
        return known | {"multiple_assignees": True, "features": {"tags": {"enabled": True}}}

    def _list(self, ask: Ask) -> Json:
        found = render.a_list(self.tracker, self.tracker.containers[self._home(ask)])
        return found if self.settings.lists_tell_statuses else found | {"override_statuses": False, "statuses": []}

    # Reading tasks

    def _task(self, ask: Ask) -> Item:
        """The task of the path, by its id or its custom id."""
        wanted = ask.params["task"]
        custom = ask.call.query.get("custom_task_ids") == "true"
        if custom and ask.call.query.get("team_id") != WORKSPACE:
            raise VendorError(400, "team_id is needed with custom_task_ids")
        for item in self.tracker.items.values():
            if wanted == (item.key if custom else item.id):
                if not self.tracker.visible(item, ask.user):
                    raise self._hidden()
                return item
        raise VendorError(404, "Task not found, deleted")

    def _asks_markdown(self, ask: Ask) -> bool:
        return ask.call.query.get("include_markdown_description") == "true"

    def _get(self, ask: Ask) -> Json:
        return self._renderer().task(self._task(ask), self._asks_markdown(ask))

    def _team_tasks(self, ask: Ask) -> Json:
        """Archived tasks are never in it."""
        self._in_team(ask)
        lists = ask.call.queries.get("list_ids[]")
        rows = [item for item in self._matching(ask) if not item.extra.get("archived")]
        answer = self._page(ask, [item for item in rows if lists is None or item.container in lists])
        return answer if self.settings.tells_last_page else {"tasks": answer["tasks"]}

    def _list_tasks(self, ask: Ask) -> Json:
        home, archived = self._home(ask), ask.call.query.get("archived") == "true"
        rows = [i for i in self._matching(ask) if i.container == home and bool(i.extra.get("archived")) == archived]
        return self._page(ask, rows)

    def _page(self, ask: Ask, rows: list[Item]) -> Json:
        size = self.settings.page_limit if self.settings.page_limit and self.settings.tells_last_page else PAGE
        page = by_number(self._sorted(ask, rows), ask.number("page", 0), min(size, PAGE), first=0)
        renderer, markdown = self._renderer(), self._asks_markdown(ask)
        return {"tasks": [renderer.task(item, markdown) for item in page.rows], "last_page": page.next is None}

    def _sorted(self, ask: Ask, rows: list[Item]) -> list[Item]:
        """By the asked time, the newest first or last; without an order, scattered but the same every time."""
        if self.settings.oldest_first == "never":
            return sorted(rows, key=lambda item: (int(item.id, 16) * 7919) % 104729)
        updated = ask.call.query.get("order_by", "created") == "updated"
        forward = ask.call.query.get("reverse", "false") == self.settings.oldest_first
        return sorted(rows, key=lambda item: item.updated if updated else item.created, reverse=not forward)

    def _matching(self, ask: Ask) -> list[Item]:
        """What the filters of both listings leave."""
        query, queries = ask.call.query, ask.call.queries
        after, until = ask.number("date_updated_gt", -1), ask.number("date_updated_lt", 2**62)
        fields = _custom_fields(query.get("custom_fields", "[]"))
        return [
            item
            for item in self.listed(ask)
            if after < int(render.millis(item.updated)) < until
            and (query.get("include_closed") == "true" or self.tracker.statuses[item.status].kind != "closed")
            and (query.get("subtasks") == "true" or item.extra.get("parent") is None)
            and set(queries.get("tags[]", ())) <= set(render.tags(item))
            and all(item.extra.get("fields", {}).get(field) == value for field, value in fields.items())
        ]

    # Writing tasks

    def _create(self, ask: Ask) -> Json:
        home, body = self._home(ask), ask.json("name")
        people = [str(id_) for id_ in body.get("assignees", ())]
        extra = {
            "tags": tuple(name.lower() for name in body.get("tags", ())),
            "fields": {f["id"]: f["value"] for f in body.get("custom_fields", ()) if home in FIELD_LISTS},
            "parent": body.get("parent"),
        }
        held = _held_by(people)
        values = self._values(home, body) | held | {"extra": extra | held["extra"]}
        made = self.tracker.create(ask.user, home, **values)
        return self._renderer().task(made, self.settings.answers_markdown)

    def _update(self, ask: Ask) -> Json:
        item, body = self._task(ask), ask.json()
        values = self._values(item.container, body)
        if "assignees" in body:
            change = body["assignees"]
            if not isinstance(change, dict) or not {"add", "rem"} <= change.keys():
                raise VendorError(400, "Assignees must be an object with add and rem", code="INPUT_010")
            added, gone = ([str(id_) for id_ in change[name]] for name in ("add", "rem"))
            values |= _held_by([id_ for id_ in {*render.assignees(item), *added} if id_ not in gone])
        if "archived" in body:
            values["extra"] = {**values.get("extra", {}), "archived": body["archived"]}
        changed = self.tracker.update(ask.user, item.id, **values)
        return self._renderer().task(changed, self.settings.answers_markdown)

    def _values(self, home: str, body: Json) -> Json:
        """The tracker's values of what both ways of writing share."""
        values: Json = {}
        if "name" in body:
            values["title"] = body["name"]
        text = body.get("markdown_content") or body.get("description")
        if text:
            values["description"] = text.strip()
        if body.get("status"):
            values["status"] = self._status(home, body["status"])
        if "priority" in body:
            values["priority"] = None if body["priority"] is None else str(body["priority"])
        return values

    def _status(self, home: str, name: str) -> str:
        for status in self.tracker.statuses_of(home):
            if status.name.lower() == str(name).lower():
                return status.id
        raise VendorError(400, "Status not found", code="ITEM_114")

    def _delete(self, ask: Ask) -> Reply:
        self.tracker.delete(ask.user, self._task(ask).id)
        return Reply(204, NO_BODY)

    def _tag(self, ask: Ask) -> Json:
        item, name = self._task(ask), ask.params["tag"].lower()
        named = tuple(dict.fromkeys([*render.tags(item), name]))
        self.tracker.update(ask.user, item.id, extra={"tags": named})
        return {}

    def _untag(self, ask: Ask) -> Json:
        item = self._task(ask)
        left = tuple(name for name in render.tags(item) if name != ask.params["tag"].lower())
        self.tracker.update(ask.user, item.id, extra={"tags": left})
        return {}

    # Webhooks

    def _webhooks(self, ask: Ask) -> Json:
        self._in_team(ask)
        return {"webhooks": [render.hook(hook) for hook in self.hooks.live(ask.user)]}

    def _register(self, ask: Ask) -> Json:
        self._in_team(ask)
        body = ask.json("endpoint", "events")
        list_id = body.get("list_id")
        made = self.hooks.register(
            body["endpoint"],
            ask.user,
            secret=f"{self._secrets.getrandbits(256):064X}",
            events=frozenset(body["events"]),
            container=None if list_id is None else str(list_id),
            extra=webhooks.HEALTHY,
        )
        return {"id": made.id, "webhook": render.hook(made)}

    def _mine(self, ask: Ask) -> Hook:
        hook = self.hooks.get(ask.params["hook"])
        if hook.owner != ask.user:
            raise VendorError(404, "Webhook not found")
        return hook

    def _change_hook(self, ask: Ask) -> Json:
        body = ask.json("endpoint", "events", "status")
        events = [body["events"]] if isinstance(body["events"], str) else body["events"]
        active, hook = body["status"] == "active", self._mine(ask)
        health = webhooks.HEALTHY if active else {**hook.extra, "status": "inactive"}
        changed = self.hooks.change(
            hook.id, url=body["endpoint"], events=frozenset(events), enabled=active, extra=health
        )
        return {"id": changed.id, "webhook": render.hook(changed)}

    def _unregister(self, ask: Ask) -> Json:
        self.hooks.remove(self._mine(ask).id)
        return {}


def _held_by(people: list[str]) -> Json:
    """The tracker knows one assignee; ClickUp's others are beside it."""
    known = sorted(set(people), key=int)
    return {"assignee": known[0] if known else None, "extra": {"others": tuple(known[1:])}}


def _custom_fields(text: str) -> dict[str, str]:
    """Field -> the value it must have. Only the operator `=` is known. Raises VendorError 400."""
    try:
        wanted = json.loads(text)
        return {entry["field_id"]: entry["value"] for entry in wanted if entry["operator"] == "="}
    except (ValueError, TypeError, KeyError):
        raise VendorError(400, "custom_fields is not valid", code="INPUT_003") from None
