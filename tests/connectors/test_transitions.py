"""Statuses that are only reached: which transition is taken, and what happens where it can't be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from connectors.contract import Conflict, RemoteValue, Status
from connectors.transitions import MAX_RACES, Moved, Mover, Standing, Unmoved, Way, best, next_hop

MEANS = {"todo": "backlog", "doing": "in_progress", "review": "in_review", "done": "done"}


def way(name: str, to: str, order: int = 1, **more: Any) -> Way:
    return Way(name, name, order, to, to.title(), RemoteValue(MEANS[to], f"{to}:{MEANS[to]}"), **more)


START, SEND, FINISH = way("start", "doing"), way("send", "review"), way("finish", "done")
LINE = {"todo": [START], "doing": [SEND, way("back", "todo")], "review": [FINISH], "done": []}


class Board:
    """A vendor with one item; `before` is played before each transition and may stop it."""

    def __init__(self, at: str = "todo", before: Callable[[Board], Unmoved | None] = lambda board: None) -> None:
        self.at, self.before, self.looks = at, before, 0
        self.out = dict(LINE)

    def look(self, item_id: str) -> Standing[Way]:
        self.looks += 1
        reads = RemoteValue(MEANS[self.at], f"{self.at}:{MEANS[self.at]}")
        return Standing("line", self.at, self.at.title(), reads, self.out[self.at])

    def ways(self, item_id: str) -> Sequence[Way]:
        return self.out[self.at]

    def way(self, told: Way, target: Status | None) -> Way:
        return told

    def take(self, item_id: str, way: Way) -> Unmoved | None:
        stopped = self.before(self)
        if stopped is None and way not in self.out[self.at]:
            return Unmoved("not from here")
        if stopped is None:
            self.at = way.to
        return stopped


def moved(board: Board, target: Status, hops: int = 0) -> Moved:
    return Mover("Plank", board, hops).move("1", None, target, "todo:backlog")


def test_a_transition_that_leads_there_is_taken():
    assert moved(Board(), Status.IN_PROGRESS) == Moved("doing:in_progress", ["doing"])


def test_what_stands_there_already_is_not_moved():
    assert moved(Board("review"), Status.IN_REVIEW) == Moved("review:in_review")


def test_the_ways_out_of_a_status_are_remembered_for_its_workflow():
    board = Board()
    mover = Mover("Plank", board, 0)
    for _ in range(2):
        board.at = "todo"
        assert mover.move("1", "line", Status.IN_PROGRESS, "todo:backlog").there == "doing:in_progress"
    assert board.looks == 1
    board.at = "todo"
    mover.move("1", "another line", Status.IN_PROGRESS, "todo:backlog")
    assert board.looks == 2


def test_a_remembered_way_that_is_closed_is_forgotten_and_looked_for():
    board = Board()
    mover = Mover("Plank", board, 0)
    tried = []
    board.before = lambda _: tried.append(board.at)
    board.out["review"] = [way("return", "doing")]
    for at in ("todo", "review", "review"):  # the second is believed to be where the first was, and so is the third
        board.at = at
        assert mover.move("1", "line", Status.IN_PROGRESS, "todo:backlog").there == "doing:in_progress"
    assert tried == ["todo", "review", "review", "review"]
    assert board.looks == 3


def test_who_is_overtaken_looks_and_decides_again():
    def once(board: Board) -> Unmoved | None:
        board.before = lambda _: None
        board.at = "review"
        return Unmoved("it was moved")

    board = Board(before=once)
    board.out["review"] = [way("return", "doing")]
    assert moved(board, Status.IN_PROGRESS).passed == ["doing"]
    assert board.looks == 2


def test_who_is_overtaken_again_and_again_gives_up():
    def ever(board: Board) -> Unmoved:
        board.at = "review" if board.at == "todo" else "todo"
        return Unmoved("it was moved")

    board = Board(before=ever)
    board.out["review"] = [way("return", "doing")]
    with pytest.raises(Conflict, match=str(MAX_RACES)):
        moved(board, Status.IN_PROGRESS)


@pytest.mark.parametrize("problem", [Unmoved("a rule"), Unmoved("a field", final=True)])
def test_what_the_vendor_refuses_though_nothing_was_moved_is_told(problem):
    found = moved(Board(before=lambda _: problem), Status.IN_PROGRESS)
    assert found == Moved(blocked=f"Plank refuses 'start': {problem.text}")


def test_a_way_that_asks_for_what_we_do_not_have_is_left_to_a_person():
    board = Board()
    board.out["todo"] = [way("start", "doing", missing=("Due date",))]
    assert "Due date" in moved(board, Status.IN_PROGRESS).blocked
    assert board.at == "todo"


def test_a_longer_way_is_walked_as_far_as_is_allowed():
    assert moved(Board(), Status.DONE, hops=3) == Moved("done:done", ["doing", "review", "done"])
    short = moved(Board(), Status.DONE, hops=2)
    assert (short.passed, short.no_way) == (
        ["doing", "review"],
        "No transition leads from 'Review' to a status that means done; there are: finish (to Done).",
    )
    assert moved(Board(), Status.DONE).passed == []


def test_who_is_overtaken_on_a_longer_way_tries_it_later():
    with pytest.raises(Conflict, match="Plank refuses 'start'"):
        moved(Board(before=lambda _: Unmoved("it was moved")), Status.DONE, hops=3)


def test_of_several_ways_the_one_that_asks_least():
    asking, plain, late = way("a", "done", 1, asks=1), way("b", "done", 2), way("c", "done", 3)
    assert best([asking, late, plain], Status.DONE) == plain
    assert best([plain, late._replace(chosen=True)], Status.DONE) == late._replace(chosen=True)
    assert best([plain._replace(missing=("x",)), asking], Status.DONE) == asking
    assert best([plain._replace(is_open=False), START], Status.DONE) is None


def test_the_next_hop_goes_forward_and_not_back_to_where_we_were():
    assert next_hop([START, way("reopen", "todo")], Status.DONE, {"todo"}) == START
    assert next_hop([way("reopen", "todo")], Status.DONE, {"todo"}) is None
    assert next_hop([START._replace(missing=("x",))], Status.DONE, set()) is None
