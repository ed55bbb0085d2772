"""When to try again and whom to leave alone: the numbers."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.server import NOON
from webhooks.outbound import patterns, schedule
from webhooks.outbound.payload import Secrets
from webhooks.outbound.schedule import LONGEST_PAUSE, PATIENCE, SCHEDULE, Health, Outcome, health_after

WELL = Health(None, 0, None, None)
LATER = NOON + timedelta(minutes=1)


def after(*outcomes: Outcome, before: Health = WELL, wishes: tuple[datetime, ...] = ()) -> Health:
    return health_after(before, outcomes, wishes, NOON, LATER)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (302, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.BUSY),
        (500, Outcome.REFUSED),
        (502, Outcome.BUSY),
        (503, Outcome.BUSY),
        (504, Outcome.BUSY),
        (101, Outcome.REFUSED),
    ],
)
def test_a_status_means(status: int, outcome: Outcome) -> None:
    assert schedule.outcome_of(status) is outcome


def test_a_message_is_tried_for_three_days_and_an_endpoint_longer() -> None:
    assert sum(SCHEDULE, timedelta(0)) > timedelta(days=3)
    assert sum(SCHEDULE, timedelta(0)) * (1 + schedule.JITTER) < PATIENCE


@given(tries=st.integers(1, 20), seed=st.integers())
def test_a_wait_is_the_scheduled_one_give_or_take_a_fifth(tries: int, seed: int) -> None:
    wait = schedule.next_attempt(NOON, tries, random.Random(seed)) - NOON
    meant = SCHEDULE[min(tries, 9)]
    assert meant * 0.8 <= wait <= meant * 1.2


@given(failures=st.integers(1, 10_000))
def test_pauses_grow_and_end_at_the_longest(failures: int) -> None:
    assert schedule.pause(1) <= schedule.pause(failures) <= schedule.pause(failures + 1) <= LONGEST_PAUSE


def test_a_failure_of_one_message_does_not_pause_the_endpoint() -> None:
    assert after(Outcome.REFUSED) == Health(NOON, 0, None, None)


def test_a_failure_of_the_endpoint_does() -> None:
    health = after(Outcome.TIMEOUT, Outcome.REFUSED)
    assert (health.failing_since, health.failures, health.paused_until) == (NOON, 1, LATER + timedelta(seconds=5))


def test_a_delivery_among_failures_is_a_sign_of_life() -> None:
    ill = Health(NOON - PATIENCE, 4, None, None)
    assert after(Outcome.TIMEOUT, Outcome.DELIVERED, before=ill) == Health(None, 0, None, LATER)


def test_a_wish_to_wait_is_granted_although_something_was_delivered() -> None:
    wish = LATER + timedelta(minutes=2)
    assert after(Outcome.DELIVERED, Outcome.BUSY, wishes=(wish,)).paused_until == wish


def test_a_short_wish_does_not_shorten_our_own_pause() -> None:
    ill = Health(NOON, 5, None, None)
    assert after(Outcome.BUSY, before=ill, wishes=(LATER,)).paused_until == LATER + schedule.pause(6)


def test_hope_ends_after_five_days() -> None:
    assert not schedule.is_hopeless(Health(LATER - PATIENCE + timedelta(seconds=1), 9, None, None), LATER)
    assert schedule.is_hopeless(Health(LATER - PATIENCE, 9, None, None), LATER)
    assert not schedule.is_hopeless(WELL, LATER)


def test_a_secret_replaced_twice_within_a_day_keeps_its_own_end() -> None:
    first = Secrets.fresh()
    second = first.rotated(NOON)
    third = second.rotated(NOON + timedelta(hours=20))
    assert third.valid(NOON + timedelta(hours=23)) == [third.newest, second.newest, first.newest]
    assert third.valid(NOON + timedelta(hours=25)) == [third.newest, second.newest]
    assert third.valid(NOON + timedelta(hours=45)) == [third.newest]
    assert Secrets.opened(third.stored()) == third


@pytest.mark.parametrize("name", ["*", "task.*", "task.status_changed", "code.pull_request.merged", "webhook.disabled"])
def test_a_name_of_events(name: str) -> None:
    assert patterns.check(name) == name


@pytest.mark.parametrize("name", ["", "tasks.*", "task", "task.", "task.st*", "*.created", "Task.*", "task.*.x", "a.b"])
def test_a_name_no_event_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        patterns.check(name)
