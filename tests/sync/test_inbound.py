"""The inbox: coalesced, in any order, nothing lost, and one bad delivery is its own affair."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest

from core.models import Binding, Delivery, Task
from simulation.toy import ToyConnector, deliver
from sync.failures import MAX_ATTEMPTS, SPREAD, spread
from sync.inbound import SUSPECT, drain
from tests.sync.engine import Both


@pytest.fixture
def both(runtime, vendor, tenant, integration):
    from sync.subscriptions import keep_subscription

    keep_subscription(runtime, integration.id)
    return Both(runtime, vendor, tenant, integration)


def test_a_webhook_brings_an_edit_without_any_poll(both, vendor):
    item = vendor.add(title="Seen")
    assert both.deliver() == 1
    vendor.edit(item.id, title="Seen again")
    both.deliver()
    assert both.task().title == "Seen again"
    (created, edited) = both.rows(Delivery)
    assert created.outcome["items"] == {item.id: "created"}
    assert edited.outcome["items"] == {item.id: "updated"}
    assert both.history()[0].source == f"delivery:{edited.id}"
    both.assert_equal()


def test_a_moved_item_keeps_its_task_and_shows_its_new_key(both, vendor):
    item = vendor.add(title="Mover")
    both.deliver()
    vendor.edit(item.id, key="OTHER-9", container="OTHER")
    both.deliver()
    assert both.task().external_id == "OTHER-9"
    assert both.binding().container == "OTHER"
    both.assert_equal()


def test_an_item_of_a_project_that_is_not_mapped_is_left_alone_and_says_so(both, vendor):
    item = vendor.add("ELSEWHERE", title="Not ours")
    both.deliver()
    assert both.rows(Delivery)[0].outcome["items"] == {item.id: "skipped_unmapped"}
    assert both.rows(Task) == []


def test_a_thousand_deliveries_for_one_item_cost_one_call(both, vendor):
    vendor.snapshots = False
    item = vendor.add(title="0")
    for number in range(1, 1000):
        vendor.edit(item.id, title=str(number))
    before = both.calls("fetch_tasks")
    assert both.deliver() == 1000
    assert both.calls("fetch_tasks") - before == 1
    assert both.task().title == "999"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_of_four_deliveries_ends_in_the_vendors_state(both, vendor, order):
    item = vendor.add(title="a")
    for change in ({"title": "b"}, {"state": "doing"}, {"title": "c", "state": "closed"}):
        vendor.edit(item.id, **change)
    sent = list(vendor.outbox)
    for position in order:
        vendor.outbox[:] = [sent[position]]
        both.deliver()
    assert (both.task().title, both.task().status) == ("c", "done")
    both.assert_equal()


def test_the_same_delivery_three_times_has_one_effect(both, vendor):
    item = vendor.add(title="a")
    both.deliver()
    vendor.edit(item.id, title="b")
    vendor.outbox[:] = vendor.outbox * 3
    both.deliver()
    assert len(both.history()) == 1
    assert both.events() == ["task.created", "task.updated"]


def test_a_deleted_item_ends_its_binding_and_cancels_its_task_once_a_refetch_proves_it(both, vendor):
    item = vendor.add(title="Doomed", state="doing")
    both.deliver()
    vendor.delete(item.id)
    both.deliver()
    assert both.task().status == "cancelled"
    assert both.binding().state == "ended"
    assert both.binding().reason_code == "deleted_there"
    both.change(both.task().id, title="Still ours")
    assert both.push() == 0


def test_an_item_that_can_only_not_be_seen_stays_bound_and_says_so(both, vendor):
    vendor.snapshots = False
    item = vendor.add(title="Hidden")
    both.deliver()
    vendor.hidden.add(item.id)
    vendor.edit(item.id, title="Behind the curtain")
    both.deliver()
    binding = both.binding()
    assert (binding.state, binding.reason_code) == ("bound", "unreachable")
    assert both.task().status == "backlog"
    vendor.hidden.clear()
    both.poll()
    assert both.binding().reason_code is None
    both.assert_equal()


def test_an_item_restored_at_the_vendor_brings_its_own_status_back(both, vendor):
    item = vendor.add(title="Phoenix", state="doing")
    both.deliver()
    vendor.delete(item.id)
    both.deliver()
    vendor.deleted.discard(item.id)
    vendor.items[item.id] = item
    vendor.edit(item.id, title="Phoenix II")
    both.deliver()
    assert both.push() == 0
    assert (both.task().title, both.task().status) == ("Phoenix II", "in_progress")
    assert both.binding().state == "bound"


def test_a_payload_that_cannot_be_read_is_dead_with_a_reason_and_holds_up_nobody(both, vendor):
    hook = next(iter(vendor.hooks.values()))
    vendor.outbox.append((hook.url, deliver(b"[1, 2]", hook.secret, "bad", vendor.clock())))
    vendor.add(title="Good")
    both.deliver()
    states = {d.state: d.error_text for d in both.rows(Delivery)}
    assert states == {"dead": "The delivery is not a JSON object.", "done": None}
    assert both.task().title == "Good"


def test_a_delivery_that_makes_the_connector_fail_waits_alone_while_its_neighbours_are_done(both, vendor):
    hook = next(iter(vendor.hooks.values()))
    poison = json.dumps({"event": "item.changed", "item": {"id": "x"}}).encode()
    vendor.outbox.append((hook.url, deliver(poison, hook.secret, "poison", vendor.clock())))
    vendor.add(title="Good")
    both.deliver()
    poisoned, good = both.rows(Delivery)
    assert (poisoned.state, poisoned.error_code) == ("pending", "connector_fault")
    assert good.state == "done"
    assert poisoned.next_attempt_at > both.rt.clock()


def test_an_event_the_connector_does_not_know_is_ignored_with_a_code(both, vendor):
    hook = next(iter(vendor.hooks.values()))
    vendor.outbox.append((hook.url, deliver(b'{"event": "party"}', hook.secret, "p", vendor.clock())))
    both.deliver()
    (row,) = both.rows(Delivery)
    assert row.state == "ignored"
    assert row.outcome["ignored"] == [{"code": "unsupported", "text": "party"}]


def test_deliveries_wait_out_an_outage_with_growing_pauses_and_are_then_worked_off(both, vendor, clock, runtime):
    vendor.snapshots = False
    vendor.add(title="Patient")
    vendor.fail("fetch_tasks", 503, times=3)
    both.deliver()
    waits, stretch = [], spread(timedelta(seconds=1), both.id).total_seconds()
    for _ in range(3):
        (row,) = both.rows(Delivery)
        waits.append((row.next_attempt_at - clock()).total_seconds())
        clock.now = row.next_attempt_at
        drain(runtime, both.id)
    assert waits == [pytest.approx(wait * stretch) for wait in (5, 10, 20)]
    assert both.rows(Delivery)[0].state == "done"
    assert both.task().title == "Patient"


def test_what_failed_together_is_tried_together_and_integrations_do_not_come_back_all_at_once(both, vendor, clock):
    vendor.snapshots = False
    item = vendor.add(title="0")
    for number in range(1, 1000):
        vendor.edit(item.id, title=str(number))
    vendor.fail("fetch_tasks", 503)
    before = both.calls("fetch_tasks")
    both.deliver()
    assert len({row.next_attempt_at for row in both.rows(Delivery)}) == 1
    clock.advance(seconds=7)
    assert drain(both.rt, both.id) == 1000
    assert both.calls("fetch_tasks") - before == 2
    waits = {spread(timedelta(seconds=10), f"INT-26-{n:06}") for n in range(100)}
    assert len(waits) > 50
    assert min(waits) >= timedelta(seconds=10)
    assert max(waits) <= timedelta(seconds=10) * (1 + SPREAD)


class Killed(BaseException):
    """A worker that is gone before it can write anything down."""


def kills_whoever_reads(poison: str):
    def parse(delivery, config):
        if poison in delivery.body.decode():
            raise Killed
        return ToyConnector.parse(delivery, config)

    return staticmethod(parse)


def test_a_delivery_that_kills_every_worker_ends_dead_and_its_neighbours_are_done(both, vendor, clock, runtime):
    runtime.registry.get("toy").parse = kills_whoever_reads("Poison")
    vendor.add(title="Poison")
    for number in range(3):
        vendor.add(title=f"Good {number}")
    for attempt in range(MAX_ATTEMPTS + SUSPECT + 5):
        try:
            both.deliver() if attempt == 0 else drain(runtime, both.id)
        except Killed:
            clock.advance(minutes=20)
    states = {d.state: (d.error_code, d.attempts) for d in both.rows(Delivery)}
    assert states["dead"] == ("worker_died", MAX_ATTEMPTS)
    assert [row.title for row in both.rows(Task)] == ["Good 0", "Good 1", "Good 2"]
    assert {row.state for row in both.rows(Delivery)} == {"done", "dead"}


def test_a_vendors_pause_uses_up_no_attempt(both, vendor, clock):
    vendor.snapshots = False
    vendor.add(title="Slow down")
    vendor.fail("fetch_tasks", 429, headers={"Retry-After": "60"})
    both.deliver()
    (row,) = both.rows(Delivery)
    assert (row.attempts, row.next_attempt_at) == (0, clock() + timedelta(seconds=60))


def test_a_delivery_tried_too_often_is_dead_and_keeps_the_vendors_words(both, vendor, clock, runtime):
    vendor.snapshots = False
    vendor.add(title="Hopeless")
    vendor.fail("fetch_tasks", 503, times=MAX_ATTEMPTS)
    both.deliver()
    for _ in range(MAX_ATTEMPTS):
        clock.advance(minutes=16)
        drain(runtime, both.id)
    (row,) = both.rows(Delivery)
    assert row.state == "dead"
    assert row.attempts == MAX_ATTEMPTS
    assert "503" in row.error_text


def test_a_worker_that_wakes_up_after_its_lease_was_taken_writes_nothing(both, vendor, clock, runtime, monkeypatch):
    from sync import inbound
    from sync.leases import hold

    vendor.add(title="Contested")
    real = inbound.read_items

    def sleepy(*args):
        clock.advance(minutes=10)
        with hold(runtime, f"inbox:{both.id}") as taken:
            assert taken is not None
        return real(*args)

    monkeypatch.setattr(inbound, "read_items", sleepy)
    assert both.deliver() == 0
    assert both.rows(Task) == []
    assert both.rows(Binding) == []
    monkeypatch.undo()
    drain(runtime, both.id)
    both.assert_equal()


def test_a_late_message_does_not_bring_back_an_item_that_is_gone(both, vendor):
    item = vendor.add(title="Short-lived")
    both.deliver()
    vendor.edit(item.id, title="Its last words")
    late = vendor.outbox.pop()
    vendor.delete(item.id)
    both.deliver()
    assert both.binding().state == "ended"
    vendor.outbox.append(late)
    both.deliver()
    assert both.binding().state == "ended"
    assert both.task().status == "cancelled"


def test_a_message_of_an_item_that_was_deleted_before_it_came_makes_no_task(both, vendor):
    item = vendor.add(title="Never seen")
    late = vendor.outbox.pop()
    vendor.delete(item.id)
    both.deliver()
    vendor.outbox.append(late)
    both.deliver()
    assert both.rows(Task) == []


def test_an_item_that_came_back_is_believed_once_it_was_read(both, vendor):
    item = vendor.add(title="Back again")
    both.deliver()
    removed = vendor.delete(item.id)
    both.deliver()
    vendor.restore(removed)
    both.deliver()
    assert both.calls("fetch_tasks") >= 2
    both.assert_equal()


def test_a_new_item_remembers_the_delivery_that_brought_it_however_many_came_together(both, vendor):
    vendor.add(title="First")
    vendor.add(title="Second")
    both.deliver()
    deliveries = [f"delivery:{row.id}" for row in both.rows(Delivery)]
    assert [binding.source for binding in both.rows(Binding)] == deliveries


# --- the end of what nobody knows yet -----------------------------------------------------------------


@pytest.mark.parametrize("snapshots", [True, False])
def test_an_item_deleted_while_a_poll_had_it_in_hand_ends_its_task_as_soon_as_the_poll_is_over(
    both, vendor, clock, snapshots
):
    """The news of its end comes when nobody here knows the item, and before the listing that still has it is stored."""
    vendor.snapshots = snapshots
    item = vendor.add(title="Listed, then gone")
    vendor.outbox.clear()

    def gone(operation: str) -> None:
        if operation == "changed_tasks" and item.id in vendor.items:
            vendor.delete(item.id)
            both.deliver()

    vendor.took_effect = gone
    both.poll()
    [told] = both.rows(Delivery)
    assert (told.state, told.error_code) == ("pending", "not_known_yet")
    assert both.task().status == "backlog"
    clock.advance(minutes=1)
    both.deliver()
    assert (both.task().status, both.binding().state) == ("cancelled", "ended")
    assert both.rows(Delivery)[0].state == "done"


def test_an_item_deleted_while_its_creation_was_under_way_ends_its_task_although_messages_only_name_it(
    both, vendor, clock
):
    vendor.snapshots = False

    def gone(operation: str) -> None:
        if operation == "create_task":
            vendor.delete(next(iter(vendor.items)))
            both.deliver()

    vendor.took_effect = gone
    both.create("Short-lived")
    both.push()
    clock.advance(minutes=1)
    both.deliver()
    assert (both.task().status, both.binding().state) == ("cancelled", "ended")


def test_the_end_of_an_item_nobody_knows_is_no_reason_to_wait_when_nothing_is_going_on(both, vendor):
    item = vendor.add(title="Never seen")
    vendor.outbox.clear()
    vendor.delete(item.id)
    both.deliver()
    [told] = both.rows(Delivery)
    assert (told.state, told.outcome["items"]) == ("done", {item.id: "unknown"})
