"""The stream of events and the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from sync.runtime import Runtime
from tests.api.conftest import Tenant, connect, error_of, new_task
from tests.sync.conftest import ManualClock


@pytest.fixture
def runtime(any_runtime: Runtime) -> Runtime:
    """On SQLite and again on PostgreSQL."""
    return any_runtime


def types(api: TestClient, **params: Any) -> list[str]:
    response = api.get("/v1/events", params=params)
    assert response.status_code == 200, response.text
    return [event["type"] for event in response.json()["data"]]


def test_events_tell_who_did_what_to_which_thing(api: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    [event] = api.get("/v1/events").json()["data"]
    assert event.pop("id").startswith("EVT-26-")
    assert event == {
        "workspace_id": tenant.workspace.id,
        "type": "task.created",
        "subject_id": task["id"],
        "actor": tenant.ann_id,
        "data": {"title": "Fix the leak", "status": "backlog"},
        "at": "2026-04-15T10:00:00Z",
        "occurred_at": None,
        "backfilled": False,
    }


def test_events_are_narrowed_by_type_prefix_and_subject(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    connect(rt, tenant)
    task = new_task(api, tenant)
    new_task(api, tenant)
    api.patch(f"/v1/tasks/{task['id']}", json={"status": "done"})
    assert types(api, type="task.*") == ["task.status_changed", "task.created", "task.created"]
    assert types(api, type="task.status_changed,integration.connected") == [
        "task.status_changed",
        "integration.connected",
    ]
    assert types(api, subject_id=task["id"]) == ["task.status_changed", "task.created"]
    assert types(api, type="task%*") == []
    assert types(api, type="task_created") == []


def test_events_are_narrowed_by_time(api: TestClient, tenant: Tenant, clock: ManualClock) -> None:
    for day in (1, 2, 3):
        clock.now = datetime(2026, 4, day, 12, tzinfo=UTC)
        task = new_task(api, tenant)
    assert len(types(api, **{"from": "2026-04-02"})) == 2
    assert len(types(api, to="2026-04-02")) == 2
    assert len(types(api, **{"from": "2026-04-02", "to": "2026-04-02"})) == 1
    assert len(types(api, **{"from": "2026-04-02T12:00:00Z", "to": "2026-04-03T12:00:00Z"})) == 1
    assert len(types(api, **{"from": "2026-04-02T15:00:00+02:00"})) == 1
    assert task["id"]


@pytest.mark.parametrize(
    "moment", ["yesterday", "", "2026-04-02T12:00:00", "2026-13-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "1"]
)
def test_a_time_has_a_form(moment: str, api: TestClient) -> None:
    refused = error_of(api.get("/v1/events", params={"to": moment}))
    assert refused["code"] == "unprocessable"
    assert refused["message"].startswith("to: must be a date")


def test_the_number_of_types_has_an_end(api: TestClient) -> None:
    refused = error_of(api.get("/v1/events", params={"type": ",".join(["task.*"] * 21)}))
    assert refused["message"] == "type: must be at most 20 names."


def test_the_audit_trail_is_narrowed_by_actor_action_and_subject(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    api.patch(f"/v1/tasks/{task['id']}", json={"status": "done"})
    connect(rt, tenant, actor=tenant.bob_id)

    def actions(**params: str) -> list[str]:
        response = api.get("/v1/audit-logs", params=params)
        return [record["action"] for record in response.json()["data"]]

    assert actions() == ["integration.created", "task.updated", "task.created"]
    assert actions(actor=tenant.bob_id) == ["integration.created"]
    assert actions(action="task.*") == ["task.updated", "task.created"]
    assert actions(action="task.created") == ["task.created"]
    assert actions(subject_id=task["id"], workspace_id=tenant.workspace.id) == ["task.updated", "task.created"]


def test_an_audit_record_names_the_token(api: TestClient, tenant: Tenant) -> None:
    new_task(api, tenant)
    [record] = api.get("/v1/audit-logs").json()["data"]
    assert record["token_id"].startswith("KEY-26-")
    assert record["data"] == {"fields": ["service_line_id", "title"]}


def test_the_stream_has_pages(api: TestClient, tenant: Tenant) -> None:
    for _ in range(3):
        new_task(api, tenant)
    first = api.get("/v1/events", params={"limit": 2, "type": "task.*"}).json()
    params = {"limit": 2, "type": "task.*", "cursor": first["meta"]["cursor"]}
    second = api.get("/v1/events", params=params).json()
    assert (len(first["data"]), len(second["data"]), second["meta"]["has_more"]) == (2, 1, False)
