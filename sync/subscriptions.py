"""The webhook registered at the vendor: made, kept alive, and made again when the vendor has lost it.

Our secret is stored before the vendor is told, so that no crash leaves a webhook whose deliveries can't be verified.
Polling goes on whatever becomes of the webhook; it only makes changes arrive sooner.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from connectors.contract import (
    AuthFailed,
    ConnectorError,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
    WebhookFacts,
    WebhookSubscriber,
)
from connectors.contract import Subscription as Registered
from core.errors import Conflict, PlatformError
from core.hook_secrets import HookSecrets
from core.models import Integration, Subscription
from sync import lifecycle
from sync.failures import Fault
from sync.leases import Lease, LeaseLost, hold
from sync.missed import read_log
from sync.runtime import Lane, Runtime
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

LOOK_AGAIN = timedelta(days=1)
"""How often a webhook that is well, or that the vendor does not let us have, is looked at: vendors disable webhooks
without a word, and permissions change."""

RETRY = timedelta(minutes=15)
"""After a failure that may pass. Polling covers for the webhook meanwhile."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored about the webhook."""

    state: str
    external_ids: tuple[str, ...]
    expires_at: datetime | None
    live_since: datetime | None
    signing: HookSecrets


@dataclass(frozen=True, slots=True)
class _Done:
    """What the vendor says now. `lost` if it no longer knew the webhook, and deliveries may be missing."""

    registered: Registered
    lost: bool


def keep_subscription(rt: Runtime, integration_id: str) -> None:
    """Look after the webhook, and after what it failed to bring, if that is due. What goes wrong is written down, not
    raised."""
    with rt.db.read() as session:
        integration = session.get(Integration, integration_id)
    if integration is None or integration.status not in ("active", "error"):
        return
    now = rt.clock()
    if integration.next_subscription_at is not None and integration.next_subscription_at <= now:
        subscribe(rt, integration_id)
    if integration.next_log_at is not None and integration.next_log_at <= now:
        read_log(rt, integration_id)


def subscribe(rt: Runtime, integration_id: str) -> None:
    """Register or renew the webhook, unless another worker is at it. What goes wrong is written down, not raised."""
    with hold(rt, f"subscribe:{integration_id}") as lease:
        if lease is None:
            return
        try:
            with_refresh(rt, integration_id, Lane.INBOX, lambda session: _settle(rt, lease, session))
        except LeaseLost:
            log.warning("subscription.lease_lost", integration_id=integration_id)
        except (ConnectorError, PlatformError) as error:
            _write_down(rt, integration_id, error)
        except DBAPIError:
            raise  # not the connector's doing: it stays due
        except Exception as error:
            log.exception("subscription.fault", integration_id=integration_id)
            _write_down(rt, integration_id, Fault(error))


def new_secret(rt: Runtime, integration_id: str, *, actor: str, token_id: str | None) -> str:
    """A new signing secret, to be entered at the vendor where a person registers the webhook by hand; shown once.

    The one before it still verifies for `hook_secrets.OVERLAP`. A webhook we registered ourselves is made anew with
    it, and the time begins when the vendor knows. Raises NotFound, Conflict.
    """
    with rt.db.write() as session:
        integration = lifecycle.locked(session, integration_id)
        if integration.status == "disconnected":
            raise Conflict(f"{integration_id} is disconnected.")
        row = session.get(Subscription, integration_id) or _unregistered(rt, integration_id, "unavailable")
        secret = secrets.token_urlsafe(32)
        changed = _opened(rt, row).changed(secret)
        ours = row.state in ("active", "stale")
        row.sealed = _sealed(rt, integration_id, changed if ours else changed.settled(rt.clock()))
        row.updated_at = rt.clock()
        if ours:
            row.state = "stale"
            integration.next_subscription_at = rt.clock()
        session.add(row)
        lifecycle.audit(session, integration, "integration.webhook_secret_changed", actor, token_id, {}, rt)
    rt.ring(Lane.PULL, integration_id)
    return secret


def webhook_url(rt: Runtime, integration: Integration) -> str:
    """Where the vendor sends the integration's deliveries."""
    return f"{rt.settings.public_url.rstrip('/')}/webhooks/{integration.type}/{integration.hook_id}"


def stored_secrets(rt: Runtime, row: Subscription) -> list[str]:
    """The secrets that verify the webhook's deliveries now, newest first."""
    return list(_opened(rt, row).valid(rt.clock()))


def registered(rt: Runtime, row: Subscription) -> Registered:
    """What is stored about a webhook, as connectors know it."""
    return Registered(tuple(row.external_ids), row.expires_at, SecretStr(_opened(rt, row).newest))


def _settle(rt: Runtime, lease: Lease, session: Session) -> None:
    connector = session.connector
    used = "webhook_subscriptions" in session.integration.capabilities
    if not (used and isinstance(connector, WebhookSubscriber)):
        _look_again(rt, session.integration.id, None)
        return
    url = webhook_url(rt, session.integration)
    known = _known(rt, lease, session.integration.id)
    done = _register(connector, url, known)
    _store(rt, lease, session, known, done)


