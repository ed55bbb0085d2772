"""Health by causes that come and go, counts of deliveries, and webhooks of an app that many integrations share."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
need = partial(sa.Column, nullable=False)

COUNTS = ("accepted", "duplicates", "rejected", "missed", "recovered")

CAUSE_OF = {
    "reauth_required": "credentials",
    "missing_scopes": "scopes",
    "sweep_guard": "sweep",
    "write_failed": "writes",
}
"""The code an integration had -> the cause it stands for; any other code was a failing pull's."""


def upgrade() -> None:
    op.add_column("integration", sa.Column("hook_account", TEXT))
    op.add_column("integration", sa.Column("next_log_at", MOMENT))
    op.add_column("integration", sa.Column("log_read_until", MOMENT))
    op.add_column("subscription", sa.Column("live_since", MOMENT))
    op.create_index("ix_integration_type_integration_hook_account", "integration", ["type", "hook_account"])
    op.create_table(
        "sync_cause",
        need("integration_id", TEXT),
        need("cause", TEXT),
        need("code", TEXT),
        need("severity", TEXT),
        need("text", TEXT),
        need("since", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_sync_cause_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("integration_id", "cause", name="pk_sync_cause"),
    )
    op.create_table(
        "delivery_count",
        need("integration_id", TEXT),
        need("at", MOMENT),
        *(need(name, sa.Integer()) for name in COUNTS),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_delivery_count_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("integration_id", "at", name="pk_delivery_count"),
    )
    op.create_index("ix_delivery_count_at", "delivery_count", ["at"])
    op.create_index("ix_delivery_integration_id_delivery_id", "delivery", ["integration_id", "id"])
    dead = sa.text("state = 'dead'")
    op.create_index(
        "ix_delivery_dead", "delivery", ["integration_id", "finished_at"], sqlite_where=dead, postgresql_where=dead
    )
    keep_what_is_wrong()


def keep_what_is_wrong() -> None:
    """An integration that is not healthy gets its cause, or nothing would ever heal it."""
    cases = " ".join(f"WHEN '{code}' THEN '{cause}'" for code, cause in CAUSE_OF.items())
    op.execute(
        sa.text(
            "INSERT INTO sync_cause (integration_id, cause, code, severity, text, since) "  # noqa: S608 - of constants alone
            f"SELECT id, CASE sync_code {cases} ELSE 'pull' END, coalesce(sync_code, 'unknown'), sync_status, "
            "coalesce(sync_text, ''), updated_at FROM integration WHERE sync_status <> 'healthy'"
        )
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_dead", "delivery")
    op.drop_index("ix_delivery_integration_id_delivery_id", "delivery")
    op.drop_table("delivery_count")
    op.drop_table("sync_cause")
    op.drop_index("ix_integration_type_integration_hook_account", "integration")
    with op.batch_alter_table("subscription") as subscription:
        subscription.drop_column("live_since")
    with op.batch_alter_table("integration") as integration:
        for name in ("log_read_until", "next_log_at", "hook_account"):
            integration.drop_column(name)
