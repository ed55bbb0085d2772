"""What the webhook should have told and did not: counted where a poll finds it, fetched where the vendor kept it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import (
    ConnectorError,
    DeliveryLog,
    Missed,
    NotFound,
    RateLimited,
    RawDelivery,
    RemoteTask,
    WebhookFacts,
)
from core.bulk import among, insert_new
from core.deliveries import dedupe_key, event_name, kept_headers, new_row
from core.delivery_counts import Counted, add_counts, period
from core.errors import PlatformError
from core.models import Delivery, Integration, Subscription
from core.vault import VaultError
from sync.apply import Applied
from sync.leases import Lease, LeaseLost, hold
from sync.runtime import Lane, Runtime
from sync.scope import Scope
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

GRACE = timedelta(minutes=2)
"""A change younger than this may still be told: most vendors send within seconds, busy ones within a minute or two."""

CHANGED = frozenset({"created", "updated", "ended"})
"""What an item that nobody had told of came to."""

LOG_EVERY = timedelta(minutes=15)
"""How often a vendor's log of failed deliveries is read: an outage of ours is made good that soon after its end."""

LOG_OVERLAP = timedelta(hours=1)
"""The log is read from before where it was read to: a delivery fails for good only after the vendor's own retries."""


# --- counted ------------------------------------------------------------------------------------------


def told_since(rt: Runtime, integration: Integration) -> datetime | None:
    """From when on the webhook should have told of every change; None where that can't be said: there is none, it is
    the first look, or what it told still waits in the inbox."""
    if integration.cursor is None:
        return None
    now = rt.clock()
    waiting = exists().where(Delivery.integration_id == integration.id, Delivery.state == "pending")
    with rt.db.read() as session:
        row = session.get(Subscription, integration.id)
        if row is None or row.state != "active" or (row.expires_at is not None and row.expires_at <= now):
            return None
        return None if session.scalar(select(waiting)) else row.live_since


def count_missed(
    session: DbSession,
    scope: Scope,
    tasks: Iterable[RemoteTask],
    applied: Applied,
    since: datetime | None,
    now: datetime,
) -> int:
    """How many of a poll's items had changed without the webhook having told; adds them to the counts."""
    if since is None:
        return 0
    ids = {task.external_id for task in tasks if since < task.updated_at - scope.clock_offset < now - GRACE}
    missed = sum(applied.outcomes.get(id_) in CHANGED for id_ in ids)
    if missed:
        add_counts(session, {(scope.integration_id, period(now), Counted.MISSED): missed})
    return missed


# --- fetched ------------------------------------------------------------------------------------------


def read_log(rt: Runtime, integration_id: str) -> None:
    """Fetch the deliveries the vendor could not hand over, unless another worker is at it. What goes wrong is logged;
    the next look begins where this one did."""
    with hold(rt, f"log:{integration_id}") as lease:
        if lease is None:
            return
        try:
            with_refresh(rt, integration_id, Lane.INBOX, lambda session: _read(rt, lease, session))
        except LeaseLost:
            log.warning("delivery_log.lease_lost", integration_id=integration_id)
        except (ConnectorError, PlatformError, VaultError) as error:
            log.warning("delivery_log.failed", integration_id=integration_id, text=str(error))
            _look_again(rt, integration_id, error)


def _look_again(rt: Runtime, integration_id: str, error: ConnectorError | PlatformError | VaultError) -> None:
    now = rt.clock()
    at = max(error.until, now) if isinstance(error, RateLimited) else now + LOG_EVERY
    with rt.db.write() as session:
        session.execute(update(Integration).where(_connected(integration_id)).values(next_log_at=at))


def _read(rt: Runtime, lease: Lease, session: Session) -> None:
    connector, integration = session.connector, session.integration
    assert isinstance(connector, DeliveryLog)
    begun = rt.clock()
    for batch in connector.missed((integration.log_read_until or begun) - LOG_OVERLAP):
        lease.extend()
        unknown = _unknown(rt, integration.id, batch)
        _take_in(rt, lease, session, [missed for missed in unknown if missed.delivery is not None])
        _have_sent_again(connector, integration.id, [missed for missed in unknown if missed.delivery is None])
    with rt.db.write() as db:
        lease.guard(db)
        values = {"log_read_until": begun, "next_log_at": rt.clock() + LOG_EVERY}
        db.execute(update(Integration).where(_connected(integration.id)).values(**values))


def _connected(integration_id: str) -> ColumnElement[bool]:
    return (Integration.id == integration_id) & (Integration.status != "disconnected")


def _key(integration_id: str, missed: Missed) -> str:
    return dedupe_key(integration_id, missed.key, missed.delivery.body if missed.delivery else b"")


def _unknown(rt: Runtime, integration_id: str, batch: Sequence[Missed]) -> list[Missed]:
    """Those that did not come in another way meanwhile."""
    keys = {_key(integration_id, missed): missed for missed in batch}
    with rt.db.read() as db:
        known = set(db.scalars(select(Delivery.dedupe_key).where(among(db, Delivery.dedupe_key, keys))))
    return [missed for key, missed in keys.items() if key not in known]


def _take_in(rt: Runtime, lease: Lease, session: Session, batch: Sequence[Missed]) -> None:
    """Put what the log holds into the inbox. It was read with our credentials, which proves more than a signature."""
    if not batch:
        return
    integration_id, now = session.integration.id, rt.clock()
    facts = session.connector.manifest.webhooks or WebhookFacts()
    rows = [_row(integration_id, missed, missed.delivery, facts, now) for missed in batch if missed.delivery]
    with rt.db.write() as db:
        lease.guard(db)
        inserted = insert_new(db, Delivery.__table__, rows, key="dedupe_key")
        if inserted:
            add_counts(db, {(integration_id, period(now), Counted.RECOVERED): len(inserted)})
    rt.ring(Lane.INBOX, integration_id)
    log.info("delivery_log.recovered", integration_id=integration_id, deliveries=len(inserted))


def _row(integration_id: str, missed: Missed, raw: RawDelivery, facts: WebhookFacts, now: datetime) -> dict[str, Any]:
    headers = kept_headers(raw.headers, facts.headers_kept)
    return new_row(integration_id, _key(integration_id, missed), event_name(missed.event), headers, raw.body, now)


def _have_sent_again(connector: DeliveryLog, integration_id: str, batch: Collection[Missed]) -> None:
    """Ask the vendor to send; they come through the front door like any other."""
    for missed in batch:
        try:
            connector.redeliver(missed)
        except NotFound as error:  # too old for the vendor: a poll has to find what it told
            log.warning("delivery_log.lost", integration_id=integration_id, ref=missed.ref, text=error.text)
