"""What support needs to know of an integration, in one document that can be sent to anybody.

It holds states, reasons, counts and times; no credentials, no bodies of deliveries, no task's text. Whatever secret may
have found its way into a reason or an account's name all the same is replaced by stars.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.redaction import Redactor
from connectors.registry import UnknownType
from core.clock import iso
from core.errors import Conflict, NotFound
from core.models import (
    Binding,
    Credential,
    Delivery,
    Integration,
    NotificationMessage,
    RateBudget,
    Subscription,
    SyncRun,
)
from core.vault import VaultError
from sync.credentials import load
from sync.reasons import MESSAGE_STEPS, TRIED_AGAIN
from sync.runtime import Runtime
from sync.subscriptions import stored_secrets

RUNS = 10
REASONS = 20
"""Newest of each shown: enough to see whether a failure is one or a habit."""

_STATE = (
    "id",
    "type",
    "status",
    "status_code",
    "status_text",
    "sync_status",
    "sync_code",
    "sync_text",
    "account_id",
    "account_name",
    "capabilities",
    "mapping_rev",
    "poll_seconds",
    "pull_failures",
    "clock_offset",
    "last_synced_at",
    "next_pull_at",
    "next_push_at",
    "next_messages_at",
    "next_inbox_at",
    "next_sweep_at",
    "next_subscription_at",
    "created_at",
    "updated_at",
    "disconnected_at",
)
_RUN = ("id", "kind", "trigger", "status", "counts", "attempts", "error_code", "error_text", "started_at")
_SUBSCRIPTION = ("state", "external_ids", "expires_at", "code", "text", "updated_at")


def diagnose(rt: Runtime, integration_id: str) -> dict[str, Any]:
    """The document, as plain JSON values. Raises NotFound."""
    with rt.db.read() as session:
        row = session.get(Integration, integration_id)
        if row is None:
            raise NotFound(f"Integration {integration_id} not found.")
        found = {
            "at": rt.clock(),
            "integration": _fields(row, _STATE),
            "config_keys": sorted(row.config),
            "connector": _connector(rt, row.type),
            "credentials": _credentials(session, row.id),
            "webhook": _subscription(session, row.id),
            "rate_budget": _budget(session, row.id),
            "runs": [_fields(run, _RUN) for run in _runs(session, row.id)],
            "deliveries": _deliveries(session, row.id),
            "bindings": _bindings(session, row.id),
            "notifications": _notifications(session, row.id),
        }
        return _redacted(found, _secrets(rt, session, row))


def _fields(row: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _connector(rt: Runtime, type_: str) -> dict[str, Any]:
    try:
        manifest = rt.registry.get(type_).manifest
    except UnknownType as unknown:
        return {"missing": str(unknown)}
    return {"name": manifest.name, "contract": manifest.contract, "origin": rt.registry.origin(type_)}


def _credentials(session: Session, integration_id: str) -> dict[str, Any] | None:
    """That there are some and of which kind, never what they are."""
    row = session.get(Credential, integration_id)
    return None if row is None else _fields(row, ("mode", "version", "expires_at", "refreshed_at"))


def _subscription(session: Session, integration_id: str) -> dict[str, Any] | None:
    row = session.get(Subscription, integration_id)
    return None if row is None else _fields(row, _SUBSCRIPTION)


def _budget(session: Session, integration_id: str) -> dict[str, Any] | None:
    row = session.get(RateBudget, integration_id)
    if row is None:
        return None
    return {column.key: getattr(row, column.key) for column in RateBudget.__table__.columns if column.key != "key"}


def _runs(session: Session, integration_id: str) -> list[SyncRun]:
    newest = select(SyncRun).where(SyncRun.integration_id == integration_id).order_by(SyncRun.id.desc()).limit(RUNS)
    return list(session.scalars(newest))


def _counts(rows: Iterable[Any]) -> dict[str, int]:
    return {state: count for state, count in rows}  # noqa: C416 - rows are no pairs to `dict`'s type


def _deliveries(session: Session, integration_id: str) -> dict[str, Any]:
    mine = Delivery.integration_id == integration_id
    states = session.execute(select(Delivery.state, func.count()).where(mine).group_by(Delivery.state))
    failed = (
        select(Delivery.id, Delivery.event, Delivery.state, Delivery.attempts, Delivery.error_code, Delivery.error_text)
        .where(mine, Delivery.error_code.is_not(None))
        .order_by(Delivery.id.desc())
        .limit(REASONS)
    )
    newest = session.scalar(select(func.max(Delivery.received_at)).where(mine))
    return {
        "by_state": _counts(states),
        "newest": newest,
        "failed": [dict(row._mapping) for row in session.execute(failed)],
    }


def _bindings(session: Session, integration_id: str) -> dict[str, Any]:
    mine = Binding.integration_id == integration_id
    states = session.execute(select(Binding.state, func.count()).where(mine).group_by(Binding.state))
    owed = session.scalar(select(func.count()).where(mine, Binding.owed))
    reasons = (
        select(Binding.task_id, Binding.external_key, Binding.state, Binding.attempts)
        .add_columns(Binding.reason_code, Binding.reason_text, Binding.failed_at)
        .where(mine, Binding.reason_code.is_not(None))
        .order_by(Binding.id.desc())
        .limit(REASONS)
    )
    return {
        "by_state": _counts(states),
        "owed": owed,
        "reasons": [dict(row._mapping) for row in session.execute(reasons)],
    }


def _notifications(session: Session, integration_id: str) -> dict[str, Any]:
    """What became of messages, without what they say."""
    message = NotificationMessage
    mine = message.integration_id == integration_id
    states = session.execute(select(message.state, func.count()).where(mine).group_by(message.state))
    reasons = (
        select(message.id, message.channel, message.kind, message.state, message.attempts)
        .add_columns(message.error_code, message.error_text, message.finished_at)
        .where(mine, message.error_code.is_not(None))
        .order_by(message.id.desc())
        .limit(REASONS)
    )
    return {
        "by_state": _counts(states),
        "reasons": [
            {**dict(row._mapping), "next_step": MESSAGE_STEPS.get(row.error_code, TRIED_AGAIN)}
            for row in session.execute(reasons)
        ],
    }


def _secrets(rt: Runtime, session: Session, row: Integration) -> list[str]:
    """Every value among the credentials that is not plainly a name or a time, and the webhook's secrets."""
    found: list[str] = []
    subscription = session.get(Subscription, row.id)
    try:
        if session.get(Credential, row.id) is not None:
            found += _texts(load(rt, session, row).values)
        if subscription is not None and subscription.sealed:
            found += stored_secrets(rt, subscription)
    except (Conflict, VaultError):
        return found  # sealed by a key that is not here: then nobody here can have spilled them
    return found


def _texts(values: Mapping[str, Any]) -> list[str]:
    """The texts among credentials, also those within one: addresses by the name of their channel."""
    own = [value for value in values.values() if isinstance(value, str) and len(value) > 3]
    return own + [text for value in values.values() if isinstance(value, dict) for text in _texts(value)]


def _redacted(found: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    redactor = Redactor(secrets)
    redacted: dict[str, Any] = json.loads(redactor.redact(json.dumps(found, default=_plain, ensure_ascii=False)))
    return redacted


def _plain(value: object) -> str | None:
    return iso(value) if isinstance(value, datetime) else str(value)
