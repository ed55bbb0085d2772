"""The platform's stream of facts and the audit trail: how a row of either is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ids
from core.bulk import among, insert_new, insert_rows
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


@dataclass(frozen=True, slots=True)
class Told(Fact):
    """An event that others may tell too: it counts once for its `key`, which says whose it is and what happened.

    `occurred_at` is the vendor's time; `backfilled` events are history, and no news.
    """

    key: str
    occurred_at: datetime
    backfilled: bool


def append_new(session: Session, facts: Sequence[Told], now: datetime) -> set[str]:
    """Append those of the facts whose key the stream does not have, in order; returns their keys.

    Several may tell the same at once: one of them appends it.
    """
    first = {fact.key: fact for fact in reversed(facts)}
    known = set(session.scalars(select(Event.key).where(Event.key.is_not(None), among(session, Event.key, first))))
    new = [fact for key, fact in reversed(first.items()) if key not in known]
    rows = [
        {
            "id": id_,
            "type": fact.type,
            "subject_id": fact.subject_id,
            "actor": fact.actor,
            "data": dict(fact.data),
            "key": fact.key,
            "occurred_at": fact.occurred_at,
            "backfilled": fact.backfilled,
            "organization_id": fact.organization_id,
            "workspace_id": fact.workspace_id,
            "at": now,
        }
        for id_, fact in zip(ids.take(session, "EVT", now, len(new)), new, strict=True)
    ]
    return insert_new(session, Event.__table__, rows, key="key", where="key IS NOT NULL")


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
