"""What the platform reference prints, and a database that holds what its samples show, under the ids they show."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import ids
from core.models import (
    IdCounter,
    Integration,
    Organization,
    ProjectLabel,
    ServiceLine,
    SyncRun,
    Task,
    TaskHistory,
    User,
    Workspace,
)
from sync.runtime import Runtime
from tests.api.conftest import Tenant

# --- as printed ---------------------------------------------------------------------------------------

INTEGRATIONS = """
{
  "data": [
    {
      "id": "INT-26-000041",
      "workspace_id": "WS-26-000021",
      "type": "github",
      "name": "apex-digital/payments-api",
      "status": "active",
      "last_synced_at": "2026-04-15T09:30:00Z",
      "sync_status": "healthy",
      "created_at": "2024-03-20T10:00:00Z"
    },
    {
      "id": "INT-26-000042",
      "workspace_id": "WS-26-000021",
      "type": "jira",
      "name": "APEX Jira Project",
      "status": "active",
      "last_synced_at": "2026-04-15T09:00:00Z",
      "sync_status": "healthy",
      "created_at": "2024-03-20T10:30:00Z"
    }
  ]
}
"""

NEW_INTEGRATION = """
{
  "workspace_id": "WS-26-000021",
  "type": "github",
  "name": "apex-digital/payments-api",
  "config": {
    "organization": "apex-digital",
    "repositories": ["payments-api", "payments-worker"],
    "events": ["push", "pull_request", "deployment"]
  },
  "credentials": {
    "installation_id": "12345678"
  }
}
"""

INTEGRATION = """
{
  "data": {
    "id": "INT-26-000041",
    "workspace_id": "WS-26-000021",
    "type": "github",
    "name": "apex-digital/payments-api",
    "status": "active",
    "config": {
      "organization": "apex-digital",
      "repositories": ["payments-api", "payments-worker"],
      "events": ["push", "pull_request", "deployment"]
    },
    "last_synced_at": "2026-04-15T09:30:00Z",
    "sync_status": "healthy",
    "sync_history": [
      { "at": "2026-04-15T09:30:00Z", "status": "success", "records_synced": 14 },
      { "at": "2026-04-15T08:30:00Z", "status": "success", "records_synced": 3 }
    ],
    "created_at": "2024-03-20T10:00:00Z"
  }
}
"""

INTEGRATION_PATCH = """
{
  "config": {
    "repositories": ["payments-api", "payments-worker", "payments-gateway"]
  }
}
"""

SYNC = """
{
  "data": {
    "sync_id": "SYNC-26-000811",
    "status": "running",
    "started_at": "2026-04-15T10:00:00Z"
  }
}
"""

TASKS = """
{
  "data": [
    {
      "id": "TSK-26-018841",
      "workspace_id": "WS-26-000021",
      "service_line_id": "LIN-26-084729",
      "project_id": "PROJ-26-004281",
      "title": "Implement idempotency key validation on payment endpoint",
      "status": "in_progress",
      "priority": "high",
      "assignee_id": "USR-26-000044",
      "external_id": "APEX-1042",
      "external_source": "jira",
      "created_at": "2026-04-10T10:00:00Z",
      "updated_at": "2026-04-14T16:00:00Z"
    }
  ],
  "meta": {
    "cursor": null,
    "has_more": false
  }
}
"""

NEW_TASK = """
{
  "workspace_id": "WS-26-000021",
  "service_line_id": "LIN-26-084729",
  "project_id": "PROJ-26-004281",
  "title": "Add distributed tracing to payment service",
  "description": "Instrument the payments API with OpenTelemetry spans to support end-to-end trace correlation.",
  "priority": "medium",
  "assignee_id": "USR-26-000044",
  "status": "backlog"
}
"""

TASK = """
{
  "data": {
    "id": "TSK-26-018841",
    "workspace_id": "WS-26-000021",
    "service_line_id": "LIN-26-084729",
    "project_id": "PROJ-26-004281",
    "title": "Implement idempotency key validation on payment endpoint",
    "description": "Payment endpoint must reject duplicate requests within 24 hours using the idempotency key.",
    "status": "in_progress",
    "priority": "high",
    "assignee_id": "USR-26-000044",
    "external_id": "APEX-1042",
    "external_source": "jira",
    "external_url": "https://apexdigital.atlassian.net/browse/APEX-1042",
    "history": [
      {
        "at": "2026-04-10T10:00:00Z", "change": "status", "from": "backlog", "to": "in_progress",
        "by": "USR-26-000044"
      }
    ],
    "created_at": "2026-04-10T10:00:00Z",
    "updated_at": "2026-04-14T16:00:00Z"
  }
}
"""

TASK_PATCH = """
{
  "status": "in_review",
  "assignee_id": "USR-26-000081"
}
"""

AGENTS_TASK = """
{ "service_line_id": "LIN-26-091100", "title": "Fix memory leak in worker process - identified by analysis", "priority": "high" }
"""  # noqa: E501

AGENTS_PATCH = '{ "status": "done" }'

NOT_FOUND = """
{
  "error": {
    "code": "not_found",
    "message": "Service Line LIN-26-084729 not found.",
    "status": 404
  }
}
"""

TASK_FIELDS = {
    "id",
    "workspace_id",
    "service_line_id",
    "project_id",
    "title",
    "description",
    "status",
    "priority",
    "assignee_id",
    "external_id",
    "external_source",
    "external_url",
    "history",
    "created_at",
    "updated_at",
}
INTEGRATION_FIELDS = {
    "id",
    "workspace_id",
    "type",
    "name",
    "status",
    "config",
    "last_synced_at",
    "sync_status",
    "created_at",
}
"""The tables of fields."""

LAST_IDS = {"ORG": 1, "WS": 21, "LIN": 91100, "PROJ": 4281, "USR": 81, "SYNC": 810, "TSK": 18841, "INT": 42}

# --- the world of the samples -------------------------------------------------------------------------


def build_world(rt: Runtime) -> Tenant:
    """Everything the samples show."""
    now = rt.clock()
    organization, workspace = "ORG-26-000001", "WS-26-000021"
    people = {"USR-26-000044": "ann@apex.test", "USR-26-000081": "bob@apex.test"}
    with rt.db.write() as session:
        session.add(Organization(id=organization, name="Apex", created_at=now))
        session.flush()
        home = Workspace(id=workspace, organization_id=organization, name="Payments", settings={}, created_at=now)
        session.add(home)
        session.flush()
        for line in ("LIN-26-084729", "LIN-26-091100"):
            session.add(ServiceLine(id=line, workspace_id=workspace, name=line, status="active", created_at=now))
        session.add(ProjectLabel(id="PROJ-26-004281", organization_id=organization, name="Pay", created_at=now))
        for user, email in people.items():
            session.add(
                User(id=user, organization_id=organization, name=user, email=email, active=True, created_at=now)
            )
        session.flush()
        session.add_all(integration(workspace, organization, row) for row in json.loads(INTEGRATIONS)["data"])
        session.flush()
        session.add_all(run(number, row) for number, row in enumerate(json.loads(INTEGRATION)["data"]["sync_history"]))
        session.add(task(json.loads(TASK)["data"]))
        session.flush()
        session.add_all(history("TSK-26-018841", entry) for entry in json.loads(TASK)["data"]["history"])
        for prefix, last in LAST_IDS.items():
            set_counter(session, prefix, last)
    return Tenant(organization, home, "LIN-26-084729", "PROJ-26-004281", "USR-26-000044", "USR-26-000081")


def at(written: str) -> datetime:
    return datetime.fromisoformat(written)


def set_counter(session: Session, prefix: str, last: int) -> None:
    """Let the next id of the prefix be one higher."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT setval(:name, :last)"), {"name": ids.sequence_name(prefix), "last": last})
    else:
        session.get_one(IdCounter, prefix).last = last


