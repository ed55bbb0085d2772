"""The states of an integration, and the events and audit records of its passage from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from connectors.contract import Account, CodeSyncConfig
from core import events
from core.errors import Conflict, NotFound
from core.events import Fact
from core.models import Credential, Integration, RateBudget, Workspace
from sync.health import FAILED, Cause, Trouble, clear_causes, raise_cause
from sync.runtime import Runtime

SWEEP_EVERY = timedelta(days=1)
"""How often the vendor's full listing is compared with ours: webhooks tell of deletions at once; this is the net below
them, and it reads every id."""

PULLABLE = frozenset({"task_source", "alert_source", "code_source", "measure_source", "notifier"})
"""Capabilities about which a pull does something."""

REAUTH = "reauth_required"
MISSING_SCOPES = "missing_scopes"


def locked(session: Session, integration_id: str) -> Integration:
    """The integration's row, locked. Raises NotFound."""
    row = session.get(Integration, integration_id, with_for_update=True)
    if row is None:
        raise NotFound(f"Integration {integration_id} not found.")
    return row


def record(
    session: Session, integration: Integration, type_: str, actor: str, data: Mapping[str, Any], rt: Runtime
) -> None:
    """Append an event about the integration. `data` must hold no secret."""
    fact = Fact(integration.organization_id, integration.workspace_id, type_, integration.id, actor, data)
    events.append(session, [fact], rt.clock())


def audit(
    session: Session,
    integration: Integration,
    action: str,
    actor: str,
    token_id: str | None,
    data: Mapping[str, Any],
    rt: Runtime,
) -> None:
    """Record who did what to the integration. `data` must hold no secret."""
    events.audit(
        session,
        organization_id=integration.organization_id,
        workspace_id=integration.workspace_id,
        actor=actor,
        token_id=token_id,
        action=action,
        subject_id=integration.id,
        now=rt.clock(),
        data=data,
    )


def activate(session: Session, integration: Integration, account: Account, actor: str, rt: Runtime) -> None:
    """The credentials are proven: the integration starts, or carries on, to work. Raises Conflict for a double."""
    now = rt.clock()
    refuse_double(session, integration, account.id)
    # What a rate limit said was said about the old credentials.
    session.execute(delete(RateBudget).where(RateBudget.key == integration.id))
    integration.status = "active"
    integration.status_code = integration.status_text = None
    integration.account_id, integration.account_name = account.id, account.name
    integration.hook_account = _hook_account(rt, integration.type, account)
    integration.pull_failures = 0
    integration.next_backfill_at = integration.next_messages_at = None
    start_lanes(integration, now)
    if "webhook_subscriptions" in integration.capabilities:
        integration.next_subscription_at = now
    if account.missing_scopes:
        missing = f"The authorization lacks {', '.join(account.missing_scopes)}: give consent again with these allowed."
        integration.status_code, integration.status_text = MISSING_SCOPES, missing
        clear_causes(session, integration, (Cause.CREDENTIALS,), now)
        raise_cause(session, integration, Cause.SCOPES, Trouble(MISSING_SCOPES, missing), now)
    else:
        clear_causes(session, integration, (Cause.CREDENTIALS, Cause.SCOPES), now)
    data = {"type": integration.type, "account": account.name, "missing_scopes": list(account.missing_scopes)}
    record(session, integration, "integration.connected", actor, data, rt)


def start_lanes(integration: Integration, now: datetime) -> None:
    """What the integration is used for is due now, or at its time; what it is not used for is never due."""
    used = set(integration.capabilities)
    integration.next_pull_at = now if used & PULLABLE else None
    sweeps = "task_source" in used
    integration.next_sweep_at = (integration.next_sweep_at or now + SWEEP_EVERY) if sweeps else None
    if "delivery_log" in used:
        integration.next_log_at = now
        integration.log_read_until = integration.log_read_until or now


def connected(rt: Runtime, integration_id: str) -> Integration:
    """The integration, as long as it is one. Raises NotFound; Conflict for one that was disconnected."""
    with rt.db.read() as session:
        row = session.get(Integration, integration_id)
    if row is None:
        raise NotFound(f"Integration {integration_id} not found.")
    if row.status == "disconnected":
        raise Conflict(f"{row.id} is disconnected. Connect the account again as a new integration.")
    return row


def _hook_account(rt: Runtime, type_: str, account: Account) -> str | None:
    """Whose deliveries of the operator's app are this integration's."""
    facts = rt.registry.get(type_).manifest.webhooks
    return account.learned.get(facts.account) if facts and facts.account else None


def _followed_by_both(one: Integration, other: Integration) -> list[str]:
    """The repositories both follow, as their configs name them. Where the configs differ in the place (the owner, the
    projects), nothing can be said."""
    if "code_source" not in one.capabilities or _place(one) != _place(other):
        return []
    mine, theirs = (set(each.config.get("repositories") or ()) for each in (one, other))
    return sorted(mine & theirs if mine and theirs else mine | theirs) or (["all repositories"] if not mine else [])


def _place(integration: Integration) -> dict[str, Any]:
    """What a config says of where the repositories are: all that is the vendor's own."""
    return {name: value for name, value in integration.config.items() if name not in CodeSyncConfig.model_fields}


def refuse_double(session: Session, integration: Integration, account_id: str) -> None:
    """One vendor project must not be synced twice into a workspace: every item would become two tasks."""
    # One at a time, or both would pass. Not a full lock: a new row's reference to the workspace would wait for it.
    session.get_one(Workspace, integration.workspace_id, with_for_update={"key_share": True})
    others = session.scalars(
        select(Integration).where(
            Integration.workspace_id == integration.workspace_id,
            Integration.type == integration.type,
            Integration.account_id == account_id,
            Integration.status != "disconnected",
            Integration.id != integration.id,
        )
    )
    mine = {route["external"] for route in integration.routes}
    for other in others:
        shared = sorted(mine & {route["external"] for route in other.routes}) or _followed_by_both(integration, other)
        if shared:
            raise Conflict(
                f"{other.id} ({other.name}) already connects {', '.join(shared)} of this account to workspace "
                f"{integration.workspace_id}. Change that integration, or leave the project out here."
            )


def require_consent(rt: Runtime, integration_id: str, version: int, text: str) -> None:
    """The vendor refuses the credentials of this version for good: stop everything and say what to do, once."""
    with rt.db.write() as session:
        integration = session.get(Integration, integration_id, with_for_update=True)
        credential = session.get(Credential, integration_id)
        if integration is None or credential is None or credential.version != version:
            return  # disconnected, or replaced meanwhile by credentials nobody has complained about
        if integration.status != "active":
            return
        integration.status = "error"
        integration.status_code, integration.status_text = REAUTH, text
        raise_cause(session, integration, Cause.CREDENTIALS, Trouble(REAUTH, text, FAILED), rt.clock())
        record(session, integration, "integration.auth_failed", integration.id, {"code": REAUTH, "text": text}, rt)


def recover(rt: Runtime, integration_id: str) -> None:
    """The vendor accepts the credentials again: carry on, from where it stopped."""
    with rt.db.write() as session:
        integration = session.get(Integration, integration_id, with_for_update=True)
        if integration is None or integration.status != "error":
            return
        integration.status = "active"
        integration.status_code = integration.status_text = None
        if "webhook_subscriptions" in integration.capabilities:
            integration.next_subscription_at = rt.clock()
        record(session, integration, "integration.recovered", integration.id, {}, rt)
