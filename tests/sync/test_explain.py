"""Why each field has its value: who set it, what brought it, what is owed, refused or failed."""

from __future__ import annotations

import pytest

from connectors.contract import Refusal
from core.models import Delivery, FieldConflict, SyncRun
from sync.explain import LINES, Brought, explain
from sync.reasons import next_step
from sync.subscriptions import keep_subscription
from tests.sync.conftest import connect, make_tenant
from tests.sync.engine import Both


@pytest.fixture
def both(any_runtime, vendor):
    tenant = make_tenant(any_runtime)
    integration = connect(any_runtime, tenant)
    keep_subscription(any_runtime, integration.id)
    return Both(any_runtime, vendor, tenant, integration)


def told(both, field):
    """The explanation of one field of the only task."""
    with both.rt.db.read() as session:
        explanation = explain(session, both.task())
    (found,) = [each for each in explanation.fields if each.field == field]
    return found


def tie(both):
    with both.rt.db.read() as session:
        (found,) = explain(session, both.task()).ties
    return found


@pytest.mark.parametrize(
    ("source", "brought"),
    [
        (None, Brought("request", None)),
        ("SYNC-26-000001", Brought("sync", "SYNC-26-000001")),
        ("delivery:12", Brought("delivery", "12")),
        ("push", Brought("push", None)),
    ],
)
def test_a_source_is_read_back(source, brought):
    assert Brought.of(source) == brought


def test_what_was_never_changed_came_with_the_tasks_creation(both, vendor):
    vendor.add(title="Start")
    both.deliver()
    assert (told(both, "title").set_by, told(both, "title").brought_by) == (both.id, Brought("creation", None))


def test_a_value_names_the_sync_that_brought_it(both, vendor):
    item = vendor.add(title="Start")
    both.deliver()
    vendor.edit(item.id, title="Theirs")
    both.poll()
    run = both.rows(SyncRun)[-1]
    assert (told(both, "title").set_by, told(both, "title").brought_by) == (both.id, Brought("sync", run.id))


def test_a_value_names_the_delivery_that_brought_it(both, vendor):
    item = vendor.add(title="Start")
    both.deliver()
    vendor.edit(item.id, state="doing")
    both.deliver()
    delivery = both.rows(Delivery)[-1]
    assert told(both, "status").brought_by == Brought("delivery", str(delivery.id))
    assert tie(both).last_brought_by == Brought("delivery", str(delivery.id))


def test_a_value_set_here_is_owed_until_it_is_written(both, vendor):
    vendor.add(title="Start")
    both.deliver()
    both.change(both.task().id, title="Ours")
    title = told(both, "title")
    assert (title.set_by, title.brought_by) == (both.tenant.ann_id, Brought("request", None))
    assert (title.ties[0].owed, title.ties[0].agreed_here) == (True, "Start")
    assert not told(both, "status").ties[0].owed
    both.push()
    assert not told(both, "title").ties[0].owed


def test_a_conflict_tells_its_rule_its_loser_and_where_to_settle_it(both, vendor):
    item = vendor.add(title="Start")
    both.deliver()
    vendor.edit(item.id, title="Theirs")
    both.rt.clock.advance(minutes=1)
    both.change(both.task().id, title="Ours")
    both.deliver()
    title = told(both, "title")
    (conflict,) = both.rows(FieldConflict)
    assert (title.value, title.conflict_id) == ("Ours", conflict.id)
    (lost,) = title.lost
    assert (lost.old, lost.rule, lost.text) == (
        "Theirs",
        "conflict_latest",
        "both sides changed it; the later change won",
    )


def test_a_refused_value_says_why(both, vendor):
    vendor.add(title="Start")
    both.deliver()
    vendor.refuses["priority"] = Refusal("field_refused", "Not on the screen.")
    both.change(both.task().id, priority="critical")
    both.push()
    (agreement,) = told(both, "priority").ties
    assert (agreement.owed, agreement.refused.code, agreement.refused.text) == (
        False,
        "field_refused",
        "Not on the screen.",
    )


def test_a_failure_says_what_to_do(both, vendor):
    vendor.add(title="Start")
    both.deliver()
    both.change(both.task().id, title="Ours")
    vendor.fail("update_task", 403)
    both.push()
    failure = tie(both).failure
    assert (failure.code, failure.given_up) == ("forbidden", True)
    assert failure.next_step == next_step("forbidden", given_up=True)


def test_a_task_with_a_long_past_is_explained_by_its_newest_changes(both, vendor):
    vendor.add(title="Start")
    both.deliver()
    task_id = both.task().id
    both.change(task_id, title="First")
    for number in range(LINES + 1):
        both.change(task_id, priority=("low", "high")[number % 2])
    with both.rt.db.read() as session:
        explanation = explain(session, both.task())
    assert len(explanation.history) == LINES
    assert {line.change for line in explanation.history} == {"priority"}
    assert told(both, "title").set_by == both.tenant.ann_id
