"""What is said of an event: pure, and one table of who says it.

A builder gets the event and what its subject is called, and makes a `Draft`: a notification without an id, and what it
belongs to. An event without a builder of its own is told by that of its beginning (`incident.*`), or in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.contract import Line, Link, Notification, NotificationKind, Severity

RANK = {severity: rank for rank, severity in enumerate(Severity)}
"""Severity -> 0 for the worst."""

TITLE = 255
"""Characters of a title; vendors' headers hold 150 and more, and shorten the rest themselves."""

TEXT = 2000
"""Characters of a text: a section of Slack holds 3000 of them, escaped."""

MOST_FACTS = 10
"""What a section of Slack can show."""

QUIET = frozenset({NotificationKind.TASK, NotificationKind.OTHER, NotificationKind.DIGEST, NotificationKind.TEST})
"""What is better not heard than heard twice; the others are better heard twice than not."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the platform knows of an event's subject: what it is called, and a task's priority."""

    name: str = ""
    priority: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the stream. `at` is the vendor's time of it where there is one."""

    type: str
    subject_id: str
    actor: str
    data: Mapping[str, Any]
    at: datetime
    subject: Known = field(default_factory=Known)

    def said(self, name: str, most: int = TITLE) -> str:
        """A value of the event's data as one line of text, "" where there is none."""
        value = self.data.get(name)
        if value is None or isinstance(value, dict | list):
            return ""
        return shortened(" ".join(str(value).split()), most)


@dataclass(frozen=True, slots=True)
class Draft:
    """A notification that has no id yet. `thread_key` names what it belongs to; `url` is "" or https."""

    kind: NotificationKind
    severity: Severity
    title: str
    text: str = ""
    facts: tuple[Line, ...] = ()
    url: str = ""
    over: bool = False
    thread_key: str | None = None


def draft(event: Happened, platform_url: str) -> Draft:
    """What is said of an event."""
    beginning = event.type.partition(".")[0] + ".*"
    build = BUILDERS.get(event.type) or BUILDERS.get(beginning) or _other
    made = build(event)
    return Draft(
        kind=made.kind,
        severity=made.severity,
        title=shortened(made.title, TITLE),
        text=shortened(made.text, TEXT),
        facts=tuple(line for line in made.facts if line.value)[:MOST_FACTS],
        url=address(platform_url, event.subject_id) or _https(made.url),
        over=made.over,
        thread_key=made.thread_key,
    )


def as_body(made: Draft) -> dict[str, Any]:
    """What a message keeps of a draft besides its columns."""
    facts = [[line.name, line.value] for line in made.facts]
    return {"text": made.text, "facts": facts, "url": made.url, "over": made.over}


