"""The kit's tracker: what happens to items, and what is told of it."""

from __future__ import annotations

import pytest

from sandbox.clock import ManualClock
from sandbox.errors import VendorError
from sandbox.people import Person
from sandbox.tracker import TICK, Change, Kind, Tracker
from tests.sandbox.kit import new_tracker, titles


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tracker(clock: ManualClock) -> Tracker:
    return new_tracker(clock)


@pytest.fixture
def told(tracker: Tracker) -> list[Change]:
    heard: list[Change] = []
    tracker.listeners.append(heard.append)
    return heard


@pytest.fixture
def bob(tracker: Tracker) -> Person:
    return Person(tracker, "Bob Baker")


def test_an_item_keeps_its_id_and_gets_the_next_key_of_where_it_goes(bob: Person) -> None:
    bob.create("Second", "Other")
    item = bob.create("ONE", "Mine")
    moved = bob.move("ONE-1", "TWO")
    assert (item.id, item.key) == ("2", "ONE-1")
    assert (moved.id, moved.key) == ("2", "TWO-2")


def test_every_change_counts_up_even_within_one_moment(bob: Person, clock: ManualClock) -> None:
    first = bob.create("ONE", "A")
    second = bob.edit(first.id, title="B")
    clock.advance(-60)
    third = bob.edit(first.id, title="C")
    assert [item.revision for item in (first, second, third)] == [1, 2, 3]
    assert [item.change for item in (first, second, third)] == [1, 2, 3]
    assert second.updated == first.updated + TICK
    assert third.updated == second.updated + TICK


def test_a_write_that_changes_nothing_moves_nothing_and_is_only_in_the_journal(
    bob: Person, tracker: Tracker, told: list[Change]
) -> None:
    item = bob.create("ONE", "A")
    assert bob.edit(item.id, title="A", status="Open") == item
    assert [change.kind for change in told] == [Kind.CREATED]
    last = tracker.journal[-1]
    assert (last.before, last.after, last.asked) == (item, item, {"title", "status"})


def test_a_change_tells_who_did_it_and_what_was_before(bob: Person, told: list[Change]) -> None:
    item = bob.create("ONE", "A")
    bob.edit(item.id, priority="High", assignee="ann@example.com")
    change = told[-1]
    assert change.who == bob.id
    assert change.before == item
    assert set(change.fields) == {"priority", "assignee"}
    assert change.item.assignee == "U1"


@pytest.mark.parametrize(("status", "after"), [("Open", "s1"), ("Busy", "s1"), ("Shut", "s3")])
def test_a_moved_item_has_a_status_that_is_known_there(bob: Person, status: str, after: str) -> None:
    item = bob.create("ONE", "A", status=status)
    assert bob.move(item.id, "TWO").status == after


def test_what_is_deleted_can_be_brought_back_and_what_is_gone_for_ever_can_not(
    bob: Person, tracker: Tracker, told: list[Change]
) -> None:
    kept, gone = bob.create("ONE", "Kept"), bob.create("ONE", "Gone")
    bob.delete(kept.key)
    bob.delete(gone.key, forever=True)
    assert tracker.items == {}
    back = bob.restore(kept.id)
    assert (back.key, back.revision) == (kept.key, 2)
    assert told[-1].kind is Kind.RESTORED
    with pytest.raises(VendorError, match="trash"):
        bob.restore(gone.id)


def test_a_listing_that_is_behind_has_items_as_they_were(bob: Person, tracker: Tracker, clock: ManualClock) -> None:
    bob.create("ONE", "Old")
    bob.create("ONE", "Deleted")
    clock.advance(60)
    bob.edit("ONE-1", title="New")
    bob.delete("ONE-2")
    bob.create("ONE", "Young")
    clock.advance(5)
    assert titles(tracker.indexed(lag_seconds=10)) == ["Old", "Deleted"]
    assert titles(tracker.indexed(lag_seconds=4)) == ["New", "Young"]
    assert titles(tracker.indexed()) == ["New", "Young"]


def test_an_item_may_have_an_id_of_the_clients_choice_once(tracker: Tracker) -> None:
    assert tracker.create("U4", "c1", "A", item_id="chosen", marker="m").id == "chosen"
    with pytest.raises(VendorError) as refused:
        tracker.create("U4", "c1", "B", item_id="chosen")
    assert refused.value.status == 409


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"status": "s2"}, "status"),
        ({"priority": "p9"}, "priority"),
        ({"assignee": "nobody"}, "assignee"),
        ({"title": "  "}, "title"),
        ({"description": 5}, "description"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_can_not_be_is_refused_with_the_field(tracker: Tracker, values: dict[str, object], field: str) -> None:
    item = tracker.create("U4", "c2", "A")
    with pytest.raises(VendorError) as refused:
        tracker.update("U4", item.id, **values)
    assert (refused.value.status, refused.value.field) == (400, field)
    assert tracker.items[item.id] == item


def test_what_a_vendor_has_besides_is_kept_and_merged(tracker: Tracker) -> None:
    item = tracker.create("U4", "c1", "A", extra={"labels": ["x"], "due": None})
    assert tracker.update("U4", item.id, extra={"due": "2026-05-04"}).extra == {"labels": ["x"], "due": "2026-05-04"}


def test_planted_items_are_of_every_kind_and_nobody_is_told(tracker: Tracker, told: list[Change]) -> None:
    planted = tracker.plant(30, "c1")
    assert {item.status for item in planted} == {"s1", "s2", "s3"}
    assert {item.assignee for item in planted} >= {None, "U1", "U4"}
    assert planted == sorted(planted, key=lambda item: (item.updated, item.change))
    assert planted[-1].updated < tracker.clock.now()
    assert (told, tracker.journal) == ([], [])
