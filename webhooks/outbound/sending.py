"""Sending what is owed to one endpoint: wave by wave, each claimed, sent and settled.

*Claim* (a transaction): the messages that are due, at most a wave of them. Their attempts are counted and logged before
the call, so that a process that is killed in it has used up a try, and the message comes again by its schedule.
*Call*: no transaction is open. *Settle* (a transaction): what came of each, and how the endpoint does. Only a message
whose count is still the claimed one is settled: a worker that was paused for so long that another one took the message
over changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.bulk import among, insert_rows, update_rows
from core.models import Event, WebhookAttempt, WebhookEndpoint, WebhookMessage
from webhooks.outbound import endpoints, schedule
from webhooks.outbound.payload import Fact, body_of, headers_of
from webhooks.outbound.post import Result, post
from webhooks.outbound.schedule import Health, Outcome
from webhooks.outbound.world import World

log = structlog.get_logger(__name__)

TURN = timedelta(seconds=20)
"""How long one call of `send_due` goes on: then others who wait for a worker have their turn."""

MOST_WAVES = 100
"""Also of a turn: a clock that stands still must not make it endless."""

UNKNOWN = "The process that sent it ended before the answer was stored."

KEY_STAYS = {"key_share": True}
"""The lock on an endpoint lets others queue messages for it."""

Guard = Callable[[Session], None]
"""Makes a transaction valid only while the caller may still work on the endpoint; raises otherwise."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message in hand: its `number`-th attempt of all, the `tries`-th of this round."""

    id: str
    number: int
    tries: int
    body: bytes
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Wave:
    """What is sent at once to one endpoint."""

    endpoint_id: str
    url: str
    keys: tuple[str, ...]
    messages: tuple[Claimed, ...]
    started: datetime


def send_due(world: World, endpoint_id: str, guard: Guard, chance: random.Random | None = None) -> bool:
    """Send what is due to an endpoint for one turn. True if there is more. Raises what `guard` raises."""
    chance = chance or random.Random()
    end = world.clock() + TURN
    for _ in range(MOST_WAVES):
        wave = _claim(world, endpoint_id, guard, chance)
        if wave is None:
            return False
        settle(world, wave, _call(world, wave))
        if world.clock() >= end:
            break
    return True


# --- claim ----------------------------------------------------------------------------------------------


def _claim(world: World, endpoint_id: str, guard: Guard, chance: random.Random) -> Wave | None:
    """The next wave, or None when nothing may be sent now."""
    now = world.clock()
    with world.db.write() as session:
        guard(session)
        endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update=KEY_STAYS)
        if endpoint is None or not endpoint.enabled or (endpoint.paused_until and endpoint.paused_until > now):
            return None
        size = 1 if endpoint.failures else schedule.WAVE
        due = _due(session, endpoint_id, now, size)
        if not due:
            return None
        _end_spent(session, [row for row in due if _is_spent(row)], now)
        messages = tuple(_counted(row, now, chance) for row in due if not _is_spent(row))
        _write_claims(session, messages, now)
        keys = tuple(endpoints.secrets_of(world.vault, endpoint).valid(now))
        return Wave(endpoint_id, endpoint.url, keys, messages, now)


def _due(session: Session, endpoint_id: str, now: datetime, size: int) -> Sequence[Any]:
    """Messages with the events they are about, the longest due first."""
    message = WebhookMessage
    return session.execute(
        select(message.id, message.attempts, message.tries, message.body, Event)
        .outerjoin(Event, Event.id == message.event_id)
        .where(message.endpoint_id == endpoint_id, message.state == "pending", message.next_attempt_at <= now)
        .order_by(message.next_attempt_at, message.id)
        .limit(size)
        .with_for_update(of=message)
    ).all()


def _is_spent(row: Any) -> bool:
    """Nothing is left to try: the last attempt's end was never stored, or there is nothing to tell."""
    return schedule.is_last(row.tries) or (row.body is None and row.Event is None)


def _end_spent(session: Session, rows: Sequence[Any], now: datetime) -> None:
    ended = [
        {
            "id": row.id,
            "state": "failed",
            "error_code": Outcome.UNFINISHED.value,
            "error_text": UNKNOWN if row.tries else "The event it is about does not exist any more.",
            "finished_at": now,
        }
        for row in rows
    ]
    update_rows(session, WebhookMessage.__table__, ended, key="id")


def _counted(row: Any, now: datetime, chance: random.Random) -> Claimed:
    body = row.body if row.body is not None else body_of(_fact(row.Event))
    tries = row.tries + 1
    return Claimed(row.id, row.attempts + 1, tries, body, schedule.next_attempt(now, tries, chance))


def _fact(event: Event) -> Fact:
    return Fact(event.id, event.workspace_id, event.type, event.subject_id, event.actor, event.data, event.at)


def _write_claims(session: Session, messages: Sequence[Claimed], now: datetime) -> None:
    """Before the call: what is about to be done, so that nobody can forget it."""
    claims = [
        {
            "id": each.id,
            "body": each.body,
            "attempts": each.number,
            "tries": each.tries,
            "next_attempt_at": each.next_attempt_at,
        }
        for each in messages
    ]
    update_rows(session, WebhookMessage.__table__, claims, key="id")
    log_attempts(session, [(each.id, each.number) for each in messages], now)


