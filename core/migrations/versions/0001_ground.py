"""The ground: every table of the first release, and the counters behind ids."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
need = partial(sa.Column, nullable=False)

PREFIXES = ("ORG", "WS", "LIN", "PROJ", "USR", "KEY", "AGT", "POL", "INT", "SYNC", "TSK", "EVT", "AUD")

TABLES = (
    "idempotency_key",
    "task_history",
    "binding",
    "api_token",
    "task_velocity",
    "task",
    "sync_run",
    "subscription",
    "oauth_attempt",
    "identity",
    "delivery",
    "credential",
    "agent",
    "service_line",
    "integration",
    "agent_policy",
    "workspace",
    "user_account",
    "project_label",
    "audit_record",
    "rate_budget",
    "organization",
    "lease",
    "id_counter",
    "event",
)


def upgrade() -> None:
    create_tables()
    create_counters()
    compress_bodies()


def create_counters() -> None:
    """A counter per id prefix: a sequence on PostgreSQL, which nobody waits for; a row on SQLite."""
    if op.get_context().dialect.name == "postgresql":
        for prefix in PREFIXES:
            op.execute(sa.schema.CreateSequence(sa.Sequence(f"id_{prefix.lower()}")))
        return
    counters = sa.table("id_counter", sa.column("prefix"), sa.column("last"))
    op.bulk_insert(counters, [{"prefix": prefix, "last": 0} for prefix in PREFIXES])


def compress_bodies() -> None:
    """Bodies are written once and rarely read. LZ4 packs them several times faster than PostgreSQL's own method; a
    server built without it writes them half again as fast unpacked."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    known = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    if connection.scalar(sa.text(known)):
        op.execute("ALTER TABLE delivery ALTER COLUMN body SET COMPRESSION lz4")
    else:
        op.execute("ALTER TABLE delivery ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        for prefix in PREFIXES:
            op.execute(sa.schema.DropSequence(sa.Sequence(f"id_{prefix.lower()}")))


def create_tables() -> None:
    op.create_table(
        "event",
        need("id", TEXT),
        need("organization_id", TEXT),
        need("workspace_id", TEXT),
        need("type", TEXT),
        need("subject_id", TEXT),
        need("actor", TEXT),
        need("data", JSON),
        need("at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_index("ix_event_organization_id_event_id", "event", ["organization_id", "id"])
    op.create_index("ix_event_workspace_id_event_id", "event", ["workspace_id", "id"])
    op.create_table(
        "id_counter",
        need("prefix", TEXT),
        need("last", BIG_KEY),
        sa.PrimaryKeyConstraint("prefix", name="pk_id_counter"),
    )
    op.create_table(
        "lease",
        need("name", TEXT),
        sa.Column("holder", TEXT),
        need("fence", BIG_KEY),
        need("expires_at", MOMENT),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "organization",
        need("id", TEXT),
        need("name", TEXT),
        need("created_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_organization"),
    )
    op.create_table(
        "rate_budget",
        need("key", TEXT),
        need("tokens", sa.Double()),
        need("refilled_at", MOMENT),
        sa.Column("parked_until", MOMENT),
        sa.Column("parked_text", TEXT),
        sa.PrimaryKeyConstraint("key", name="pk_rate_budget"),
    )
    op.create_table(
        "audit_record",
        need("id", TEXT),
        need("organization_id", TEXT),
        sa.Column("workspace_id", TEXT),
        need("actor", TEXT),
        sa.Column("token_id", TEXT),
        need("action", TEXT),
        need("subject_id", TEXT),
        need("data", JSON),
        need("at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_audit_record_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_record"),
    )
    op.create_index("ix_audit_record_organization_id_audit_record_id", "audit_record", ["organization_id", "id"])
    op.create_index("ix_audit_record_subject_id_audit_record_id", "audit_record", ["subject_id", "id"])
    op.create_index("ix_audit_record_workspace_id_audit_record_id", "audit_record", ["workspace_id", "id"])
    op.create_table(
        "project_label",
        need("id", TEXT),
        need("organization_id", TEXT),
        need("name", TEXT),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_project_label_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_project_label"),
    )
    op.create_index("ix_project_label_organization_id", "project_label", ["organization_id"])
    op.create_table(
        "user_account",
        need("id", TEXT),
        need("organization_id", TEXT),
        need("name", TEXT),
        need("email", TEXT),
        need("active", sa.Boolean()),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_user_account_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("organization_id", "email", name="uq_user_account_organization_id_email"),
    )
    op.create_table(
        "workspace",
        need("id", TEXT),
        need("organization_id", TEXT),
        need("name", TEXT),
        need("settings", JSON),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_workspace_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_workspace"),
    )
    op.create_index("ix_workspace_organization_id", "workspace", ["organization_id"])
    op.create_table(
        "agent_policy",
        need("id", TEXT),
        need("workspace_id", TEXT),
        need("name", TEXT),
        need("status", TEXT),
        need("permitted_tools", JSON),
        need("rate_limit", JSON),
        need("require_approval_for", JSON),
        need("output_filtering", JSON),
        need("data_access", JSON),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_agent_policy_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agent_policy"),
    )
    op.create_index("ix_agent_policy_workspace_id", "agent_policy", ["workspace_id"])
    op.create_table(
        "integration",
        need("id", TEXT),
        need("organization_id", TEXT),
        need("workspace_id", TEXT),
        need("type", TEXT),
        need("name", TEXT),
        need("status", TEXT),
        sa.Column("status_code", TEXT),
        sa.Column("status_text", TEXT),
        need("config", JSON),
        need("capabilities", JSON),
        need("routes", JSON),
        need("mapping_rev", sa.Integer()),
        need("hook_id", TEXT),
        sa.Column("account_id", TEXT),
        sa.Column("account_name", TEXT),
        need("sync_status", TEXT),
        sa.Column("sync_code", TEXT),
        sa.Column("sync_text", TEXT),
        sa.Column("last_synced_at", MOMENT),
        sa.Column("cursor", JSON),
        need("poll_seconds", sa.Integer()),
        sa.Column("next_pull_at", MOMENT),
        need("pull_failures", sa.Integer()),
        sa.Column("next_sweep_at", MOMENT),
        need("deletions_confirmed", sa.Boolean()),
        sa.Column("next_push_at", MOMENT),
        sa.Column("next_inbox_at", MOMENT),
        sa.Column("next_subscription_at", MOMENT),
        need("clock_offset", sa.Integer()),
        need("created_by", TEXT),
        need("created_at", MOMENT),
        need("updated_at", MOMENT),
        sa.Column("disconnected_at", MOMENT),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_integration_organization_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_integration_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_integration"),
        sa.UniqueConstraint("hook_id", name="uq_integration_hook_id"),
    )
    op.create_index("ix_integration_organization_id", "integration", ["organization_id"])
    op.create_index("ix_integration_status_integration_next_pull_at", "integration", ["status", "next_pull_at"])
    op.create_index("ix_integration_workspace_id_integration_id", "integration", ["workspace_id", "id"])
    op.create_table(
        "service_line",
        need("id", TEXT),
        need("workspace_id", TEXT),
        need("name", TEXT),
        need("status", TEXT),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_service_line_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_service_line"),
    )
    op.create_index("ix_service_line_workspace_id", "service_line", ["workspace_id"])
    op.create_table(
        "agent",
        need("id", TEXT),
        need("workspace_id", TEXT),
        sa.Column("service_line_id", TEXT),
        need("policy_id", TEXT),
        need("name", TEXT),
        need("description", TEXT),
        need("model", TEXT),
        need("status", TEXT),
        need("tools", JSON),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["policy_id"], ["agent_policy.id"], name="fk_agent_policy_id"),
        sa.ForeignKeyConstraint(["service_line_id"], ["service_line.id"], name="fk_agent_service_line_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_agent_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agent"),
    )
    op.create_index("ix_agent_workspace_id", "agent", ["workspace_id"])
    op.create_table(
        "credential",
        need("integration_id", TEXT),
        need("mode", TEXT),
        need("sealed", TEXT),
        need("version", sa.Integer()),
        sa.Column("expires_at", MOMENT),
        sa.Column("refresh_started_at", MOMENT),
        sa.Column("refreshed_at", MOMENT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_credential_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("integration_id", name="pk_credential"),
    )
    op.create_table(
        "delivery",
        need("id", BIG_KEY),
        need("integration_id", TEXT),
        need("dedupe_key", TEXT),
        need("event", TEXT),
        need("headers", JSON),
        need("body", sa.LargeBinary()),
        need("received_at", MOMENT),
        need("state", TEXT),
        need("attempts", sa.Integer()),
        need("next_attempt_at", MOMENT),
        sa.Column("outcome", JSON),
        sa.Column("error_code", TEXT),
        sa.Column("error_text", TEXT),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_delivery_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint("dedupe_key", name="uq_delivery_dedupe_key"),
    )
    op.create_index(
        "ix_delivery_pending",
        "delivery",
        ["integration_id", "next_attempt_at", "id"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_delivery_received_at", "delivery", ["received_at"])
    op.create_table(
        "identity",
        need("id", BIG_KEY),
        need("integration_id", TEXT),
        need("external_id", TEXT),
        sa.Column("user_id", TEXT),
        need("name", TEXT),
        sa.Column("email", TEXT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_identity_integration_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_identity_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_identity"),
        sa.UniqueConstraint("integration_id", "external_id", name="uq_identity_integration_id_external_id"),
    )
    op.create_index("ix_identity_integration_id_identity_user_id", "identity", ["integration_id", "user_id"])
    op.create_table(
        "oauth_attempt",
        need("state_digest", TEXT),
        need("integration_id", TEXT),
        need("actor", TEXT),
        need("redirect_uri", TEXT),
        need("sealed", TEXT),
        need("created_at", MOMENT),
        need("expires_at", MOMENT),
        sa.Column("used_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_oauth_attempt_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("state_digest", name="pk_oauth_attempt"),
    )
    op.create_index("ix_oauth_attempt_integration_id", "oauth_attempt", ["integration_id"])
    op.create_table(
        "subscription",
        need("integration_id", TEXT),
        need("state", TEXT),
        need("external_ids", JSON),
        need("sealed", TEXT),
        sa.Column("expires_at", MOMENT),
        sa.Column("code", TEXT),
        sa.Column("text", TEXT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_subscription_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("integration_id", name="pk_subscription"),
    )
    op.create_table(
        "sync_run",
        need("id", TEXT),
        need("integration_id", TEXT),
        need("kind", TEXT),
        need("trigger", TEXT),
        need("requested_by", TEXT),
        need("status", TEXT),
        need("counts", JSON),
        sa.Column("total", sa.Integer()),
        need("attempts", sa.Integer()),
        sa.Column("error_code", TEXT),
        sa.Column("error_text", TEXT),
        need("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_sync_run_integration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sync_run"),
    )
    op.create_index("ix_sync_run_integration_id_sync_run_id", "sync_run", ["integration_id", "id"])
    op.create_index(
        "uq_sync_run_open",
        "sync_run",
        ["integration_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'pull' AND status = 'running'"),
        postgresql_where=sa.text("kind = 'pull' AND status = 'running'"),
    )
    op.create_table(
        "task",
        need("id", TEXT),
        need("workspace_id", TEXT),
        sa.Column("service_line_id", TEXT),
        sa.Column("project_id", TEXT),
        need("title", TEXT),
        need("description", TEXT),
        need("status", TEXT),
        need("priority", TEXT),
        sa.Column("assignee_id", TEXT),
        sa.Column("external_id", TEXT),
        sa.Column("external_source", TEXT),
        sa.Column("external_url", TEXT),
        need("changed_at", JSON),
        need("version", sa.Integer()),
        need("created_by", TEXT),
        need("created_at", MOMENT),
        need("updated_at", MOMENT),
        sa.ForeignKeyConstraint(["assignee_id"], ["user_account.id"], name="fk_task_assignee_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project_label.id"], name="fk_task_project_id"),
        sa.ForeignKeyConstraint(["service_line_id"], ["service_line.id"], name="fk_task_service_line_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_task_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_task"),
    )
    op.create_index("ix_task_assignee_id_task_id", "task", ["assignee_id", "id"])
    op.create_index("ix_task_project_id_task_id", "task", ["project_id", "id"])
    op.create_index("ix_task_service_line_id_task_id", "task", ["service_line_id", "id"])
    op.create_index("ix_task_workspace_id_task_id", "task", ["workspace_id", "id"])
    op.create_index("ix_task_workspace_id_task_status_task_id", "task", ["workspace_id", "status", "id"])
    op.create_table(
        "task_velocity",
        need("service_line_id", TEXT),
        need("day", sa.Date()),
        need("status", TEXT),
        need("count", sa.Integer()),
        sa.ForeignKeyConstraint(["service_line_id"], ["service_line.id"], name="fk_task_velocity_service_line_id"),
        sa.PrimaryKeyConstraint("service_line_id", "day", "status", name="pk_task_velocity"),
    )
    op.create_table(
        "api_token",
        need("id", TEXT),
        need("digest", TEXT),
        need("organization_id", TEXT),
        sa.Column("workspace_id", TEXT),
        sa.Column("user_id", TEXT),
        sa.Column("agent_id", TEXT),
        need("name", TEXT),
        need("scopes", JSON),
        need("created_at", MOMENT),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name="fk_api_token_agent_id"),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_api_token_organization_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_api_token_user_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name="fk_api_token_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("digest", name="uq_api_token_digest"),
    )
    op.create_index("ix_api_token_organization_id", "api_token", ["organization_id"])
    op.create_table(
        "binding",
        need("id", BIG_KEY),
        sa.Column("binding_key", TEXT),
        need("integration_id", TEXT),
        need("task_id", TEXT),
        need("state", TEXT),
        sa.Column("create_key", TEXT),
        sa.Column("external_id", TEXT),
        sa.Column("external_key", TEXT),
        sa.Column("external_url", TEXT),
        need("container", TEXT),
        need("base", JSON),
        need("watermark", sa.BigInteger()),
        need("mapping_rev", sa.Integer()),
        need("owed", sa.Boolean()),
        sa.Column("owed_since", MOMENT),
        need("refused", JSON),
        need("attempts", sa.Integer()),
        sa.Column("next_attempt_at", MOMENT),
        sa.Column("failed_at", MOMENT),
        sa.Column("reason_code", TEXT),
        sa.Column("reason_text", TEXT),
        sa.Column("called_at", MOMENT),
        need("searches", sa.Integer()),
        sa.Column("listed_at", MOMENT),
        sa.Column("missing_since", MOMENT),
        sa.Column("agreed_at", MOMENT),
        sa.Column("source", TEXT),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integration.id"], name="fk_binding_integration_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_binding_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_binding"),
        sa.UniqueConstraint("binding_key", name="uq_binding_binding_key"),
        sa.UniqueConstraint("create_key", name="uq_binding_create_key"),
        sa.UniqueConstraint("integration_id", "task_id", name="uq_binding_integration_id_task_id"),
    )
    op.create_index(
        "ix_binding_owed",
        "binding",
        ["integration_id", "next_attempt_at"],
        sqlite_where=sa.text("owed"),
        postgresql_where=sa.text("owed"),
    )
    op.create_index("ix_binding_task_id", "binding", ["task_id"])
    op.create_table(
        "task_history",
        need("id", BIG_KEY),
        need("task_id", TEXT),
        need("at", MOMENT),
        need("kind", TEXT),
        need("change", TEXT),
        sa.Column("old", TEXT),
        sa.Column("new", TEXT),
        need("by", TEXT),
        sa.Column("rule", TEXT),
        sa.Column("source", TEXT),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_task_history_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task_history"),
    )
    op.create_index("ix_task_history_task_id_task_history_id", "task_history", ["task_id", "id"])
    op.create_table(
        "idempotency_key",
        need("id", BIG_KEY),
        need("token_id", TEXT),
        need("key", TEXT),
        need("fingerprint", TEXT),
        sa.Column("status", sa.Integer()),
        sa.Column("body", JSON),
        need("created_at", MOMENT),
        sa.ForeignKeyConstraint(["token_id"], ["api_token.id"], name="fk_idempotency_key_token_id"),
        sa.PrimaryKeyConstraint("id", name="pk_idempotency_key"),
        sa.UniqueConstraint("token_id", "key", name="uq_idempotency_key_token_id_key"),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])
