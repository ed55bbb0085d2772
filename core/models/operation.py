"""What workers share: leases, rate budgets, id counters, places in the stream of events."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class Lease(Base):
    """One holder's right to work `name` until `expires_at`. `fence` grows with every new holder."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str | None] = mapped_column(Text)
    fence: Mapped[int] = mapped_column(BigKey)
    expires_at: Mapped[datetime]


class RateBudget(Base):
    """The calls one credential may still make, shared by all workers: a token bucket, and the vendor's own word."""

    __tablename__ = "rate_budget"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    tokens: Mapped[float]
    refilled_at: Mapped[datetime]
    parked_until: Mapped[datetime | None]
    parked_text: Mapped[str | None] = mapped_column(Text)


class IdCounter(Base):
    """SQLite's counters behind `core.ids`; PostgreSQL has sequences instead and leaves this empty."""

    __tablename__ = "id_counter"

    prefix: Mapped[str] = mapped_column(Text, primary_key=True)
    last: Mapped[int] = mapped_column(BigKey)


class StreamCursor(Base):
    """How far a reader of the stream of events has come; what `position` means is the secret of `core.stream`."""

    __tablename__ = "stream_cursor"

    reader: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[str] = mapped_column(Text)
