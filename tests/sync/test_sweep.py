"""Deletions nobody told us of: suspected by a listing, proven one by one, and never by the thousand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.models import Binding, Integration, SyncRun, Task
from sync import integrations
from sync.sweep import GUARD_COUNT, sweep
from tests.sync.engine import Both

MANY = GUARD_COUNT * 2


@pytest.fixture
def both(runtime, vendor, tenant, integration):
    return Both(runtime, vendor, tenant, integration)


def swept(both: Both) -> bool:
    with both.rt.db.write() as session:
        session.get_one(Integration, both.id).next_sweep_at = both.rt.clock()
    return sweep(both.rt, both.id)


def states(both: Both) -> list[str]:
    return [binding.state for binding in both.rows(Binding)]


def state_of(both: Both) -> tuple[str, str | None]:
    integration = both.rows(Integration)[0]
    return integration.sync_status, integration.sync_code


def fill(both: Both, count: int) -> list[str]:
    made = [both.vendor.add(title=f"Item {number}").id for number in range(count)]
    both.poll()
    both.rt.clock.advance(minutes=1)
    return made


def test_an_item_deleted_without_a_word_ends_its_binding_and_cancels_its_task(both, vendor):
    first, second = fill(both, 2)
    vendor.delete(first)
    assert swept(both)
    assert states(both) == ["ended", "bound"]
    assert both.task("Item 0").status == "cancelled"
    run = both.rows(SyncRun)[-1]
    assert (run.kind, run.status, run.counts["ended"], run.counts["listed"]) == ("sweep", "success", 1, 1)
    assert second in vendor.items


def test_a_listing_that_is_cut_short_ends_nothing_that_can_still_be_read(both, vendor, monkeypatch):
    fill(both, 5)
    monkeypatch.setattr(both.rt.registry.get("toy"), "all_ids", lambda _self: iter([["t1"]]))
    assert swept(both)
    assert states(both) == ["bound"] * 5
    assert both.rows(SyncRun)[-1].counts["unchanged"] == 4


def test_an_empty_listing_of_many_items_stops_the_sweep_and_says_so(both, vendor, monkeypatch):
    fill(both, MANY)
    monkeypatch.setattr(both.rt.registry.get("toy"), "all_ids", lambda _self: iter([[]]))
    calls = len(vendor.calls)
    assert swept(both)
    assert states(both) == ["bound"] * MANY
    assert len(vendor.calls) == calls
    assert state_of(both) == ("degraded", "sweep_guard")
    both.poll()
    assert state_of(both) == ("degraded", "sweep_guard")
    monkeypatch.undo()
    swept(both)
    assert state_of(both) == ("healthy", None)


def test_lost_permission_marks_items_unreachable_and_ends_none(both, vendor):
    ids = fill(both, GUARD_COUNT)
    vendor.hidden.update(ids)
    assert swept(both)
    assert states(both) == ["bound"] * GUARD_COUNT
    assert {binding.reason_code for binding in both.rows(Binding)} == {"unreachable"}
    assert {task.status for task in both.rows(Task)} == {"backlog"}


def test_a_project_that_was_really_emptied_is_cancelled_once_somebody_confirms_it(both, vendor, runtime, tenant):
    for id_ in fill(both, MANY):
        vendor.delete(id_)
    swept(both)
    assert states(both) == ["bound"] * MANY
    integrations.request_sync(runtime, both.id, actor=tenant.ann_id, confirm_deletions=True)
    assert sweep(runtime, both.id)
    assert states(both) == ["ended"] * MANY
    assert state_of(both) == ("healthy", None)
    assert both.rows(Integration)[0].deletions_confirmed is False


def test_an_item_moved_out_of_the_mapped_projects_stays_bound_and_is_still_read(both, vendor):
    (item,) = fill(both, 1)
    vendor.edit(item, container="OTHER", key="OTHER-1", title="Moved")
    swept(both)
    assert both.binding().state == "bound"
    assert (both.task().title, both.task().external_id) == ("Moved", "OTHER-1")


def test_an_item_created_while_the_listing_ran_is_no_suspect(both, vendor, monkeypatch):
    fill(both, 1)
    connector = both.rt.registry.get("toy")
    real = connector.all_ids

    def listing(self):
        yield from list(real(self))
        vendor.add(title="Born meanwhile")
        both.rt.clock.advance(seconds=1)

    monkeypatch.setattr(connector, "all_ids", listing)
    swept(both)
    both.poll()
    assert swept(both)
    assert set(states(both)) == {"bound"}


def test_a_sweep_the_vendor_cuts_off_is_tried_again_later_and_has_changed_nothing(both, vendor, clock):
    fill(both, 3)
    vendor.fail("all_ids", 503)
    assert not swept(both)
    run = both.rows(SyncRun)[-1]
    assert (run.kind, run.status, run.error_code) == ("sweep", "failed", "transient")
    assert both.rows(Integration)[0].next_sweep_at == clock() + timedelta(minutes=15)
    clock.advance(minutes=16)
    assert sweep(both.rt, both.id)


def test_a_sweep_is_due_once_a_day_and_costs_nothing_in_between(both, vendor, clock):
    fill(both, 1)
    calls = len(vendor.calls)
    assert not sweep(both.rt, both.id)
    assert len(vendor.calls) == calls
    clock.advance(days=1)
    assert sweep(both.rt, both.id)
    assert not sweep(both.rt, both.id)


def test_a_manual_sync_during_a_sweep_starts_a_pull_of_its_own(both, vendor, runtime, tenant, monkeypatch):
    fill(both, 1)
    connector = both.rt.registry.get("toy")
    real, asked = connector.all_ids, []

    def listing(self):
        asked.append(integrations.request_sync(runtime, both.id, actor=tenant.ann_id))
        yield from list(real(self))

    monkeypatch.setattr(connector, "all_ids", listing)
    assert swept(both)
    assert asked[0].kind == "pull"
    assert {run.kind: run.status for run in both.rows(SyncRun)[-2:]} == {"sweep": "success", "pull": "running"}
