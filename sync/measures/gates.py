"""Quality gates kept: how each branch stands as of its newest analysis. People are told when the main one's verdict
turns, and when an analysis itself fails; not of a verdict that was there when the gate became known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import GateSeen, GateStatus
from core import events
from core.bulk import among, upsert_rows
from core.events import Told
from core.models import Integration, QualityGate
from sync.code import plain
from sync.incidents.settle import hold_incidents

Row = dict[str, Any]

RANK = {GateStatus.NONE: 0, GateStatus.PASSED: 1, GateStatus.FAILED: 2}
"""Of statuses told of one moment the worst stands, whichever comes first."""

FAILED, PASSED, BROKEN = "quality.gate_failed", "quality.gate_passed", "quality.analysis_failed"

COLUMNS = ("name", "main", "status", "verdict", "at", "failed_at", "url", "conditions")


@dataclass(frozen=True, slots=True)
class GatesSettled:
    """What came of gates, in order: `changed`, `same` (a newer analysis says what the one before said), `known`,
    `late`, or `analysis_failed`."""

    outcomes: Sequence[str] = ()
    told: Sequence[Told] = field(default=())

    def counts(self) -> dict[str, int]:
        """As runs count them."""
        return {"gates": len(self.outcomes), "gates_changed": sum(one == "changed" for one in self.outcomes)}


def settle_gates(db: DbSession, integration: Integration, seen: Sequence[GateSeen], now: datetime) -> GatesSettled:
    """Bring the gates up to date, and append the events."""
    if not seen:
        return GatesSettled()
    hold_incidents(db, integration.id)
    keys = [gate_key(integration.id, gate) for gate in seen]
    rows = _known(db, keys)
    touched: dict[str, Row] = {}
    outcomes: list[str] = ["known"] * len(seen)
    told: list[Told] = []
    for number in sorted(range(len(seen)), key=lambda n: _place(seen[n])):
        gate, key = seen[number], keys[number]
        before = rows.get(key)
        after, outcomes[number] = decide(before, gate)
        if after is not before:
            about = {"gate_key": key, "integration_id": integration.id, "workspace_id": integration.workspace_id}
            rows[key] = after
            touched[key] = about | {"subject": plain(gate.subject), "branch": plain(gate.branch)} | after
        type_ = event_of(before, after, gate, outcomes[number])
        if type_ is not None:
            told.append(_told(integration, key, type_, gate, before))
    upsert_rows(db, QualityGate.__table__, list(touched.values()), key="gate_key")
    events.append_new(db, told, now)
    return GatesSettled(outcomes, told)


def gate_key(integration_id: str, gate: GateSeen) -> str:
    """By what a branch's gate is found."""
    digest = blake2b(json.dumps([gate.subject, gate.branch]).encode(), digest_size=16).hexdigest()
    return f"{integration_id}:{digest}"


def _place(gate: GateSeen) -> tuple[datetime, bool, int]:
    return (gate.at, gate.analysis, RANK[gate.status])


def _known(db: DbSession, keys: Sequence[str]) -> dict[str, Row]:
    columns = (QualityGate.gate_key, *(getattr(QualityGate, name) for name in COLUMNS))
    found = db.execute(select(*columns).where(among(db, QualityGate.gate_key, keys))).mappings()
    return {row["gate_key"]: {name: row[name] for name in COLUMNS} for row in found}


# --- pure -----------------------------------------------------------------------------------------------


def decide(before: Row | None, gate: GateSeen) -> tuple[Row, str]:
    """How the branch stands after this was seen, and what that did. An older one than what is known changes nothing."""
    row = before or _unknown(gate)
    if not gate.analysis:
        if row["failed_at"] is not None and gate.at <= row["failed_at"]:
            return row, "known" if gate.at == row["failed_at"] else "late"
        return row | {"failed_at": gate.at}, "analysis_failed"
    if row["at"] is not None and gate.at < row["at"]:
        return row, "late"
    if gate.at == row["at"] and RANK[gate.status] <= RANK[GateStatus(row["status"])]:
        return row, "known"
    verdict = row["verdict"] if gate.status is GateStatus.NONE else gate.status.value
    seen = {"status": gate.status.value, "verdict": verdict, "at": gate.at, **_shown(gate)}
    same = before is not None and before["status"] == gate.status.value
    return row | seen, "same" if same else "changed"


def event_of(before: Row | None, after: Row, gate: GateSeen, outcome: str) -> str | None:
    """The event it is, if it is one: only of the main branch, and only where a verdict turns from what was known."""
    if not gate.main:
        return None
    if outcome == "analysis_failed":
        return BROKEN
    if before is None or before["at"] is None or before["verdict"] == after["verdict"]:
        return None
    if after["verdict"] == GateStatus.FAILED:
        return FAILED
    return PASSED if before["verdict"] == GateStatus.FAILED else None


def _unknown(gate: GateSeen) -> Row:
    """A branch of which nothing is known but that this was seen of it."""
    return {"status": GateStatus.NONE.value, "verdict": None, "at": None, "failed_at": None, **_shown(gate)}


def _shown(gate: GateSeen) -> Row:
    conditions = [plain(condition) for condition in gate.conditions]
    return {"name": plain(gate.name), "main": gate.main, "url": plain(gate.url), "conditions": conditions}


def _told(integration: Integration, key: str, type_: str, gate: GateSeen, before: Row | None) -> Told:
    data: Mapping[str, Any] = {
        **plain(gate),
        "conditions": [plain(condition) for condition in gate.conditions],
        "from": before["verdict"] if before else None,
        "integration": {"id": integration.id, "type": integration.type, "name": integration.name},
    }
    return Told(
        organization_id=integration.organization_id,
        workspace_id=integration.workspace_id,
        type=type_,
        subject_id=integration.id,
        actor=integration.id,
        data=data,
        key=f"{key}:{type_}:{gate.at.timestamp()}",
        occurred_at=gate.at,
        # An analysis of before the connection is history that was read later.
        backfilled=gate.at < integration.created_at,
    )
