"""The Datadog sandbox as one object: build it, serve it or call it in-process, act, break, look."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from sandbox.base import perform
from sandbox.datadog.hookapi import DEFAULT_PAYLOAD, HookApi
from sandbox.datadog.metrics import Metric, answer
from sandbox.datadog.monitors import ALERT, NO_DATA, OK, TRANSITIONS, Going, Group, Json, Monitor, filled, variables
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Sending
from sandbox.http import NO_BODY, Reply
from sandbox.limits import Rate, Window
from sandbox.paging import by_number
from sandbox.switches import Switches
from sandbox.tracker import Change, Item, Tracker
from sandbox.vendor import API_TOKEN, Ask, Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import RetryRule

APPLICATION_KEY = "sandbox-application-key-0123456789abcdef"
SITE = "datadoghq.com"

MOST_OF_A_PAGE = 1000
FIRST_MONITOR = 1001

ACTIONS = frozenset({"trigger", "recover", "renotify", "mute", "unmute", "add_monitor", "delete_monitor", "add_metric"})
"""What people and time do there."""

_MENTION = re.compile(r"@webhook-([\w.-]+)")


@dataclass
class Settings(Switches):
    """The switches of a Datadog sandbox, besides the usual ones: what the application key may do."""

    may_read: bool = True
    may_register: bool = True


class DatadogSandbox(TrackerSandbox):
    """An organization; options as of `TrackerSandbox`. Monitors tell the webhooks their message mentions, and those of
    the notification rules that fit."""

    name = "datadog"
    switches = Settings
    settings: Settings
    schemes = ("plain",)
    token_header = "dd-api-key"
    rate = Rate(100, 60.0)
    retry_rule = RetryRule(((1.0, 60.0),) * 5, lambda status: status >= 500)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.monitors: dict[int, Monitor] = {}
        self.metrics: dict[str, Metric] = {}
        self.goings: list[Going] = []
        self._events = 0
        for monitor in _usual_monitors():
            self.monitors[monitor.id] = monitor
        for metric in (Metric("system.cpu.user", unit="percent"), Metric("payments.latency", 250, 50, unit="second")):
            self.metrics[metric.name] = metric

    def make_tracker(self) -> Tracker:
        """People, and nothing else."""
        return Tracker(self.clock, users=usual_people(), containers=(), statuses=())

    def on_change(self, change: Change) -> None:
        """There are no items."""

    def ways_in(self) -> dict[str, str]:
        """Both keys."""
        return {"API key": API_TOKEN, "Application key": APPLICATION_KEY}

    # --- what people and time do --------------------------------------------------------------------

    def plant(self, count: int, container: str | None = None) -> list[Item]:
        """So many more monitors, all well."""
        for number in range(count):
            self.add_monitor(f"Planted {number + 1}", tags=["team:planted"])
        return []

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person; see ACTIONS. Raises ControlError."""
        with self.tracker.lock:
            self.tracker.user(person)
            made = perform(lambda: self, ACTIONS, action, arguments, VendorError)
        return {"monitor": made.id} if isinstance(made, Monitor) else {"done": action}

    def add_monitor(self, name: str, **fields: Any) -> Monitor:
        """Another monitor; `fields` are those of `Monitor`."""
        number = max(self.monitors, default=FIRST_MONITOR) + 1
        usual = {"query": "avg(last_5m):avg:system.cpu.user{*} > 90", "groups": {"*": Group("*")}}
        self.monitors[number] = Monitor(number, name, **{**usual, **fields})
        return self.monitors[number]

    def add_metric(self, name: str, **fields: Any) -> None:
        """Another metric, or a metric anew; `fields` are those of `Metric`."""
        self.metrics[name] = Metric(name, **fields)

    def delete_monitor(self, monitor: int) -> None:
        """It is gone."""
        found = self._monitor(monitor)
        for going in self._going(found):
            going.ended = self._seconds()
        del self.monitors[found.id]

    def trigger(self, monitor: int, group: str = "", state: str = ALERT) -> Monitor:
        """A group comes to a state: it fires, or fires on."""
        found = self._monitor(monitor)
        one, now = found.group(group), self._seconds()
        if one.status == state:
            return self.renotify(monitor, group)
        if one.status == OK:
            one.cycle = str(self.rng(f"cycle {found.id} {one.name} {now}").getrandbits(63))
            self.goings.append(Going(found.id, one.name, now, []))
        for going in self._going(found, one):
            going.states.append(state)
        one.status = state
        if state == NO_DATA:
            one.last_nodata_ts = now
        else:
            one.last_triggered_ts = now
        self._changed(found, one, TRANSITIONS[state])
        return found

    def recover(self, monitor: int, group: str = "") -> Monitor:
        """A group is well again."""
        found = self._monitor(monitor)
        one = found.group(group)
        if one.status != OK:
            one.status, one.last_resolved_ts = OK, self._seconds()
            for going in self._going(found, one):
                going.ended = one.last_resolved_ts
            self._changed(found, one, TRANSITIONS[OK])
        return found

    def renotify(self, monitor: int, group: str = "") -> Monitor:
        """It is said once more that a group fires."""
        found = self._monitor(monitor)
        one = found.group(group)
        self._tell(found, one, f"Re-{TRANSITIONS[one.status]}")
        return found

    def mute(self, monitor: int, scope: str = "*", seconds: int | None = None, downtime: bool = False) -> Monitor:
        """Nobody is told of a scope, for so many seconds or for good; by a downtime, or in the monitor itself."""
        found = self._monitor(monitor)
        until = None if seconds is None else self._seconds() + seconds
        if downtime:
            number = len(found.downtimes) + 1
            found.downtimes.append({"id": number, "scope": scope.split(","), "start": self._seconds(), "end": until})
        else:
            found.silenced[scope] = until
        return found

    def unmute(self, monitor: int) -> Monitor:
        """Everybody is told again."""
        found = self._monitor(monitor)
        found.silenced.clear()
        found.downtimes.clear()
        return found

    def _going(self, monitor: Monitor, group: Group | None = None) -> list[Going]:
        """What goes wrong of a monitor, or of one group of it."""
        mine = (one for one in self.goings if one.monitor == monitor.id and one.ended is None)
        return [one for one in mine if group is None or one.group == group.name]

    def _monitor(self, number: int) -> Monitor:
        found = self.monitors.get(int(number))
        if found is None:
            raise VendorError(404, "Monitor not found")
        return found

    def _seconds(self) -> int:
        return int(self.clock.now().timestamp())

    # --- telling ------------------------------------------------------------------------------------

    def _changed(self, monitor: Monitor, group: Group, transition: str) -> None:
        monitor.modified = self.clock.now().isoformat()
        if transition != TRANSITIONS[NO_DATA] or monitor.notify_no_data:
            self._tell(monitor, group, transition)

    def _tell(self, monitor: Monitor, group: Group, transition: str) -> None:
        """The webhooks that are mentioned or recipients, unless it is muted."""
        tags = {*monitor.tags, *group.name.split(","), monitor.filter}
        if self._is_muted(monitor, tags):
            return
        group.last_notified_ts = self._seconds()
        self._events += 1
        event = str(6_327_818_702_635_911_000 + self._events)
        values = variables(monitor, group, transition, event, self.clock.now(), f"app.{SITE}")
        named = {*_MENTION.findall(monitor.message), *self.hook_api.recipients(tags)}
        for hook in self.hooks.live():
            if hook.extra["name"] in named:
                self.hooks.send(hook, transition, partial(_body, values))

    def _is_muted(self, monitor: Monitor, tags: set[str]) -> bool:
        now = self._seconds()
        scopes = [(scope.split(","), until) for scope, until in monitor.silenced.items()]
        scopes += [(one["scope"], one["end"]) for one in monitor.downtimes if one["start"] <= now]
        return any((until is None or until > now) and ({*scope} - {"*"}) <= tags for scope, until in scopes)

    def sign(self, sending: Sending) -> dict[str, str]:
        """The custom headers, with their variables filled in: the proof of a delivery, if there is any."""
        headers = json.loads(sending.hook.extra.get("custom_headers") or "{}")
        return {name: filled(value, self.hook_api.secrets()) for name, value in headers.items()}

    # --- the API ------------------------------------------------------------------------------------

    @cached_property
    def hook_api(self) -> HookApi:
        """The calls about webhooks, and what is kept beside them."""
        return HookApi(self.hooks, self.clock)

    def endpoints(self) -> Sequence[Endpoint]:
        """API v1 and v2, as far as a connector needs it."""
        read = partial(self._allowed, "may_read")
        table: list[tuple[str, str, str, Callable[[Ask], Any]]] = [
            ("validate", "GET", "/api/v1/validate", lambda ask: {"valid": True}),
            ("listMonitors", "GET", "/api/v1/monitor", partial(read, self._list)),
            ("getMonitor", "GET", "/api/v1/monitor/{monitor:int}", partial(read, self._get)),
            ("queryTimeseries", "POST", "/api/v2/query/timeseries", partial(read, self._timeseries)),
        ]
        registers = partial(self._allowed, "may_register")
        hooks = [replace(one, handler=partial(registers, one.handler)) for one in self.hook_api.endpoints()]
        return [*(Endpoint(*row) for row in table), *hooks]

    def _allowed(self, switch: str, do: Callable[[Ask], Any], ask: Ask) -> Any:
        """Only with the application key, and if that may."""
        if ask.call.headers.get("dd-application-key") != APPLICATION_KEY:
            raise VendorError(403, "Forbidden")
        if not getattr(self.settings, switch):
            raise VendorError(403, "Failed permission authorization checks")
        return do(ask)

    def error_reply(self, error: VendorError) -> Reply:
        """`{"errors": ["…"]}`; keys that are not known are a 403, and what is too much has no body."""
        if error.status == 429:
            return Reply(429, NO_BODY)
        if error.status == 401:
            return Reply(403, {"errors": ["Forbidden"]})
        return Reply(error.status, {"errors": [error.text]})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """The endpoint's window; `Reset` are seconds from now, and there is no `Retry-After`."""
        return {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Period": str(int(self.rate.seconds)),
            "X-RateLimit-Remaining": str(window.left),
            "X-RateLimit-Reset": str(window.wait),
            "X-RateLimit-Name": "sandbox",
        }

    def _list(self, ask: Ask) -> list[Json]:
        """A bare list; without `page` all there is."""
        states = {state for state in ask.call.query.get("group_states", "").split(",") if state} or None
        wanted = {tag for tag in ask.call.query.get("monitor_tags", "").split(",") if tag}
        rows = [one for one in self.monitors.values() if wanted <= set(one.tags)]
        if "page" in ask.call.query:
            size = min(ask.number("page_size", 100), MOST_OF_A_PAGE)
            rows = list(by_number(rows, ask.number("page", 0), size, first=0).rows)
        downtimes = ask.call.query.get("with_downtimes") == "true"
        return [one.json(states, downtimes) for one in rows]

    def _get(self, ask: Ask) -> Json:
        states = {state for state in ask.call.query.get("group_states", "").split(",") if state} or None
        found = self._monitor(int(ask.params["monitor"]))
        return found.json(states, ask.call.query.get("with_downtimes") == "true")

    def _timeseries(self, ask: Ask) -> Json:
        data = ask.json("data")["data"]
        if data.get("type") != "timeseries_request":
            raise VendorError(400, 'Invalid type. Expected "timeseries_request".')
        told = answer(data.get("attributes", {}), self.metrics, self.clock.now().timestamp())
        return {"data": {"id": "0", "type": "timeseries_response", "attributes": told}}

    def state(self) -> dict[str, Any]:
        """Monitors with their groups, metrics, and webhooks without secrets."""
        with self.tracker.lock:
            return {
                "now": self.clock.now().isoformat(),
                "monitors": [one.json({"all"}, downtimes=True) for one in self.monitors.values()],
                "metrics": sorted(self.metrics),
                "webhooks": [{"name": hook.extra["name"], "url": hook.url} for hook in self.hooks.live()],
                "notification_rules": self.hook_api.rules_json(),
            }


def _body(values: dict[str, str], hook: Hook, _delivery: str) -> Json:
    body: Json = json.loads(filled(hook.extra.get("payload") or DEFAULT_PAYLOAD, values))
    return body


def _usual_monitors() -> list[Monitor]:
    return [
        Monitor(
            FIRST_MONITOR,
            "Payments are slow",
            "avg(last_5m):avg:payments.latency{env:prod} by {service,zone} > 2",
            "p95 is above 2 s.",
            ["team:payments", "service:payments"],
            priority=2,
            by=("service", "zone"),
            filter="env:prod",
        ),
        Monitor(
            FIRST_MONITOR + 1,
            "CPU is high",
            "avg(last_5m):avg:system.cpu.user{env:prod} > 90",
            "The processors are busy.",
            ["team:platform"],
            filter="env:prod",
            notify_no_data=True,
            groups={"*": Group("*")},
        ),
    ]
