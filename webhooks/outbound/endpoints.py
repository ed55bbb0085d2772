"""Endpoints: made, changed, disabled and removed, each with its audit record in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.egress import check_url
from core import events, ids
from core.errors import Conflict, NotFound
from core.events import Fact
from core.models import WebhookEndpoint
from core.vault import Vault
from webhooks.outbound import fanout
from webhooks.outbound.payload import Secrets
from webhooks.outbound.world import World

MOST_ENDPOINTS = 50
"""Of an organization: every event is stored once for each that wants it."""

MOST_SECRETS = 4
"""The newest and those whose overlap runs; each is one more item in a header."""

PLACE = "webhook_endpoint:{}:secrets"
"""Where in the vault's sense an endpoint's secrets belong."""

BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class By:
    """Who is asking, for the audit trail."""

    actor: str
    token_id: str | None = None


def create(
    session: Session,
    world: World,
    *,
    by: By,
    organization_id: str,
    workspace_id: str | None,
    url: str,
    description: str,
    names: Sequence[str],
    enabled: bool = True,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which is shown once. Check the url first (`check`). Raises Conflict."""
    now = world.clock()
    if _count(session, organization_id) >= MOST_ENDPOINTS:
        raise Conflict(f"An organization can have {MOST_ENDPOINTS} webhook endpoints. Delete one that is not used.")
    if enabled:
        fanout.start_listening(session)
    made, secrets = ids.take_one(session, "WHK", now), Secrets.fresh()
    endpoint = WebhookEndpoint(
        id=made,
        organization_id=organization_id,
        workspace_id=workspace_id,
        url=url,
        description=description,
        events=list(names),
        enabled=True,
        sealed=world.vault.seal(secrets.stored(), PLACE.format(made)),
        listening_since=now,
        failures=0,
        created_by=by.actor,
        created_at=now,
        updated_at=now,
    )
    if not enabled:
        _turn_off(endpoint, BY_HAND, f"Created so by {by.actor}.", now)
    session.add(endpoint)
    session.flush()
    audit(session, endpoint, by, "webhook.created", now, {"events": list(names), "enabled": enabled})
    return endpoint, secrets.newest


def check(world: World, url: str) -> None:
    """Refuse an address that nothing would ever be sent to. Looks the name up: not within a transaction.

    Raises Rejected.
    """
    check_url(url, world.settings.egress_allow)


def update(session: Session, world: World, endpoint_id: str, changes: Mapping[str, Any], *, by: By) -> WebhookEndpoint:
    """Change columns, `enabled` among them. A new url must have been checked. Raises NotFound."""
    if changes.get("enabled"):
        fanout.start_listening(session)  # before the endpoint: the order in which both are locked everywhere
    now, endpoint = world.clock(), locked(session, endpoint_id)
    changed = [name for name, value in changes.items() if getattr(endpoint, name) != value]
    for name in changed:
        if name == "enabled":
            _switch(endpoint, changes["enabled"], by, now)
        else:
            setattr(endpoint, name, changes[name])
    if changed:
        endpoint.updated_at = now
        audit(session, endpoint, by, "webhook.updated", now, {"fields": sorted(changed)})
    return endpoint


def locked(session: Session, endpoint_id: str) -> WebhookEndpoint:
    """The endpoint, locked for a change that leaves its key: messages for it can be queued. Raises NotFound."""
    endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update={"key_share": True})
    if endpoint is None:
        raise NotFound(f"Webhook {endpoint_id} not found.")
    return endpoint


def remove(session: Session, world: World, endpoint_id: str, *, by: By) -> WebhookEndpoint:
    """Delete an endpoint with its messages. Raises NotFound."""
    endpoint = locked(session, endpoint_id)
    audit(session, endpoint, by, "webhook.deleted", world.clock(), {})
    session.delete(endpoint)
    return endpoint


def rotate_secret(session: Session, world: World, endpoint_id: str, *, by: By) -> tuple[WebhookEndpoint, str]:
    """A new secret, which is shown once; the one before it signs too, for a day. Raises NotFound, Conflict."""
    now, endpoint = world.clock(), locked(session, endpoint_id)
    secrets = secrets_of(world.vault, endpoint).rotated(now)
    if len(secrets.keys) > MOST_SECRETS:
        raise Conflict(
            f"The secret was rotated {MOST_SECRETS - 1} times within a day. Wait until the oldest has ended."
        )
    endpoint.sealed = world.vault.seal(secrets.stored(), PLACE.format(endpoint.id))
    endpoint.updated_at = now
    audit(session, endpoint, by, "webhook.secret_rotated", now, {})
    return endpoint, secrets.newest


def secrets_of(vault: Vault, endpoint: WebhookEndpoint) -> Secrets:
    """The endpoint's secrets, opened."""
    return Secrets.opened(vault.open(endpoint.sealed, PLACE.format(endpoint.id)))


def disable(session: Session, endpoint: WebhookEndpoint, code: str, text: str, now: datetime) -> None:
    """Disable an endpoint that is of no use any more, and tell: an event, and an audit record."""
    _turn_off(endpoint, code, text, now)
    endpoint.updated_at = now
    told = {"code": code, "text": text, "description": endpoint.description}
    fact = Fact(endpoint.organization_id, endpoint.workspace_id, "webhook.disabled", endpoint.id, endpoint.id, told)
    events.append(session, [fact], now)
    audit(session, endpoint, By(endpoint.id), "webhook.disabled", now, {"code": code})


def _switch(endpoint: WebhookEndpoint, enabled: bool, by: By, now: datetime) -> None:
    if not enabled:
        _turn_off(endpoint, BY_HAND, f"Disabled by {by.actor}.", now)
        return
    endpoint.enabled, endpoint.listening_since = True, now
    endpoint.disabled_code = endpoint.disabled_text = endpoint.disabled_at = None
    endpoint.failing_since, endpoint.failures, endpoint.paused_until = None, 0, None


def _turn_off(endpoint: WebhookEndpoint, code: str, text: str, now: datetime) -> None:
    endpoint.enabled = False
    endpoint.disabled_code, endpoint.disabled_text, endpoint.disabled_at = code, text, now


def _count(session: Session, organization_id: str) -> int:
    wanted = select(func.count()).select_from(WebhookEndpoint)
    return session.scalar(wanted.where(WebhookEndpoint.organization_id == organization_id)) or 0


def audit(
    session: Session, endpoint: WebhookEndpoint, by: By, action: str, now: datetime, data: Mapping[str, Any]
) -> None:
    """Record what somebody did with an endpoint."""
    events.audit(
        session,
        organization_id=endpoint.organization_id,
        workspace_id=endpoint.workspace_id,
        actor=by.actor,
        token_id=by.token_id,
        action=action,
        subject_id=endpoint.id,
        now=now,
        data=data,
    )
