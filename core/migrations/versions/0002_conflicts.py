"""Conflicts get a table of their own: both values, who and when, and what somebody made of it."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
need = partial(sa.Column, nullable=False)

PREFIX = "CNF"


def upgrade() -> None:
    op.create_table(
        "conflict",
        need("id", TEXT),
        need("integration_id", TEXT),
        need("task_id", TEXT),
        need("field", TEXT),
        need("at", MOMENT),
        need("rule", TEXT),
        need("winner", TEXT),
        sa.Column("here", TEXT),
        need("here_by", TEXT),
        sa.Column("here_at", MOMENT),
        sa.Column("there", TEXT),
        sa.Column("there_at", MOMENT),
        sa.Column("source", TEXT),
        sa.Column("resolved_at", MOMENT),
        sa.Column("resolved_by", TEXT),
        sa.Column("resolved_how", TEXT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_conflict_integration_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_conflict_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_conflict"),
    )
    op.create_index("ix_conflict_integration_id_conflict_id", "conflict", ["integration_id", "id"])
    op.create_index("ix_conflict_task_id_conflict_id", "conflict", ["task_id", "id"])
    unresolved = sa.text("resolved_at IS NULL")
    op.create_index(
        "ix_conflict_open",
        "conflict",
        ["integration_id", "id"],
        sqlite_where=unresolved,
        postgresql_where=unresolved,
    )
    create_counter()


def create_counter() -> None:
    """A sequence on PostgreSQL, a row on SQLite."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence(f"id_{PREFIX.lower()}")))
        return
    counters = sa.table("id_counter", sa.column("prefix"), sa.column("last"))
    op.bulk_insert(counters, [{"prefix": PREFIX, "last": 0}])


def downgrade() -> None:
    op.drop_table("conflict")
    if op.get_context().dialect.name == "postgresql":
        op.execute(sa.schema.DropSequence(sa.Sequence(f"id_{PREFIX.lower()}")))
        return
    op.execute(sa.text("DELETE FROM id_counter WHERE prefix = :prefix").bindparams(prefix=PREFIX))
