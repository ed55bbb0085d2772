"""What a channel was told of one thing, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.contract import MessageRef
from core.models import NotificationMessage, NotificationThread
from sync.notifications.policy import continues
from sync.notifications.saying import Root


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread's root, and the newest NTF-* that was said in it."""

    root: Root
    last: str


def find(session: Session, message: NotificationMessage) -> Thread | None:
    """The thread a message goes on with; None: it begins one, or stands for itself."""
    row = _row(session, message)
    if row is None or not continues(row.thread_key, row.over_at, message.event_at):
        return None
    return Thread(Root(MessageRef(row.root_channel, row.root_message), row.root_notification), row.last)


def bind(session: Session, message: NotificationMessage, root: Root, now: datetime) -> None:
    """The message was said; this is the root of its thread now."""
    if message.thread_key is None:
        return
    row = _row(session, message)
    if row is None:
        row = NotificationThread(
            integration_id=message.integration_id, channel=message.channel, thread_key=message.thread_key, last=""
        )
        session.add(row)
    row.root_channel, row.root_message, row.root_notification = root.ref.channel, root.ref.id, root.notification_id
    row.said_at = now
    if message.id >= row.last:
        row.last, row.over_at = message.id, message.event_at if message.body["over"] else None


def _row(session: Session, message: NotificationMessage) -> NotificationThread | None:
    thread = NotificationThread
    mine = (thread.integration_id == message.integration_id, thread.channel == message.channel)
    return session.scalar(select(thread).where(*mine, thread.thread_key == message.thread_key))
