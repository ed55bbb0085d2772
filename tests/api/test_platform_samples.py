"""The platform reference, sample by sample: what is printed there is sent, and what is printed there comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from core.models import AuditRecord, Event, Task, TaskVelocity
from sync.runtime import Runtime
from tests.api.conftest import Tenant, client, make_agent, rows, token
from tests.api.samples import (
    AGENTS_PATCH,
    AGENTS_TASK,
    INTEGRATION,
    INTEGRATION_FIELDS,
    INTEGRATION_PATCH,
    INTEGRATIONS,
    NEW_INTEGRATION,
    NEW_TASK,
    NOT_FOUND,
    SYNC,
    TASK,
    TASK_FIELDS,
    TASK_PATCH,
    TASKS,
    build_world,
)

# What we show beyond the reference.
MORE_OF_A_TASK = {"sync"}
MORE_OF_AN_INTEGRATION = {
    "warnings",
    "status_reason",
    "sync_reason",
    "account",
    "capabilities",
    "has_credentials",
    "webhook_url",
}


@pytest.fixture
def runtime(any_runtime: Runtime) -> Runtime:
    """On SQLite and again on PostgreSQL."""
    return any_runtime


@pytest.fixture
def world(rt: Runtime) -> Tenant:
    return build_world(rt)


@pytest.fixture
def ann(rt: Runtime, app: FastAPI, world: Tenant) -> TestClient:
    return client(app, token(rt, organization_id=world.organization_id, user_id=world.ann_id, name="ann"))


def assert_same_but_for(answer: dict[str, Any], printed: dict[str, Any], more: set[str]) -> None:
    """Every printed field is as printed, and nothing is there but what we say we add."""
    assert {name: value for name, value in answer.items() if name not in more} == printed
    assert more <= set(answer)


# --- integrations -------------------------------------------------------------------------------------


def test_list_integrations(ann: TestClient) -> None:
    response = ann.get("/v1/integrations?workspace_id=WS-26-000021")
    assert response.json()["data"] == json.loads(INTEGRATIONS)["data"]
    assert response.json()["meta"] == {"cursor": None, "has_more": False}


def test_create_an_integration_that_waits_for_consent(ann: TestClient) -> None:
    response = ann.post("/v1/integrations", json=json.loads(NEW_INTEGRATION))
    assert response.status_code == 201
    sent = json.loads(NEW_INTEGRATION)
    printed = {name: sent[name] for name in ("workspace_id", "type", "name", "config")} | {
        "id": "INT-26-000043",
        "status": "pending_auth",
        "last_synced_at": None,
        "sync_status": "healthy",
        "created_at": "2026-04-15T10:00:00Z",
    }
    assert set(printed) == INTEGRATION_FIELDS
    assert_same_but_for(response.json()["data"], printed, MORE_OF_AN_INTEGRATION | {"authorize_url"})
    assert "12345678" not in response.text


def test_get_an_integration(ann: TestClient) -> None:
    response = ann.get("/v1/integrations/INT-26-000041")
    assert_same_but_for(response.json()["data"], json.loads(INTEGRATION)["data"], MORE_OF_AN_INTEGRATION)


def test_patch_an_integration(ann: TestClient) -> None:
    response = ann.patch("/v1/integrations/INT-26-000041", json=json.loads(INTEGRATION_PATCH))
    assert response.status_code == 200
    before = json.loads(INTEGRATION)["data"]
    assert response.json()["data"]["config"] == before["config"] | json.loads(INTEGRATION_PATCH)["config"]
    assert set(response.json()["data"]) == INTEGRATION_FIELDS | MORE_OF_AN_INTEGRATION


def test_disconnect_an_integration(ann: TestClient, rt: Runtime) -> None:
    assert ann.delete("/v1/integrations/INT-26-000042").json()["data"]["status"] == "disconnected"
    assert len(rows(rt, Task)) == 1


def test_trigger_a_sync(ann: TestClient) -> None:
    response = ann.post("/v1/integrations/INT-26-000042/sync")
    assert (response.status_code, response.json()) == (202, json.loads(SYNC))


# --- tasks --------------------------------------------------------------------------------------------


def test_list_tasks(ann: TestClient) -> None:
    response = ann.get("/v1/tasks?workspace_id=WS-26-000021&service_line_id=LIN-26-084729&status=in_progress")
    assert response.json() == json.loads(TASKS)


def test_create_a_task(ann: TestClient) -> None:
    response = ann.post("/v1/tasks", json=json.loads(NEW_TASK))
    assert response.status_code == 201
    now = "2026-04-15T10:00:00Z"
    assert response.json()["data"] == json.loads(NEW_TASK) | {
        "id": "TSK-26-018842",
        "external_id": None,
        "external_source": None,
        "external_url": None,
        "created_at": now,
        "updated_at": now,
    }


def test_get_a_task(ann: TestClient) -> None:
    answer = ann.get("/v1/tasks/TSK-26-018841").json()["data"]
    assert_same_but_for(answer, json.loads(TASK)["data"], MORE_OF_A_TASK)
    assert set(answer) - MORE_OF_A_TASK == TASK_FIELDS


def test_patch_a_task(ann: TestClient) -> None:
    response = ann.patch("/v1/tasks/TSK-26-018841", json=json.loads(TASK_PATCH))
    assert response.status_code == 200
    before = {name: value for name, value in json.loads(TASK)["data"].items() if name != "history"}
    expected = before | json.loads(TASK_PATCH) | {"updated_at": "2026-04-15T10:00:00Z"}
    assert response.json()["data"] == expected


@pytest.mark.parametrize("status", ["done", "cancelled"])
def test_an_end_triggers_the_event_and_counts(ann: TestClient, rt: Runtime, status: str) -> None:
    ann.patch("/v1/tasks/TSK-26-018841", json={"status": status})
    assert len(rows(rt, Event, Event.type == "task.status_changed")) == 1
    with rt.db.read() as session:
        counter = session.get_one(TaskVelocity, ("LIN-26-084729", rt.clock().date(), status))
        assert counter.count == 1


def test_reviewing_open_work_for_a_project(ann: TestClient) -> None:
    path = "/v1/tasks?workspace_id=WS-26-000021&project_id=PROJ-26-004281&status=in_progress,backlog"
    assert ann.get(path).json() == json.loads(TASKS)
    assert ann.get("/v1/tasks?service_line_id=LIN-26-084729&status=in_progress").json() == json.loads(TASKS)


def test_an_agent_creates_and_closes_a_task(rt: Runtime, app: FastAPI, world: Tenant) -> None:
    agent_id = make_agent(rt, world, permitted=["scrums_tasks"], granted=["scrums_tasks"])
    agent = client(app, token(rt, organization_id=world.organization_id, agent_id=agent_id, name="agent"))
    made = agent.post("/v1/tasks", json=json.loads(AGENTS_TASK)).json()["data"]
    assert (made["workspace_id"], made["status"], made["priority"]) == ("WS-26-000021", "backlog", "high")
    closed = agent.patch(f"/v1/tasks/{made['id']}", json=json.loads(AGENTS_PATCH)).json()["data"]
    assert closed["status"] == "done"
    assert [record.actor for record in rows(rt, AuditRecord)] == [agent_id, agent_id]


# --- overview -----------------------------------------------------------------------------------------


def test_what_is_not_there(rt: Runtime, app: FastAPI, world: Tenant, stranger: Tenant) -> None:
    outsider = client(app, token(rt, organization_id=stranger.organization_id, name="outsider"))
    response = outsider.get("/v1/tasks?service_line_id=LIN-26-084729")
    assert (response.status_code, response.json()) == (404, json.loads(NOT_FOUND))
