"""What is owed to channels, as queries: who is due, what is next in each channel, what is too old to be said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from core import stream
from core.models import Integration, NotificationMessage, NotificationRoute
from sync.notifications.fanout import windows_ended
from sync.notifications.policy import STALE

TOO_OLD = "It could not be said for a day, and is no news any more."

UNSAID = ("pending", "gathering")
"""States of what may still be said."""


def is_first() -> ColumnElement[bool]:
    """Nothing is before it in its channel: one message comes after the other, so only the first is ever due."""
    message, before = NotificationMessage, aliased(NotificationMessage)
    earlier = exists(
        select(before.id).where(
            before.integration_id == message.integration_id,
            before.channel == message.channel,
            before.state == "pending",
            before.id < message.id,
        )
    )
    return ~earlier


def due_now(now: datetime) -> Select[Any]:
    """Integrations through which something can be said now."""
    message = NotificationMessage
    return (
        select(message.integration_id)
        .join(Integration, Integration.id == message.integration_id)
        .where(
            message.state == "pending",
            message.next_attempt_at <= now,
            is_first(),
            Integration.status == "active",
            or_(Integration.next_messages_at.is_(None), Integration.next_messages_at <= now),
        )
        .distinct()
    )


def next_in_each_channel(integration_id: str, now: datetime, most: int) -> Select[Any]:
    """The ids of the messages that are due in the integration's channels, one each, the longest due first."""
    message = NotificationMessage
    return (
        select(message.id)
        .where(
            message.integration_id == integration_id,
            message.state == "pending",
            message.next_attempt_at <= now,
            is_first(),
        )
        .order_by(message.next_attempt_at, message.id)
        .limit(most)
    )


def is_news(session: Session, now: datetime) -> bool:
    """Whether events were appended that a route may want, or a window has ended."""
    listening = session.scalar(select(NotificationRoute.id).where(NotificationRoute.enabled).limit(1))
    if listening is not None and stream.has_news(session, stream.NOTIFICATIONS):
        return True
    return session.scalar(windows_ended(now, NotificationMessage.id).limit(1)) is not None


def give_up_old(session: Session, now: datetime) -> None:
    """What has waited for so long is not said any more."""
    _end(
        session,
        "too_old",
        TOO_OLD,
        now,
        NotificationMessage.state == "pending",
        NotificationMessage.queued_at < now - STALE,
    )


def drop_all(session: Session, code: str, text: str, now: datetime, *which: ColumnElement[bool]) -> None:
    """None of these is to be said any more."""
    _end(session, code, text, now, NotificationMessage.state.in_(UNSAID), *which)


def _end(session: Session, code: str, text: str, now: datetime, *which: ColumnElement[bool]) -> None:
    """They failed, but for those of which nobody knows."""
    message = NotificationMessage
    ended = {"error_code": code, "error_text": text, "finished_at": now}
    for state, known in (("unknown", message.called_at.is_not(None)), ("failed", message.called_at.is_(None))):
        session.execute(
            update(message).where(*which, known).values(state=state, **ended),
            execution_options={"synchronize_session": False},
        )