def notification(id: str, kind: str, severity: str, title: str, body: Mapping[str, Any], at: datetime) -> Notification:
    """The notification that was kept in a message's columns."""
    return Notification(
        id=id,
        kind=NotificationKind(kind),
        severity=Severity(severity),
        title=title,
        text=body["text"],
        at=at,
        facts=tuple(Line(name, value) for name, value in body["facts"]),
        link=Link("Open", body["url"]) if body["url"] else None,
        over=body["over"],
    )


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether it is as bad as `least`, or worse."""
    return RANK[severity] <= RANK[least]


def shortened(text: str, most: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# --- links --------------------------------------------------------------------------------------------

PAGES = {
    "TSK": "tasks",
    "INT": "integrations",
    "INC": "incidents",
    "RPO": "repositories",
    "AGT": "agents",
    "RUN": "runs",
    "WHK": "webhooks",
}
"""Prefix of an id -> the folder of its pages."""


def address(platform_url: str, subject_id: str) -> str:
    """Where people look at a thing; "" where there is no platform to lead to, or the thing has no page."""
    page = PAGES.get(subject_id.partition("-")[0])
    return _https(f"{platform_url.rstrip('/')}/{page}/{subject_id}") if page else ""


def _https(url: str) -> str:
    """What renderers take; anything else is left out."""
    return url if url.startswith("https://") else ""


# --- tasks --------------------------------------------------------------------------------------------

BY_PRIORITY = {"critical": Severity.HIGH, "high": Severity.MEDIUM, "medium": Severity.LOW, "low": Severity.INFO}
"""A task is no incident: one of the highest priority is as bad as something that is not yet critical."""


def _task(event: Happened, what: str, *facts: Line) -> Draft:
    return Draft(
        kind=NotificationKind.TASK,
        severity=BY_PRIORITY.get(event.subject.priority, Severity.INFO),
        title=f"{_named(event)}: {what}",
        facts=(*facts, Line("Priority", event.subject.priority), Line("By", event.actor)),
        thread_key=f"task:{event.subject_id}",
    )


def _named(event: Happened) -> str:
    return f"{event.subject_id} {event.subject.name}".rstrip()


def _word(value: str) -> str:
    """`in_review` as people write it."""
    return value.replace("_", " ")


def _task_created(event: Happened) -> Draft:
    return _task(event, "new task", Line("Status", _word(event.said("status"))))


def _task_moved(event: Happened) -> Draft:
    return _task(event, f"{_word(event.said('from'))} → {_word(event.said('to'))}")


def _task_updated(event: Happened) -> Draft:
    fields = event.data.get("fields")
    changed = ", ".join(_word(str(name)) for name in fields) if isinstance(fields, list) else ""
    return _task(event, f"{changed} changed" if changed else "changed")


def _task_disputed(event: Happened) -> Draft:
    return _task(
        event, f"{_word(event.said('field'))} was changed here and at the vendor", _line(event, "Rule", "rule")
    )


def _task_other(event: Happened) -> Draft:
    return _task(event, _happened(event))


# --- integrations -------------------------------------------------------------------------------------

OF_SYNC = {"failed": Severity.HIGH, "degraded": Severity.MEDIUM, "healthy": Severity.INFO}
"""How bad a sync status is."""


def _integration(
    event: Happened, what: str, severity: Severity = Severity.INFO, *facts: Line, text: str = "", over: bool = False
) -> Draft:
    return Draft(
        kind=NotificationKind.INTEGRATION,
        severity=severity,
        title=f"{event.subject.name or event.subject_id} {what}",
        text=text,
        facts=(Line("Integration", event.subject_id), *facts),
        over=over,
        thread_key=f"integration:{event.subject_id}",
    )


def _sync_status(event: Happened) -> Draft:
    """A recovery is as important as what it recovers from, or who heard of that would never hear that it is over."""
    before, now = event.said("from"), event.said("to")
    over = now == "healthy"
    severity = OF_SYNC.get(before if over else now, Severity.MEDIUM)
    what = "is in sync again" if over else f"is {now}"
    text = "" if over else event.said("text", TEXT)
    return _integration(event, what, severity, _line(event, "Reason", "code"), text=text, over=over)


def _auth_failed(event: Happened) -> Draft:
    return _integration(event, "needs new credentials", Severity.HIGH, text=event.said("text", TEXT))


def _recovered(event: Happened) -> Draft:
    return _integration(event, "works again", Severity.HIGH, over=True)


def _connected(event: Happened) -> Draft:
    return _integration(event, "is connected", Severity.INFO, _line(event, "Account", "account"))


def _disconnected(event: Happened) -> Draft:
    return _integration(event, "was disconnected", Severity.LOW, Line("By", event.actor))


def _integration_other(event: Happened) -> Draft:
    return _integration(event, _happened(event), Severity.INFO, Line("By", event.actor))


# --- incidents and quality ----------------------------------------------------------------------------

INCIDENT = {
    "incident.acknowledged": "Acknowledged: ",
    "incident.resolved": "Resolved: ",
    "incident.reopened": "Again: ",
}
"""Event -> what its title begins with, where that is not the incident's own."""


