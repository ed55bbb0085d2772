"""Pages, polls with a token, and items that can't be read any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Forbidden, Gone, GoneReason, NotFound, Rejected, RemoteTask, RemoteUser, TaskPage
from connectors.reading import Listed, Sight, batches, changed, counted, fetched, marker_in, pages, with_email

START = datetime(2026, 5, 4, tzinfo=UTC)


def task(number: int) -> RemoteTask:
    return RemoteTask(str(number), f"K-{number}", "https://vendor.example", "home", number, at(number), {})


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


class Vendor:
    """Ten items of which each page has three; a token is the number of the first."""

    def __init__(self) -> None:
        self.searches: list[datetime | None] = []
        self.lost: set[str | None] = set()

    def search(self, since: datetime | None) -> dict[str, Any]:
        self.searches.append(since)
        return {"from": 0 if since is None else (since - START) // timedelta(minutes=1), "total": 10}

    def ask(self, search: dict[str, Any], token: str | None) -> Listed:
        if token in self.lost:
            raise Rejected("no such page")
        first = search["from"] if token is None else int(token)
        found = [task(number) for number in range(first, min(first + 3, 10))]
        return Listed(found, found[-1].updated_at if found else None, str(first + 3) if first + 3 < 10 else None)

    def run(self, cursor: dict[str, Any] | None, containers: Sequence[str] = ("A",)) -> list[TaskPage]:
        return list(changed(cursor, containers, self.search, self.ask))


def ids(found: list[TaskPage]) -> list[int]:
    return [int(one.external_id) for page in found for one in page.tasks]


def test_a_run_reads_all_pages_and_the_next_one_begins_where_it_ended():
    vendor = Vendor()
    found = vendor.run(None)
    assert ids(found) == list(range(10))
    assert [page.total for page in found] == [10] * 4
    assert found[-1].cursor == {"since": "2026-05-04T00:09:00.000Z", "containers": ["A"]}
    assert ids(vendor.run(found[-1].cursor)) == [9]
    assert vendor.searches == [None, at(9)]


def test_a_run_that_is_carried_on_ends_without_a_new_search_and_the_next_one_follows_at_once():
    vendor = Vendor()
    for page in vendor.run(None)[:-1]:
        vendor.searches.clear()
        rest = vendor.run(page.cursor)
        assert ids(rest) == [*range(int(page.tasks[-1].external_id) + 1, 10), 9]
        assert rest[-1].cursor == {"since": "2026-05-04T00:09:00.000Z", "containers": ["A"]}
        assert vendor.searches == [at(9)]


def test_the_latest_change_of_all_pages_counts_whichever_comes_first():
    order = [Listed([], at(9), "2"), Listed([], at(3), "3"), Listed([], None, None)]
    *_, last = changed(None, ["A"], lambda since: {}, lambda search, token: order.pop(0))
    assert last.cursor["since"] == "2026-05-04T00:09:00.000Z"


def test_an_empty_first_run_knows_nothing_and_an_empty_later_one_what_was_known():
    def nothing(search: dict[str, Any], token: str | None) -> Listed:
        return Listed([], None, None)

    [page] = changed(None, ["A"], lambda since: {}, nothing)
    assert page.cursor["since"] is None
    known = {"since": "2026-05-04T00:09:00.000Z", "containers": ["A"]}
    [page] = changed(known, ["A"], lambda since: {}, nothing)
    assert page.cursor == known


def test_a_container_that_is_new_makes_all_be_read_and_one_that_left_does_not():
    vendor = Vendor()
    cursor = vendor.run(None, ["A", "B"])[-1].cursor
    assert ids(vendor.run(cursor, ["A", "C"])) == list(range(10))
    assert ids(vendor.run(cursor, ["A"])) == [9]


def test_a_run_whose_page_is_no_longer_known_begins_anew_and_a_fresh_refusal_is_told():
    vendor = Vendor()
    first = vendor.run(None)[0]
    vendor.lost.add("3")
    with pytest.raises(Rejected):
        vendor.run(None)
    vendor.lost.clear()
    assert ids(vendor.run(first.cursor | {"token": "8"})) == [8, 9, 9]
    vendor.lost = {"8"}
    anew = vendor.run(first.cursor | {"token": "8", "high": "2030-01-01T00:00:00.000Z"})
    assert ids(anew) == list(range(10))
    assert anew[-1].cursor["since"] == "2026-05-04T00:09:00.000Z"
    with pytest.raises(Rejected):
        vendor.run(first.cursor | {"token": "5"})
    vendor.lost = {"8", None}
    with pytest.raises(Rejected):
        vendor.run(first.cursor | {"token": "8"})


def test_pages_end_where_nothing_follows():
    assert list(pages(lambda n: n * 10, 0, lambda page, n: n + 1 if page < 20 else None)) == [0, 10, 20]
    assert [list(batch) for batch in batches([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(batches([], 2)) == []


def test_what_a_listing_lacks_is_asked_for_by_itself_and_every_id_has_an_answer():
    asked: list[str] = []

    def one(item_id: str) -> RemoteTask:
        asked.append(item_id)
        if item_id == "3":
            raise NotFound("no 3")
        return task(int(item_id))

    found = fetched(["1", "2", "3"], one, lambda i, text: Gone(i, GoneReason.DELETED, text), [task(1), task(7)])
    assert asked == ["2", "3"]
    assert found == {"1": task(1), "2": task(2), "3": Gone("3", GoneReason.DELETED, "no 3")}


def test_not_found_proves_a_deletion_only_where_every_place_can_be_seen():
    looks: list[str] = []

    def sees(place: str) -> bool:
        looks.append(place)
        if place == "D":
            raise Forbidden("no")
        return place != "B"

    sight = Sight("List", sees)
    assert sight.gone("1", "no 1", ["A"]) == Gone("1", GoneReason.DELETED, "no 1")
    hidden = Gone("2", GoneReason.UNREACHABLE, "The account can't see the List B any more.")
    assert sight.gone("2", "no 2", ["A", "B", "C"]) == hidden
    assert sight.gone("3", "no 3", ["A", "B"]).reason is GoneReason.UNREACHABLE
    assert sight.gone("4", "no 4", ["D"]).reason is GoneReason.UNREACHABLE
    assert looks == ["A", "B", "D"]  # each once, and none for nothing


@pytest.mark.parametrize("size", [1, 3, 10, 11])
def test_rows_that_are_counted_come_whole_and_end(size):
    rows = list(range(10))
    assert list(counted(lambda start: (rows[start : start + size], start + size >= 10))) == rows
    assert list(counted(lambda start: (rows[start : start + size], False))) == rows  # an empty page ends it, too


def test_a_marker_is_found_among_labels_in_any_case():
    assert marker_in(["bug", None, 7, "Scrums-TSK-1"]) == "scrums-tsk-1"
    assert marker_in(["x scrums-tsk-1", ""]) is None


def test_only_an_address_of_exactly_one_person_finds_somebody():
    ann, bob, hidden = (
        RemoteUser("1", "Ann", "Ann@x.test"),
        RemoteUser("2", "Bob", "bob@x.test"),
        RemoteUser("3", "Eve"),
    )
    assert with_email([hidden, bob, ann], "ann@X.test") == ann
    assert with_email([hidden, ann, RemoteUser("4", "Ann", "ann@x.test")], "ann@x.test") is None
    assert with_email([hidden], "eve@x.test") is None
    assert with_email([hidden], "") is None


def test_the_only_one_a_vendor_finds_by_an_address_it_hides_is_whose_it_is():
    hidden, other = RemoteUser("1", "Ann"), RemoteUser("2", "Bob", "bob@x.test")
    assert with_email([hidden], "ann@x.test", hidden=True) == hidden
    assert with_email([hidden, RemoteUser("3", "Ann")], "ann@x.test", hidden=True) is None
    assert with_email([hidden, other], "ann@x.test", hidden=True) is None
    assert with_email([other], "ann@x.test", hidden=True) is None
