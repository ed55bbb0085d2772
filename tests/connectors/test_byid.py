"""Reading everything by id from an API that gives all ids at once or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from connectors import byid
from connectors.contract import BadPayload, RemoteTask, TaskPage

NOON = "2026-05-04T12:00:00Z"
TASK = RemoteTask("0", "K", "https://vendor.example/0", "home", 1, datetime(2026, 5, 4, tzinfo=UTC), {})


@dataclass
class Ids:
    ids: list[int]
    as_of: str = NOON


class Vendor:
    """Ids, of which a query gives so many."""

    def __init__(self, ids: list[int], most: int = 100) -> None:
        self.ids, self.most, self.asked, self.since = ids, most, 0, [datetime.min]

    def query(self, after: int, upto: int | None) -> Ids | None:
        self.asked += 1
        found = [id_ for id_ in self.ids if id_ > after and (upto is None or id_ <= upto)]
        return Ids(found) if len(found) <= self.most else None

    def changed_since(self, since: datetime | None) -> byid.Query:
        self.since.append(since or datetime.max)
        return self.query

    def run(self, cursor: dict[str, object] | None, batch: int = 2) -> list[TaskPage]:
        def read(ids: Sequence[int]) -> list[RemoteTask]:
            return [replace(TASK, external_id=str(id_)) for id_ in ids]

        return list(byid.changed(cursor, ["home"], self.changed_since, read, batch))


def ids(pages: list[TaskPage]) -> list[int]:
    return [int(task.external_id) for page in pages for task in page.tasks]


@pytest.mark.parametrize("most", [3, 7, 1000])
def test_all_are_found_in_order_however_few_a_query_gives(most, monkeypatch):
    monkeypatch.setattr(byid, "SPAN", 16)
    vendor = Vendor([*range(1, 40), *range(5000, 5010)], most)
    found = list(byid.stretches(vendor.query))
    assert [id_ for part, _ in found for id_ in part.ids] == vendor.ids
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    assert vendor.asked < 100  # of 312 in steps of one size: empty stretches are passed in growing steps


def test_a_vendor_to_whom_one_id_is_too_much_is_not_asked_for_ever():
    with pytest.raises(BadPayload):
        list(byid.stretches(Vendor([1, 2], -1).query))


def test_a_run_ends_with_the_time_it_began_and_the_next_one_asks_from_there():
    vendor = Vendor([1, 2, 3])
    pages = vendor.run(None)
    assert (ids(pages), [page.total for page in pages]) == ([1, 2, 3], [3, 3, None])
    assert pages[-1].cursor == {"since": NOON, "projects": ["home"]}
    vendor.run(pages[-1].cursor)
    assert vendor.since[1:] == [datetime.max, datetime(2026, 5, 4, 12, tzinfo=UTC)]


def test_a_run_that_was_cut_is_carried_on_behind_its_last_page():
    vendor = Vendor([1, 2, 3])
    cut = {**vendor.run(None)[0].cursor, "as_of": "2026-05-04T11:00:00Z"}
    rest = vendor.run(cut)
    assert (ids(rest), rest[-1].cursor["since"]) == ([3], "2026-05-04T11:00:00Z")


def test_another_scope_is_read_whole():
    assert ids(Vendor([1]).run({"since": NOON, "projects": ["elsewhere"], "after": 9})) == [1]
