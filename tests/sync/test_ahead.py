"""Which pages are written together when they are fetched ahead."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from sync import ahead
from sync.ahead import ENOUGH, batches

AHEAD = SimpleNamespace(threads=True)


def together(pages, size=lambda page: 1):
    return list(batches(AHEAD, iter(pages), size))


def test_pages_that_come_quickly_are_written_together_although_the_writer_waits(monkeypatch):
    monkeypatch.setattr(ahead, "TOGETHER", 10)
    assert together(range(7)) == [[0, 1, 2, 3, 4, 5, 6]]


def test_a_page_that_took_long_is_written_as_it_comes(monkeypatch):
    monkeypatch.setattr(ahead, "TOGETHER", 0.01)

    def slowly():
        for number in range(3):
            time.sleep(0.02)
            yield number

    assert together(slowly()) == [[0], [1], [2]]


def test_no_more_are_held_back_than_a_transaction_is_good_for(monkeypatch):
    monkeypatch.setattr(ahead, "TOGETHER", 10)
    assert together(range(5), size=lambda _: ENOUGH // 2) == [[0, 1], [2, 3], [4]]


def test_what_was_fetched_before_a_failure_is_given_first(monkeypatch):
    monkeypatch.setattr(ahead, "TOGETHER", 10)

    def failing():
        yield 1
        yield 2
        raise OSError("cut")

    given = []
    with pytest.raises(OSError, match="cut"):
        given.extend(batches(AHEAD, failing(), lambda page: 1))
    assert given == [[1, 2]]


def test_what_is_on_its_way_when_it_is_to_stop_still_comes_and_no_more_is_asked_for(monkeypatch):
    monkeypatch.setattr(ahead, "TOGETHER", 0)
    asked, going, stopped = [], threading.Event(), []

    def pages():
        for number in range(9):
            asked.append(number)
            if number == 1:
                going.set()
            yield number

    given = []
    for batch in batches(AHEAD, pages(), lambda page: ENOUGH, lambda: bool(stopped)):
        given.append(batch)
        going.wait(5)  # the next one is being fetched
        stopped.append(True)
    assert given == [[0], [1]]
    assert asked == [0, 1]
