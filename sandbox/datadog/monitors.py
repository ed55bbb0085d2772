"""Monitors and their groups, and what is told of them: the variables a webhook's template may name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]

OK, ALERT, WARN, NO_DATA = "OK", "Alert", "Warn", "No Data"
WORST = (ALERT, WARN, NO_DATA, OK)
TRANSITIONS = {ALERT: "Triggered", WARN: "Warn", NO_DATA: "No Data", OK: "Recovered"}
TYPES = {ALERT: "error", WARN: "warning", NO_DATA: "warning", OK: "success"}
ORG = {"id": 11287, "name": "Apex"}

_VARIABLE = re.compile(r"\$([A-Z][A-Z0-9_]*)(?:\[(\w+)\])?")


@dataclass
class Group:
    """One group of a monitor; times are epoch seconds."""

    name: str
    status: str = OK
    cycle: str = ""
    last_triggered_ts: int | None = None
    last_resolved_ts: int | None = None
    last_notified_ts: int | None = None
    last_nodata_ts: int | None = None

    def json(self) -> Json:
        """As a monitor's state has it."""
        names = ("name", "status", "last_triggered_ts", "last_resolved_ts", "last_notified_ts", "last_nodata_ts")
        return {name: getattr(self, name) for name in names}


@dataclass
class Going:
    """A group's going wrong, from its beginning to its end (epoch seconds; None while it lasts), and the states it came
    to."""

    monitor: int
    group: str
    began: int
    states: list[str]
    ended: int | None = None


@dataclass
class Monitor:
    """A monitor. `by` are the tags it is grouped by; `silenced` scope -> until when; `downtimes` as they are told."""

    id: int
    name: str
    query: str
    message: str = ""
    tags: list[str] = field(default_factory=list)
    priority: int | None = None
    type: str = "query alert"
    by: tuple[str, ...] = ()
    filter: str = "*"
    notify_no_data: bool = False
    silenced: dict[str, int | None] = field(default_factory=dict)
    downtimes: list[Json] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    created: str = "2026-01-05T09:00:00.000000+00:00"
    modified: str = "2026-01-05T09:00:00.000000+00:00"

    @property
    def overall(self) -> str:
        """The worst of its groups."""
        states = {group.status for group in self.groups.values()}
        return next((state for state in WORST if state in states), OK)

    def group(self, name: str) -> Group:
        """A group, made where it is new."""
        return self.groups.setdefault(name or "*", Group(name or "*"))

    def json(self, states: set[str] | None, downtimes: bool) -> Json:
        """As the API has it, with the groups that are in these states; None for no groups."""
        shown = {
            name: group.json()
            for name, group in self.groups.items()
            if states is not None and ("all" in states or group.status.lower() in states)
        }
        told: Json = {
            "id": self.id,
            "org_id": ORG["id"],
            "type": self.type,
            "name": self.name,
            "message": self.message,
            "tags": list(self.tags),
            "query": self.query,
            "options": {
                "thresholds": {"critical": 90.0, "warning": 80.0},
                "notify_no_data": self.notify_no_data,
                "renotify_interval": 60,
                "silenced": dict(self.silenced),
            },
            "multi": bool(self.by),
            "priority": self.priority,
            "created": self.created,
            "created_at": 1767603600000,
            "modified": self.modified,
            "creator": {"name": "Ann Archer", "handle": "ann@example.com", "email": "ann@example.com"},
            "deleted": None,
            "restricted_roles": None,
            "overall_state": self.overall,
            "overall_state_modified": self.modified,
        }
        told |= {} if states is None else {"state": {"groups": shown}}
        return told | ({"matching_downtimes": list(self.downtimes)} if downtimes else {})


def variables(
    monitor: Monitor, group: Group, transition: str, event_id: str, at: datetime, host: str
) -> dict[str, str]:
    """What a template's variables stand for. A monitor's filter is among the tags of its scope."""
    seconds = int(at.timestamp())
    scope = [part for part in (*group.name.split(","), monitor.filter) if part != "*"]
    tags = sorted({*monitor.tags, *scope})
    told = {
        "ID": event_id,
        "ALERT_ID": str(monitor.id),
        "ALERT_CYCLE_KEY": group.cycle,
        "AGGREG_KEY": f"{monitor.id:x}{abs(hash_of(group.name)):x}",
        "ALERT_TRANSITION": transition,
        "ALERT_TYPE": TYPES[group.status],
        "ALERT_PRIORITY": f"P{monitor.priority}" if monitor.priority else "",
        "ALERT_TITLE": monitor.name,
        "EVENT_TITLE": f"[{transition} on {{{group.name}}}] {monitor.name}",
        "ALERT_QUERY": monitor.query,
        "ALERT_SCOPE": ",".join(scope) or "*",
        "ALERT_STATUS": f"{monitor.name} is {group.status}",
        "TAGS": ",".join(tags),
        "EVENT_TYPE": monitor.type.replace(" ", "_") + "_monitor",
        "DATE": f"{seconds}000",
        "LAST_UPDATED": f"{seconds}000",
        "LINK": f"https://{host}/event/event?id={event_id}",
        "ORG_ID": str(ORG["id"]),
        "ORG_NAME": str(ORG["name"]),
        "TEXT_ONLY_MSG": re.sub(r"\s*@[\w.@-]+", "", monitor.message).strip(),
        "EVENT_MSG": f"%%%\n{monitor.message}\n%%%",
    }
    return told | {f"TAGS[{tag.partition(':')[0]}]": tag.partition(":")[2] for tag in tags}


def hash_of(text: str) -> int:
    """The same in every process, unlike `hash`."""
    return int.from_bytes(text.encode()[:6].ljust(6, b"\0"), "big")


def filled(template: str, values: Mapping[str, str]) -> str:
    """A template with its variables filled in, as JSON needs it. A tag that is not there is empty; a variable nobody
    knows stays as it is."""

    def fill(found: re.Match[str]) -> str:
        name = found[1] + (f"[{found[2]}]" if found[2] else "")
        value = values.get(name, "" if found[2] else None)
        # What Datadog has no value for is left standing.
        return found[0] if value is None or (not value and not found[2]) else json.dumps(value)[1:-1]

    return _VARIABLE.sub(fill, template)
