"""Conflicts: fields that were changed on both sides, and who won."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class FieldConflict(Base):
    """CNF-*: one field of a task that was changed here and at the vendor, differently.

    field         as vendors share it (`assignee`, not `assignee_id`)
    rule          the reason code by which it was decided
    winner        platform | external: whose value stood
    here, there   both values in the platform's words, whole
    here_by       who set the value here; `here_at` when
    there_at      the vendor's time of the item's last change, as far as it was told
    source        the run, delivery or push that found it
    resolved_how  platform | external: what a person decided to keep
    """

    __tablename__ = "conflict"
    __table_args__ = (
        Index(None, "integration_id", "id"),
        Index(
            "ix_conflict_open",
            "integration_id",
            "id",
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index(None, "task_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"))
    field: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    rule: Mapped[str] = mapped_column(Text)
    winner: Mapped[str] = mapped_column(Text)
    here: Mapped[str | None] = mapped_column(Text)
    here_by: Mapped[str] = mapped_column(Text)
    here_at: Mapped[datetime | None]
    there: Mapped[str | None] = mapped_column(Text)
    there_at: Mapped[datetime | None]
    source: Mapped[str | None] = mapped_column(Text)
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None] = mapped_column(Text)
    resolved_how: Mapped[str | None] = mapped_column(Text)
