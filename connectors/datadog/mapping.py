"""What Datadog says of monitors, in the contract's terms. Pure; webhooks and polls read by the same rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from connectors.contract import Alert, AlertRef, AlertState, Severity
from connectors.datadog.config import SITES
from connectors.times import moment

NO_DATA = "No Data"
FIRING = ("Alert", "Warn", NO_DATA)
"""States of a group in which something is wrong; `Ignored`, `Skipped` and `Unknown` say nothing."""

BY_PRIORITY = {1: Severity.CRITICAL, 2: Severity.HIGH, 3: Severity.MEDIUM, 4: Severity.LOW, 5: Severity.LOW}
BY_STATE = {"Warn": Severity.MEDIUM, NO_DATA: Severity.MEDIUM}

ALL = "*"
"""The one group of a monitor without groups, and the scope of a downtime of everything."""

_GROUPED = re.compile(r"\bby\s*[{(]([^})]*)[})]")
_FILTERED = re.compile(r"\w+:[\w.]+\{([^{}]*)\}")
_PLAIN_TAG = re.compile(r"[\w.-]+:[\w./-]+")
_MENTION = re.compile(r"\s*@[\w.@-]+")

Tags = Mapping[str, Sequence[str]]


class Group(msgspec.Struct):
    """A monitor's group: its state, and when it came to it (epoch seconds; None where it never did)."""

    status: str = "Unknown"
    last_triggered_ts: float | None = None
    last_resolved_ts: float | None = None
    last_nodata_ts: float | None = None


class State(msgspec.Struct):
    """The groups by their names: tags joined with commas, or ALL."""

    groups: dict[str, Group] | None = None


class Options(msgspec.Struct):
    """`silenced`: scope -> until when (epoch seconds; None: for good)."""

    silenced: dict[str, float | None] | None = None
    notify_no_data: bool | None = None
    on_missing_data: str | None = None


class Downtime(msgspec.Struct):
    """A time in which nobody is to be told; epoch seconds."""

    scope: list[str] = []
    start: float | None = None
    end: float | None = None


class Monitor(msgspec.Struct):
    """A monitor as its listing has it."""

    id: int
    name: str
    query: str = ""
    message: str = ""
    tags: list[str] = []
    priority: int | None = None
    overall_state: str | None = None
    overall_state_modified: str | None = None
    options: Options = msgspec.field(default_factory=Options)
    state: State | None = None
    matching_downtimes: list[Downtime] | None = None

    @property
    def tells_no_data(self) -> bool:
        """Whether it notifies when its data is missing."""
        return bool(self.options.notify_no_data) or self.options.on_missing_data == "show_and_notify_no_data"

    def groups(self) -> Mapping[str, Group]:
        """Its groups by canonical scope. One of which Datadog tells no groups is a group itself."""
        told = (self.state.groups if self.state else None) or {}
        if told:
            return {scope_of(name, self.query): group for name, group in told.items()}
        return {} if self.overall_state is None else {"": self._itself()}

    def _itself(self) -> Group:
        at = self.overall_state_modified and moment(self.overall_state_modified).timestamp()
        return Group(self.overall_state or "Unknown", at or None, at or None, at or None)


# --- words shared with the webhook --------------------------------------------------------------------


def scope_of(told: str, query: str) -> str:
    """The tags that name a group, sorted; "" for none. `told` are tags joined with commas, among which a delivery may
    have those the monitor is filtered by: its query says which tags it is grouped by."""
    tags = {tag.strip().lower() for tag in told.split(",")} - {"", ALL}
    keys = {key.strip(" \"'").lower() for found in _GROUPED.findall(query) for key in found.split(",")}
    if keys or _FILTERED.search(query):
        tags = {tag for tag in tags if tag.partition(":")[0] in keys}
    return ",".join(sorted(tags))


def filtered_by(query: str) -> Iterator[str]:
    """The tags everything a query reads has: a monitor of one service need not be grouped, or tagged, by it."""
    tags = (tag.strip() for found in _FILTERED.findall(query) for tag in found.split(","))
    return (tag for tag in tags if _PLAIN_TAG.fullmatch(tag))


def tagged(tags: Iterable[str]) -> Tags:
    """Key -> values, sorted; a tag without a value is a key with none."""
    found: dict[str, set[str]] = {}
    for tag in tags:
        key, colon, value = tag.strip().lower().partition(":")
        if key:
            found.setdefault(key, set()).update([value] if colon and value else [])
    return {key: tuple(sorted(values)) for key, values in found.items()}


