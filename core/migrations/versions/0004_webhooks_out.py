"""Webhooks out: endpoints, what is owed to them, every attempt; and how readers follow the stream of events."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
need = partial(sa.Column, nullable=False)

PREFIX = "WHK"

TABLES = ("webhook_attempt", "webhook_message", "webhook_endpoint", "stream_cursor")


def upgrade() -> None:
    follow_events()
    create_endpoints()
    create_messages()
    create_attempts()
    create_counter()


def follow_events() -> None:
    """Events learn which transaction appended them; those that are there already keep NULL: nobody follows them.

    The column comes first and its default after it, so that PostgreSQL does not write the whole table anew.
    """
    op.create_table(
        "stream_cursor",
        need("reader", TEXT),
        need("position", TEXT),
        sa.PrimaryKeyConstraint("reader", name="pk_stream_cursor"),
    )
    with op.batch_alter_table("event") as event:
        event.add_column(sa.Column("txid", sa.BigInteger()))
        event.alter_column("workspace_id", existing_type=TEXT, nullable=True)
    if _postgresql():
        op.execute("ALTER TABLE event ALTER COLUMN txid SET DEFAULT pg_current_xact_id()::text::bigint")
    known = sa.text("txid IS NOT NULL")
    op.create_index("ix_event_txid", "event", ["txid"], sqlite_where=known, postgresql_where=known)


def create_endpoints() -> None:
    op.create_table(
        "webhook_endpoint",
        need("id", TEXT),
        need("organization_id", TEXT),
        sa.Column("workspace_id", TEXT),
        need("url", TEXT),
        need("description", TEXT),
        need("events", JSON),
        need("enabled", sa.Boolean()),
        sa.Column("disabled_code", TEXT),
        sa.Column("disabled_text", TEXT),
        sa.Column("disabled_at", MOMENT),
        need("sealed", TEXT),
        need("listening_since", MOMENT),
        sa.Column("failing_since", MOMENT),
        need("failures", sa.Integer()),
        sa.Column("paused_until", MOMENT),
        sa.Column("delivered_at", MOMENT),
        need("created_by", TEXT),
        need("created_at", MOMENT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_webhook_endpoint_organization_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_webhook_endpoint_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoint"),
    )
    op.create_index(
        "ix_webhook_endpoint_organization_id_webhook_endpoint_id", "webhook_endpoint", ["organization_id", "id"]
    )


def create_messages() -> None:
    op.create_table(
        "webhook_message",
        need("id", TEXT),
        need("endpoint_id", TEXT),
        need("event_id", TEXT),
        need("type", TEXT),
        need("event_at", MOMENT),
        sa.Column("body", sa.LargeBinary()),
        need("state", TEXT),
        need("attempts", sa.Integer()),
        need("tries", sa.Integer()),
        need("next_attempt_at", MOMENT),
        sa.Column("status", sa.Integer()),
        sa.Column("error_code", TEXT),
        sa.Column("error_text", TEXT),
        need("created_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoint.id"], name="fk_webhook_message_endpoint_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_message"),
    )
    op.create_index("ix_webhook_message_endpoint_id_webhook_message_id", "webhook_message", ["endpoint_id", "id"])
    op.create_index("ix_webhook_message_next_attempt_at", "webhook_message", ["next_attempt_at"])
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_webhook_message_pending",
        "webhook_message",
        ["endpoint_id", "next_attempt_at", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def create_attempts() -> None:
    op.create_table(
        "webhook_attempt",
        need("id", TEXT),
        need("message_id", TEXT),
        need("number", sa.Integer()),
        need("at", MOMENT),
        need("outcome", TEXT),
        sa.Column("status", sa.Integer()),
        sa.Column("latency_ms", sa.Integer()),
        sa.Column("text", TEXT),
        sa.Column("answer", TEXT),
        sa.ForeignKeyConstraint(
            ["message_id"], ["webhook_message.id"], name="fk_webhook_attempt_message_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempt"),
        sa.UniqueConstraint("message_id", "number", name="uq_webhook_attempt_message_id_number"),
    )


def create_counter() -> None:
    """A sequence on PostgreSQL, a row on SQLite."""
    if _postgresql():
        op.execute(sa.schema.CreateSequence(sa.Sequence(f"id_{PREFIX.lower()}")))
        return
    counters = sa.table("id_counter", sa.column("prefix"), sa.column("last"))
    op.bulk_insert(counters, [{"prefix": PREFIX, "last": 0}])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_event_txid", "event")
    # Facts of a whole organization had no place in the table before.
    op.execute("DELETE FROM event WHERE workspace_id IS NULL")
    with op.batch_alter_table("event") as event:
        event.drop_column("txid")
        event.alter_column("workspace_id", existing_type=TEXT, nullable=False)
    if _postgresql():
        op.execute(sa.schema.DropSequence(sa.Sequence(f"id_{PREFIX.lower()}")))
        return
    op.execute(sa.text("DELETE FROM id_counter WHERE prefix = :prefix").bindparams(prefix=PREFIX))


def _postgresql() -> bool:
    return bool(op.get_context().dialect.name == "postgresql")
