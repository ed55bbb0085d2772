"""Tasks through the API: what is taken, what is refused, and the trail every change leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from core.models import AuditRecord, Binding, Event, Integration, TaskHistory, TaskVelocity, Workspace
from simulation.toy import ToyVendor
from sync.push import push
from sync.runtime import Lane, Runtime
from tests.api.conftest import (
    Caller,
    Tenant,
    client,
    error_of,
    make_agent,
    make_tenant,
    mapped,
    new_task,
    rows,
    second_workspace,
    token,
)
from tests.sync.conftest import ManualClock
from tests.sync.engine import Both


def test_a_task_needs_only_a_title_and_a_service_line(api: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    assert task["workspace_id"] == tenant.workspace.id
    assert (task["status"], task["priority"], task["description"]) == ("backlog", "medium", "")
    assert task["project_id"] is task["assignee_id"] is task["external_id"] is None


def test_what_was_created_can_be_read_and_listed(api: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant, description="long", assignee_id=tenant.ann_id, project_id=tenant.project_id)
    detail = api.get(f"/v1/tasks/{task['id']}").json()["data"]
    assert detail == task | {"history": [], "sync": []}
    [listed] = api.get("/v1/tasks", params={"service_line_id": tenant.line_id}).json()["data"]
    assert listed == {name: value for name, value in task.items() if name not in ("description", "external_url")}


def test_titles_are_stripped(api: TestClient, tenant: Tenant) -> None:
    assert new_task(api, tenant, title="  Fix  ")["title"] == "Fix"


def test_a_null_description_is_an_empty_one(api: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant, description=None)
    assert task["description"] == ""
    changed = api.patch(f"/v1/tasks/{task['id']}", json={"description": "more"}).json()["data"]
    assert changed["description"] == "more"
    emptied = api.patch(f"/v1/tasks/{task['id']}", json={"description": None}).json()["data"]
    assert emptied["description"] == ""


def test_a_task_without_a_service_line_needs_a_workspace_that_allows_it(
    api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    body = {"workspace_id": tenant.workspace.id, "title": "Loose"}
    refused = error_of(api.post("/v1/tasks", json=body))
    assert (refused["status"], refused["message"].split()[0]) == (422, "service_line_id")
    with rt.db.write() as session:
        session.get_one(Workspace, tenant.workspace.id).settings = {"require_task_service_line": False}
    assert api.post("/v1/tasks", json=body).json()["data"]["service_line_id"] is None


def test_a_service_line_of_another_workspace_is_refused(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    body = {"workspace_id": second_workspace(rt, tenant), "service_line_id": tenant.line_id, "title": "Astray"}
    assert error_of(api.post("/v1/tasks", json=body))["code"] == "unprocessable"


def test_null_removes_a_reference(api: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant, assignee_id=tenant.ann_id, project_id=tenant.project_id)
    changed = api.patch(f"/v1/tasks/{task['id']}", json={"assignee_id": None, "project_id": None}).json()["data"]
    assert changed["assignee_id"] is changed["project_id"] is None


def test_a_required_service_line_cannot_be_removed(api: TestClient, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    refused = error_of(api.patch(f"/v1/tasks/{task['id']}", json={"service_line_id": None}))
    assert refused["code"] == "unprocessable"


def test_history_names_the_fields_as_the_record_does(api: TestClient, tenant: Tenant, clock: ManualClock) -> None:
    task = new_task(api, tenant)
    clock.advance(minutes=1)
    api.patch(f"/v1/tasks/{task['id']}", json={"status": "in_review", "assignee_id": tenant.bob_id})
    history = api.get(f"/v1/tasks/{task['id']}").json()["data"]["history"]
    usual = {"at": "2026-04-15T10:01:00Z", "by": tenant.ann_id}
    assert sorted(history, key=lambda entry: entry["change"]) == [
        {**usual, "change": "assignee_id", "from": None, "to": tenant.bob_id},
        {**usual, "change": "status", "from": "backlog", "to": "in_review"},
    ]


def test_a_lost_value_is_in_the_history_with_the_rule_that_decided(
    api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    task = new_task(api, tenant)
    with rt.db.write() as session:
        lost = {"kind": "lost", "change": "title", "old": "Theirs", "new": "Ours", "rule": "conflict_platform"}
        session.add(TaskHistory(task_id=task["id"], at=rt.clock(), by="INT-26-000001", source=None, **lost))
    [entry] = api.get(f"/v1/tasks/{task['id']}").json()["data"]["history"]
    assert entry == {
        "at": "2026-04-15T10:00:00Z",
        "change": "title",
        "from": "Theirs",
        "to": "Ours",
        "by": "INT-26-000001",
        "kind": "lost",
        "rule": "conflict_platform",
    }


def test_an_end_is_an_event_and_counts_towards_velocity(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    api.patch(f"/v1/tasks/{task['id']}", json={"status": "done"})
    [event] = rows(rt, Event, Event.type == "task.status_changed")
    assert (event.subject_id, event.data) == (task["id"], {"from": "backlog", "to": "done"})
    with rt.db.read() as session:
        count = session.get_one(TaskVelocity, (tenant.line_id, rt.clock().date(), "done")).count
    assert count == 1


def test_every_change_is_audited_with_its_fields(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    api.patch(f"/v1/tasks/{task['id']}", json={"status": "done", "title": task["title"]})
    created, updated = rows(rt, AuditRecord)
    assert (created.action, created.subject_id, created.actor) == ("task.created", task["id"], tenant.ann_id)
    assert created.token_id.startswith("KEY-")
    assert (updated.action, updated.data) == ("task.updated", {"fields": ["status"]})


def test_a_patch_that_changes_nothing_leaves_no_trail(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    task = new_task(api, tenant)
    for body in ({}, {"title": task["title"], "status": task["status"]}):
        assert api.patch(f"/v1/tasks/{task['id']}", json=body).json()["data"] == task
    assert rows(rt, TaskHistory) == []
    assert len(rows(rt, AuditRecord)) == 1


def test_changes_at_the_same_time_follow_each_other(any_runtime: Runtime) -> None:
    tenant = make_tenant(any_runtime)
    app = create_app(any_runtime)
    plain = token(any_runtime, organization_id=tenant.organization_id, name="x")
    task = new_task(client(app, plain), tenant)

    def change(status: str) -> int:
        return client(app, plain).patch(f"/v1/tasks/{task['id']}", json={"status": status}).status_code

    wanted = ["in_progress", "in_review", "done", "cancelled", "backlog"] * 4
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change, wanted)) == {200}
    detail = client(app, plain).get(f"/v1/tasks/{task['id']}").json()["data"]
    values = [entry["to"] for entry in detail["history"]]
    assert [entry["from"] for entry in detail["history"]] == ["backlog", *values[:-1]]
    assert detail["status"] == values[-1]


def test_what_an_agent_does_is_recorded_as_the_agents(
    caller: Caller, api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    agent_id = make_agent(rt, tenant, permitted=["scrums_tasks"], granted=["scrums_tasks"])
    agent = caller(user_id=None, agent_id=agent_id)
    task = new_task(agent, tenant)
    agent.patch(f"/v1/tasks/{task['id']}", json={"status": "done"})
    assert [record.actor for record in rows(rt, AuditRecord)] == [agent_id, agent_id]
    assert api.get(f"/v1/tasks/{task['id']}").json()["data"]["history"][0]["by"] == agent_id


@pytest.mark.parametrize(("permitted", "granted"), [([], ["scrums_tasks"]), (["scrums_tasks"], [])])
def test_an_agent_needs_the_task_tool_permitted_and_granted(
    caller: Caller, rt: Runtime, tenant: Tenant, permitted: list[str], granted: list[str]
) -> None:
    agent_id = make_agent(rt, tenant, permitted=permitted, granted=granted)
    agent = caller(user_id=None, agent_id=agent_id)
    refused = agent.post("/v1/tasks", json={"service_line_id": tenant.line_id, "title": "No"})
    assert error_of(refused)["code"] == "forbidden"


FILTERS: dict[str, tuple[dict[str, str], set[str]]] = {
    "one status": ({"status": "done"}, {"c"}),
    "several statuses": ({"status": "in_progress,backlog"}, {"a", "b"}),
    "one priority": ({"priority": "high"}, {"b"}),
    "several priorities and a status": ({"priority": "high,medium", "status": "done"}, {"c"}),
    "a project": ({"project_id": "{project}"}, {"a"}),
    "an assignee": ({"assignee_id": "{bob}"}, {"c"}),
    "a project of nobody": ({"project_id": "PROJ-26-999999"}, set()),
}


@pytest.mark.parametrize("name", FILTERS)
def test_lists_are_narrowed_by(name: str, api: TestClient, tenant: Tenant) -> None:
    asked, expected = FILTERS[name]
    new_task(api, tenant, title="a", project_id=tenant.project_id)
    new_task(api, tenant, title="b", status="in_progress", priority="high")
    new_task(api, tenant, title="c", status="done", assignee_id=tenant.bob_id)
    words = {"project": tenant.project_id, "bob": tenant.bob_id}
    params = {key: value.format(**words) for key, value in asked.items()}
    response = api.get("/v1/tasks", params={"workspace_id": tenant.workspace.id} | params)
    assert {task["title"] for task in response.json()["data"]} == expected


def test_a_list_needs_a_workspace_or_a_service_line(api: TestClient) -> None:
    refused = error_of(api.get("/v1/tasks", params={"status": "done"}))
    assert (refused["code"], refused["message"]) == ("bad_request", "workspace_id or service_line_id is required.")


def test_an_unknown_status_is_answered_with_the_known_ones(api: TestClient, tenant: Tenant) -> None:
    refused = error_of(api.get("/v1/tasks", params={"workspace_id": tenant.workspace.id, "status": "done,open"}))
    assert refused["code"] == "unprocessable"
    assert "status: must be one of backlog, in_progress, in_review, done, cancelled" in refused["message"]


def test_a_mapped_task_is_owed_and_the_doorbell_rings(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, rings: list[tuple[Lane, str]]
) -> None:
    rings.clear()
    task = new_task(api, tenant, **mapped(tenant))
    assert rings == [(Lane.PUSH, integration.id)]
    [binding] = rows(rt, Binding)
    assert (binding.task_id, binding.state, binding.owed) == (task["id"], "creating", True)


def sync_of(api: TestClient, task_id: str) -> dict[str, Any]:
    [found] = api.get(f"/v1/tasks/{task_id}").json()["data"]["sync"]
    sync: dict[str, Any] = found
    return sync


def test_a_task_tells_how_it_stands_with_the_tool(
    api: TestClient,
    rt: Runtime,
    tenant: Tenant,
    integration: Integration,
    vendor: ToyVendor,
    rings: list[tuple[Lane, str]],
) -> None:
    task = new_task(api, tenant, **mapped(tenant))
    assert sync_of(api, task["id"])["state"] == "creating"
    push(rt, integration.id)
    bound = sync_of(api, task["id"])
    assert (bound["state"], bound["integration_id"], bound["external_source"]) == ("bound", integration.id, "toy")
    assert (bound["external_id"], bound["error"], bound["agreed_at"]) == ("TOY-1", None, "2026-04-15T10:00:00Z")
    assert api.get(f"/v1/tasks/{task['id']}").json()["data"]["external_id"] == "TOY-1"
    rings.clear()
    api.patch(f"/v1/tasks/{task['id']}", json={"status": "done"})
    assert rings == [(Lane.PUSH, integration.id)]
    assert sync_of(api, task["id"])["state"] == "owed"


def test_a_change_of_what_only_the_platform_has_is_owed_to_nobody(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, rings: list[tuple[Lane, str]]
) -> None:
    task = new_task(api, tenant, **mapped(tenant))
    push(rt, integration.id)
    rings.clear()
    api.patch(f"/v1/tasks/{task['id']}", json={"project_id": None})
    assert rings == []
    assert sync_of(api, task["id"])["state"] == "bound"


def test_what_comes_from_the_tool_is_by_the_integration(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    both = Both(rt, vendor, tenant, integration)
    item = vendor.add(title="Theirs")
    both.poll()
    clock.advance(minutes=5)
    vendor.edit(item.id, state="doing")
    both.poll()
    [listed] = api.get("/v1/tasks", params={"workspace_id": tenant.workspace.id}).json()["data"]
    assert (listed["external_id"], listed["external_source"]) == (item.key, "toy")
    [entry] = api.get(f"/v1/tasks/{listed['id']}").json()["data"]["history"]
    assert (entry["by"], entry["from"], entry["to"]) == (integration.id, "backlog", "in_progress")


def test_a_failed_write_says_why(api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration) -> None:
    task = new_task(api, tenant, **mapped(tenant))
    with rt.db.write() as session:
        binding = session.query(Binding).one()
        binding.failed_at, binding.reason_code, binding.reason_text = rt.clock(), "forbidden", "No permission."
        binding.refused = {"assignee": {"value": "x", "code": "unknown_user", "text": "Nobody has that address."}}
    sync = sync_of(api, task["id"])
    assert sync["state"] == "failed"
    assert sync["error"] == {"code": "forbidden", "text": "No permission."}
    assert sync["refused"] == [{"field": "assignee_id", "code": "unknown_user", "text": "Nobody has that address."}]


def test_a_task_tells_why_each_field_has_its_value(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, vendor: ToyVendor
) -> None:
    both = Both(rt, vendor, tenant, integration)
    vendor.add(title="Start", description="long " * 100)
    both.poll()
    task_id = both.task().id
    api.patch(f"/v1/tasks/{task_id}", json={"status": "done"})
    told = api.get(f"/v1/tasks/{task_id}/sync").json()["data"]
    fields = {field["field"]: field for field in told["fields"]}
    assert list(fields) == ["title", "description", "status", "priority", "assignee_id"]
    assert fields["title"]["brought_by"] == {"kind": "creation", "id": None}
    assert fields["status"]["set_by"] == tenant.ann_id
    assert [tie["owed"] for tie in fields["status"]["ties"]] == [True]
    assert set(fields["description"]["ties"][0]["agreed_here"]) == {"sha256"}
    (line,) = told["history"]
    assert (line["change"], line["from"], line["to"], line["brought_by"]["kind"]) == (
        "status",
        "backlog",
        "done",
        "request",
    )
    (tie,) = told["ties"]
    assert (tie["item"], tie["state"], tie["owed"], tie["failure"]) == ("TOY-1", "bound", True, None)
