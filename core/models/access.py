"""Who may do what, what was done, and what was already answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class ApiToken(Base):
    """KEY-*: a bearer token, of which only the digest is kept. It speaks for a user or for an agent."""

    __tablename__ = "api_token"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[str] = mapped_column(Text, unique=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), index=True)
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspace.id"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id"))
    agent_id: Mapped[str | None] = mapped_column(ForeignKey("agent.id"))
    name: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditRecord(Base):
    """AUD-*: one mutation through the API or CLI: who, what, on which thing. Never holds a secret."""

    __tablename__ = "audit_record"
    __table_args__ = (
        Index(None, "organization_id", "id"),
        Index(None, "workspace_id", "id"),
        Index(None, "subject_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    workspace_id: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    token_id: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class IdempotencyKey(Base):
    """The answer given to a POST with an `Idempotency-Key`, to be given again.

    `status` is None while the first request is still being worked on.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (UniqueConstraint("token_id", "key"), Index(None, "created_at"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("api_token.id"))
    key: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None]
    body: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