def integration(workspace: str, organization: str, row: dict[str, Any]) -> Integration:
    times = {name: at(row[name]) for name in ("last_synced_at", "created_at")}
    return Integration(
        **(row | times),
        organization_id=organization,
        config=json.loads(NEW_INTEGRATION)["config"] if row["type"] == "github" else {},
        capabilities=["task_source"] if row["type"] == "jira" else [],
        routes=[],
        hook_id=row["id"],
        created_by="USR-26-000044",
        updated_at=times["created_at"],
    )


def run(number: int, row: dict[str, Any]) -> SyncRun:
    return SyncRun(
        id=f"SYNC-26-{800 - number:06d}",
        integration_id="INT-26-000041",
        kind="pull",
        trigger="schedule",
        requested_by="INT-26-000041",
        status=row["status"],
        counts={"created": 1, "updated": row["records_synced"] - 1, "unchanged": 7},
        started_at=at(row["at"]),
        finished_at=at(row["at"]),
    )


def task(row: dict[str, Any]) -> Task:
    columns = {name: value for name, value in row.items() if name != "history"}
    times = {name: at(row[name]) for name in ("created_at", "updated_at")}
    return Task(**(columns | times), changed_at={}, created_by="USR-26-000044")


def history(task_id: str, entry: dict[str, Any]) -> TaskHistory:
    return TaskHistory(
        task_id=task_id,
        at=at(entry["at"]),
        kind="change",
        change=entry["change"],
        old=entry["from"],
        new=entry["to"],
        by=entry["by"],
    )
