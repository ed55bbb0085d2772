"""Webhooks out: who wants to hear of events, what is owed to them, and how each attempt went."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class WebhookEndpoint(Base):
    """WHK-*: an address that the events of an organization, or of one workspace of it, are sent to.

    events           what it wants: names of events, `task.*` for all that begin so, `*` for all
    enabled          nothing is sent or queued while it is not; `disabled_code`/`disabled_text` say why
    sealed           the signing secrets, newest first
    listening_since  events from then on are queued: its creation, or when it was last enabled
    failing_since    nothing but failures since then
    failures         failures in a row of the endpoint itself (no answer, too busy); while there are any, one message
                     at a time is tried
    paused_until     nothing is sent before
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index(None, "organization_id", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspace.id"))
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]]
    enabled: Mapped[bool]
    disabled_code: Mapped[str | None] = mapped_column(Text)
    disabled_text: Mapped[str | None] = mapped_column(Text)
    disabled_at: Mapped[datetime | None]
    sealed: Mapped[str] = mapped_column(Text)
    listening_since: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    paused_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookMessage(Base):
    """One event that is owed to one endpoint.

    id        `{event}-{endpoint}`: one row however often the event is fanned out, and the `webhook-id` of all attempts
    body      the very bytes that are signed and sent; made before the first attempt and the same ever after
    state     pending | delivered | failed; a pending one is due at `next_attempt_at`
    attempts  all that were ever made; `tries` those since it was queued or queued again
    status, error_code, error_text  of the last attempt
    """

    __tablename__ = "webhook_message"
    __table_args__ = (
        Index(None, "endpoint_id", "id"),
        Index(
            "ix_webhook_message_pending",
            "endpoint_id",
            "next_attempt_at",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(None, "next_attempt_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoint.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    event_at: Mapped[datetime]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    tries: Mapped[int]
    next_attempt_at: Mapped[datetime]
    status: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(Text)
    error_text: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One attempt to send a message, written before the call (`outcome` unfinished) and completed after it.

    id      `{message}-{number}`
    answer  the beginning of what the endpoint answered, where it is on the public internet
    """

    __tablename__ = "webhook_attempt"
    __table_args__ = (UniqueConstraint("message_id", "number"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("webhook_message.id", ondelete="CASCADE"))
    number: Mapped[int]
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None]
    latency_ms: Mapped[int | None]
    text: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
