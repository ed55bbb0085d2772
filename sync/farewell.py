"""Disconnecting an integration: the vendor is told, the secrets are gone, what was synced stays."""

from __future__ import annotations

import structlog
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from connectors.contract import ConnectorError
from connectors.http import Unlimited
from core.errors import PlatformError
from core.models import (
    Binding,
    BrokenChannel,
    Credential,
    Delivery,
    Integration,
    NotificationMessage,
    OAuthAttempt,
    RateBudget,
    Subscription,
    SyncCause,
    SyncRun,
)
from core.vault import VaultError
from sync import lifecycle, tokens
from sync.configuration import connector_class, parse_config
from sync.contained import contained
from sync.credentials import build, load
from sync.failures import Fault
from sync.notifications import outbox
from sync.runtime import Runtime
from sync.subscriptions import registered

log = structlog.get_logger()


def disconnect(rt: Runtime, integration: Integration, *, actor: str, token_id: str | None) -> Integration:
    """End the connection: nothing more is sent or received, the secrets are gone, what was synced stays.

    The vendor is told if it can be; what it says to that is in the audit record and never stands in the way.
    """
    goodbyes = _say_goodbye(rt, lifecycle.connected(rt, integration.id))
    with rt.db.write() as session:
        row = lifecycle.locked(session, integration.id)
        if row.status == "disconnected":
            return row
        _end(rt, session, row)
        lifecycle.record(session, row, "integration.disconnected", actor, {"type": row.type}, rt)
        lifecycle.audit(session, row, "integration.disconnected", actor, token_id, goodbyes, rt)
    return row


def _say_goodbye(rt: Runtime, integration: Integration) -> dict[str, str]:
    """Take the webhook down and give the tokens back; what could not be done, and why."""
    failures: dict[str, str] = {}
    for name, step in (("webhook", _unsubscribe), ("tokens", _revoke)):
        try:
            with contained():
                step(rt, integration)
        except (ConnectorError, PlatformError, VaultError, tokens.GrantRefused) as error:
            failures[f"{name}_left_at_vendor"] = str(error)
            log.warning("disconnect.incomplete", integration_id=integration.id, what=name, text=str(error))
        except DBAPIError:
            raise
        except Exception as error:  # a broken plugin must not hold on to an account
            failures[f"{name}_left_at_vendor"] = Fault(error).text
            log.exception("disconnect.fault", integration_id=integration.id, what=name)
    return failures


def _unsubscribe(rt: Runtime, integration: Integration) -> None:
    with rt.db.read() as session:
        row = session.get(Subscription, integration.id)
        if row is None or not row.external_ids:
            return
        opened = load(rt, session, integration)
    connector = connector_class(rt.registry, integration.type)
    config = parse_config(connector, integration.config)
    # The budget may be parked for an hour; this one call is not worth waiting for it.
    connection = build(rt, connector, config, opened.mode, opened.values, Unlimited())
    connection.connector.unsubscribe(registered(rt, row))


def _revoke(rt: Runtime, integration: Integration) -> None:
    with rt.db.read() as session:
        opened = load(rt, session, integration)
    tokens.revoke(rt, connector_class(rt.registry, integration.type), opened)


def _end(rt: Runtime, session: Session, row: Integration) -> None:
    now = rt.clock()
    row.status, row.status_code, row.status_text = "disconnected", None, None
    row.disconnected_at = row.updated_at = now
    row.next_pull_at = row.next_push_at = row.next_inbox_at = row.next_sweep_at = row.next_subscription_at = None
    row.next_log_at = row.next_backfill_at = row.next_messages_at = None
    for model in (BrokenChannel, Credential, Subscription, OAuthAttempt, SyncCause):
        session.execute(delete(model).where(model.integration_id == row.id))
    session.execute(delete(RateBudget).where(RateBudget.key == row.id))
    gone = {"code": "disconnected", "text": "The integration was disconnected."}
    session.execute(
        update(Binding)
        .where(Binding.integration_id == row.id, Binding.owed)
        .values(owed=False, reason_code=gone["code"], reason_text=gone["text"])
    )
    session.execute(
        update(Delivery)
        .where(Delivery.integration_id == row.id, Delivery.state == "pending")
        .values(state="ignored", error_code=gone["code"], error_text=gone["text"], finished_at=now)
    )
    outbox.drop_all(session, gone["code"], gone["text"], now, NotificationMessage.integration_id == row.id)
    session.execute(
        update(SyncRun)
        .where(SyncRun.integration_id == row.id, SyncRun.status == "running")
        .values(status="failed", error_code=gone["code"], error_text=gone["text"], finished_at=now)
    )
