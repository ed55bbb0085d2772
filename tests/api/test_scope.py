"""What is out of a token's scope does not exist; what is in scope but not permitted is forbidden."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from core.access import SCOPES
from core.models import ApiToken, Integration, NotificationRoute, User
from sync.integrations import request_sync
from sync.runtime import Runtime
from tests.api.conftest import (
    Caller,
    Tenant,
    alerted,
    client,
    connect,
    delivered,
    disputed,
    error_of,
    make_agent,
    new_task,
    owed_to_channel,
    owed_to_webhook,
    rows,
    second_workspace,
    stored,
    token,
)
from tests.sync.conftest import ManualClock
from tests.sync.notifications.megaphone import Megaphone
from tests.sync.watching.tower import Tower

READS = {
    "a task": "/v1/tasks/{task}",
    "why a task is as it is": "/v1/tasks/{task}/sync",
    "tasks of a workspace": "/v1/tasks?workspace_id={workspace}",
    "tasks of a service line": "/v1/tasks?service_line_id={line}",
    "an integration": "/v1/integrations/{integration}",
    "integrations": "/v1/integrations?workspace_id={workspace}",
    "repositories": "/v1/integrations/{integration}/repositories",
    "syncs": "/v1/integrations/{integration}/syncs",
    "a sync": "/v1/integrations/{integration}/syncs/{sync}",
    "deliveries": "/v1/integrations/{integration}/deliveries",
    "a delivery": "/v1/integrations/{integration}/deliveries/{delivery}",
    "an integration's health": "/v1/integrations/{integration}/health",
    "conflicts": "/v1/integrations/{integration}/conflicts",
    "diagnostics": "/v1/integrations/{integration}/diagnostics",
    "a consent": "/v1/integrations/{integration}/oauth/start",
    "a webhook": "/v1/webhooks/{webhook}",
    "webhooks": "/v1/webhooks?workspace_id={workspace}",
    "deliveries of a webhook": "/v1/webhooks/{webhook}/deliveries",
    "a delivery of a webhook": "/v1/webhooks/{webhook}/deliveries/{message}",
    "a notification route": "/v1/notification-routes/{route}",
    "notification routes": "/v1/notification-routes?workspace_id={workspace}",
    "a notification": "/v1/notifications/{notification}",
    "notifications": "/v1/notifications?workspace_id={workspace}",
    "measures": "/v1/integrations/{integration}/measures",
    "points": "/v1/integrations/{integration}/measures/1/points",
    "quality gates": "/v1/integrations/{integration}/quality-gates",
    "an incident": "/v1/incidents/{incident}",
    "an incident's history": "/v1/incidents/{incident}/history",
    "incidents": "/v1/incidents?workspace_id={workspace}",
    "events": "/v1/events?workspace_id={workspace}",
    "audit logs": "/v1/audit-logs?workspace_id={workspace}",
}

WRITES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "a task for a foreign workspace": ("POST", "/v1/tasks", {"workspace_id": "{workspace}", "title": "x"}),
    "a task for a foreign service line": ("POST", "/v1/tasks", {"service_line_id": "{line}", "title": "x"}),
    "a change of a foreign task": ("PATCH", "/v1/tasks/{task}", {"title": "mine now"}),
    "an integration in a foreign workspace": (
        "POST",
        "/v1/integrations",
        {"workspace_id": "{workspace}", "type": "toy", "name": "x", "config": {}, "credentials": {}},
    ),
    "a change of a foreign integration": ("PATCH", "/v1/integrations/{integration}", {"name": "mine now"}),
    "a disconnection": ("DELETE", "/v1/integrations/{integration}", None),
    "a sync": ("POST", "/v1/integrations/{integration}/sync", None),
    "a plan": ("POST", "/v1/integrations/{integration}/sync?dry_run=true", None),
    "a conflict": (
        "POST",
        "/v1/integrations/{integration}/conflicts/{conflict}/resolve",
        {"keep": "platform"},
    ),
    "a webhook for a foreign workspace": (
        "POST",
        "/v1/webhooks",
        {"workspace_id": "{workspace}", "url": "https://example.com/", "events": ["*"]},
    ),
    "a change of a foreign webhook": ("PATCH", "/v1/webhooks/{webhook}", {"enabled": False}),
    "the end of a foreign webhook": ("DELETE", "/v1/webhooks/{webhook}", None),
    "a foreign webhook's secret": ("POST", "/v1/webhooks/{webhook}/rotate-secret", None),
    "a test of a foreign webhook": ("POST", "/v1/webhooks/{webhook}/test", None),
    "a redelivery": ("POST", "/v1/webhooks/{webhook}/redeliver", {"only": "failed"}),
    "one redelivery": ("POST", "/v1/webhooks/{webhook}/deliveries/{message}/redeliver", None),
    "a replay": ("POST", "/v1/integrations/{integration}/deliveries/replay", {"dead": True}),
    "a replay's plan": ("POST", "/v1/integrations/{integration}/deliveries/replay?dry_run=true", {"dead": True}),
    "a route through a foreign integration": (
        "POST",
        "/v1/notification-routes",
        {"integration_id": "{notifier}", "events": ["*"]},
    ),
    "a change of a foreign route": ("PATCH", "/v1/notification-routes/{route}", {"enabled": False}),
    "the end of a foreign route": ("DELETE", "/v1/notification-routes/{route}", None),
    "a test of a foreign route": ("POST", "/v1/notification-routes/{route}/test", None),
    "a foreign notification again": ("POST", "/v1/notifications/{notification}/resend", None),
    "a change of a foreign incident": ("PATCH", "/v1/incidents/{incident}", {"status": "resolved"}),
    "a webhook secret": ("POST", "/v1/integrations/{integration}/webhook-secret", None),
}


@pytest.fixture
def theirs(rt: Runtime, app: FastAPI, stranger: Tenant, megaphone: Megaphone, tower: Tower) -> dict[str, str]:
    """Ids of everything another organization has."""
    their_client = client(app, token(rt, organization_id=stranger.organization_id, name="theirs"))
    integration = connect(rt, stranger)
    webhook, message = owed_to_webhook(rt, stranger)
    route, notification = owed_to_channel(rt, stranger)
    [routed] = rows(rt, NotificationRoute, NotificationRoute.id == route)
    return {
        "workspace": stranger.workspace.id,
        "line": stranger.line_id,
        "task": new_task(their_client, stranger)["id"],
        "integration": integration.id,
        "conflict": disputed(rt, stranger, integration),
        "delivery": str(delivered(rt, integration.id)),
        "sync": request_sync(rt, integration.id, actor=stranger.ann_id).id,
        "webhook": webhook,
        "message": message,
        "route": route,
        "notification": notification,
        "notifier": routed.integration_id,
        "incident": alerted(rt, stranger),
    }


@pytest.mark.parametrize("name", READS)
def test_another_organizations_things_do_not_exist(name: str, api: TestClient, theirs: dict[str, str]) -> None:
    assert error_of(api.get(READS[name].format(**theirs)))["code"] == "not_found"


@pytest.mark.parametrize("name", WRITES)
def test_another_organization_is_not_written_to(
    name: str, api: TestClient, rt: Runtime, theirs: dict[str, str]
) -> None:
    method, path, body = WRITES[name]
    filled = {key: value.format(**theirs) if isinstance(value, str) else value for key, value in (body or {}).items()}
    before = stored(rt)
    response = api.request(method, path.format(**theirs), json=filled or None)
    assert error_of(response)["code"] == "not_found"
    assert stored(rt) == before


@pytest.mark.parametrize("name", READS)
def test_a_token_of_one_workspace_does_not_see_the_others(
    name: str, caller: Caller, rt: Runtime, api: TestClient, tenant: Tenant, megaphone: Megaphone, tower: Tower
) -> None:
    narrowed = caller(workspace_id=second_workspace(rt, tenant))
    integration = connect(rt, tenant)
    webhook, message = owed_to_webhook(rt, tenant)
    route, notification = owed_to_channel(rt, tenant)
    ours = {
        "workspace": tenant.workspace.id,
        "line": tenant.line_id,
        "task": new_task(api, tenant)["id"],
        "integration": integration.id,
        "delivery": str(delivered(rt, integration.id)),
        "sync": request_sync(rt, integration.id, actor=tenant.ann_id).id,
        "webhook": webhook,
        "message": message,
        "route": route,
        "notification": notification,
        "incident": alerted(rt, tenant),
    }
    assert error_of(narrowed.get(READS[name].format(**ours)))["code"] == "not_found"


def test_streams_without_a_workspace_hold_what_the_token_sees(
    caller: Caller, api: TestClient, rt: Runtime, tenant: Tenant, theirs: dict[str, str]
) -> None:
    new_task(api, tenant)
    narrowed = caller(workspace_id=second_workspace(rt, tenant))
    for path in ("/v1/events", "/v1/audit-logs"):
        assert {row["workspace_id"] for row in api.get(path).json()["data"]} == {tenant.workspace.id}
        assert narrowed.get(path).json()["data"] == []


NEEDED = {
    ("GET", "/v1/tasks/{task}"): "tasks:read",
    ("GET", "/v1/tasks?service_line_id={line}"): "tasks:read",
    ("GET", "/v1/tasks/{task}/sync"): "tasks:read",
    ("GET", "/v1/integrations/{integration}/conflicts"): "tasks:read",
    ("POST", "/v1/integrations/{integration}/conflicts/{conflict}/resolve"): "tasks:write",
    ("POST", "/v1/tasks"): "tasks:write",
    ("PATCH", "/v1/tasks/{task}"): "tasks:write",
    ("GET", "/v1/integrations?workspace_id={workspace}"): "integrations:read",
    ("GET", "/v1/integrations/{integration}"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/repositories"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/syncs"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/deliveries"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/deliveries/{delivery}"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/health"): "integrations:read",
    ("POST", "/v1/integrations/{integration}/deliveries/replay"): "integrations:write",
    ("GET", "/v1/integrations/{integration}/diagnostics"): "integrations:read",
    ("GET", "/v1/connectors"): "integrations:read",
    ("POST", "/v1/integrations"): "integrations:write",
    ("PATCH", "/v1/integrations/{integration}"): "integrations:write",
    ("DELETE", "/v1/integrations/{integration}"): "integrations:write",
    ("POST", "/v1/integrations/{integration}/sync"): "integrations:write",
    ("POST", "/v1/integrations/{integration}/webhook-secret"): "integrations:write",
    ("GET", "/v1/integrations/{integration}/oauth/start"): "integrations:write",
    ("GET", "/v1/webhooks"): "webhooks:read",
    ("GET", "/v1/webhooks/{webhook}"): "webhooks:read",
    ("GET", "/v1/webhooks/{webhook}/deliveries"): "webhooks:read",
    ("GET", "/v1/webhooks/{webhook}/deliveries/{message}"): "webhooks:read",
    ("POST", "/v1/webhooks"): "webhooks:write",
    ("PATCH", "/v1/webhooks/{webhook}"): "webhooks:write",
    ("DELETE", "/v1/webhooks/{webhook}"): "webhooks:write",
    ("POST", "/v1/webhooks/{webhook}/rotate-secret"): "webhooks:write",
    ("POST", "/v1/webhooks/{webhook}/test"): "webhooks:write",
    ("POST", "/v1/webhooks/{webhook}/redeliver"): "webhooks:write",
    ("POST", "/v1/webhooks/{webhook}/deliveries/{message}/redeliver"): "webhooks:write",
    ("GET", "/v1/integrations/{integration}/measures"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/measures/{series_id}/points"): "integrations:read",
    ("GET", "/v1/integrations/{integration}/quality-gates"): "integrations:read",
    ("GET", "/v1/incidents"): "incidents:read",
    ("GET", "/v1/incidents/{incident}"): "incidents:read",
    ("GET", "/v1/incidents/{incident}/history"): "incidents:read",
    ("PATCH", "/v1/incidents/{incident}"): "incidents:write",
    ("GET", "/v1/notification-routes"): "notifications:read",
    ("GET", "/v1/notification-routes/{route}"): "notifications:read",
    ("GET", "/v1/notifications"): "notifications:read",
    ("GET", "/v1/notifications/{notification}"): "notifications:read",
    ("POST", "/v1/notification-routes"): "notifications:write",
    ("PATCH", "/v1/notification-routes/{route}"): "notifications:write",
    ("DELETE", "/v1/notification-routes/{route}"): "notifications:write",
    ("POST", "/v1/notification-routes/{route}/test"): "notifications:write",
    ("POST", "/v1/notifications/{notification}/resend"): "notifications:write",
    ("GET", "/v1/events"): "events:read",
    ("GET", "/v1/audit-logs"): "audit:read",
}


BODIES = {
    "/v1/tasks": {"service_line_id": "LIN-26-000001", "title": "x"},
    "/v1/integrations/{integration}/conflicts/{conflict}/resolve": {"keep": "platform"},
}


@pytest.mark.parametrize(("method", "path"), NEEDED)
def test_every_route_needs_its_scope(
    method: str, path: str, caller: Caller, api: TestClient, tenant: Tenant, integration: Integration
) -> None:
    needed = NEEDED[method, path]
    ours = {
        "workspace": tenant.workspace.id,
        "line": tenant.line_id,
        "task": new_task(api, tenant)["id"],
        "integration": integration.id,
        "conflict": "CNF-26-000001",
        "webhook": "WHK-26-000001",
        "message": "EVT-26-000001-WHK-26-000001",
        "delivery": "1",
        "route": "NRT-26-000001",
        "notification": "NTF-26-000001",
        "incident": "INC-26-000001",
        "series_id": "1",
    }
    body = BODIES.get(path)
    poor = caller(scopes=[scope for scope in SCOPES if scope != needed])
    refused = error_of(poor.request(method, path.format(**ours), json=body))
    assert (refused["code"], refused["message"]) == ("forbidden", f"This token lacks the scope {needed}.")


def test_every_v1_route_is_in_the_table_of_scopes(app: FastAPI) -> None:
    public = {"/v1/oauth/{type}/callback"}
    routes = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/v1/") and path not in public
    }
    known = {(method, _template(path)) for method, path in NEEDED}
    assert routes - known == {("GET", "/v1/integrations/{integration_id}/syncs/{sync_id}")}


def _template(path: str) -> str:
    path = path.partition("?")[0]
    things = ("task", "integration", "conflict", "webhook", "delivery", "message", "route", "notification", "incident")
    for name in things:
        path = path.replace(f"{{{name}}}", f"{{{name}_id}}")
    return path


def test_no_agent_connects_tools(caller: Caller, rt: Runtime, tenant: Tenant, integration: Integration) -> None:
    agent_id = make_agent(rt, tenant, permitted=["scrums_tasks"], granted=["scrums_tasks"])
    agent = caller(user_id=None, agent_id=agent_id)
    assert agent.get(f"/v1/integrations/{integration.id}").status_code == 200
    assert error_of(agent.delete(f"/v1/integrations/{integration.id}"))["code"] == "forbidden"
    hook = agent.post("/v1/webhooks", json={"url": "https://example.com/", "events": ["*"]})
    assert "may not change webhooks" in error_of(hook)["message"]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer tb_unknown", "Basic dXNlcjpwYXNz", "tb_unknown", "Bearer \xff"]
)
def test_no_token_no_answer(header: str | None, anyone: TestClient) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    response = anyone.get("/v1/events", headers=headers)
    assert error_of(response)["code"] == "unauthorized"
    assert response.headers["www-authenticate"] == "Bearer"


def test_tokens_end(caller: Caller, rt: Runtime, clock: ManualClock, tenant: Tenant) -> None:
    expiring = caller(expires_at=clock.advance(hours=1))
    assert expiring.get("/v1/events").status_code == 401
    revoked, orphan = caller(), caller()
    assert revoked.get("/v1/events").status_code == 200
    with rt.db.write() as session:
        newest = session.query(ApiToken).order_by(ApiToken.id.desc()).first()
        assert newest is not None
        newest.revoked_at = clock()
    assert orphan.get("/v1/events").status_code == 401
    with rt.db.write() as session:
        session.get_one(User, tenant.ann_id).active = False
    assert revoked.get("/v1/events").status_code == 401
