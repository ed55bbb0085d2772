"""Health, readiness, meters, connectors, and the headers around every answer."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from connectors.registry import Registry
from core.models import Binding, Delivery, Integration
from sync.runtime import Runtime
from tests.api.conftest import Caller, Tenant, client, make_tenant, mapped, new_task, token
from tests.sync.conftest import ManualClock


def test_the_process_is_up(anyone: TestClient) -> None:
    assert anyone.get("/healthz").json() == {"status": "ok"}


def test_it_is_ready_with_this_releases_schema(migrated_url: str, runtime_on: Callable[..., Runtime]) -> None:
    response = TestClient(create_app(runtime_on(migrated_url))).get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "problems": []})


def test_it_is_not_ready_without_the_schema(runtime_on: Callable[..., Runtime], tmp_path: Path) -> None:
    response = TestClient(create_app(runtime_on(f"sqlite:///{tmp_path / 'empty.db'}"))).get("/readyz")
    assert response.status_code == 503
    [problem] = response.json()["problems"]
    assert "turnbuckle db upgrade" in problem


def test_it_is_not_ready_without_a_database(runtime_on: Callable[..., Runtime], tmp_path: Path) -> None:
    response = TestClient(create_app(runtime_on(f"sqlite:///{tmp_path / 'no' / 'such.db'}"))).get("/readyz")
    assert response.status_code == 503
    assert response.json()["problems"] == ["The database does not answer (OperationalError)."]


def meters(anyone: TestClient) -> dict[str, float]:
    lines = anyone.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_requests_are_counted_by_route_and_not_by_path(api: TestClient, anyone: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    api.get(f"/v1/tasks/{task['id']}")
    api.get("/v1/tasks/TSK-26-999999")
    anyone.get("/no/such/path")
    found = meters(anyone)
    counted = 'turnbuckle_http_requests_total{{method="GET",route="{}",status="{}"}}'
    assert found[counted.format("/v1/tasks/{task_id}", 200)] == 1
    assert found[counted.format("/v1/tasks/{task_id}", 404)] == 1
    assert found[counted.format("unknown", 404)] == 1
    assert not any(task["id"] in name for name in found)


def test_the_backlog_is_read_from_the_database(
    api: TestClient, anyone: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, clock: ManualClock
) -> None:
    new_task(api, tenant, **mapped(tenant))
    new_task(api, tenant, **mapped(tenant))
    with rt.db.write() as session:
        session.query(Binding).order_by(Binding.id).first().failed_at = rt.clock()  # type: ignore[union-attr]
        session.add(pending(integration.id, rt))
    clock.advance(seconds=90)
    found = meters(anyone)
    assert found["turnbuckle_bindings_owed"] == 1
    assert found["turnbuckle_bindings_owed_oldest_seconds"] == 90
    assert found["turnbuckle_bindings_failed"] == 1
    assert found["turnbuckle_deliveries_pending"] == 1
    assert found["turnbuckle_deliveries_oldest_seconds"] == 90
    assert found['turnbuckle_integrations{status="active",sync_status="healthy",type="toy"}'] == 1


def pending(integration_id: str, rt: Runtime) -> Delivery:
    return Delivery(
        integration_id=integration_id,
        dedupe_key="d",
        event="item.changed",
        headers={},
        body=b"{}",
        received_at=rt.clock(),
        state="pending",
        attempts=0,
        next_attempt_at=rt.clock(),
    )


def test_connectors_tell_what_they_need(api: TestClient) -> None:
    body = api.get("/v1/connectors").json()
    assert [connector["type"] for connector in body["data"]] == ["github", "toy"]
    toy = body["data"][1]
    assert toy["category"] == "Project Management"
    assert toy["capabilities"] == [
        "task_source",
        "task_sink",
        "users",
        "vocabulary",
        "webhooks",
        "webhook_subscriptions",
    ]
    assert (toy["oauth"], toy["origin"], toy["tier"]) == (True, "registered", None)
    assert "projects" in toy["config_schema"]["properties"]
    assert toy["credentials_schemas"]["basic"]["properties"]["password"]["writeOnly"] is True
    assert body["meta"] == {"cursor": None, "has_more": False, "failures": []}


def test_a_connector_that_fails_to_load_is_told_with_the_reason(
    runtime_on: Callable[..., Runtime], sqlite_url: str
) -> None:
    registry = Registry.load([EntryPoint("broken", "no.such.module:Thing", "turnbuckle.connectors")])
    rt = runtime_on(sqlite_url, registry=registry)
    plain = token(rt, organization_id=make_tenant(rt).organization_id, name="x")
    [failure] = [
        each
        for each in client(create_app(rt), plain).get("/v1/connectors").json()["meta"]["failures"]
        if each["name"] == "broken"
    ]
    assert "ModuleNotFoundError" in failure["reason"]


def test_a_built_in_connector_shows_the_tier_it_is_shipped_with(
    runtime_on: Callable[..., Runtime], sqlite_url: str
) -> None:
    rt = runtime_on(sqlite_url, registry=Registry.load([]))
    plain = token(rt, organization_id=make_tenant(rt).organization_id, name="x")
    shown = {each["type"]: each for each in client(create_app(rt), plain).get("/v1/connectors").json()["data"]}
    assert (shown["jira"]["tier"], shown["jira"]["origin"]) == ("platinum", "built-in")
    assert shown["clickup"]["tier"] == "gold"


def test_every_answer_has_a_request_id(anyone: TestClient) -> None:
    assert len(anyone.get("/healthz").headers["x-request-id"]) == 32
    assert anyone.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    forged = anyone.get("/healthz", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert len(forged) == 32


def test_answers_are_not_cached_sniffed_or_framed(api: TestClient) -> None:
    headers: Any = api.get("/v1/events").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "max-age" in headers["strict-transport-security"]


def test_a_bug_is_logged_in_full_and_told_to_nobody(
    caller: Caller, app: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode(*_args: object) -> None:
        raise RuntimeError("a detail of the house")

    monkeypatch.setattr("api.paging.fetch", explode)
    response = caller().get("/v1/events", headers={"X-Request-Id": "find-me"})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "server_error"
    assert response.headers["x-request-id"] == "find-me"
    assert "a detail of the house" not in response.text
    logged = capsys.readouterr().out
    assert "find-me" in logged
    assert "a detail of the house" in logged
