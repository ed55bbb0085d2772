"""The platform's stream of facts and the audit trail: how a row of either is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import ids
from core.bulk import insert_rows
from core.models import AuditRecord, Event


@dataclass(frozen=True, slots=True)
class Fact:
    """An event before it has an id. `actor` is USR-*, AGT-*, INT-*, WHK-* or a KEY-* without a person.

    `workspace_id` is None for what is the whole organization's.
    """

    organization_id: str
    workspace_id: str | None
    type: str
    subject_id: str
    actor: str
    data: Mapping[str, Any]


def append(session: Session, facts: Sequence[Fact], now: datetime) -> None:
    """Append the facts to the stream, in order, in two statements."""
    numbered = zip(ids.take(session, "EVT", now, len(facts)), facts, strict=True)
    rows = [
        {
            "id": id_,
            "organization_id": fact.organization_id,
            "workspace_id": fact.workspace_id,
            "type": fact.type,
            "subject_id": fact.subject_id,
            "actor": fact.actor,
            "data": dict(fact.data),
        }
        for id_, fact in numbered
    ]
    insert_rows(session, Event.__table__, rows, shared={"at": now})


def audit(
    session: Session,
    *,
    organization_id: str,
    workspace_id: str | None,
    actor: str,
    action: str,
    subject_id: str,
    now: datetime,
    data: Mapping[str, Any] | None = None,
    token_id: str | None = None,
) -> None:
    """Record that `actor` did `action` to `subject_id`. `data` must hold no secret: it is shown as it is."""
    session.add(
        AuditRecord(
            id=ids.take_one(session, "AUD", now),
            organization_id=organization_id,
            workspace_id=workspace_id,
            actor=actor,
            token_id=token_id,
            action=action,
            subject_id=subject_id,
            data=dict(data or {}),
            at=now,
        )
    )
