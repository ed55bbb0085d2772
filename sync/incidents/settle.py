"""Incidents kept: what is told of a ref is put to what is known of it, and the incidents are read from both anew.

All of a ref's lines that what is told may touch are read, so that it does not matter in which order they come. Rows are
found again by their lines: an incident keeps its id as long as it has any. Where a line that comes late shows that two
incidents were one, the older id stays and the other leads to it; where it shows that one was two, the earlier keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AlertingConfig, Config
from core import events, ids
from core.bulk import among, insert_rows, update_rows
from core.events import Told as Event
from core.models import Incident, IncidentUpdate, Integration, ServiceLine
from sync.incidents.known import Known, Row, Told, known, line_of, line_rows, ref_key, stored
from sync.incidents.timeline import GOING, Status, Story
from sync.incidents.told import merged, news

OF_STORY = (
    "cycle",
    "opened_at",
    "acknowledged_at",
    "acknowledged_by",
    "resolved_at",
    "resolved_by",
    "last_seen_at",
    "watermark",
    "flaps",
)
"""Columns that are a story's own, as they are."""

ServiceLineOf = Callable[[Known, Story], str | None]


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of an alert: its effect, `late` for one that is older than what is known, `known` for a known one."""

    outcome: str
    incident_id: str


@dataclass(slots=True)
class _Writing:
    """What is to be written. What ends is written before what begins or goes on: a ref has one that goes on."""

    made: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    moved: list[Row] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    def write(self, db: DbSession, now: datetime) -> None:
        """All of it."""
        going = [row for row in self.changed if row["status"] in GOING]
        update_rows(db, Incident.__table__, [row for row in self.changed if row["status"] not in GOING], key="id")
        insert_rows(db, Incident.__table__, self.made)
        update_rows(db, Incident.__table__, going, key="id")
        update_rows(db, IncidentUpdate.__table__, self.moved, key="line_key")
        insert_rows(db, IncidentUpdate.__table__, self.lines)
        events.append_new(db, self.told, now)


def hold_incidents(db: DbSession, integration_id: str) -> None:
    """Nobody else makes or changes incidents or gates of the integration until the transaction ends."""
    db.execute(select(Integration.id).where(Integration.id == integration_id).with_for_update(key_share=True))


def settle_alerts(
    db: DbSession, integration: Integration, config: Config, told: Sequence[Told], now: datetime
) -> list[Settled]:
    """Put the alerts to what is known, change the incidents accordingly, and append the events; what came of each, in
    order. A handful of statements, however many there are."""
    if not told:
        return []
    hold_incidents(db, integration.id)
    rules = rules_of(config)
    lines = [line_of(integration.id, rules.flap_minutes, one) for one in told]
    keys = [ref_key(integration.id, one.alert.ref) for one in told]
    wanted = {key: one.alert.ref for key, one in zip(keys, told, strict=True)}
    refs = known(db, wanted, min(line.placed_at for line in lines))
    for key, line, one in zip(keys, lines, told, strict=True):
        refs[key].hear(line, one.source)
    touched = [ref for ref in refs.values() if ref.new]
    effects = _settle(db, integration, touched, _service_lines(db, integration, rules, touched), now)
    heard = [(refs[key], line.key, line.placed_at) for key, line in zip(keys, lines, strict=True)]
    return list(_outcomes(effects, heard))


def rules_of(config: Config) -> AlertingConfig:
    """What the config says of alerts; what all of them have by default, where it says nothing."""
    return config if isinstance(config, AlertingConfig) else AlertingConfig()


def _outcomes(effects: Mapping[str, str], heard: Iterable[tuple[Known, str, datetime]]) -> Iterable[Settled]:
    """What each line did; of one told twice the first."""
    seen: set[str] = set()
    for ref, line_key, placed_at in heard:
        newest = ref.newest()
        if line_key not in ref.new or line_key in seen:
            outcome = "known"
        else:
            outcome = "late" if newest is not None and placed_at < newest else effects[line_key]
        seen.add(line_key)
        yield Settled(outcome, ref.home[line_key])


def _settle(
    db: DbSession, integration: Integration, touched: Sequence[Known], line_of_service: ServiceLineOf, now: datetime
) -> dict[str, str]:
    """Write what becomes of the refs. Returns the effect of every line."""
    stories = [(ref, id_, story) for ref in touched for id_, story in ref.stories()]
    fresh = iter(ids.take(db, "INC", now, sum(id_ is None for _, id_, _ in stories)))
    writing = _Writing()
    for ref, id_, story in stories:
        row = row_of(integration, ref, id_ or next(fresh), story, line_of_service(ref, story), now)
        _put(integration, writing, ref, row, story, now)
    for ref in touched:
        _merge(integration, writing, ref, now)
    writing.write(db, now)
    return {step.line.key: step.effect.value for _, _, story in stories for step in story.steps}


def _put(integration: Integration, writing: _Writing, ref: Known, row: Row, story: Story, now: datetime) -> None:
    before = ref.rows.get(row["id"])
    if before is None:
        writing.made.append(row | {"created_at": now})
    else:
        writing.changed.append(row)
    writing.told += news(integration, row, before, story, ref.new)
    mine = [step.line for step in story.steps]
    new = [(line, ref.new[line.key]) for line in mine if line.key in ref.new]
    writing.lines += line_rows(row["id"], new, now)
    for line in mine:
        if line.key in ref.owner and ref.owner[line.key] != row["id"]:
            writing.moved.append({"line_key": line.key, "incident_id": row["id"]})
        ref.home[line.key] = row["id"]


def _merge(integration: Integration, writing: _Writing, ref: Known, now: datetime) -> None:
    """Incidents that have no line any more are part of another."""
    for id_, before in ref.rows.items():
        if id_ in ref.home.values():
            continue
        into = min(ref.home[key] for key, owner in ref.owner.items() if owner == id_)
        ended = {"status": Status.RESOLVED.value, "resolved_at": before["resolved_at"] or now}
        row = before | ended | {"merged_into": into, "updated_at": now}
        writing.told += merged(integration, row, before, now)
        del row["created_at"]
        writing.changed.append(row)


def row_of(
    integration: Integration, ref: Known, id_: str, story: Story, service_line_id: str | None, now: datetime
) -> Row:
    """The incident as its lines make it, but for `created_at`."""
    shown = story.shown
    return {
        "id": id_,
        "organization_id": integration.organization_id,
        "workspace_id": integration.workspace_id,
        "integration_id": integration.id,
        "ref_key": ref.key,
        "monitor": stored(ref.ref.monitor),
        "scope": stored(ref.ref.scope),
        "title": shown.title,
        "text": shown.text,
        "severity": shown.severity,
        "url": shown.url,
        "tags": shown.tags,
        "status": story.status.value,
        "service_line_id": service_line_id,
        "flap_minutes": int(story.flap / timedelta(minutes=1)),
        "merged_into": None,
        "updated_at": now,
        **{name: getattr(story, name) for name in OF_STORY},
    }


def _service_lines(
    db: DbSession, integration: Integration, rules: AlertingConfig, touched: Sequence[Known]
) -> ServiceLineOf:
    """Which service line an incident is of. One that the workspace does not have (any more) is none."""
    named = {*rules.service_lines.values(), rules.default_service_line} - {None}
    mine = select(ServiceLine.id).where(
        ServiceLine.workspace_id == integration.workspace_id, among(db, ServiceLine.id, named)
    )
    there = set(db.scalars(mine)) if touched and named else set()

    def find(ref: Known, story: Story) -> str | None:
        tags = tags_of(ref.ref.scope, story.shown.tags)
        fitting = [line for tag, line in rules.service_lines.items() if tag.lower() in tags]
        return next((line for line in (*fitting, rules.default_service_line) if line in there), None)

    return find


def tags_of(scope: str, tags: Mapping[str, Sequence[str]]) -> set[str]:
    """All by which an alert's service line may be named: `key`, and `key:value`, of its tags and its scope."""
    pairs = {f"{key}:{value}".lower() for key, values in tags.items() for value in values}
    return pairs | {key.lower() for key in tags} | {each.lower() for each in scope.split(",") if each}