def severity_of(priority: int | None, state: str) -> Severity:
    """By the monitor's priority (1 to 5); without one, by what it came to."""
    return BY_PRIORITY.get(priority or 0) or BY_STATE.get(state, Severity.HIGH)


def page_of(host: str, monitor: str) -> str:
    """A monitor's page: it lasts, while the page of an event or a snapshot does not."""
    return f"https://{host}/monitors/{monitor}"


def app_host(site: str) -> str:
    """Where a site's pages are: those named after a region have no `app.` before them."""
    return f"app.{site}" if site.count(".") == 1 else site


def host_of(link: str) -> str:
    """The host of a link into Datadog (an organization may have a name of its own there); "" for any other."""
    try:
        parts = urlsplit(link)
        host = parts.hostname or ""
    except ValueError:
        return ""
    ours = any(host == site or host.endswith(f".{site}") for site in SITES)
    return host if ours and parts.scheme == "https" else ""


# --- what a poll makes of a monitor -------------------------------------------------------------------


def firing(monitor: Monitor, site: str, now: datetime) -> Iterator[Alert]:
    """An alert for each group that fires and is not muted."""
    for scope, group in monitor.groups().items():
        if _fires(monitor, group) and not muted(monitor, scope, now):
            yield _alert(monitor, scope, group, site, now)


def standing(monitor: Monitor, scope: str, site: str, now: datetime) -> Alert | None:
    """How a group stands now, muted or not; None where its state says nothing. A group that is not there any more is
    over."""
    group = monitor.groups().get(scope)
    if group is None:
        return _over(monitor, scope, site, now)
    if group.status == "OK":
        return _over(monitor, scope, site, _at(group.last_resolved_ts, now))
    return _alert(monitor, scope, group, site, now) if _fires(monitor, group) else None


def gone(ref: AlertRef, site: str, now: datetime) -> Alert:
    """A monitor that was deleted: nothing fires any more."""
    title = f"Monitor {ref.monitor} was deleted"
    return Alert(ref, AlertState.OVER, Severity.HIGH, title, "", page_of(app_host(site), ref.monitor), now)


def muted(monitor: Monitor, scope: str, now: datetime) -> bool:
    """Whether somebody silenced the monitor or the group, or a downtime is under way that fits it."""
    at, tags = now.timestamp(), tagged(scope.split(","))
    silenced = (monitor.options.silenced or {}).items()
    downtimes = monitor.matching_downtimes or ()
    times = [Downtime(name.split(","), None, until) for name, until in silenced]
    return any(_under_way(one, at) and _fits(one.scope, tags) for one in (*times, *downtimes))


def _under_way(one: Downtime, at: float) -> bool:
    return (one.start or 0) <= at and (one.end is None or at < one.end)


def _fits(names: Sequence[str], tags: Tags) -> bool:
    """Whether a downtime's scope is a group's. Of tags the group does not have, the monitor as a whole has them: only
    matching downtimes are told."""
    wanted = tagged(name for name in names if name != ALL)
    return all(set(values) <= set(tags[key]) for key, values in wanted.items() if key in tags)


def _fires(monitor: Monitor, group: Group) -> bool:
    return group.status in FIRING and (group.status != NO_DATA or monitor.tells_no_data)


def _alert(monitor: Monitor, scope: str, group: Group, site: str, now: datetime) -> Alert:
    seconds = group.last_nodata_ts if group.status == NO_DATA else group.last_triggered_ts
    return _made(monitor, scope, AlertState.FIRING, group.status, site, _at(seconds, now))


def _over(monitor: Monitor, scope: str, site: str, at: datetime) -> Alert:
    return _made(monitor, scope, AlertState.OVER, "OK", site, at)


def _made(monitor: Monitor, scope: str, state: AlertState, status: str, site: str, at: datetime) -> Alert:
    number = str(monitor.id)
    return Alert(
        ref=AlertRef(number, scope),
        state=state,
        severity=severity_of(monitor.priority, status),
        title=monitor.name,
        # A text with conditions says nothing before it is rendered, and only deliveries have it rendered.
        text="" if "{{" in monitor.message else _MENTION.sub("", monitor.message).strip(),
        url=page_of(app_host(site), number),
        at=at,
        tags=tagged([*monitor.tags, *scope.split(","), *filtered_by(monitor.query)]),
    )


def _at(seconds: float | None, now: datetime) -> datetime:
    return now if not seconds else datetime.fromtimestamp(int(seconds), UTC)
