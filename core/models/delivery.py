"""The inbox: what vendors told us, stored before they were answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class Delivery(Base):
    """One verified webhook request.

    dedupe_key  `{integration}:{vendor's delivery id or digest of the body}`: one row however often it is sent
    state       pending | done | ignored | dead; a pending one is due at `next_attempt_at`
    outcome     what came of it: the items it named and the decision for each
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "ix_delivery_pending",
            "integration_id",
            "next_attempt_at",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(None, "received_at"),
        Index(None, "integration_id", "id"),
        Index(
            "ix_delivery_dead",
            "integration_id",
            "finished_at",
            sqlite_where=text("state = 'dead'"),
            postgresql_where=text("state = 'dead'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    dedupe_key: Mapped[str] = mapped_column(Text, unique=True)
    event: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime]
    outcome: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None] = mapped_column(Text)
    error_text: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None]


class DeliveryCount(Base):
    """What came to an integration's webhook within five minutes from `at`, and what else told of changes.

    accepted    stored for the first time        duplicates  stored before
    rejected    not believed                     missed      changes a poll found that the webhook should have told
    recovered   deliveries that failed, found in the vendor's own log
    """

    __tablename__ = "delivery_count"
    __table_args__ = (Index(None, "at"),)

    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    accepted: Mapped[int] = mapped_column(default=0)
    duplicates: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    missed: Mapped[int] = mapped_column(default=0)
    recovered: Mapped[int] = mapped_column(default=0)
