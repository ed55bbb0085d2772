"""Notifications: routes, what is owed to channels, threads, and channels nothing can be said in."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
need = partial(sa.Column, nullable=False)

PREFIXES = ("NRT", "NTF")

TABLES = ("broken_channel", "notification_thread", "notification", "notification_route")
"""In the order in which they can be dropped."""


def upgrade() -> None:
    create_routes()
    create_messages()
    create_threads()
    create_broken_channels()
    op.add_column("integration", sa.Column("next_messages_at", MOMENT))
    create_counters()


def create_routes() -> None:
    op.create_table(
        "notification_route",
        *(need(name, TEXT) for name in ("id", "organization_id", "workspace_id", "name", "integration_id", "channel")),
        need("events", JSON),
        need("least_severity", TEXT),
        need("digest_minutes", sa.Integer()),
        need("enabled", sa.Boolean()),
        need("listening_since", MOMENT),
        need("created_by", TEXT),
        need("created_at", MOMENT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_notification_route_organization_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_notification_route_workspace_id"),
        _of_integration("notification_route"),
        sa.PrimaryKeyConstraint("id", name="pk_notification_route"),
    )
    op.create_index(
        "ix_notification_route_workspace_id_notification_route_id", "notification_route", ["workspace_id", "id"]
    )
    op.create_index("ix_notification_route_integration_id", "notification_route", ["integration_id"])


def create_messages() -> None:
    op.create_table(
        "notification",
        *(need(name, TEXT) for name in ("id", "delivery_key", "organization_id", "workspace_id", "route_id")),
        need("integration_id", TEXT),
        need("channel", TEXT),
        sa.Column("event_id", TEXT),
        *(need(name, TEXT) for name in ("event_type", "kind", "severity", "title")),
        need("body", JSON),
        sa.Column("thread_key", TEXT),
        need("event_at", MOMENT),
        need("state", TEXT),
        sa.Column("digest_id", TEXT),
        need("attempts", sa.Integer()),
        need("tries", sa.Integer()),
        need("queued_at", MOMENT),
        need("next_attempt_at", MOMENT),
        sa.Column("called_at", MOMENT),
        *(sa.Column(name, TEXT) for name in ("message_channel", "message_id", "error_code", "error_text")),
        need("created_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["route_id"], ["notification_route.id"], name="fk_notification_route_id", ondelete="CASCADE"
        ),
        _of_integration("notification"),
        sa.PrimaryKeyConstraint("id", name="pk_notification"),
        sa.UniqueConstraint("delivery_key", name="uq_notification_delivery_key"),
    )
    for first in ("workspace_id", "route_id"):
        op.create_index(f"ix_notification_{first}_notification_id", "notification", [first, "id"])
    for name, columns in (
        ("pending", ["integration_id", "channel", "id"]),
        ("gathering", ["route_id", "next_attempt_at"]),
    ):
        only = sa.text(f"state = '{name}'")
        op.create_index(f"ix_notification_{name}", "notification", columns, sqlite_where=only, postgresql_where=only)
    for name in ("finished_at", "digest_id"):
        op.create_index(f"ix_notification_{name}", "notification", [name])


def create_threads() -> None:
    op.create_table(
        "notification_thread",
        need("id", NUMBER),
        *(need(name, TEXT) for name in ("integration_id", "channel", "thread_key")),
        *(need(name, TEXT) for name in ("root_channel", "root_message", "root_notification", "last")),
        sa.Column("over_at", MOMENT),
        need("said_at", MOMENT),
        _of_integration("notification_thread"),
        sa.PrimaryKeyConstraint("id", name="pk_notification_thread"),
        sa.UniqueConstraint(
            "integration_id", "channel", "thread_key", name="uq_notification_thread_integration_id_channel_thread_key"
        ),
    )
    op.create_index("ix_notification_thread_said_at", "notification_thread", ["said_at"])


def create_broken_channels() -> None:
    op.create_table(
        "broken_channel",
        *(need(name, TEXT) for name in ("integration_id", "channel", "code", "text")),
        need("since", MOMENT),
        _of_integration("broken_channel"),
        sa.PrimaryKeyConstraint("integration_id", "channel", name="pk_broken_channel"),
    )


def _of_integration(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["integration_id"], ["integration.id"], name=f"fk_{table}_integration_id", ondelete="CASCADE"
    )


def create_counters() -> None:
    """A sequence on PostgreSQL, a row on SQLite, for each."""
    if _postgresql():
        for prefix in PREFIXES:
            op.execute(sa.schema.CreateSequence(sa.Sequence(f"id_{prefix.lower()}")))
        return
    counters = sa.table("id_counter", sa.column("prefix"), sa.column("last"))
    op.bulk_insert(counters, [{"prefix": prefix, "last": 0} for prefix in PREFIXES])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    with op.batch_alter_table("integration") as integration:
        integration.drop_column("next_messages_at")
    op.execute("DELETE FROM stream_cursor WHERE reader = 'notifications'")
    # The release before does not know these causes.
    op.execute("DELETE FROM sync_cause WHERE cause IN ('channels', 'messages')")
    for prefix in PREFIXES:
        if _postgresql():
            op.execute(sa.schema.DropSequence(sa.Sequence(f"id_{prefix.lower()}")))
        else:
            op.execute(sa.text("DELETE FROM id_counter WHERE prefix = :prefix").bindparams(prefix=prefix))


def _postgresql() -> bool:
    return bool(op.get_context().dialect.name == "postgresql")
