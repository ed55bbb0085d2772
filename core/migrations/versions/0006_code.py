"""Source control: repositories, their backfills, and events that are told once however they are heard of."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
need = partial(sa.Column, nullable=False)

PREFIX = "RPO"


def upgrade() -> None:
    key_events()
    create_repositories()
    let_runs_be_backfills()
    op.add_column("integration", sa.Column("next_backfill_at", MOMENT))
    create_counter()


def key_events() -> None:
    op.add_column("event", sa.Column("key", TEXT))
    op.add_column("event", sa.Column("occurred_at", MOMENT))
    op.add_column("event", need("backfilled", sa.Boolean(), server_default=sa.false()))
    keyed = sa.text("key IS NOT NULL")
    op.create_index("uq_event_key", "event", ["key"], unique=True, sqlite_where=keyed, postgresql_where=keyed)
    op.create_index("ix_event_subject_id_event_id", "event", ["subject_id", "id"])


def create_repositories() -> None:
    op.create_table(
        "repository",
        need("id", TEXT),
        need("repository_key", TEXT),
        need("integration_id", TEXT),
        need("external_id", TEXT),
        need("name", TEXT),
        need("url", TEXT),
        sa.Column("default_branch", TEXT),
        need("archived", sa.Boolean()),
        sa.Column("named", TEXT),
        need("state", TEXT),
        need("revision", sa.Integer()),
        sa.Column("cursor", JSON),
        need("history_until", MOMENT),
        sa.Column("next_poll_at", MOMENT),
        need("failures", sa.Integer()),
        sa.Column("reason_code", TEXT),
        sa.Column("reason_text", TEXT),
        sa.Column("done", sa.Integer()),
        sa.Column("total", sa.Integer()),
        sa.Column("polled_at", MOMENT),
        sa.Column("backfilled_at", MOMENT),
        need("created_at", MOMENT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_repository_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_repository"),
        sa.UniqueConstraint("repository_key", name="uq_repository_repository_key"),
    )
    op.create_index("ix_repository_integration_id_repository_id", "repository", ["integration_id", "id"])
    first = sa.text("state = 'backfilling'")
    op.create_index(
        "ix_repository_backfilling",
        "repository",
        ["integration_id", "next_poll_at"],
        sqlite_where=first,
        postgresql_where=first,
    )


def let_runs_be_backfills() -> None:
    op.add_column("sync_run", sa.Column("repository_id", TEXT))
    op.add_column("sync_run", sa.Column("done", sa.Integer()))
    going = sa.text("kind = 'backfill' AND status = 'running'")
    op.create_index(
        "uq_sync_run_backfill",
        "sync_run",
        ["repository_id"],
        unique=True,
        sqlite_where=going,
        postgresql_where=going,
    )


def create_counter() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE SEQUENCE id_{PREFIX.lower()}")
    else:
        op.execute(f"INSERT INTO id_counter (prefix, last) VALUES ('{PREFIX}', 0)")  # noqa: S608 - a constant


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP SEQUENCE id_{PREFIX.lower()}")
    else:
        op.execute(f"DELETE FROM id_counter WHERE prefix = '{PREFIX}'")  # noqa: S608 - a constant
    op.drop_index("uq_sync_run_backfill", "sync_run")
    op.drop_table("repository")
    op.drop_index("ix_event_subject_id_event_id", "event")
    op.drop_index("uq_event_key", "event")
    for table, columns in (
        ("integration", ["next_backfill_at"]),
        ("sync_run", ["done", "repository_id"]),
        ("event", ["backfilled", "occurred_at", "key"]),
    ):
        with op.batch_alter_table(table) as altered:
            for name in columns:
                altered.drop_column(name)
