"""Integrations and all that belongs to one: credentials, people, subscriptions, sync runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class Integration(Base):
    """INT-*: one configured connection of a workspace to a vendor account.

    status        active | pending_auth | error | disconnected; `status_code`/`status_text` say why
    sync_status   healthy | degraded | failed; `sync_code`/`sync_text` say why: the worst of its `SyncCause`s
    hook_id       the unguessable part of its webhook URL
    config_warnings  what may be wrong with the config, as of its last comparison with the vendor: [{path, text}]
    hook_account  whose deliveries of the operator's app are its own (an installation's id), as the vendor told
    capabilities  what its connector can do, as of the last save (names of the connector contract)
    routes        where new tasks go: [{external, service_line_id, project_id, create}], from the config
    mapping_rev   raised when the mapping or the known people change: every item is then looked at once more
    cursor        where the next pull carries on; `next_pull_at` when. Both are None until there is a first one
    next_pull_at  the epoch: at once, whatever a pull under way finds; of one in `pending_auth`: when the vendor is
                  asked again whether it confirms it
    measure_cursor  where the next reading of measures carries on
    deletions_confirmed  somebody says that what the next sweep misses was really deleted: its guard stands aside once
    next_backfill_at  repositories' first readings wait until then; None: they may go on
    next_messages_at  no notification is sent before; None: they may go out
    log_read_until  up to when the vendor's log of failed deliveries has been read; the next look is at `next_log_at`
    clock_offset  vendor's clock minus ours in ms, as last seen
    """

    __tablename__ = "integration"
    __table_args__ = (
        Index(None, "workspace_id", "id"),
        Index(None, "status", "next_pull_at"),
        Index(None, "type", "hook_account"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"))
    type: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    status_code: Mapped[str | None] = mapped_column(Text)
    status_text: Mapped[str | None] = mapped_column(Text)
    config: Mapped[dict[str, Any]]
    config_warnings: Mapped[list[Any]] = mapped_column(server_default="[]")
    capabilities: Mapped[list[Any]]
    routes: Mapped[list[Any]]
    mapping_rev: Mapped[int] = mapped_column(default=1)
    hook_id: Mapped[str] = mapped_column(Text, unique=True)
    hook_account: Mapped[str | None] = mapped_column(Text)
    account_id: Mapped[str | None] = mapped_column(Text)
    account_name: Mapped[str | None] = mapped_column(Text)
    sync_status: Mapped[str] = mapped_column(Text, default="healthy")
    sync_code: Mapped[str | None] = mapped_column(Text)
    sync_text: Mapped[str | None] = mapped_column(Text)
    last_synced_at: Mapped[datetime | None]
    cursor: Mapped[dict[str, Any] | None]
    measure_cursor: Mapped[dict[str, Any] | None]
    poll_seconds: Mapped[int] = mapped_column(default=300)
    next_pull_at: Mapped[datetime | None]
    pull_failures: Mapped[int] = mapped_column(default=0)
    next_sweep_at: Mapped[datetime | None]
    deletions_confirmed: Mapped[bool] = mapped_column(default=False)
    next_push_at: Mapped[datetime | None]
    next_backfill_at: Mapped[datetime | None]
    next_inbox_at: Mapped[datetime | None]
    next_messages_at: Mapped[datetime | None]
    next_subscription_at: Mapped[datetime | None]
    next_log_at: Mapped[datetime | None]
    log_read_until: Mapped[datetime | None]
    clock_offset: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    disconnected_at: Mapped[datetime | None]


class Credential(Base):
    """An integration's credentials, sealed. `version` counts changes: whoever refreshes compares it first."""

    __tablename__ = "credential"

    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"), primary_key=True)
    mode: Mapped[str] = mapped_column(Text)
    sealed: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)
    expires_at: Mapped[datetime | None]
    refresh_started_at: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class OAuthAttempt(Base):
    """One start of an OAuth consent. The state's digest is the key; a row is used once."""

    __tablename__ = "oauth_attempt"

    state_digest: Mapped[str] = mapped_column(Text, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"), index=True)
    actor: Mapped[str] = mapped_column(Text)
    redirect_uri: Mapped[str] = mapped_column(Text)
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SyncCause(Base):
    """One thing that keeps an integration from being healthy; the row goes with the cause.

    cause     what is wrong, of the engine's table of causes; `code` and `text` are what people are told
    severity  degraded | failed
    """

    __tablename__ = "sync_cause"

    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"), primary_key=True)
    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class Subscription(Base):
    """The webhook registered at the vendor for an integration. `sealed` holds the signing secrets, newest first.

    `live_since` is when it was registered: what changed later should have been told by it.
    """

    __tablename__ = "subscription"

    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    external_ids: Mapped[list[Any]]
    sealed: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None]
    live_since: Mapped[datetime | None]
    code: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime]


class Identity(Base):
    """A person at the vendor and, where known, the user here."""

    __tablename__ = "identity"
    __table_args__ = (
        UniqueConstraint("integration_id", "external_id"),
        Index(None, "integration_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    external_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id"))
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime]


class SyncRun(Base):
    """SYNC-*: one pull, one sweep for deletions, or one repository's backfill (`kind`).

    counts         records, pages, created, updated, unchanged, stale, conflicts, events_new, events_known, …
    total          an estimate; `done` of them are behind a backfill, in the vendor's own count
    repository_id  whose history a backfill reads
    """

    __tablename__ = "sync_run"
    __table_args__ = (
        Index(None, "integration_id", "id"),
        # One pull at a time per integration: a second trigger joins the run that is there.
        Index(
            "uq_sync_run_open",
            "integration_id",
            unique=True,
            sqlite_where=text("kind = 'pull' AND status = 'running'"),
            postgresql_where=text("kind = 'pull' AND status = 'running'"),
        ),
        Index(
            "uq_sync_run_backfill",
            "repository_id",
            unique=True,
            sqlite_where=text("kind = 'backfill' AND status = 'running'"),
            postgresql_where=text("kind = 'backfill' AND status = 'running'"),
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    trigger: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    counts: Mapped[dict[str, Any]]
    total: Mapped[int | None]
    done: Mapped[int | None]
    repository_id: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_text: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
