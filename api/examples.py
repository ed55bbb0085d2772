"""The examples of the API's description: the platform reference's own, with what we add to them."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]


TASK_LISTED: Example = {
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
    "updated_at": "2026-04-14T16:00:00Z",
}
TASK: Example = TASK_LISTED | {
    "description": "Payment endpoint must reject duplicate requests within 24 hours using the idempotency key.",
    "external_url": "https://apexdigital.atlassian.net/browse/APEX-1042",
}
TASK_SYNC: Example = {
    "integration_id": "INT-26-000042",
    "external_source": "jira",
    "external_id": "APEX-1042",
    "external_url": "https://apexdigital.atlassian.net/browse/APEX-1042",
    "state": "bound",
    "error": None,
    "refused": [],
    "owed_since": None,
    "next_attempt_at": None,
    "agreed_at": "2026-04-14T16:00:02Z",
}
TASK_HISTORY: Example = {
    "at": "2026-04-10T10:00:00Z",
    "change": "status",
    "from": "backlog",
    "to": "in_progress",
    "by": "USR-26-000044",
}
TASK_DETAIL: Example = TASK | {"history": [TASK_HISTORY], "sync": [TASK_SYNC]}
NEW_TASK: Example = {
    "workspace_id": "WS-26-000021",
    "service_line_id": "LIN-26-084729",
    "project_id": "PROJ-26-004281",
    "title": "Add distributed tracing to payment service",
    "description": "Instrument the payments API with OpenTelemetry spans to support end-to-end trace correlation.",
    "priority": "medium",
    "assignee_id": "USR-26-000044",
    "status": "backlog",
}
AGENTS_TASK: Example = {
    "service_line_id": "LIN-26-091100",
    "title": "Fix memory leak in worker process - identified by analysis",
    "priority": "high",
}
TASK_PATCH: Example = {"status": "in_review", "assignee_id": "USR-26-000081"}

INTEGRATION_LISTED: Example = {
    "id": "INT-26-000041",
    "workspace_id": "WS-26-000021",
    "type": "github",
    "name": "apex-digital/payments-api",
    "status": "active",
    "last_synced_at": "2026-04-15T09:30:00Z",
    "sync_status": "healthy",
    "created_at": "2024-03-20T10:00:00Z",
}
GITHUB_CONFIG: Example = {
    "organization": "apex-digital",
    "repositories": ["payments-api", "payments-worker"],
    "events": ["push", "pull_request", "deployment"],
}
INTEGRATION: Example = INTEGRATION_LISTED | {
    "config": GITHUB_CONFIG,
    "status_reason": None,
    "sync_reason": None,
    "account": {"id": "583231", "name": "apex-digital"},
    "capabilities": [],
    "has_credentials": True,
    "webhook_url": None,
    "warnings": [],
}
INTEGRATION_DETAIL: Example = INTEGRATION | {
    "sync_history": [
        {"at": "2026-04-15T09:30:00Z", "status": "success", "records_synced": 14},
        {"at": "2026-04-15T08:30:00Z", "status": "success", "records_synced": 3},
    ]
}
INTEGRATION_CREATED: Example = INTEGRATION | {
    "status": "pending_auth",
    "last_synced_at": None,
    "status_reason": {"code": "consent_pending", "text": "GitHub has not confirmed the App's installation yet."},
    "account": None,
    "authorize_url": None,
}
NEW_INTEGRATION: Example = {
    "workspace_id": "WS-26-000021",
    "type": "github",
    "name": "apex-digital/payments-api",
    "config": GITHUB_CONFIG,
    "credentials": {"installation_id": "12345678"},
}
INTEGRATION_PATCH: Example = {"config": {"repositories": ["payments-api", "payments-worker", "payments-gateway"]}}

SYNC_STARTED: Example = {"sync_id": "SYNC-26-000811", "status": "running", "started_at": "2026-04-15T10:00:00Z"}
SYNC: Example = SYNC_STARTED | {
    "status": "success",
    "finished_at": "2026-04-15T10:00:04Z",
    "integration_id": "INT-26-000042",
    "trigger": "manual",
    "requested_by": "USR-26-000044",
    "records_synced": 14,
    "counts": {"pages": 1, "records": 20, "created": 2, "updated": 12, "unchanged": 6},
    "total": 20,
    "kind": "pull",
    "repository_id": None,
    "done": None,
    "eta": None,
    "error": None,
}
BACKFILL: Example = SYNC_STARTED | {
    "finished_at": None,
    "integration_id": "INT-26-000041",
    "kind": "backfill",
    "repository_id": "RPO-26-000012",
    "trigger": "schedule",
    "requested_by": "INT-26-000041",
    "records_synced": 4200,
    "counts": {"pages": 42, "records": 4200, "events_new": 4200},
    "total": 1900,
    "done": 700,
    "eta": "2026-04-15T10:12:00Z",
    "error": None,
}
REPOSITORY: Example = {
    "id": "RPO-26-000012",
    "integration_id": "INT-26-000041",
    "external_id": "583231001",
    "name": "apex-digital/payments-api",
    "url": "https://github.com/apex-digital/payments-api",
    "default_branch": "main",
    "state": "backfilling",
    "done": 700,
    "total": 1900,
    "last_polled_at": None,
    "backfilled_at": None,
    "next_attempt_at": None,
    "reason": None,
}

WEBHOOK: Example = {
    "id": "WHK-26-000003",
    "workspace_id": "WS-26-000021",
    "url": "https://hooks.apexdigital.example/scrums",
    "description": "Delivery portal",
    "events": ["task.*", "integration.status_changed"],
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
    "paused_until": None,
    "last_delivered_at": "2026-04-15T09:30:00Z",
    "created_by": "USR-26-000044",
    "created_at": "2026-04-10T10:00:00Z",
    "updated_at": "2026-04-10T10:00:00Z",
}
WEBHOOK_WITH_SECRET: Example = WEBHOOK | {
    "last_delivered_at": None,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw3fYx1FzJ4vM=",
}
NEW_WEBHOOK: Example = {
    "workspace_id": "WS-26-000021",
    "url": "https://hooks.apexdigital.example/scrums",
    "events": ["task.*", "integration.status_changed"],
    "description": "Delivery portal",
}
WEBHOOK_PATCH: Example = {"enabled": True, "events": ["task.*"]}
WEBHOOK_DELIVERY: Example = {
    "id": "EVT-26-000731-WHK-26-000003",
    "webhook_id": "WHK-26-000003",
    "event_id": "EVT-26-000731",
    "type": "task.status_changed",
    "event_at": "2026-04-15T09:29:58Z",
    "state": "pending",
    "attempts": 1,
    "status": 503,
    "error": {"code": "busy", "text": "The endpoint answered 503: it is too busy or away."},
    "next_attempt_at": "2026-04-15T09:30:05Z",
    "finished_at": None,
}
WEBHOOK_ATTEMPT: Example = {
    "number": 1,
    "at": "2026-04-15T09:30:00Z",
    "outcome": "busy",
    "status": 503,
    "latency_ms": 41,
    "text": "The endpoint answered 503: it is too busy or away.",
    "answer": "upstream unavailable",
}
REDELIVER: Example = {"from": "2026-04-14", "to": "2026-04-15T12:00:00Z", "only": "all"}

INCIDENT: Example = {
    "id": "INC-26-000031",
    "workspace_id": "WS-26-000021",
    "integration_id": "INT-26-000047",
    "service_line_id": "LIN-26-084729",
    "title": "Payments are slow",
    "text": "p95 latency is above 2 s",
    "severity": "high",
    "status": "acknowledged",
    "monitor": "1001",
    "scope": "service:payments,zone:eu",
    "tags": {"service": ["payments"], "zone": ["eu"]},
    "url": "https://app.datadoghq.com/monitors/1001",
    "opened_at": "2026-04-15T09:29:58Z",
    "acknowledged_at": "2026-04-15T09:33:10Z",
    "acknowledged_by": "USR-26-000044",
    "resolved_at": None,
    "resolved_by": None,
    "last_seen_at": "2026-04-15T09:29:58Z",
    "flaps": 0,
    "merged_into": None,
    "created_at": "2026-04-15T09:29:59Z",
    "updated_at": "2026-04-15T09:33:10Z",
}
INCIDENT_LINE: Example = {
    "at": "2026-04-15T09:29:58Z",
    "what": "firing",
    "severity": "high",
    "title": "Payments are slow",
    "text": "p95 latency is above 2 s",
    "url": "https://app.datadoghq.com/monitors/1001",
    "by": "INT-26-000047",
    "source": "delivery:8121",
    "told_at": "2026-04-15T09:29:59Z",
}
MEASURE_SERIES: Example = {
    "id": 12,
    "integration_id": "INT-26-000048",
    "subject": "apex_payments",
    "metric": "test_coverage",
    "unit": "percent",
    "branch": "main",
    "main": True,
    "dimensions": {},
    "newest_at": "2026-04-15T08:00:00Z",
    "newest_value": 81.4,
}
QUALITY_GATE: Example = {
    "id": 3,
    "integration_id": "INT-26-000048",
    "subject": "apex_payments",
    "name": "Payments",
    "branch": "main",
    "main": True,
    "status": "failed",
    "at": "2026-04-15T08:00:00Z",
    "failed_at": None,
    "url": "https://sonarcloud.io/dashboard?id=apex_payments",
    "conditions": [{"metric": "coverage", "passed": False, "value": "71.2", "threshold": "80"}],
}

NOTIFICATION_ROUTE: Example = {
    "id": "NRT-26-000002",
    "workspace_id": "WS-26-000021",
    "name": "On call",
    "integration_id": "INT-26-000043",
    "channel": "C08DELIVERY",
    "events": ["incident.*", "integration.sync_status_changed"],
    "least_severity": "medium",
    "digest_minutes": 0,
    "enabled": True,
    "created_by": "USR-26-000044",
    "created_at": "2026-04-10T10:00:00Z",
    "updated_at": "2026-04-10T10:00:00Z",
}
NEW_NOTIFICATION_ROUTE: Example = {
    "integration_id": "INT-26-000043",
    "channel": "C08DELIVERY",
    "events": ["incident.*", "integration.sync_status_changed"],
    "least_severity": "medium",
    "name": "On call",
}
NOTIFICATION_ROUTE_PATCH: Example = {"events": ["task.*"], "digest_minutes": 15}
NOTIFICATION: Example = {
    "id": "NTF-26-000412",
    "workspace_id": "WS-26-000021",
    "route_id": "NRT-26-000002",
    "integration_id": "INT-26-000043",
    "channel": "C08DELIVERY",
    "event_id": "EVT-26-000731",
    "event_type": "incident.opened",
    "event_at": "2026-04-15T09:29:58Z",
    "kind": "incident",
    "severity": "high",
    "title": "Payments are slow",
    "text": "",
    "facts": [{"name": "Incident", "value": "INC-26-000031"}, {"name": "Severity", "value": "high"}],
    "link": "https://app.apexdigital.example/incidents/INC-26-000031",
    "over": False,
    "thread": "incident:INC-26-000031",
    "state": "sent",
    "digest_id": None,
    "attempts": 1,
    "error": None,
    "next_attempt_at": None,
    "message": {"channel": "C08DELIVERY", "id": "1776245399.000200"},
    "created_at": "2026-04-15T09:29:59Z",
    "finished_at": "2026-04-15T09:30:00Z",
}

BY_SCHEMA: dict[str, list[Example]] = {
    "TaskListed": [TASK_LISTED],
    "TaskRecord": [TASK],
    "TaskDetail": [TASK_DETAIL],
    "TaskSync": [TASK_SYNC],
    "NewTask": [NEW_TASK, AGENTS_TASK],
    "TaskPatch": [TASK_PATCH],
    "IntegrationListed": [INTEGRATION_LISTED],
    "IntegrationRecord": [INTEGRATION],
    "IntegrationDetail": [INTEGRATION_DETAIL],
    "IntegrationCreated": [INTEGRATION_CREATED],
    "NewIntegration": [NEW_INTEGRATION],
    "IntegrationPatch": [INTEGRATION_PATCH],
    "SyncStarted": [SYNC_STARTED],
    "SyncDetail": [SYNC, BACKFILL],
    "RepositoryView": [REPOSITORY],
    "WebhookRecord": [WEBHOOK],
    "WebhookWithSecret": [WEBHOOK_WITH_SECRET],
    "NewWebhook": [NEW_WEBHOOK],
    "WebhookPatch": [WEBHOOK_PATCH],
    "WebhookDelivery": [WEBHOOK_DELIVERY],
    "WebhookDeliveryDetail": [WEBHOOK_DELIVERY | {"attempt_log": [WEBHOOK_ATTEMPT]}],
    "IncidentRecord": [INCIDENT],
    "IncidentLine": [INCIDENT_LINE],
    "IncidentPatch": [{"status": "acknowledged", "note": "Looking at the database."}],
    "MeasureSeriesView": [MEASURE_SERIES],
    "MeasurePointView": [{"at": "2026-04-15T08:00:00Z", "value": 81.4}],
    "QualityGateView": [QUALITY_GATE],
    "NotificationRouteRecord": [NOTIFICATION_ROUTE],
    "NewNotificationRoute": [NEW_NOTIFICATION_ROUTE],
    "NotificationRoutePatch": [NOTIFICATION_ROUTE_PATCH],
    "NotificationView": [NOTIFICATION],
    "Redeliver": [REDELIVER],
    "Redelivered": [{"webhook_id": "WHK-26-000003", "deliveries": 12}],
}
"""By the name of the schema they are examples of."""
