"""Notifications: who is told what and where, what is owed to a channel, and what was said in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class NotificationRoute(Base):
    """NRT-*: which events of a workspace are told in which channel of which integration.

    channel          in the vendor's own words; "" is the default one of the integration's config
    events           names of events, `task.*` for all that begin so, `*` for all
    least_severity   what is less than this is not told
    digest_minutes   0: each event is told at once; else all of so many minutes in one message
    listening_since  events from then on are told: its creation, or when it was last enabled
    """

    __tablename__ = "notification_route"
    __table_args__ = (Index(None, "workspace_id", "id"), Index(None, "integration_id"))

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"))
    name: Mapped[str] = mapped_column(Text)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]]
    least_severity: Mapped[str] = mapped_column(Text)
    digest_minutes: Mapped[int]
    enabled: Mapped[bool]
    listening_since: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class NotificationMessage(Base):
    """NTF-*: something to be said once in one channel. In a channel they are said in the order of their ids.

    delivery_key    `{event}-{route}`: one row however often the event is looked at
    event_type      `digest` and `test` have no event
    body            text, facts, url, over: what is said besides the title, the same at every attempt
    thread_key      what it belongs to (`incident:INC-26-000001`); None: it stands for itself
    state           pending | gathering | sent | failed | unknown | skipped | gathered; `error_text` says why. A pending
                    one is due at `next_attempt_at`; one that is gathering waits until then for others
    digest_id       the message that says it together with others
    attempts        all that were ever made; `tries` those since it was queued or queued again at `queued_at`
    called_at       when an attempt began of which nobody knows whether it reached anyone
    message_*       where it was said at the vendor
    """

    __tablename__ = "notification"
    __table_args__ = (
        Index(None, "workspace_id", "id"),
        Index(None, "route_id", "id"),
        Index(
            "ix_notification_pending",
            "integration_id",
            "channel",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_notification_gathering",
            "route_id",
            "next_attempt_at",
            sqlite_where=text("state = 'gathering'"),
            postgresql_where=text("state = 'gathering'"),
        ),
        Index(None, "finished_at"),
        Index(None, "digest_id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    delivery_key: Mapped[str] = mapped_column(Text, unique=True)
    organization_id: Mapped[str] = mapped_column(Text)
    workspace_id: Mapped[str] = mapped_column(Text)
    route_id: Mapped[str] = mapped_column(ForeignKey("notification_route.id", ondelete="CASCADE"))
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str | None] = mapped_column(Text)
    event_type: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]]
    thread_key: Mapped[str | None] = mapped_column(Text)
    event_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    digest_id: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int]
    tries: Mapped[int]
    queued_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    called_at: Mapped[datetime | None]
    message_channel: Mapped[str | None] = mapped_column(Text)
    message_id: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_text: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class NotificationThread(Base):
    """What a channel was told of one thing: its first message, which later ones change and are put under.

    root_*   the first message at the vendor, and `root_notification` the NTF-* it bears
    last     the newest NTF-* that was said of it; an older one that is said again changes nothing of the root
    over_at  its last message said that it is over; when that was
    """

    __tablename__ = "notification_thread"
    __table_args__ = (UniqueConstraint("integration_id", "channel", "thread_key"), Index(None, "said_at"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(Text)
    thread_key: Mapped[str] = mapped_column(Text)
    root_channel: Mapped[str] = mapped_column(Text)
    root_message: Mapped[str] = mapped_column(Text)
    root_notification: Mapped[str] = mapped_column(Text)
    last: Mapped[str] = mapped_column(Text)
    over_at: Mapped[datetime | None]
    said_at: Mapped[datetime]


class BrokenChannel(Base):
    """A channel in which nothing can be said; the row goes with the first message that can."""

    __tablename__ = "broken_channel"

    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"), primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]
