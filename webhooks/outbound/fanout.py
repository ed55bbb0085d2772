"""From events to messages: whatever is new in the stream is owed to every endpoint that wants it, exactly once.

One transaction moves the reader's place in the stream and inserts a message per event and matching endpoint, by one
statement whose memory is the database's. Killed before its commit, it did nothing; two workers come one after the
other; and should the stream ever show an event twice, the message's id is taken.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, literal, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core import stream
from core.bulk import on_postgresql
from core.models import Event, WebhookEndpoint, WebhookMessage
from core.stream import News
from webhooks.outbound.world import World

COLUMNS = ("id", "endpoint_id", "event_id", "type", "event_at", "state", "attempts", "tries", "next_attempt_at")


def fan_out(world: World) -> None:
    """Queue what is new; once more from the start if an endpoint was deleted meanwhile."""
    now = world.clock()
    listening = and_(WebhookEndpoint.enabled, Event.at >= WebhookEndpoint.listening_since)
    world.db.run(lambda session: queue(session, now, stream.advance(session, stream.WEBHOOKS), listening))


def start_listening(session: Session) -> None:
    """Before an endpoint is enabled: while there is none, nobody reads the stream, and what was appended meanwhile
    need not be looked through."""
    stream.hold(session, stream.WEBHOOKS)
    if session.scalar(select(WebhookEndpoint.id).where(WebhookEndpoint.enabled).limit(1)) is None:
        stream.start(session, stream.WEBHOOKS)


def queue(session: Session, now: datetime, *conditions: News) -> None:
    """A pending message for every event and endpoint that fit together under the conditions, unless there is one."""
    insert = (postgresql if on_postgresql(session) else sqlite).insert(WebhookMessage)
    chosen = _messages(session, now).where(*conditions)
    statement = insert.from_select([*COLUMNS, "created_at"], chosen).on_conflict_do_nothing(index_elements=["id"])
    session.execute(statement, execution_options={"synchronize_session": False})


def _messages(session: Session, now: datetime) -> Select[Any]:
    endpoint = WebhookEndpoint
    moment = literal(now, WebhookMessage.next_attempt_at.type)
    return (
        select(
            message_id(Event.id, endpoint.id),
            endpoint.id,
            Event.id,
            Event.type,
            Event.at,
            literal("pending"),
            literal(0),
            literal(0),
            moment,
            moment,
        )
        .select_from(Event)
        .join(endpoint, endpoint.organization_id == Event.organization_id)
        .where(or_(endpoint.workspace_id.is_(None), endpoint.workspace_id == Event.workspace_id))
        .where(Event.backfilled.is_(False))  # history that was read later is no news
        .where(stream.is_named(session, WebhookEndpoint.events))
    )


def message_id(event_id: Any, endpoint_id: Any) -> Any:
    """The id of the message of an event to an endpoint, as SQL or as text. It has no dot, as the signature asks."""
    return event_id + "-" + endpoint_id
