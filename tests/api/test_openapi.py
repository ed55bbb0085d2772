"""The description of the API is true: generated requests get only answers it documents, and its examples fit it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import validator_for
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

import connectors.egress
from core.models import Integration
from sync.runtime import Runtime
from tests.api.conftest import (
    Tenant,
    alerted,
    delivered,
    disputed,
    error_of,
    mapped,
    new_task,
    owed_to_channel,
    owed_to_webhook,
)
from tests.sync.notifications.megaphone import Megaphone
from tests.sync.watching.tower import Tower

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

IMPOSSIBLE = {
    (label, GenerationMode.NEGATIVE) for label in ("GET /healthz", "GET /metrics", "GET /v1/oauth/{type}/callback")
}
"""They take anything, so nothing is against their description."""

EXAMPLES = 10
"""Generated requests per operation that fit the description, and as many that do not: seconds in all."""

OPERATIONS = [
    "GET /v1/tasks",
    "POST /v1/tasks",
    "GET /v1/tasks/{task_id}",
    "PATCH /v1/tasks/{task_id}",
    "GET /v1/tasks/{task_id}/sync",
    "GET /v1/integrations",
    "POST /v1/integrations",
    "GET /v1/integrations/{integration_id}",
    "PATCH /v1/integrations/{integration_id}",
    "DELETE /v1/integrations/{integration_id}",
    "POST /v1/integrations/{integration_id}/sync",
    "POST /v1/integrations/{integration_id}/webhook-secret",
    "GET /v1/integrations/{integration_id}/repositories",
    "GET /v1/integrations/{integration_id}/syncs",
    "GET /v1/integrations/{integration_id}/syncs/{sync_id}",
    "GET /v1/integrations/{integration_id}/deliveries",
    "GET /v1/integrations/{integration_id}/deliveries/{delivery_id}",
    "POST /v1/integrations/{integration_id}/deliveries/replay",
    "GET /v1/integrations/{integration_id}/health",
    "GET /v1/integrations/{integration_id}/conflicts",
    "GET /v1/integrations/{integration_id}/diagnostics",
    "POST /v1/integrations/{integration_id}/conflicts/{conflict_id}/resolve",
    "GET /v1/integrations/{integration_id}/oauth/start",
    "GET /v1/oauth/{type}/callback",
    "GET /v1/connectors",
    "GET /v1/webhooks",
    "POST /v1/webhooks",
    "GET /v1/webhooks/{webhook_id}",
    "PATCH /v1/webhooks/{webhook_id}",
    "DELETE /v1/webhooks/{webhook_id}",
    "POST /v1/webhooks/{webhook_id}/rotate-secret",
    "POST /v1/webhooks/{webhook_id}/test",
    "POST /v1/webhooks/{webhook_id}/redeliver",
    "GET /v1/webhooks/{webhook_id}/deliveries",
    "GET /v1/webhooks/{webhook_id}/deliveries/{message_id}",
    "POST /v1/webhooks/{webhook_id}/deliveries/{message_id}/redeliver",
    "GET /v1/integrations/{integration_id}/measures",
    "GET /v1/integrations/{integration_id}/measures/{series_id}/points",
    "GET /v1/integrations/{integration_id}/quality-gates",
    "GET /v1/incidents",
    "GET /v1/incidents/{incident_id}",
    "PATCH /v1/incidents/{incident_id}",
    "GET /v1/incidents/{incident_id}/history",
    "GET /v1/notification-routes",
    "POST /v1/notification-routes",
    "GET /v1/notification-routes/{route_id}",
    "PATCH /v1/notification-routes/{route_id}",
    "DELETE /v1/notification-routes/{route_id}",
    "POST /v1/notification-routes/{route_id}/test",
    "GET /v1/notifications",
    "GET /v1/notifications/{notification_id}",
    "POST /v1/notifications/{notification_id}/resend",
    "GET /v1/events",
    "GET /v1/audit-logs",
    "GET /healthz",
    "GET /metrics",
]
"""All but `/readyz`, whose 503 is meant."""


def test_every_operation_is_listed_here(app: FastAPI) -> None:
    described = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert described - {"GET /readyz"} == set(OPERATIONS)


@pytest.fixture
def ids(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, megaphone: Megaphone, tower: Tower
) -> dict[str, str]:
    """Ids that exist, to reach what lies behind the 404s."""
    conflict_id = disputed(rt, tenant, integration)
    task = new_task(api, tenant, **mapped(tenant))
    webhook_id, message_id = owed_to_webhook(rt, tenant)
    route_id, notification_id = owed_to_channel(rt, tenant)
    sync = api.post(f"/v1/integrations/{integration.id}/sync").json()["data"]
    return {
        "workspace_id": tenant.workspace.id,
        "service_line_id": tenant.line_id,
        "task_id": task["id"],
        "integration_id": integration.id,
        "sync_id": sync["sync_id"],
        "conflict_id": conflict_id,
        "webhook_id": webhook_id,
        "message_id": message_id,
        "route_id": route_id,
        "notification_id": notification_id,
        "incident_id": alerted(rt, tenant),
        "series_id": 1,
        "delivery_id": delivered(rt, integration.id),
        "type": "toy",
    }


@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, mode) for label in OPERATIONS for mode in GenerationMode if (label, mode) not in IMPOSSIBLE],
)
def test_generated_requests_get_documented_answers(
    label: str,
    mode: GenerationMode,
    app: FastAPI,
    api: TestClient,
    ids: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method, path = label.split()
    operation = described(app)[path][method]
    headers = {"Authorization": api.headers["Authorization"]}
    monkeypatch.setattr(connectors.egress, "_look_up", lambda _name: ["93.184.216.34"])  # the examples' hosts

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        for ready in (case, real(case, ids)):
            ready.validate_response(ready.call(headers=headers), checks=CHECKS)

    check()


@lru_cache(maxsize=1)
def described(app: FastAPI) -> Any:
    """What schemathesis makes of the description; the tests share one application."""
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def real(case: Any, ids: dict[str, str]) -> Any:
    """The case with ids that exist where it has any."""
    for where in (case.path_parameters, case.query, case.body):
        if isinstance(where, dict):
            where.update({name: value for name, value in ids.items() if name in where})
    return case


def test_the_examples_fit_their_schemas(app: FastAPI) -> None:
    description = app.openapi()
    checked = 0
    for name, schema in description["components"]["schemas"].items():
        validator = validator_for(schema | {"components": description["components"]})
        for example in schema.get("examples", []):
            assert validator.is_valid(example), (name, [error.message for error in validator.iter_errors(example)])
            checked += 1
    assert checked > 10


def test_no_answer_is_described_in_the_frameworks_own_words(app: FastAPI) -> None:
    assert not {"HTTPValidationError", "ValidationError"} & set(app.openapi()["components"]["schemas"])


def test_every_error_is_described_as_the_envelope(app: FastAPI) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if path.startswith("/v1/") and "oauth" not in path and int(status) >= 400:
                    described = response["content"]["application/json"]["schema"]["$ref"]
                    assert described.endswith("/ErrorBody"), (method, path, status)


def test_the_description_is_served(anyone: TestClient) -> None:
    assert anyone.get("/openapi.json").json()["info"]["title"] == "Turnbuckle"
    assert "swagger" in anyone.get("/docs").text
    assert error_of(anyone.get("/openapi.yaml"))["code"] == "not_found"
