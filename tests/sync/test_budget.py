"""One budget for all workers, with head-room for what people wait for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import event

from connectors.contract import RateFacts, RateLimited
from sync.budget import HEAD_ROOM, MAX_DRAW, MAX_PACE, SHORTEST_SLEEP, SharedBudget
from sync.runtime import Lane, Runtime
from tests.sync.conftest import START, ManualClock

RATES = RateFacts(per_second=10, burst=20)
SLOW = RateFacts(per_second=0.1, burst=20)


def budget(rt: Runtime, lane: Lane = Lane.PUSH, rates: RateFacts = RATES) -> SharedBudget:
    return SharedBudget(rt, "INT-1", rates, lane)


def spend(one: SharedBudget) -> int:
    """How many calls it gives until it refuses."""
    for number in range(1000):
        try:
            one.take(1)
        except RateLimited:
            return number
    raise AssertionError("it never ends")


def test_a_burst_is_free_and_then_calls_are_paced(any_runtime: Runtime, clock: ManualClock) -> None:
    one = budget(any_runtime)
    for _ in range(RATES.burst):
        one.take(1)
    assert clock.slept == []
    for _ in range(5):
        one.take(1)
    assert sum(clock.slept) == pytest.approx(5 / RATES.per_second)


def test_a_wait_too_long_to_sleep_is_an_error_that_says_until_when(any_runtime: Runtime, clock: ManualClock) -> None:
    one = budget(any_runtime, rates=SLOW)
    assert spend(one) == SLOW.burst
    assert clock.slept == []
    with pytest.raises(RateLimited) as refused:
        one.take(1)
    assert refused.value.until == START + timedelta(seconds=10)
    clock.advance(seconds=10)
    one.take(1)


def test_the_bucket_refills_to_its_burst_and_no_further(any_runtime: Runtime, clock: ManualClock) -> None:
    assert spend(budget(any_runtime, rates=SLOW)) == 20
    clock.advance(seconds=100)
    assert spend(budget(any_runtime, rates=SLOW)) == 10
    clock.advance(days=1)
    assert spend(budget(any_runtime, rates=SLOW)) == 20


def test_workers_share_one_bucket(any_runtime: Runtime) -> None:
    first, second = budget(any_runtime, rates=SLOW), budget(any_runtime, rates=SLOW)
    assert spend(first) + spend(second) == SLOW.burst


def test_other_integrations_have_buckets_of_their_own(any_runtime: Runtime) -> None:
    assert spend(budget(any_runtime, rates=SLOW)) == 20
    assert spend(SharedBudget(any_runtime, "INT-2", SLOW, Lane.PUSH)) == 20


def test_a_pull_leaves_head_room_for_edits(any_runtime: Runtime) -> None:
    kept = SLOW.burst * HEAD_ROOM
    assert spend(budget(any_runtime, Lane.PULL, SLOW)) == SLOW.burst - kept
    assert spend(budget(any_runtime, Lane.PUSH, SLOW)) == kept


def test_a_long_pull_asks_the_database_a_fraction_as_often(any_runtime: Runtime) -> None:
    commits: list[object] = []
    event.listen(any_runtime.db.engine, "commit", commits.append)
    one = budget(any_runtime, Lane.PULL, RateFacts(per_second=1000, burst=1000))
    for _ in range(400):
        one.take(1)
    assert len(commits) <= 400 / MAX_DRAW + 4


def test_a_session_with_one_call_draws_one_permit(any_runtime: Runtime) -> None:
    for _ in range(SLOW.burst):
        budget(any_runtime, rates=SLOW).take(1)


def test_a_call_dearer_than_the_bucket_is_still_possible(any_runtime: Runtime) -> None:
    budget(any_runtime, Lane.PULL).take(1000)


def test_a_park_stops_every_worker_and_lane_until_its_time(any_runtime: Runtime, clock: ManualClock) -> None:
    first, second = budget(any_runtime), budget(any_runtime, Lane.PULL)
    first.take(1)
    until = START + timedelta(minutes=10)
    first.park(until, "GET api.toy.test/items answered 429: slow down")
    for one in (first, second):
        with pytest.raises(RateLimited, match="slow down") as refused:
            one.take(1)
        assert refused.value.until == until
    assert clock.slept == []  # never for the vendor's own word
    clock.now = until
    first.take(1)
    second.take(1)


def test_the_longest_park_counts(any_runtime: Runtime) -> None:
    one = budget(any_runtime)
    one.park(START + timedelta(hours=1), "an hour")
    one.park(START + timedelta(seconds=1), "a second")
    with pytest.raises(RateLimited, match="an hour"):
        one.take(1)


def test_an_empty_window_parks_everybody(any_runtime: Runtime) -> None:
    budget(any_runtime).note(0, START + timedelta(minutes=5))
    with pytest.raises(RateLimited):
        budget(any_runtime).take(1)


def test_a_nearly_empty_window_stops_pulls_but_not_edits(any_runtime: Runtime, clock: ManualClock) -> None:
    pulling, pushing = budget(any_runtime, Lane.PULL), budget(any_runtime)
    for one in (pulling, pushing):
        one.take(1)
        one.note(2, START + timedelta(minutes=5))
    pushing.take(1)
    with pytest.raises(RateLimited, match="edits") as refused:
        pulling.take(1)
    assert refused.value.until == START + timedelta(minutes=5)
    clock.advance(minutes=5)
    pulling.take(1)


def test_nothing_is_locked_while_a_worker_paces_itself(any_runtime: Runtime, clock: ManualClock) -> None:
    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        other.take(0)
        with any_runtime.db.write():
            pass  # SQLite has one writer: this would wait for a transaction that is open

    other = budget(any_runtime)
    one = budget(replace(any_runtime, sleep=sleep))
    for _ in range(RATES.burst + 2):
        one.take(1)
    assert len(clock.slept) == 2


def test_pacing_ends_although_others_take_what_comes_in(any_runtime: Runtime, clock: ManualClock) -> None:
    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        spend(budget(replace(any_runtime, sleep=lambda _: None)))

    one = budget(replace(any_runtime, sleep=sleep))
    assert spend(one) == RATES.burst
    assert sum(clock.slept) <= MAX_PACE


def test_threads_of_several_workers_never_take_more_than_there_is(any_runtime: Runtime) -> None:
    workers = 4
    rates = RateFacts(per_second=0.001, burst=60)
    together = Barrier(workers)

    def work(_: int) -> int:
        together.wait()
        return spend(budget(any_runtime, rates=rates))

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(work, range(workers))) == rates.burst


def test_what_is_missing_by_a_rounding_error_is_not_waited_for_without_end(
    any_runtime: Runtime, clock: ManualClock
) -> None:
    odd = budget(any_runtime, rates=RateFacts(per_second=7.5, burst=30))
    for _ in range(200):
        odd.take(1)
    assert min(clock.slept) >= SHORTEST_SLEEP
    assert sum(clock.slept) == pytest.approx(170 / 7.5, rel=0.05)