def _incident(event: Happened) -> Draft:
    over = event.type == "incident.resolved"
    integration = event.data.get("integration")
    source = str(integration.get("name") or "") if isinstance(integration, dict) else ""
    title = event.said("title") or event.subject.name or "an incident"
    return Draft(
        kind=NotificationKind.INCIDENT,
        severity=_severity(event, Severity.HIGH),
        title=f"{INCIDENT.get(event.type, '')}{title}",
        text=event.said("text", TEXT),
        facts=(
            Line("Incident", event.subject_id),
            _line(event, "Severity", "severity"),
            _line(event, "Status", "status"),
            Line("Source", source),
            _line(event, "Where", "scope"),
            _line(event, "Since", "opened_at"),
            Line("Until", event.said("resolved_at") if over else ""),
            _line(event, "By", "resolved_by" if over else "acknowledged_by"),
        ),
        url=event.said("url", TEXT),
        over=over,
        thread_key=f"incident:{event.subject_id}",
    )


GATE = {
    "quality.gate_passed": "passes its quality gate",
    "quality.gate_failed": "fails its quality gate",
    "quality.analysis_failed": "could not be analysed",
}
"""Event -> what is said of what was looked at."""


def _quality(event: Happened) -> Draft:
    what, branch = event.said("name") or event.subject.name or event.subject_id, event.said("branch")
    # The event is the integration's, which may look after many projects that each have a branch of this name.
    project = event.said("subject")
    usual = Severity.LOW if event.type == "quality.analysis_failed" else Severity.MEDIUM
    return Draft(
        kind=NotificationKind.OTHER,
        severity=_severity(event, usual),
        title=f"{what} {GATE.get(event.type, _happened(event))}",
        text=event.said("text", TEXT),
        facts=(Line("Branch", branch), *_conditions(event)),
        url=event.said("url", TEXT),
        over=event.type == "quality.gate_passed",
        thread_key=f"quality:{event.subject_id}:{project}:{branch}",
    )


def _conditions(event: Happened) -> list[Line]:
    """What a gate asks for and does not get: `coverage: 71.2 (80)`."""
    given = event.data.get("conditions")
    failed = [c for c in given if isinstance(c, dict) and not c.get("passed")] if isinstance(given, list) else []
    return [
        Line(_word(str(c.get("metric", ""))), shortened(f"{c.get('value')} ({c.get('threshold')})", TITLE))
        for c in failed
    ]


def _severity(event: Happened, usual: Severity) -> Severity:
    """What the event says itself, if it does in words we know."""
    said = event.said("severity")
    return Severity(said) if said in set(Severity) else usual


# --- the rest -----------------------------------------------------------------------------------------

PLACED = frozenset({"title", "name", "text", "url", "severity"})
"""Values that have a place of their own."""


def _approval(event: Happened) -> Draft:
    told = _other(event)
    return Draft(NotificationKind.APPROVAL, Severity.HIGH, f"Approval needed: {_named(event)}", told.text, told.facts)


def _other(event: Happened) -> Draft:
    """In the event's own words: its name, and whatever plain values it has."""
    title = event.said("title") or event.said("name")
    facts = [Line(_word(name).capitalize(), event.said(name)) for name in sorted(event.data) if name not in PLACED]
    return Draft(
        kind=NotificationKind.OTHER,
        severity=_severity(event, Severity.INFO),
        title=f"{_named(event)}: {_happened(event)}" + (f": {title}" if title else ""),
        text=event.said("text", TEXT),
        facts=tuple(facts),
        url=event.said("url", TEXT),
    )


def _happened(event: Happened) -> str:
    """`code.pull_request_merged` -> `pull request merged`."""
    return _word(event.type.partition(".")[2])


def _line(event: Happened, name: str, value: str) -> Line:
    return Line(name, event.said(value))


BUILDERS: Mapping[str, Callable[[Happened], Draft]] = {
    "task.created": _task_created,
    "task.status_changed": _task_moved,
    "task.updated": _task_updated,
    "task.conflict": _task_disputed,
    "task.*": _task_other,
    "integration.sync_status_changed": _sync_status,
    "integration.auth_failed": _auth_failed,
    "integration.recovered": _recovered,
    "integration.connected": _connected,
    "integration.disconnected": _disconnected,
    "integration.*": _integration_other,
    "incident.*": _incident,
    "quality.*": _quality,
    "agent.approval_requested": _approval,
}
"""Event type, or beginning of types -> what is said of it."""
