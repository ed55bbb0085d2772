"""The tick: find due work by query, and ring for it.

Nothing else is needed for work to be done: a doorbell that was lost, a worker that was killed, a broker that was away
cost at most the time to the next tick. The tick also throws out what has outlived its use, a little at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, exists, or_, select
from sqlalchemy.orm import Session as DbSession

from core import stream
from core.bulk import elements
from core.delivery_counts import LIFE as COUNTS_LIFE
from core.models import (
    Binding,
    Delivery,
    DeliveryCount,
    Event,
    IdempotencyKey,
    Integration,
    NotificationMessage,
    NotificationThread,
    OAuthAttempt,
    Repository,
    SyncRun,
    WebhookEndpoint,
    WebhookMessage,
)
from sync.notifications import outbox
from sync.runtime import NEWS, Lane, Runtime
from sync.watch import watch

LIVE = ("active",)
"""Integrations whose work goes on. One in `error` waits for a person: its credentials are dead."""

PULLED = ("active", "error")
"""Pulls go on in `error`, rarely: if the vendor takes the credentials again, the integration recovers by itself."""

RING_MOST = 500
"""Integrations rung for per lane and tick; the rest are as due at the next one."""

PURGE_BATCH = 500
"""Rows thrown out per table and tick: with a tick every 2 s that is 20 million a day, and each stays unnoticeable."""

KEY_LIFE = timedelta(hours=24)
"""How long an Idempotency-Key answers again."""


def tick(rt: Runtime) -> dict[str, int]:
    """Ring for everything due. Returns how often was rung, per lane."""
    now = rt.clock()
    rung: dict[str, int] = {}
    with rt.db.read() as session:
        due = {lane: list(session.scalars(statement)) for lane, statement in _due(session, now)}
        if outbox.is_news(session, now):
            due[Lane.MESSAGES].insert(0, NEWS)
        if _is_news(session):
            due[Lane.NOTIFY].insert(0, NEWS)
        if _is_news_of_code(session):
            due[Lane.FACTS] = [NEWS]
    for lane, integration_ids in due.items():
        rung[lane] = len(integration_ids)
        for integration_id in integration_ids:
            rt.ring(lane, integration_id)
    watch(rt)
    purge(rt, now)
    return rung


def _due(session: DbSession, now: datetime) -> Iterator[tuple[Lane, Select[Any]]]:
    used = elements(session, Integration.capabilities)
    owed = (
        select(Binding.integration_id)
        .join(Integration, Integration.id == Binding.integration_id)
        .where(
            Binding.owed,
            Binding.failed_at.is_(None),
            Binding.state != "ended",
            Binding.next_attempt_at <= now,
            Integration.status.in_(LIVE),
            # What is owed stays so while the config makes no use of items, and is paid when it does again.
            exists().select_from(used).where(used.c.value == "task_sink"),
            or_(Integration.next_push_at.is_(None), Integration.next_push_at <= now),
        )
    )
    told = (
        select(Delivery.integration_id)
        .join(Integration, Integration.id == Delivery.integration_id)
        .where(Delivery.state == "pending", Delivery.next_attempt_at <= now, Integration.status.in_(LIVE))
    )
    pull = select(Integration.id).where(
        or_(
            and_(
                Integration.status.in_(PULLED),
                or_(
                    Integration.next_pull_at <= now,
                    Integration.next_subscription_at <= now,
                    Integration.next_sweep_at <= now,
                    Integration.next_log_at <= now,
                ),
            ),
            and_(Integration.status == "pending_auth", Integration.next_pull_at <= now),
        )
    )
    histories = (
        select(Repository.integration_id)
        .join(SyncRun, SyncRun.repository_id == Repository.id)
        .join(Integration, Integration.id == Repository.integration_id)
        .where(
            Repository.state == "backfilling",
            Repository.next_poll_at <= now,
            SyncRun.kind == "backfill",
            SyncRun.status == "running",
            Integration.status.in_(LIVE),
            or_(Integration.next_backfill_at.is_(None), Integration.next_backfill_at <= now),
        )
    )
    yield Lane.PUSH, owed.distinct().limit(RING_MOST)
    yield Lane.INBOX, told.distinct().limit(RING_MOST)
    yield Lane.MESSAGES, outbox.due_now(now).limit(RING_MOST)
    yield Lane.NOTIFY, endpoints_due(now)
    yield Lane.PULL, pull.order_by(Integration.next_pull_at).limit(RING_MOST)
    yield Lane.BACKFILL, histories.distinct().limit(RING_MOST)


def endpoints_due(now: datetime) -> Select[Any]:
    """Webhook endpoints that something can be sent to now. Those that answer come before those that do not."""
    owed = select(WebhookMessage.id).where(
        WebhookMessage.endpoint_id == WebhookEndpoint.id,
        WebhookMessage.state == "pending",
        WebhookMessage.next_attempt_at <= now,
    )
    return (
        select(WebhookEndpoint.id)
        .where(
            WebhookEndpoint.enabled,
            or_(WebhookEndpoint.paused_until.is_(None), WebhookEndpoint.paused_until <= now),
            owed.exists(),
        )
        .order_by(WebhookEndpoint.failures, WebhookEndpoint.id)
        .limit(RING_MOST)
    )


def _is_news(session: DbSession) -> bool:
    """Whether events were appended that an endpoint may want."""
    listening = session.scalar(select(WebhookEndpoint.id).where(WebhookEndpoint.enabled).limit(1))
    return listening is not None and stream.has_news(session, stream.WEBHOOKS)


def _is_news_of_code(session: DbSession) -> bool:
    """Whether events were appended that facts may be made of. Before the first code event nobody reads the stream."""
    if stream.has_started(session, stream.FACTS):
        return stream.has_news(session, stream.FACTS)
    return session.scalar(select(Event.id).where(Event.key.is_not(None)).limit(1)) is not None


def purge(rt: Runtime, now: datetime) -> None:
    """Throw out a batch of what has outlived its use: finished deliveries (dead ones too: they can be replayed for as
    long as they are kept), webhook messages, notifications, old counts, answered keys, consents never finished. A
    pending delivery is always kept."""
    with rt.db.write() as session:
        kept_since = now - timedelta(days=rt.settings.retention_days)
        _purge(session, Delivery, Delivery.id, Delivery.received_at < kept_since, Delivery.state != "pending")
        # A pending message that old is at an endpoint which was disabled as long ago.
        _purge(session, WebhookMessage, WebhookMessage.id, WebhookMessage.next_attempt_at < kept_since)
        outbox.give_up_old(session, now)
        _purge(session, NotificationMessage, NotificationMessage.id, NotificationMessage.finished_at < kept_since)
        # What is said of a thing after so long begins a new thread: nobody looks for news under an old message.
        _purge(session, NotificationThread, NotificationThread.id, NotificationThread.said_at < kept_since)
        # Two columns make its key, so it is not purged by batches: few rows end per tick.
        session.execute(delete(DeliveryCount).where(DeliveryCount.at < now - COUNTS_LIFE))
        _purge(session, IdempotencyKey, IdempotencyKey.id, IdempotencyKey.created_at < now - KEY_LIFE)
        _purge(session, OAuthAttempt, OAuthAttempt.state_digest, OAuthAttempt.expires_at < now - KEY_LIFE)


def _purge(session: DbSession, model: Any, key: Any, *conditions: Any) -> None:
    old = select(key).where(*conditions).limit(PURGE_BATCH)
    session.execute(delete(model).where(key.in_(old)).execution_options(synchronize_session=False))