def _known(rt: Runtime, lease: Lease, integration_id: str) -> _Known:
    """What is stored; for a webhook to be, a fresh secret that is stored first."""
    with rt.db.write() as session:
        lease.guard(session)
        row = session.get(Subscription, integration_id)
        if row is None:
            row = _unregistered(rt, integration_id, "creating")
            session.add(row)
        return _Known(row.state, tuple(row.external_ids), row.expires_at, row.live_since, _opened(rt, row))


def _unregistered(rt: Runtime, integration_id: str, state: str) -> Subscription:
    return Subscription(
        integration_id=integration_id,
        state=state,
        external_ids=[],
        sealed=_sealed(rt, integration_id, HookSecrets.first(secrets.token_urlsafe(32))),
        expires_at=None,
        live_since=None,
        code=None,
        text=None,
        updated_at=rt.clock(),
    )


def _register(connector: WebhookSubscriber, url: str, known: _Known) -> _Done:
    """Renew a live webhook; make one where there is none, or where it was made for another config."""
    secret = SecretStr(known.signing.newest)
    old = Registered(known.external_ids, known.expires_at, secret)
    if known.state == "active":
        renewed = connector.renew(old, url)
        if renewed is not None:
            return _Done(renewed, lost=False)
    elif known.state == "stale" and known.external_ids:
        connector.unsubscribe(old)
    return _Done(connector.subscribe(url, secret), lost=known.state == "active")


def _store(rt: Runtime, lease: Lease, session: Session, known: _Known, done: _Done) -> None:
    integration_id = session.integration.id
    now = rt.clock()
    facts = session.connector.manifest.webhooks or WebhookFacts()
    with rt.db.write() as transaction:
        lease.guard(transaction)
        row = transaction.get(Subscription, integration_id, with_for_update=True)
        if row is None:
            return  # disconnected meanwhile; what was registered then is refused at the door
        # A config change that came meanwhile wants the webhook made once more.
        changed = row.state == "stale" and known.state != "stale"
        row.state = "stale" if changed else "active"
        row.external_ids = list(done.registered.external_ids)
        # Read anew: somebody may have asked for another secret meanwhile, which the vendor does not know yet.
        told = _with_the_vendors(_opened(rt, row), done.registered.secret)
        row.sealed = _sealed(rt, integration_id, told if changed else told.settled(now))
        row.expires_at = done.registered.expires_at
        kept = known.state == "active" and not done.lost
        row.live_since = (known.live_since if kept else None) or now
        row.code = row.text = None
        row.updated_at = now
        integration = transaction.get_one(Integration, integration_id, with_for_update=True)
        integration.next_subscription_at = now if changed else next_look(done.registered.expires_at, facts, now)
        if done.lost:
            integration.next_pull_at = now
    if done.lost:
        log.warning("subscription.lost", integration_id=integration_id)
        rt.ring(Lane.PULL, integration_id)


def next_look(expires_at: datetime | None, facts: WebhookFacts, now: datetime) -> datetime:
    """When to renew: in good time before the end, but not before half of what is left, and every day at least."""
    if expires_at is None:
        return now + LOOK_AGAIN
    in_time = max(expires_at - facts.renew_before, now + (expires_at - now) / 2)
    return min(in_time, now + LOOK_AGAIN)


def _write_down(rt: Runtime, integration_id: str, error: ConnectorError | PlatformError) -> None:
    """A webhook the vendor does not allow is `unavailable`; anything else is tried again."""
    now = rt.clock()
    text = error.text if isinstance(error, ConnectorError) else error.message
    log.warning("subscription.failed", integration_id=integration_id, code=error.code, text=text)
    with rt.db.write() as session:
        row = session.get(Subscription, integration_id, with_for_update=True)
        if row is not None:
            if isinstance(error, (Forbidden, Rejected, NotFound)):
                row.state = "unavailable"
            row.code, row.text, row.updated_at = error.code, text, now
    _look_again(rt, integration_id, _again(error, now))


def _again(error: ConnectorError | PlatformError, now: datetime) -> datetime:
    if isinstance(error, RateLimited):
        return max(error.until, now)
    if isinstance(error, Transient):
        return max(error.retry_at or now, now + RETRY)
    if isinstance(error, (Forbidden, Rejected, NotFound, AuthFailed)):
        return now + LOOK_AGAIN  # dead credentials: renewing them makes it due at once
    return now + RETRY


def _look_again(rt: Runtime, integration_id: str, at: datetime | None) -> None:
    with rt.db.write() as session:
        session.execute(
            update(Integration)
            .where(Integration.id == integration_id, Integration.status != "disconnected")
            .values(next_subscription_at=at)
        )


def _with_the_vendors(known: HookSecrets, told: SecretStr | None) -> HookSecrets:
    """The secrets with the vendor's own choice, where it made one, in front."""
    if told is None or told.get_secret_value() == known.newest:
        return known
    return known.changed(told.get_secret_value())


def _opened(rt: Runtime, row: Subscription) -> HookSecrets:
    return HookSecrets.opened(rt.vault.open(row.sealed, _label(row.integration_id)))


def _sealed(rt: Runtime, integration_id: str, signing: HookSecrets) -> str:
    return rt.vault.seal(signing.to_seal(), _label(integration_id))


def _label(integration_id: str) -> str:
    return f"integration:{integration_id}:subscription"
