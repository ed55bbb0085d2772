"""Source control: repositories, their backfills, events that are told once however they are heard of, and facts."""

from __future__ import annotations

from functools import partial
from typing import Any

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

WORD = [("author_id", TEXT), ("author_name", TEXT), ("is_bot", sa.Boolean())]
NUMBERS = ["additions", "deletions", "changed_files", "commits"]

FACTS: dict[str, tuple[list[str], list[tuple[str, Any]], list[sa.Column[Any]], list[tuple[str, ...]]]] = {
    "code_change": (
        ["number"],
        [
            ("title", TEXT),
            ("url", TEXT),
            *WORD,
            ("source_branch", TEXT),
            ("target_branch", TEXT),
            ("opened_at", MOMENT),
            ("ready_at", MOMENT),
            ("first_commit_at", MOMENT),
            ("first_review_at", MOMENT),
            ("merged_at", MOMENT),
            ("closed_at", MOMENT),
            ("last_closed_at", MOMENT),
            ("last_reopened_at", MOMENT),
            ("merge_sha", TEXT),
            ("head_sha", TEXT),
            *((name, sa.Integer()) for name in NUMBERS),
        ],
        [],
        [("workspace_id", "merged_at"), ("repository_id", "merged_at")],
    ),
    "code_review": (
        ["change_id"],
        [*WORD, ("state", TEXT)],
        [need("dismissed", sa.Boolean()), sa.Column("at", MOMENT)],
        [("change_id",)],
    ),
    "code_deployment": (
        [],
        [("sha", TEXT), ("ref", TEXT), ("environment", TEXT), ("tier", TEXT)],
        [
            need("is_production", sa.Boolean()),
            sa.Column("state", TEXT),
            *(sa.Column(name, MOMENT) for name in ("state_at", "created_at", "started_at", "finished_at")),
        ],
        [
            ("workspace_id", "finished_at"),
            ("repository_id", "environment", "finished_at"),
            ("integration_id", "environment"),
        ],
    ),
    "code_pipeline_run": (
        ["name", "state", "sha", "trigger", "url"],
        [("branch", TEXT), ("created_at", MOMENT), ("started_at", MOMENT), ("finished_at", MOMENT)],
        [need("attempt", sa.Integer()), need("state_at", MOMENT)],
        [("workspace_id", "finished_at"), ("repository_id", "finished_at")],
    ),
    "code_commit": (
        ["sha", "title"],
        [*WORD, ("authored_at", MOMENT)],
        [need("committed_at", MOMENT)],
        [("workspace_id", "committed_at"), ("repository_id", "committed_at")],
    ),
    "code_release": (
        ["tag", "name", "url"],
        [],
        [need("prerelease", sa.Boolean()), need("released_at", MOMENT)],
        [("workspace_id", "released_at")],
    ),
}
"""Table -> texts it always has, columns that may be unknown, others, and what it is looked up by."""


def upgrade() -> None:
    key_events()
    create_repositories()
    let_runs_be_backfills()
    op.add_column("integration", sa.Column("next_backfill_at", MOMENT))
    create_counter()
    create_facts()


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


def create_facts() -> None:
    for table, (texts, unknown, others, indexes) in FACTS.items():
        op.create_table(
            table,
            *(need(name, TEXT) for name in ("id", "workspace_id", "integration_id", "repository_id", *texts)),
            *(sa.Column(name, kind) for name, kind in unknown),
            *others,
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        )
        for columns in indexes:
            op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def downgrade() -> None:
    for table in FACTS:
        op.drop_table(table)
    op.execute("DELETE FROM stream_cursor WHERE reader = 'facts'")
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
