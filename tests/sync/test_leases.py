"""One worker at a time, and a late one can do no harm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from sync.leases import LeaseLost, hold, lease_time
from sync.runtime import Runtime
from tests.sync.conftest import ManualClock


@pytest.fixture
def other(any_runtime: Runtime) -> Runtime:
    return replace(any_runtime, worker="other")


def test_a_held_lease_is_not_given_to_another_worker(any_runtime: Runtime, other: Runtime) -> None:
    with hold(any_runtime, "pull:INT-1") as mine, hold(other, "pull:INT-1") as theirs:
        assert mine is not None
        assert theirs is None


def test_leases_of_different_names_do_not_touch(any_runtime: Runtime, other: Runtime) -> None:
    with hold(any_runtime, "pull:INT-1") as mine, hold(other, "push:INT-1") as theirs:
        assert mine is not None
        assert theirs is not None


def test_a_lease_is_free_after_its_block_even_if_that_failed(any_runtime: Runtime, other: Runtime) -> None:
    with pytest.raises(ZeroDivisionError), hold(any_runtime, "pull:INT-1"):
        raise ZeroDivisionError
    with hold(other, "pull:INT-1") as lease:
        assert lease is not None


def test_a_lease_that_ran_out_is_taken_over_and_its_late_holder_can_not_write(
    any_runtime: Runtime, other: Runtime, clock: ManualClock
) -> None:
    with hold(any_runtime, "pull:INT-1") as late:
        assert late is not None
        clock.advance(seconds=lease_time(any_runtime).total_seconds())
        with hold(other, "pull:INT-1") as current:
            assert current is not None
            assert current.fence > late.fence
            with pytest.raises(LeaseLost), any_runtime.db.write() as session:
                late.guard(session)
            with pytest.raises(LeaseLost):
                late.extend()
            current.extend()


def test_a_holder_that_slept_finds_out_by_its_own_clock_before_it_calls_the_vendor(
    any_runtime: Runtime, clock: ManualClock
) -> None:
    with hold(any_runtime, "push:INT-1") as mine:
        assert mine is not None
        clock.advance(seconds=lease_time(any_runtime).total_seconds() - 1)
        mine.check()
        mine.extend()
        clock.advance(seconds=lease_time(any_runtime).total_seconds() - 1)
        mine.check()
        clock.advance(seconds=1)
        with pytest.raises(LeaseLost):
            mine.check()


def test_a_late_holder_does_not_free_the_lease_of_the_next(
    any_runtime: Runtime, other: Runtime, clock: ManualClock
) -> None:
    with hold(any_runtime, "pull:INT-1"):
        clock.advance(seconds=lease_time(any_runtime).total_seconds())
        current = hold(other, "pull:INT-1")
        assert current.__enter__() is not None
    with hold(any_runtime, "pull:INT-1") as again:
        assert again is None
    current.__exit__(None, None, None)


def test_work_that_goes_on_extends_the_lease(any_runtime: Runtime, other: Runtime, clock: ManualClock) -> None:
    with hold(any_runtime, "pull:INT-1") as mine:
        assert mine is not None
        for _ in range(3):
            clock.advance(seconds=lease_time(any_runtime).total_seconds() - 1)
            mine.extend()
        with hold(other, "pull:INT-1") as theirs:
            assert theirs is None


@pytest.mark.parametrize("used_before", [False, True])
def test_of_workers_that_ask_at_the_same_moment_one_gets_the_lease(any_runtime: Runtime, used_before: bool) -> None:
    workers = 4
    if used_before:
        with hold(any_runtime, "pull:INT-1"):
            pass
    together, asked = Barrier(workers), Barrier(workers)

    def ask(number: int) -> bool:
        together.wait()
        with hold(replace(any_runtime, worker=f"w{number}"), "pull:INT-1") as lease:
            asked.wait()
            return lease is not None

    with ThreadPoolExecutor(workers) as pool:
        assert sorted(pool.map(ask, range(workers))) == [False] * (workers - 1) + [True]
