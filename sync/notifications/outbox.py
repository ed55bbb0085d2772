"""What is owed to channels, as queries: who is due, what is next in each channel, what is too old to be said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, func, literal_column, or_, select, update
from sqlalchemy.orm import Session

from core import stream
from core.models import Integration, NotificationMessage, NotificationRoute
from sync.notifications.fanout import windows_ended
from sync.notifications.policy import STALE

TOO_OLD = "It could not be said for a day, and is no news any more."

IS_PENDING = NotificationMessage.state == literal_column("'pending'")
"""Spelt out, as SQLite takes the index of what is pending only for a condition whose value it can read."""

UNSAID = ("pending", "gathering")
"""States of what may still be said."""


def due_now(now: datetime) -> Select[Any]:
    """Integrations through which something can be said now."""
    first = _first_in_each_channel()
    message = NotificationMessage
    return (
        select(message.integration_id)
        .join(first, first.c.id == message.id)
        .join(Integration, Integration.id == message.integration_id)
        .where(
            message.next_attempt_at <= now,
            Integration.status == "active",
            or_(Integration.next_messages_at.is_(None), Integration.next_messages_at <= now),
        )
        .distinct()
    )


def channels_due(integration_id: str, now: datetime) -> Select[Any]:
    """The integration's channels in which something can be said now, the longest due first."""
    first = _first_in_each_channel(NotificationMessage.integration_id == integration_id)
    message = NotificationMessage
    return (
        select(message.channel)
        .join(first, first.c.id == message.id)
        .where(message.next_attempt_at <= now)
        .order_by(message.next_attempt_at, message.id)
    )


def first_in(integration_id: str, channel: str) -> Select[NotificationMessage]:
    """What has to be said before anything else in the channel."""
    message = NotificationMessage
    mine = (message.integration_id == integration_id, message.channel == channel)
    return select(message).where(*mine, IS_PENDING).order_by(message.id).limit(1)


def _first_in_each_channel(*which: ColumnElement[bool]) -> Subquery:
    """One message comes after the other, so only the first of a channel is ever due."""
    message = NotificationMessage
    grouped = select(func.min(message.id).label("id")).where(IS_PENDING, *which)
    return grouped.group_by(message.integration_id, message.channel).subquery()


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
