"""Monitoring and quality: incidents with their history, series of measures with their points, quality gates."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
need = partial(sa.Column, nullable=False)

PREFIX = "INC"


def upgrade() -> None:
    create_counter()
    create_incidents()
    create_history()
    create_measures()
    create_gates()
    op.add_column("integration", sa.Column("measure_cursor", JSON))


def create_counter() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE SEQUENCE id_{PREFIX.lower()}")
    else:
        op.execute(f"INSERT INTO id_counter (prefix, last) VALUES ('{PREFIX}', 0)")  # noqa: S608 - a constant


def create_incidents() -> None:
    moments = ("opened_at", "acknowledged_at", "resolved_at", "last_seen_at")
    words = ("cycle", "service_line_id", "acknowledged_by", "resolved_by", "merged_into")
    op.create_table(
        "incident",
        *(need(name, TEXT) for name in ("id", "organization_id", "workspace_id", "integration_id", "ref_key")),
        *(need(name, TEXT) for name in ("monitor", "scope", "title", "text", "severity", "status", "url")),
        *(sa.Column(name, TEXT) for name in words),
        need("tags", JSON),
        *(sa.Column(name, MOMENT) for name in moments),
        *(need(name, MOMENT) for name in ("watermark", "created_at", "updated_at")),
        *(need(name, sa.Integer()) for name in ("flaps", "flap_minutes")),
        *(
            sa.ForeignKeyConstraint([f"{table}_id"], [f"{table}.id"], name=f"fk_incident_{table}_id")
            for table in ("organization", "workspace", "service_line")
        ),
        _of_integration("incident"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    going, shown = sa.text("status <> 'resolved'"), sa.text("merged_into IS NULL")
    partial_index("uq_incident_going", "incident", ["ref_key"], going, unique=True)
    partial_index("ix_incident_shown", "incident", ["workspace_id", "id"], shown)
    partial_index("ix_incident_integration_going", "incident", ["integration_id"], going)
    op.create_index("ix_incident_ref_key_incident_watermark", "incident", ["ref_key", "watermark"])
    op.create_index("ix_incident_service_line_id_incident_id", "incident", ["service_line_id", "id"])


def create_history() -> None:
    texts = ("line_key", "incident_id", "what", "severity", "title", "text", "url", "by", "source")
    op.create_table(
        "incident_update",
        need("id", KEY),
        *(need(name, TEXT) for name in texts),
        *(need(name, MOMENT) for name in ("at", "placed_at", "told_at")),
        sa.Column("cycle", TEXT),
        need("tags", JSON),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_incident_update_incident_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incident_update"),
        sa.UniqueConstraint("line_key", name="uq_incident_update_line_key"),
    )
    columns = ["incident_id", "placed_at"]
    op.create_index("ix_incident_update_incident_id_incident_update_placed_at", "incident_update", columns)


def create_measures() -> None:
    op.create_table(
        "measure_series",
        need("id", KEY),
        *(need(name, TEXT) for name in ("series_key", "integration_id", "workspace_id", "subject", "metric", "unit")),
        sa.Column("branch", TEXT),
        need("main", sa.Boolean()),
        need("dimensions", JSON),
        sa.Column("newest_at", MOMENT),
        sa.Column("newest_value", sa.Double()),
        need("created_at", MOMENT),
        _of_integration("measure_series"),
        sa.PrimaryKeyConstraint("id", name="pk_measure_series"),
        sa.UniqueConstraint("series_key", name="uq_measure_series_series_key"),
    )
    op.create_index("ix_measure_series_integration_id_measure_series_id", "measure_series", ["integration_id", "id"])
    op.create_table(
        "measure_point",
        need("series_id", KEY),
        need("at", MOMENT),
        sa.Column("value", sa.Double()),
        sa.ForeignKeyConstraint(
            ["series_id"], ["measure_series.id"], name="fk_measure_point_series_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("series_id", "at", name="pk_measure_point"),
    )


def create_gates() -> None:
    op.create_table(
        "quality_gate",
        need("id", KEY),
        *(need(name, TEXT) for name in ("gate_key", "integration_id", "workspace_id", "subject", "branch")),
        need("main", sa.Boolean()),
        *(need(name, TEXT) for name in ("name", "status", "url")),
        sa.Column("verdict", TEXT),
        *(sa.Column(name, MOMENT) for name in ("at", "failed_at")),
        need("conditions", JSON),
        _of_integration("quality_gate"),
        sa.PrimaryKeyConstraint("id", name="pk_quality_gate"),
        sa.UniqueConstraint("gate_key", name="uq_quality_gate_gate_key"),
    )
    op.create_index("ix_quality_gate_integration_id_quality_gate_id", "quality_gate", ["integration_id", "id"])


def _of_integration(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_integration_id"
    return sa.ForeignKeyConstraint(["integration_id"], ["integration.id"], name=name, ondelete="CASCADE")


def partial_index(name: str, table: str, columns: list[str], where: sa.TextClause, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    with op.batch_alter_table("integration") as integration:
        integration.drop_column("measure_cursor")
    for table in ("quality_gate", "measure_point", "measure_series", "incident_update", "incident"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP SEQUENCE id_{PREFIX.lower()}")
    else:
        op.execute(f"DELETE FROM id_counter WHERE prefix = '{PREFIX}'")  # noqa: S608 - a constant
