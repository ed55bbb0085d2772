"""Repositories: what a source control integration reads, and how far it has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class Repository(Base):
    """RPO-*: one repository of one integration; renames and transfers keep the row.

    repository_key  `{integration}:{external_id}`; one column, so that a look-up has one index to use
    named           the word of the config that stands for it; None where the config names none
    state           backfilling | live | archived | gone | left_out: its history is being read; it is polled; it is
                    read and nothing new comes; the vendor lists it no more; the config names others
    revision        raised when it is to be read anew: a page that was read before must not move the cursor then
    cursor          where its next reading carries on; moved only with the events before it
    history_until   what happened before this moment of the vendor's is history: nobody has to be told of it
    next_poll_at    it is left alone until then (a failure, a wait); None: read whenever its turn comes
    failures        readings that failed in a row; `reason_code` and `reason_text` tell of the last
    done, total     how far its first reading has come, in the vendor's own count
    polled_at       when it was last read to its end
    """

    __tablename__ = "repository"
    __table_args__ = (
        Index(None, "integration_id", "id"),
        Index(
            "ix_repository_backfilling",
            "integration_id",
            "next_poll_at",
            sqlite_where=text("state = 'backfilling'"),
            postgresql_where=text("state = 'backfilling'"),
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    repository_key: Mapped[str] = mapped_column(Text, unique=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    default_branch: Mapped[str | None] = mapped_column(Text)
    archived: Mapped[bool]
    named: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(default=1)
    cursor: Mapped[dict[str, Any] | None]
    history_until: Mapped[datetime]
    next_poll_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    reason_code: Mapped[str | None] = mapped_column(Text)
    reason_text: Mapped[str | None] = mapped_column(Text)
    done: Mapped[int | None]
    total: Mapped[int | None]
    polled_at: Mapped[datetime | None]
    backfilled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
