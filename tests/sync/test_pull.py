"""Pulling from the toy vendor: completeness, resuming, failures, and what a page costs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from connectors.contract import Transient
from core.models import Binding, Identity, Integration, SyncRun, Task
from sync.pull import pull
from sync.subscriptions import keep_subscription
from tests.sync.conftest import connect, make_tenant, toy_config
from tests.sync.engine import Both


@pytest.fixture
def both(runtime, vendor, tenant, integration):
    return Both(runtime, vendor, tenant, integration)


def test_a_first_pull_makes_a_task_of_every_item_and_ties_them(both, vendor):
    vendor.person("u1", "ann@apex.test", "Ann")
    for number in range(120):
        vendor.add(title=f"Item {number}", state="review", priority="p2", assignee="u1")
    result = both.poll()
    assert result.status == "success"
    assert result.counts["created"] == result.counts["records"] == 120
    assert result.counts["pages"] == 3
    both.assert_equal()
    task = both.task("Item 7")
    assert (task.status, task.priority, task.assignee_id) == ("in_review", "high", both.tenant.ann_id)
    assert (task.service_line_id, task.project_id) == (both.tenant.line_id, both.tenant.project_id)
    assert task.created_by == both.id
    assert len(both.rows(Identity)) == 1


def test_an_unchanged_second_pull_writes_no_task_and_no_binding(both, vendor, runtime):
    for number in range(60):
        vendor.add(title=f"Item {number}")
    both.poll()
    written = []

    @event.listens_for(runtime.db.engine, "before_cursor_execute")
    def watch(_connection, _cursor, statement, *_rest):
        if statement.startswith(("UPDATE task ", "UPDATE binding", "INSERT")):
            written.append(statement)

    result = both.poll()
    assert result.counts["unchanged"] == result.counts["records"] > 0
    assert [s for s in written if "sync_run" not in s] == []


def test_the_number_of_statements_for_a_page_does_not_depend_on_its_size(any_runtime, vendor):
    tenant = make_tenant(any_runtime)
    both = Both(any_runtime, vendor, tenant, connect(any_runtime, tenant))
    vendor.page_size = 10_000
    statements: list[str] = []
    event.listen(any_runtime.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def cost(items: int) -> int:
        vendor.person("u1", "ann@apex.test")
        for number in range(items):
            vendor.add(title=f"Item {number} of {items}", assignee="u1")
        statements.clear()
        both.poll()
        return len(statements)

    cost(1)  # the first one also meets the vendor's people
    assert cost(3) == cost(300)


def test_a_pull_killed_between_pages_carries_on_after_the_last_stored_page(both, vendor, clock):
    for number in range(150):
        vendor.add(title=f"Item {number}")
    vendor.fail("changed_tasks", 200, times=1)  # the first page comes …
    vendor.fail("changed_tasks", 503, times=1)  # … the second does not
    assert both.poll().status == "partial"
    assert len(both.rows(Task)) == 50
    clock.advance(minutes=1)
    before = both.calls("changed_tasks")
    assert both.poll().status == "success"
    assert both.calls("changed_tasks") - before == 3
    both.assert_equal()


def test_an_edit_at_the_vendor_reaches_the_task_with_history_event_and_a_source(both, vendor):
    item = vendor.add(title="Old", state="todo")
    both.poll()
    vendor.edit(item.id, title="New", state="closed")
    run = both.poll().run_id
    assert (both.task().title, both.task().status) == ("New", "done")
    lines = {(h.change, h.old, h.new, h.by, h.source) for h in both.history()}
    assert lines == {("title", "Old", "New", both.id, run), ("status", "backlog", "done", both.id, run)}
    assert both.events() == ["task.created", "task.status_changed", "task.updated"]


def test_a_text_with_a_character_no_database_takes_is_stored_without_it(any_runtime, vendor):
    tenant = make_tenant(any_runtime)
    both = Both(any_runtime, vendor, tenant, connect(any_runtime, tenant))
    vendor.add(title="x\0y", description="\0")
    assert both.poll().status == "success"
    assert both.task().title == "xy"
    assert both.poll().counts["unchanged"] == 1


def test_a_rate_limit_parks_the_run_until_the_vendors_time_and_keeps_it_open(both, vendor, clock, runtime):
    vendor.add(title="Late")
    vendor.fail("changed_tasks", 429, headers={"Retry-After": "120"})
    result = both.poll()
    assert result.status == "running"
    integration = both.rows(Integration)[0]
    assert integration.next_pull_at == clock() + timedelta(seconds=120)
    assert integration.sync_status == "healthy"
    assert pull(runtime, both.id) is None
    clock.advance(seconds=121)
    done = pull(runtime, both.id)
    assert (done.run_id, done.status) == (result.run_id, "success")


def test_an_outage_degrades_then_fails_the_integration_and_recovery_heals_it(both, vendor, clock):
    vendor.fail("changed_tasks", 503, times=3)
    seen = []
    for _ in range(4):
        both.poll()
        seen.append(both.rows(Integration)[0].sync_status)
        clock.advance(minutes=16)
    assert seen == ["degraded", "degraded", "failed", "healthy"]
    assert both.rows(Integration)[0].sync_text is None


def test_a_fault_in_a_connector_closes_the_run_with_a_reason_and_is_raised(both, vendor, monkeypatch):
    def broken(*_args):
        raise KeyError("secret value")

    monkeypatch.setattr(type(vendor), "wire", broken)
    vendor.items["x"] = "not an item"
    with pytest.raises(AttributeError):
        both.poll()
    (run,) = both.rows(SyncRun)
    assert (run.status, run.error_code) == ("failed", "connector_fault")
    assert "secret value" not in run.error_text


def test_an_integration_that_can_not_be_used_as_configured_says_what_to_mend(both, runtime):
    with runtime.db.write() as session:
        session.get_one(Integration, both.id).config = {"projects": []}
    both.poll()
    (run,) = both.rows(SyncRun)
    assert (run.status, run.error_code) == ("failed", "unusable")
    assert "config.projects" in run.error_text


def test_a_user_who_appears_after_their_items_is_recognised_by_the_next_full_read(both, vendor, runtime, clock):
    from core import workspaces

    vendor.person("u7", "late@apex.test")
    vendor.add(title="Waits", assignee="u7")
    both.poll()
    assert both.task().assignee_id is None
    with runtime.db.write() as session:
        user = workspaces.create_user(session, both.tenant.organization_id, "Late", "late@apex.test", clock())
    assert both.poll().status == "partial"  # the mapping changed under the run: the next one reads everything
    both.poll()
    assert both.task().assignee_id == user.id
    assert not both.rows(Binding, Binding.owed)


def test_a_mapping_changed_under_a_run_ends_it_and_the_next_reads_everything(both, vendor, runtime):
    from sync import integrations

    item = vendor.add(title="Remapped", state="qa")
    both.poll()
    assert both.task().status == "in_review"
    with runtime.db.read() as session:
        integration = session.get_one(Integration, both.id)
    config = toy_config(both.tenant, status_map={"qa": "in_progress"})
    integrations.update(runtime, integration, actor=both.tenant.ann_id, token_id=None, config=config)
    both.poll()
    assert both.task().status == "in_progress"
    assert vendor.items[item.id].state == "qa"
    assert not both.rows(Binding, Binding.owed)


def test_a_listing_that_lags_does_not_bring_back_an_item_that_is_gone(both, vendor, runtime, monkeypatch):
    keep_subscription(runtime, both.id)
    item = vendor.add(title="Still listed")
    both.deliver()
    vendor.edit(item.id, title="Changed, then deleted")
    removed = vendor.delete(item.id)
    both.deliver()
    assert both.binding().state == "ended"
    monkeypatch.setattr(runtime.registry.get("toy"), "_visible", lambda _self: [removed])
    assert both.poll().status == "success"
    assert both.binding().state == "ended"


@pytest.mark.parametrize("failing", [True, False])
def test_a_run_that_another_worker_has_taken_over_is_left_to_it(both, runtime, clock, monkeypatch, failing):
    from sync import pull as module
    from sync.leases import hold

    def overtaken(*_args):
        clock.advance(minutes=10)
        with hold(runtime, f"pull:{both.id}") as taken:
            assert taken is not None
        if failing:
            raise Transient("The connection was cut.")

    monkeypatch.setitem(module.PARTS, "task_source", overtaken)
    assert both.poll() is None
    (run,) = both.rows(SyncRun)
    assert run.status == "running"
