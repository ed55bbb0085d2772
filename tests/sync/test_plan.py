"""A plan tells what a sync would do, and does none of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.db import Base
from sync.plan import plan
from tests.sync.engine import Both

READS = {"changed_tasks", "fetch_tasks", "check"}


@pytest.fixture
def both(runtime, vendor, tenant, integration):
    return Both(runtime, vendor, tenant, integration)


def everything(both: Both) -> dict[str, list[Any]]:
    """Every row of every table."""
    with both.rt.db.read() as session:
        return {
            name: sorted(map(repr, session.execute(select(table)).all()))
            for name, table in Base.metadata.tables.items()
        }


def planned(both: Both, limit: int = 50) -> dict[str, Any]:
    """The plan's items by title; proves on the way that nothing was written, here or there."""
    before, items, calls = everything(both), dict(both.vendor.items), len(both.vendor.calls)
    found = plan(both.rt, both.id, limit)
    assert everything(both) == before
    assert both.vendor.items == items
    assert set(both.vendor.calls[calls:]) <= READS
    return {item.title: item for item in found.items}


def outcomes(item: Any) -> dict[str, tuple[str, str]]:
    return {f.field: (f.outcome, f.reason) for f in item.fields if f.outcome != "same"}


def test_what_changed_at_the_vendor_would_be_taken(both, vendor):
    item = vendor.add(title="Old")
    both.poll()
    vendor.edit(item.id, title="New")
    (found,) = planned(both).values()
    assert found.decision == "updated"
    assert outcomes(found) == {"title": ("take", "changed_there")}
    assert found.writes == ()
    both.poll()
    assert both.task().title == "New"


def test_what_is_owed_would_be_sent_with_what_the_vendor_is_believed_to_hold(both, vendor):
    item = vendor.add(title="Old")
    both.poll()
    both.change(both.task().id, title="Ours")
    (found,) = planned(both).values()
    (write,) = found.writes
    assert (write.operation, write.external_id, write.changes) == ("update_task", item.id, {"title": "Ours"})
    assert write.expected == {"title": "Old"}


def test_a_conflict_shows_both_values_the_rule_and_who_would_win(both, vendor, clock):
    item = vendor.add(title="Old")
    both.poll()
    both.change(both.task().id, title="Ours")
    clock.advance(minutes=1)
    vendor.edit(item.id, title="Theirs")
    (found,) = planned(both).values()
    (field,) = [f for f in found.fields if f.field == "title"]
    assert (field.outcome, field.reason, field.here, field.there) == ("take", "conflict_latest", "Ours", "Theirs")
    assert found.writes == ()


def test_a_task_without_its_item_would_be_created(both):
    both.create("Fresh", priority="high")
    (found,) = planned(both).values()
    assert found.decision == "to_be_created"
    (write,) = found.writes
    assert (write.operation, write.container, write.changes["priority"]) == ("create_task", "TOY", "high")


def test_a_new_item_would_become_a_task_and_a_deleted_one_would_end(both, vendor):
    doomed = vendor.add(title="Doomed")
    both.poll()
    both.change(both.task().id, title="Edited")
    vendor.delete(doomed.id)
    vendor.add(title="Born")
    found = planned(both)
    assert found["Born"].decision == "created"
    assert found["Edited"].decision == "ended"


def test_a_plan_that_is_cut_off_says_so(both, vendor):
    for number in range(30):
        vendor.add(title=f"Item {number}")
    cut = plan(both.rt, both.id, 10)
    assert len(cut.items) == 10
    assert not cut.complete
    assert "10" in cut.text
    assert plan(both.rt, both.id, 50).complete
