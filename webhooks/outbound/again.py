"""What a person asks for: a test, one message again, or all of a stretch of time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.orm import Session

from core import ids
from core.errors import Conflict, NotFound
from core.models import Event, WebhookEndpoint, WebhookMessage
from webhooks.outbound import endpoints, fanout, sending
from webhooks.outbound.endpoints import By
from webhooks.outbound.payload import Fact, body_of
from webhooks.outbound.schedule import Outcome
from webhooks.outbound.sending import Claimed, Wave
from webhooks.outbound.world import World

TEST = "webhook.test"
"""The type of a test's event, which is in no stream: other endpoints do not get it."""


def send_test(world: World, endpoint_id: str, *, by: By) -> str:
    """Send a made-up event at once, also to a disabled endpoint, and log it like any other; its message's id.

    It is sent once: a test that fails is not tried again, and says nothing about the endpoint's health.
    Raises NotFound.
    """
    wave = _claim_test(world, endpoint_id, by)
    [message] = wave.messages
    result = sending.call(world, wave, message)
    with world.db.write() as session:
        sending.complete_attempts(session, [(message, result)])
        delivered = result.outcome is Outcome.DELIVERED
        session.execute(
            update(WebhookMessage)
            .where(WebhookMessage.id == message.id)
            .values(
                state="delivered" if delivered else "failed",
                status=result.status,
                error_code=None if delivered else result.outcome.value,
                error_text=None if delivered else result.text,
                finished_at=world.clock(),
            )
        )
    return message.id


def _claim_test(world: World, endpoint_id: str, by: By) -> Wave:
    """Store the test as failed until its answer is known."""
    now = world.clock()
    with world.db.write() as session:
        endpoint = endpoints.locked(session, endpoint_id)
        fact = _made_up(endpoint, ids.take_one(session, "EVT", now), by, now)
        message = Claimed(fanout.message_id(fact.id, endpoint.id), 1, 1, body_of(fact), now)
        session.add(_as_failed(message, endpoint.id, fact, now))
        session.flush()
        sending.log_attempts(session, [(message.id, message.number)], now)
        endpoints.audit(session, endpoint, by, "webhook.tested", now, {"delivery_id": message.id})
        keys = tuple(endpoints.secrets_of(world.vault, endpoint).valid(now))
        return Wave(endpoint.id, endpoint.url, keys, (message,), now)


def _made_up(endpoint: WebhookEndpoint, event_id: str, by: By, now: datetime) -> Fact:
    told = {"message": "This is a test. Your endpoint is set up if it verified this and answered with a 2xx."}
    return Fact(event_id, endpoint.workspace_id, TEST, endpoint.id, by.actor, told, now)


def _as_failed(message: Claimed, endpoint_id: str, fact: Fact, now: datetime) -> WebhookMessage:
    return WebhookMessage(
        id=message.id,
        endpoint_id=endpoint_id,
        event_id=fact.id,
        type=fact.type,
        event_at=now,
        body=message.body,
        state="failed",
        attempts=message.number,
        tries=message.tries,
        next_attempt_at=now,
        error_code=Outcome.UNFINISHED.value,
        error_text=sending.UNKNOWN,
        created_at=now,
        finished_at=now,
    )


def redeliver_one(session: Session, world: World, endpoint_id: str, message_id: str, *, by: By) -> WebhookMessage:
    """Queue a message once more, due at once, with all its tries. Raises NotFound, Conflict for a disabled endpoint."""
    now, endpoint = world.clock(), _enabled(session, endpoint_id)
    wanted = select(WebhookMessage).where(WebhookMessage.id == message_id, WebhookMessage.endpoint_id == endpoint.id)
    message = session.scalar(wanted.with_for_update())
    if message is None:
        raise NotFound(f"Delivery {message_id} not found.")
    for name, value in _anew(now).items():
        setattr(message, name, value)
    endpoints.audit(session, endpoint, by, "webhook.redelivered", now, {"delivery_id": message_id})
    return message


def redeliver_many(
    session: Session,
    world: World,
    endpoint_id: str,
    *,
    by: By,
    since: datetime | None,
    until: datetime | None,
    everything: bool,
) -> int:
    """Queue the failed messages of events of a stretch of time once more; how many there were.

    `everything` of it: also what was delivered, and what was never queued, because the endpoint was disabled or did
    not want it then. Raises NotFound, Conflict for a disabled endpoint.
    """
    now, endpoint = world.clock(), _enabled(session, endpoint_id)
    if everything:
        fanout.queue(session, now, WebhookEndpoint.id == endpoint.id, *_within(Event.at, since, until))
    message = WebhookMessage
    statement = (
        update(message)
        .where(message.endpoint_id == endpoint.id, message.type != TEST, *_within(message.event_at, since, until))
        .values(_anew(now))
        .execution_options(synchronize_session=False)
    )
    result = session.execute(statement if everything else statement.where(message.state == "failed"))
    assert isinstance(result, CursorResult)
    period = {"from": since and since.isoformat(), "to": until and until.isoformat()}
    data = {"deliveries": result.rowcount, "only": "all" if everything else "failed"} | period
    endpoints.audit(session, endpoint, by, "webhook.redelivered", now, data)
    return result.rowcount


def _enabled(session: Session, endpoint_id: str) -> WebhookEndpoint:
    endpoint = endpoints.locked(session, endpoint_id)
    if not endpoint.enabled:
        raise Conflict(f"Webhook {endpoint_id} is disabled: {endpoint.disabled_text} Enable it first.")
    return endpoint


def _anew(now: datetime) -> dict[str, Any]:
    """A message's columns when it is queued again. Its attempts go on counting: they tell it from what is in hand."""
    return {"state": "pending", "tries": 0, "next_attempt_at": now, "finished_at": None}


def _within(column: Any, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    found = [column >= since] if since is not None else []
    return found + ([column < until] if until is not None else [])
