"""Every change of a task leaves its whole trail in one transaction, on both databases."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from core import tasks
from core.db import Database
from core.errors import NotFound, Unprocessable
from core.models import Binding, Event, Integration, Task, TaskHistory, TaskVelocity, Workspace
from core.tasks import NewTask, create_key
from tests.core.conftest import NOW, Tenant, make_tenant

LATER = NOW + timedelta(hours=1)


def make(db: Database, tenant: Tenant, **fields) -> Task:
    fields = {"title": "A task", "service_line_id": tenant.line.id} | fields
    with db.write() as session:
        return tasks.create(session, NewTask(tenant.workspace.id, **fields), actor=tenant.ann.id, now=NOW).task


def change(db: Database, tenant: Tenant, task: Task, **values):
    with db.write() as session:
        return tasks.change(session, task.id, values, actor=tenant.ann.id, now=LATER)


def rows(db: Database, model):
    with db.read() as session:
        return list(session.scalars(select(model)))


def test_a_new_task_has_a_readable_id_and_an_event(db, tenant):
    task = make(db, tenant)
    assert task.id == "TSK-26-000001"
    (event,) = rows(db, Event)
    assert (event.type, event.subject_id, event.actor) == ("task.created", task.id, tenant.ann.id)
    assert event.organization_id == tenant.workspace.organization_id


def test_a_change_is_in_the_history_with_who_and_when_and_status_has_an_event_of_its_own(db, tenant):
    task = make(db, tenant)
    change(db, tenant, task, status="in_progress", title="Renamed")
    lines = {(h.change, h.old, h.new, h.by, h.at) for h in rows(db, TaskHistory)}
    assert lines == {
        ("status", "backlog", "in_progress", tenant.ann.id, LATER),
        ("title", "A task", "Renamed", tenant.ann.id, LATER),
    }
    assert sorted(e.type for e in rows(db, Event)) == ["task.created", "task.status_changed", "task.updated"]


def test_setting_what_is_already_so_leaves_no_trail(db, tenant):
    task = make(db, tenant)
    change(db, tenant, task, status="backlog", title="A task")
    assert rows(db, TaskHistory) == []
    (unchanged,) = rows(db, Task)
    assert (unchanged.version, unchanged.updated_at) == (1, NOW)


@pytest.mark.parametrize("status", ["done", "cancelled"])
def test_reaching_an_end_counts_towards_the_service_lines_velocity(db, tenant, status):
    for _ in range(2):
        change(db, tenant, make(db, tenant), status=status)
    change(db, tenant, make(db, tenant), status="in_review")
    (counter,) = rows(db, TaskVelocity)
    assert (counter.service_line_id, counter.day, counter.status, counter.count) == (
        tenant.line.id,
        LATER.date(),
        status,
        2,
    )


def test_a_task_without_a_service_line_needs_a_workspace_that_allows_it(db, tenant):
    with pytest.raises(Unprocessable, match="require_task_service_line"):
        make(db, tenant, service_line_id=None)
    with db.write() as session:
        session.get_one(Workspace, tenant.workspace.id).settings = {"require_task_service_line": False}
    assert make(db, tenant, service_line_id=None).service_line_id is None


@pytest.mark.parametrize("field", ["service_line_id", "project_id", "assignee_id"])
def test_what_belongs_to_another_tenant_can_not_be_referred_to(db, tenant, field):
    other = make_tenant(db, "Rival")
    foreign = {"service_line_id": other.line.id, "project_id": other.project.id, "assignee_id": other.ann.id}[field]
    with pytest.raises(Unprocessable, match=field):
        make(db, tenant, **{field: foreign})
    task = make(db, tenant)
    with pytest.raises(Unprocessable, match=field):
        change(db, tenant, task, **{field: foreign})
    assert len(rows(db, Task)) == 1


def test_changing_a_task_that_does_not_exist_says_so(db, tenant):
    with db.write() as session, pytest.raises(NotFound, match="TSK-26-999999"):
        tasks.change(session, "TSK-26-999999", {}, actor=tenant.ann.id, now=NOW)


# --- where new tasks go -------------------------------------------------------------------------------


def integrate(db: Database, tenant: Tenant, *routes: dict, status: str = "active") -> str:
    with db.write() as session:
        number = len(session.scalars(select(Integration)).all()) + 1
        integration = Integration(
            id=f"INT-26-{number:06d}",
            organization_id=tenant.workspace.organization_id,
            workspace_id=tenant.workspace.id,
            type="toy",
            name="Toy",
            status=status,
            config={},
            capabilities=["task_sink"],
            routes=[{"service_line_id": None, "project_id": None, "create": True} | route for route in routes],
            hook_id=f"hook{number}",
            created_by=tenant.ann.id,
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(integration)
        return integration.id


def test_a_new_task_is_owed_to_the_mapped_tracker_in_the_same_transaction(db, tenant):
    integration_id = integrate(db, tenant, {"external": "APEX"})
    task = make(db, tenant)
    (binding,) = rows(db, Binding)
    assert (binding.integration_id, binding.task_id, binding.container) == (integration_id, task.id, "APEX")
    assert (binding.state, binding.owed) == ("creating", True)
    assert re.fullmatch("scrums-tsk-26-000001-[0-9a-f]{6}", binding.create_key)


def test_two_installations_with_a_task_of_the_same_number_leave_different_markers():
    assert create_key("TSK-26-000001", "staging") != create_key("TSK-26-000001", "production")
    assert create_key("TSK-26-000001", "staging") == create_key("TSK-26-000001", "staging")


def test_the_most_specific_mapping_gets_the_task_and_only_it(db, tenant):
    integrate(db, tenant, {"external": "ANY"})
    by_line = integrate(db, tenant, {"external": "LINE", "service_line_id": tenant.line.id})
    by_project = integrate(db, tenant, {"external": "PROJ", "project_id": tenant.project.id})
    make(db, tenant)
    make(db, tenant, project_id=tenant.project.id)
    assert [(b.integration_id, b.container) for b in rows(db, Binding)] == [(by_line, "LINE"), (by_project, "PROJ")]


@pytest.mark.parametrize("status", ["pending_auth", "disconnected"])
def test_a_tracker_that_is_not_connected_gets_nothing(db, tenant, status):
    integrate(db, tenant, {"external": "APEX"}, status=status)
    make(db, tenant)
    assert rows(db, Binding) == []


def test_a_mapping_that_does_not_create_or_does_not_fit_gets_nothing(db, tenant):
    integrate(db, tenant, {"external": "A", "create": False}, {"external": "B", "project_id": tenant.project.id})
    make(db, tenant)
    assert rows(db, Binding) == []


def test_a_change_is_owed_to_every_live_binding_and_clears_an_earlier_failure(db, tenant):
    integration_id = integrate(db, tenant, {"external": "APEX"})
    task = make(db, tenant)
    with db.write() as session:
        binding = session.scalars(select(Binding)).one()
        binding.state, binding.owed, binding.failed_at, binding.attempts = "bound", False, NOW, 9
    outcome = change(db, tenant, task, title="New")
    assert outcome.owed == {integration_id}
    (binding,) = rows(db, Binding)
    assert (binding.owed, binding.failed_at, binding.attempts) == (True, None, 0)
    assert change(db, tenant, task, project_id=tenant.project.id).owed == set()


def test_an_ended_binding_is_owed_nothing_any_more(db, tenant):
    integrate(db, tenant, {"external": "APEX"})
    task = make(db, tenant)
    with db.write() as session:
        binding = session.scalars(select(Binding)).one()
        binding.state, binding.owed = "ended", False
    assert change(db, tenant, task, title="New").owed == set()
