"""Conflicts through the API: listed with both sides, and settled the other way once."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from core.models import AuditRecord, Integration, TaskHistory
from sync.runtime import Lane, Runtime
from tests.api.conftest import Caller, Tenant, disputed, error_of, make_agent, rows


def path(integration: Integration, conflict: str = "") -> str:
    base = f"/v1/integrations/{integration.id}/conflicts"
    return f"{base}/{conflict}/resolve" if conflict else base


def test_a_conflict_shows_both_values_and_who_and_when(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration
) -> None:
    id_ = disputed(rt, tenant, integration)
    body = api.get(path(integration)).json()
    assert body["meta"] == {"cursor": None, "has_more": False}
    (found,) = body["data"]
    now = "2026-04-15T10:00:00Z"
    assert found == {
        "id": id_,
        "integration_id": integration.id,
        "task_id": found["task_id"],
        "field": "title",
        "at": now,
        "rule": "conflict_latest",
        "text": "both sides changed it; the later change won",
        "winner": "external",
        "platform": {"value": "Ours", "by": tenant.ann_id, "at": now},
        "external": {"value": "Theirs", "by": integration.id, "at": now},
        "source": "SYNC-26-000001",
        "resolution": None,
    }


def test_conflicts_are_paged_newest_first_and_narrowed(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration
) -> None:
    ids = [disputed(rt, tenant, integration) for _ in range(3)]
    assert api.post(path(integration, ids[1]), json={"keep": "external"}).status_code == 200

    def listed(**filters: Any) -> list[str]:
        return [row["id"] for row in api.get(path(integration), params=filters).json()["data"]]

    assert listed() == ids[::-1]
    assert listed(resolved="true") == [ids[1]]
    assert listed(resolved="false") == [ids[2], ids[0]]
    task_id = api.get(path(integration)).json()["data"][0]["task_id"]
    assert listed(task_id=task_id) == [ids[2]]
    first = api.get(path(integration), params={"limit": 2, "resolved": "false"}).json()
    assert [row["id"] for row in first["data"]] == [ids[2], ids[0]]
    page = api.get(path(integration), params={"limit": 1}).json()
    rest = api.get(path(integration), params={"limit": 5, "cursor": page["meta"]["cursor"]}).json()
    assert [row["id"] for row in rest["data"]] == [ids[1], ids[0]]


def test_one_call_settles_it_the_other_way_as_the_caller(
    api: TestClient,
    rt: Runtime,
    tenant: Tenant,
    integration: Integration,
    rings: list[tuple[Lane, str]],
) -> None:
    id_ = disputed(rt, tenant, integration)
    settled = api.post(path(integration, id_), json={"keep": "platform"})
    assert settled.status_code == 200
    found = settled.json()["data"]
    assert found["resolution"] == {"keep": "platform", "by": tenant.ann_id, "at": "2026-04-15T10:00:00Z"}
    task = api.get(f"/v1/tasks/{found['task_id']}").json()["data"]
    assert task["title"] == "Ours"
    assert rows(rt, TaskHistory)[-1].by == tenant.ann_id
    (record,) = rows(rt, AuditRecord, AuditRecord.action == "conflict.resolved")
    assert record.token_id is not None
    assert api.post(path(integration, id_), json={"keep": "platform"}).json() == settled.json()
    assert len(rows(rt, TaskHistory)) == 2


def test_a_repetition_with_the_same_key_is_answered_and_not_done_again(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration
) -> None:
    id_ = disputed(rt, tenant, integration)
    headers = {"Idempotency-Key": "once"}
    first = api.post(path(integration, id_), json={"keep": "platform"}, headers=headers)
    again = api.post(path(integration, id_), json={"keep": "platform"}, headers=headers)
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_field_changed_since_is_a_conflict_and_says_what_to_do(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration
) -> None:
    id_ = disputed(rt, tenant, integration)
    task_id = api.get(path(integration)).json()["data"][0]["task_id"]
    api.patch(f"/v1/tasks/{task_id}", json={"title": "A third"})
    refused = api.post(path(integration, id_), json={"keep": "platform"})
    assert error_of(refused)["code"] == "conflict"
    assert "changed since" in error_of(refused)["message"]
    assert api.get(f"/v1/tasks/{task_id}").json()["data"]["title"] == "A third"


@pytest.mark.parametrize("body", [{}, {"keep": "mine"}, {"keep": None}, {"keep": "platform", "also": 1}])
def test_only_one_of_the_two_sides_can_be_kept(
    body: dict[str, Any], api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration
) -> None:
    id_ = disputed(rt, tenant, integration)
    assert error_of(api.post(path(integration, id_), json=body))["code"] == "unprocessable"


def test_a_conflict_that_is_not_there(api: TestClient, integration: Integration) -> None:
    missing = error_of(api.post(path(integration, "CNF-26-999999"), json={"keep": "platform"}))
    assert missing["message"] == "Conflict CNF-26-999999 not found."


def test_an_agent_that_may_change_tasks_may_settle_conflicts(
    caller: Caller, rt: Runtime, tenant: Tenant, integration: Integration
) -> None:
    id_ = disputed(rt, tenant, integration)
    agent_id = make_agent(rt, tenant, permitted=["scrums_tasks"], granted=["scrums_tasks"])
    agent = caller(user_id=None, agent_id=agent_id)
    settled = agent.post(path(integration, id_), json={"keep": "platform"}).json()["data"]
    assert settled["resolution"]["by"] == agent_id
