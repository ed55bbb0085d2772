"""The fault plan and the clocks, whatever the vendor."""

from random import Random

import httpx
import pytest

from sandbox.clock import ManualClock, SystemClock
from sandbox.faults import CALL_FAULTS, FaultPlan


def hits(plan: FaultPlan, calls: int, operation: str = "getIssue", method: str = "GET") -> list[bool]:
    return [bool(plan.take(CALL_FAULTS, operation, method, "/rest/x")) for _ in range(calls)]


def test_a_fault_strikes_as_often_as_it_may_after_letting_some_pass():
    plan = FaultPlan()
    plan.add("error", count=2, skip=1)
    assert hits(plan, 5) == [False, True, True, False, False]


def test_a_fault_without_a_count_strikes_until_cleared():
    plan = FaultPlan()
    plan.add("error", count=None)
    assert all(hits(plan, 9))
    assert plan.clear() == 1
    assert not any(hits(plan, 2))


def test_a_fault_strikes_only_what_its_patterns_match():
    plan = FaultPlan()
    plan.add("error", count=None, operation="get*", method="GET")
    assert hits(plan, 1, "getIssue") == [True]
    assert hits(plan, 1, "createIssue") == [False]
    assert hits(plan, 1, "getIssue", "POST") == [False]


def test_chance_is_seeded():
    def run() -> list[bool]:
        plan = FaultPlan(Random(3))
        plan.add("error", count=None, probability=0.5)
        return hits(plan, 40)

    assert run() == run()
    assert 5 < sum(run()) < 35


def test_without_a_connection_a_freeze_is_a_timeout_and_latency_moves_the_clock(api, jira, clock):
    jira.faults.add("freeze")
    with pytest.raises(httpx.ReadTimeout):
        api.get("/myself")
    jira.faults.add("latency", seconds=12)
    assert api.get("/myself").status_code == 200
    assert (clock.now() - ManualClock.START).total_seconds() == 12


def test_the_system_clock_can_jump_ahead():
    clock, told = SystemClock(), []
    clock.on_advance(lambda: told.append(True))
    before = clock.now()
    assert (clock.advance(3600) - before).total_seconds() >= 3600
    assert told == [True]