def log_attempts(session: Session, numbered: Sequence[tuple[str, int]], now: datetime) -> None:
    """A line in the log for each attempt that is about to be made."""
    lines = [
        {"id": attempt_id(message_id, number), "message_id": message_id, "number": number}
        for message_id, number in numbered
    ]
    shared = {"at": now, "outcome": Outcome.UNFINISHED.value, "text": UNKNOWN}
    insert_rows(session, WebhookAttempt.__table__, lines, shared=shared)


def attempt_id(message_id: str, number: int) -> str:
    """The id of a message's attempt."""
    return f"{message_id}-{number}"


# --- call -----------------------------------------------------------------------------------------------


def _call(world: World, wave: Wave) -> list[Result]:
    """Send a wave at once; the results in its order."""
    send = partial(call, world, wave)
    if len(wave.messages) < 2:
        return [send(message) for message in wave.messages]
    with ThreadPoolExecutor(len(wave.messages), thread_name_prefix="webhook") as senders:
        return list(senders.map(send, wave.messages))


def call(world: World, wave: Wave, message: Claimed) -> Result:
    """Send one message, signed for the moment of its attempt."""
    now = world.clock()
    headers = headers_of(message.id, now, message.body, wave.keys)
    bare = [key.removeprefix("whsec_") for key in wave.keys]
    return post(world.transport, wave.url, message.body, headers, now=now, secrets=[*wave.keys, *bare])


# --- settle ---------------------------------------------------------------------------------------------


def settle(world: World, wave: Wave, results: Sequence[Result]) -> None:
    """Store what came of a wave, and what follows for the endpoint."""
    now = world.clock()
    done = list(zip(wave.messages, results, strict=True))
    with world.db.write() as session:
        endpoint = session.get(WebhookEndpoint, wave.endpoint_id, with_for_update=KEY_STAYS)
        if endpoint is None:
            return  # deleted meanwhile, and its messages with it
        complete_attempts(session, done)
        current = _unchanged(session, wave.messages)
        settled = [_settled(message, result, now) for message, result in done if message.id in current]
        update_rows(session, WebhookMessage.__table__, settled, key="id")
        _look_after(session, endpoint, wave, results, now)
    log.debug(
        "webhooks.sent",
        endpoint_id=wave.endpoint_id,
        sent=len(results),
        delivered=sum(result.outcome is Outcome.DELIVERED for result in results),
    )


def complete_attempts(session: Session, done: Sequence[tuple[Claimed, Result]]) -> None:
    """Complete the attempts' lines in the log."""
    lines = [
        {
            "id": attempt_id(message.id, message.number),
            "outcome": result.outcome.value,
            "status": result.status,
            "latency_ms": result.latency_ms,
            "text": result.text,
            "answer": result.answer,
        }
        for message, result in done
    ]
    update_rows(session, WebhookAttempt.__table__, lines, key="id")


def _unchanged(session: Session, messages: Sequence[Claimed]) -> set[str]:
    """The messages nobody has sent again since they were claimed; locked."""
    found = session.execute(
        select(WebhookMessage.id, WebhookMessage.attempts)
        .where(among(session, WebhookMessage.id, [each.id for each in messages]))
        .order_by(WebhookMessage.id)
        .with_for_update()
    )
    attempts = {row.id: row.attempts for row in found}
    return {each.id for each in messages if attempts.get(each.id) == each.number}


def _settled(message: Claimed, result: Result, now: datetime) -> dict[str, Any]:
    delivered = result.outcome is Outcome.DELIVERED
    final = delivered or result.outcome is Outcome.GONE or schedule.is_last(message.tries)
    return {
        "id": message.id,
        "state": "delivered" if delivered else "failed" if final else "pending",
        "status": result.status,
        "error_code": None if delivered else result.outcome.value,
        "error_text": None if delivered else result.text,
        "next_attempt_at": max(message.next_attempt_at, result.wish or now),
        "finished_at": now if final else None,
    }


def _look_after(
    session: Session, endpoint: WebhookEndpoint, wave: Wave, results: Sequence[Result], now: datetime
) -> None:
    """Let the endpoint rest, or disable it, as its answers ask."""
    before = Health(endpoint.failing_since, endpoint.failures, endpoint.paused_until, endpoint.delivered_at)
    wishes = [result.wish for result in results if result.wish is not None]
    outcomes = [result.outcome for result in results]
    health = schedule.health_after(before, outcomes, wishes, wave.started, now)
    endpoint.failing_since, endpoint.failures = health.failing_since, health.failures
    endpoint.paused_until, endpoint.delivered_at = health.paused_until, health.delivered_at
    if not endpoint.enabled:
        return
    if health.gone:
        endpoints.disable(session, endpoint, "gone", "It answered 410: it wants no more webhooks.", now)
    elif schedule.is_hopeless(health, now):
        days = schedule.PATIENCE.days
        endpoints.disable(session, endpoint, "failing", f"Nothing but failures for {days} days.", now)
