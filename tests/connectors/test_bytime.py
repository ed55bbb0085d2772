"""Reading everything by time from an API that only counts pages, whatever its order and whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bytime import Answer, Window, changed, cursor_at, oldest_first, since
from connectors.contract import TaskPage


@dataclass(frozen=True)
class Thing:
    name: int
    changed: int


def sorted_when_reversed(things: list[Thing], reverse: bool) -> list[Thing]:
    return sorted(things, key=lambda thing: thing.changed, reverse=not reverse)


def sorted_when_not(things: list[Thing], reverse: bool) -> list[Thing]:
    return sorted(things, key=lambda thing: thing.changed, reverse=reverse)


def never_sorted(things: list[Thing], reverse: bool) -> list[Thing]:
    """The newest, the oldest, the second newest …"""
    left = sorted(things, key=lambda thing: thing.changed)
    return [left.pop(0 if number % 2 else -1) for number in range(len(left))]


class Vendor:
    def __init__(self, times: list[int], size: int, order: Callable[[list[Thing], bool], list[Thing]]) -> None:
        self.things = {name: Thing(name, changed) for name, changed in enumerate(times)}
        self.size, self.order, self.asked = size, order, 0
        self.meanwhile: Callable[[], None] = lambda: None

    def ask(self, window: Window) -> Answer[Thing]:
        self.asked += 1
        until = float("inf") if window.until is None else window.until
        there = [thing for thing in self.things.values() if window.after < thing.changed < until]
        rows = self.order(there, window.reverse)
        start = window.number * self.size
        page = rows[start : start + self.size]
        self.meanwhile()
        return Answer(page, start + self.size >= len(rows))

    def touch(self, name: int) -> None:
        latest = max(thing.changed for thing in self.things.values())
        self.things[name] = replace(self.things[name], changed=latest + 1)


orders = st.sampled_from([sorted_when_reversed, sorted_when_not, never_sorted])


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 7), orders)
def test_everything_comes_oldest_page_first(times, size, order):
    vendor = Vendor(times, size, order)
    pages = list(oldest_first(vendor.ask, 0))
    assert {thing.name for page in pages for thing in page} == vendor.things.keys()
    latest = [max(thing.changed for thing in page) for page in pages if page]
    assert latest == sorted(latest)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(2, 7), orders, st.randoms())
def test_what_changes_between_two_pages_hides_nothing(times, size, order, random):
    vendor = Vendor(times, size, order)
    left = [30]

    def change() -> None:
        if left[0]:
            left[0] -= 1
            vendor.touch(random.choice(list(vendor.things)))

    vendor.meanwhile = change
    found = {thing.name for page in oldest_first(vendor.ask, 0) for thing in page}
    assert found == vendor.things.keys()


def test_only_what_changed_after_the_moment_is_asked_for():
    vendor = Vendor([1, 5, 9], 10, sorted_when_reversed)
    [page] = oldest_first(vendor.ask, 5)
    assert [thing.changed for thing in page] == [9]
    assert vendor.asked == 1


@pytest.mark.parametrize(("order", "calls"), [(sorted_when_reversed, 11), (sorted_when_not, 12), (never_sorted, 60)])
def test_a_thousand_cost_about_a_call_a_page_where_there_is_an_order(order, calls):
    vendor = Vendor(list(range(1, 1001)), 100, order)
    list(oldest_first(vendor.ask, 0))
    assert vendor.asked <= calls


def test_a_run_looks_back_before_the_last_change_the_one_before_has_seen():
    vendor, asked = Vendor([1000, 5000, 9000], 10, sorted_when_reversed), []

    def ask(window: Window) -> Answer[Thing]:
        asked.append(window.after)
        return vendor.ask(window)

    def run(cursor: dict[str, object] | None, *containers: str) -> TaskPage:
        return list(changed(cursor, containers, ask, lambda thing: thing.name, timedelta(seconds=2)))[-1]

    first = run(None, "a")
    assert (len(first.tasks), first.cursor) == (3, {"since": 9000, "containers": ["a"]})
    assert len(run(first.cursor, "a").tasks) == 1
    assert len(run(first.cursor, "a", "b").tasks) == 3
    assert asked == [0, 7000, 0]


def test_a_cursor_knows_what_it_was_made_for():
    cursor = cursor_at(7, ["a", "b"])
    assert since(cursor, ["b"]) == 7
    assert since(cursor, ["a", "c"]) is None
    assert since(None, ["a"]) is None
    assert since(cursor_at(None, ["a"]), ["a"]) is None


def test_more_than_a_page_of_one_moment_is_read_whole_though_its_first_ones_change_meanwhile():
    vendor = Vendor([5] * 13, 2, sorted_when_reversed)

    def change() -> None:
        left = [thing.name for thing in vendor.things.values() if thing.changed == 5]
        if len(left) > 3:
            vendor.touch(left[0])

    vendor.meanwhile = change
    found = [thing for page in oldest_first(vendor.ask, 0) for thing in page]
    assert {thing.name for thing in found} == vendor.things.keys()
    assert {thing.name for thing in found if thing.changed == 5} >= {10, 11, 12}
