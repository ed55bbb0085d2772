"""What the stream is told of incidents: enough for a message to be made of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from core.clock import iso
from core.events import Told
from core.models import Integration
from sync.incidents.known import Row
from sync.incidents.timeline import BEGINNINGS, GOING, Effect, Step, Story, What

EVENTS = {
    Effect.OPENED: "incident.opened",
    Effect.UPDATED: "incident.updated",
    Effect.RESOLVED: "incident.resolved",
    Effect.RECORDED: "incident.resolved",
    Effect.REOPENED: "incident.reopened",
    Effect.ACKNOWLEDGED: "incident.acknowledged",
}
"""Effect -> the event it is told as."""

ENDS = (Effect.RESOLVED, Effect.RECORDED)


def news(integration: Integration, row: Row, before: Row | None, story: Story, new: Collection[str]) -> list[Told]:
    """What is told of an incident: what its new lines did, if they are no older than what was known, and how it stands
    if that is not said by it. `row` is the incident as it is now, `before` as it was, None for a new one."""
    since = before["watermark"] if before else None
    fresh = [step for step in story.steps if step.line.key in new and (since is None or step.line.placed_at >= since)]
    fresh = [step for step in fresh if step.effect is Effect.UPDATED or _moment(step) not in _known(story, new)]
    told = [step for step in _together(fresh) if step.effect in EVENTS]
    facts = [_told(integration, row, step.effect, step) for step in told]
    goes_on = before is not None and before["status"] in GOING
    for step in told:
        goes_on = step.effect not in ENDS
    if goes_on != story.going or (before is None and not told):
        facts.append(_told(integration, row, _missing(before, story), story.steps[-1]))
    return facts


def _known(story: Story, new: Collection[str]) -> set[tuple[What, datetime]]:
    """What was told before, and of which time. A poll and a delivery tell one thing in two lines: whichever of them
    stands first, it is news once."""
    return {_moment(step) for step in story.steps if step.line.key not in new}


def _moment(step: Step) -> tuple[What, datetime]:
    return step.line.what, step.line.placed_at


def _missing(before: Row | None, story: Story) -> Effect:
    """What a line that came late, or belongs to another incident than was thought, has made of this one."""
    if not story.going:
        return Effect.RESOLVED
    return Effect.OPENED if before is None else Effect.REOPENED


def _together(steps: list[Step]) -> list[Step]:
    """Of updates in a row the last: it says what all of them say."""
    kept: list[Step] = []
    for step in steps:
        if kept and kept[-1].effect is step.effect is Effect.UPDATED:
            kept.pop()
        kept.append(step)
    return kept


def _told(integration: Integration, row: Row, effect: Effect, step: Step) -> Told:
    line = step.line
    shown = {"severity": line.severity, "title": line.title, "url": line.url} if effect in BEGINNINGS else {}
    data = {**about(integration, row), **shown, "changed": list(step.changed)}
    # What went wrong before anybody here wanted to hear of it is no news.
    history = line.at < integration.created_at
    return _event(integration, row["id"], EVENTS[effect], line.by, data, f"{effect.value}:{line.key}", line.at, history)


def merged(integration: Integration, row: Row, before: Row, now: datetime) -> list[Told]:
    """What is told of an incident that turned out to be part of another."""
    if before["status"] not in GOING:
        return []
    data, key = {**about(integration, row), "changed": []}, f"merged:{row['merged_into']}"
    return [_event(integration, row["id"], EVENTS[Effect.RESOLVED], integration.id, data, key, now, False)]


def _event(
    integration: Integration,
    incident_id: str,
    type_: str,
    actor: str,
    data: dict[str, Any],
    key: str,
    at: datetime,
    backfilled: bool,
) -> Told:
    return Told(
        organization_id=integration.organization_id,
        workspace_id=integration.workspace_id,
        type=type_,
        subject_id=incident_id,
        actor=actor,
        data={**data, "occurred_at": iso(at)},
        key=f"{incident_id}:{key}",
        occurred_at=at,
        backfilled=backfilled,
    )


def about(integration: Integration, row: Row) -> dict[str, Any]:
    """What a message about an incident needs."""
    return {
        "title": row["title"],
        "severity": row["severity"],
        "status": row["status"],
        "url": row["url"],
        "monitor": row["monitor"],
        "scope": row["scope"],
        "service_line_id": row["service_line_id"],
        "integration": {"id": integration.id, "type": integration.type, "name": integration.name},
        "flaps": row["flaps"],
        **{name: iso(row[name]) for name in ("opened_at", "acknowledged_at", "resolved_at")},
        **{name: row[name] for name in ("acknowledged_by", "resolved_by", "merged_into")},
    }
