"""Tasks, what became of them, their ties to vendors, and the stream of facts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey, own_transaction


class Task(Base):
    """TSK-*: a work item. Whoever changes it, its history or its bindings holds this row's lock.

    changed_at  field -> epoch ms of its last change here; decides the `latest` rule of a conflict
    external_*  copied from the binding shown to people, so that lists need no join
    """

    __tablename__ = "task"
    __table_args__ = (
        Index(None, "workspace_id", "id"),
        Index(None, "service_line_id", "id"),
        Index(None, "workspace_id", "status", "id"),
        Index(None, "assignee_id", "id"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspace.id"))
    service_line_id: Mapped[str | None] = mapped_column(ForeignKey("service_line.id"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("project_label.id"))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    assignee_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id"))
    external_id: Mapped[str | None] = mapped_column(Text)
    external_source: Mapped[str | None] = mapped_column(Text)
    external_url: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TaskHistory(Base):
    """One change of one field. `kind` is `change`, or `lost` for a value that lost a conflict (`rule` says by which).

    `source` is what brought it: a sync run, a delivery, or None for a request to the API.
    """

    __tablename__ = "task_history"
    __table_args__ = (Index(None, "task_id", "id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    change: Mapped[str] = mapped_column(Text)
    old: Mapped[str | None] = mapped_column(Text)
    new: Mapped[str | None] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    rule: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)


class Binding(Base):
    """The tie between one task and one external item.

    binding_key      `{integration}:{external_id}`, None until the item exists; one column, so that a page's look-up
                     has one index to use whatever the statistics say
    external_key     what people call the item; moves with it
    state            creating | bound | ended
    base             field -> [here, there] as last agreed (long texts as digests)
    watermark        the vendor's version of the newest state seen
    mapping_rev      the integration's mapping under which the base was agreed
    owed             a write to the vendor is due at `next_attempt_at`, unless `failed_at` says that it was given up
    refused          field -> {value, code, text}: a value here that the vendor won't take; tried again when it changes
    called_at        when the item's creation was last sent; `searches` how often its marker was looked for in vain
    listed_at        when it was last in a full listing of the vendor's items
    missing_since    it can't be read since then: a suspicion, not yet proof that it is gone
    source           the run or delivery that last brought something
    """

    __tablename__ = "binding"
    __table_args__ = (
        UniqueConstraint("integration_id", "task_id"),
        Index(
            "ix_binding_owed",
            "integration_id",
            "next_attempt_at",
            sqlite_where=text("owed"),
            postgresql_where=text("owed"),
        ),
        Index(None, "task_id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    binding_key: Mapped[str | None] = mapped_column(Text, unique=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(Text)
    create_key: Mapped[str | None] = mapped_column(Text, unique=True)
    external_id: Mapped[str | None] = mapped_column(Text)
    external_key: Mapped[str | None] = mapped_column(Text)
    external_url: Mapped[str | None] = mapped_column(Text)
    container: Mapped[str] = mapped_column(Text)
    base: Mapped[dict[str, Any]]
    watermark: Mapped[int] = mapped_column(BigInteger, default=0)
    mapping_rev: Mapped[int] = mapped_column(default=1)
    owed: Mapped[bool] = mapped_column(default=False)
    owed_since: Mapped[datetime | None]
    refused: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    reason_code: Mapped[str | None] = mapped_column(Text)
    reason_text: Mapped[str | None] = mapped_column(Text)
    called_at: Mapped[datetime | None]
    searches: Mapped[int] = mapped_column(default=0)
    listed_at: Mapped[datetime | None]
    missing_since: Mapped[datetime | None]
    agreed_at: Mapped[datetime | None]
    source: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class Event(Base):
    """EVT-*: a fact in the platform's stream. `type` as in `task.status_changed`; `actor` is who caused it.

    workspace_id  None for what is the whole organization's
    key           `{integration}:{what the vendor knows it by}`, for what may be heard of more than once and is told
                  once; None for the platform's own events
    occurred_at   when it happened at the vendor; None: when it was appended (`at`)
    backfilled    it is history that was read later: in the stream for whoever counts, but no news for anybody
    txid          the PostgreSQL transaction that appended it, by which `core.stream` follows; None on SQLite
    """

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "organization_id", "id"),
        Index(None, "workspace_id", "id"),
        Index(
            "ix_event_txid",
            "txid",
            sqlite_where=text("txid IS NOT NULL"),
            postgresql_where=text("txid IS NOT NULL"),
        ),
        Index(None, "subject_id", "id"),
        Index(
            "uq_event_key",
            "key",
            unique=True,
            sqlite_where=text("key IS NOT NULL"),
            postgresql_where=text("key IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organization_id: Mapped[str] = mapped_column(Text)
    workspace_id: Mapped[str | None] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    key: Mapped[str | None] = mapped_column(Text)
    occurred_at: Mapped[datetime | None]
    backfilled: Mapped[bool] = mapped_column(default=False, server_default=false())
    txid: Mapped[int | None] = mapped_column(BigInteger, server_default=own_transaction())


class TaskVelocity(Base):
    """How many tasks of a service line reached an end on a day: the counter behind `delivery_velocity`."""

    __tablename__ = "task_velocity"

    service_line_id: Mapped[str] = mapped_column(ForeignKey("service_line.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int]
