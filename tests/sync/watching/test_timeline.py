"""What alerts amount to, whatever the order in which they are heard."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.incidents.timeline import MOST_FLAPS, Effect, Line, Status, Story, What, timeline

START = datetime(2026, 4, 15, 10, tzinfo=UTC)
FLAP = timedelta(minutes=30)


def line(what: str, minutes: float, cycle: str | None = None, *, placed: float | None = None, **more: Any) -> Line:
    """A line of so many minutes after the start."""
    at, placed_at = (START + timedelta(minutes=m) for m in (minutes, minutes if placed is None else placed))
    usual = {"severity": "high", "title": "CPU", "text": "", "url": "https://v.test/1", "by": "INT-1", "flap": FLAP}
    key = f"{what}:{minutes}:{cycle}:{placed}:{sorted(more.items())}"
    return Line(key=key, what=What(what), at=at, placed_at=placed_at, cycle=cycle, **(usual | more))


def effects(*lines: Line) -> list[list[str]]:
    """What each line did, by incident."""
    return [[step.effect.value for step in story.steps] for story in timeline(lines)]


def told(stories: Sequence[Story]) -> list[Any]:
    """All of the incidents that anybody sees."""
    shown = ("status", "opened_at", "resolved_at", "resolved_by", "acknowledged_at", "last_seen_at", "flaps", "cycle")
    return [([getattr(story, name) for name in shown], story.shown, story.watermark, story.steps) for story in stories]


def test_an_incident_is_opened_updated_and_resolved() -> None:
    [story] = timeline([line("firing", 0, "a"), line("repeated", 10, "a"), line("over", 20, "a")])
    assert [step.effect for step in story.steps] == [Effect.OPENED, Effect.UPDATED, Effect.RESOLVED]
    assert (story.status, story.opened_at, story.resolved_at) == (Status.RESOLVED, START, START + timedelta(minutes=20))
    assert story.last_seen_at == START + timedelta(minutes=10)


def test_an_alert_flapping_fifty_times_makes_one_incident_with_a_history_not_fifty() -> None:
    lines = [line(what, n * 20 + m, f"c{n}") for n in range(50) for what, m in (("firing", 0), ("over", 10))]
    [story] = timeline(lines)
    assert (story.flaps, len(story.steps), story.status) == (49, 100, Status.RESOLVED)
    assert story.opened_at == START


def test_what_flaps_without_end_is_another_incident_after_five_hundred_times() -> None:
    times = MOST_FLAPS + 3
    stories = timeline(
        [line(what, n * 4 + m, f"c{n}") for n in range(times) for what, m in (("firing", 0), ("over", 2))]
    )
    assert [story.flaps for story in stories] == [MOST_FLAPS, 1]


@pytest.mark.parametrize(("gap", "incidents"), [(30, 1), (30.01, 2)])
def test_what_begins_again_within_the_flap_time_is_the_same_incident(gap: float, incidents: int) -> None:
    lines = [line("firing", 0, "a"), line("over", 10, "a"), line("firing", 10 + gap, "b")]
    assert len(timeline(lines)) == incidents


def test_the_end_of_what_was_never_begun_is_a_resolved_incident_with_an_unknown_beginning() -> None:
    [story] = timeline([line("over", 5, "a")])
    assert (story.status, story.opened_at, story.steps[0].effect) == (Status.RESOLVED, None, Effect.RECORDED)


def test_a_beginning_heard_late_is_filled_in_and_does_not_reopen() -> None:
    [story] = timeline([line("over", 5, "a"), line("firing", 0, "a")])
    assert (story.status, story.opened_at) == (Status.RESOLVED, START)


def test_the_end_of_a_past_cycle_does_not_end_the_one_that_followed() -> None:
    assert effects(line("firing", 0, "a"), line("firing", 5, "b"), line("over", 6, "a")) == [
        ["opened", "updated", "noted"]
    ]


def test_cycles_that_meet_in_one_moment_leave_the_later_one_open() -> None:
    [story] = timeline([line("firing", 0, "a"), line("over", 5, "a"), line("firing", 5, "b")])
    assert story.status is Status.OPEN


def test_the_end_of_a_later_cycle_whose_beginning_was_missed_ends_it_all() -> None:
    assert effects(line("firing", 0, "a"), line("over", 5, "b")) == [["opened", "resolved"]]


def test_a_straggler_of_a_cycle_that_has_ended_does_not_reopen() -> None:
    assert effects(line("firing", 0, "a"), line("over", 5, "a"), line("repeated", 5.1, "a")) == [
        ["opened", "resolved", "noted"]
    ]


def test_another_end_much_later_is_another_incident_whose_beginning_was_missed() -> None:
    assert effects(line("firing", 0, "a"), line("over", 5, "a"), line("over", 90, "b")) == [
        ["opened", "resolved"],
        ["recorded"],
    ]


def test_an_acknowledged_incident_stays_so_while_it_is_told_again_and_begins_anew_when_it_flaps() -> None:
    lines = [line("firing", 0, "a"), line("acknowledged", 3, placed=0, by="USR-1"), line("repeated", 10, "a")]
    [story] = timeline(lines)
    assert (story.status, story.acknowledged_by) == (Status.ACKNOWLEDGED, "USR-1")
    [story] = timeline([*lines, line("over", 12, "a"), line("firing", 13, "b")])
    assert (story.status, story.acknowledged_by, story.flaps) == (Status.OPEN, None, 1)


RESOLVED = (line("firing", 0, "a"), line("resolved", 15, placed=0, by="USR-1"))


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (line("repeated", 20, "a"), [["opened", "resolved", "noted"]]),
        (line("repeated", 20), [["opened", "resolved", "noted"]]),
        (line("firing", 20, "a"), [["opened", "resolved", "noted"]]),
        (line("firing", 20, "b"), [["opened", "resolved", "reopened"]]),
        (line("repeated", 20, "b"), [["opened", "resolved", "reopened"]]),
        (line("firing", 20), [["opened", "resolved", "reopened"]]),
        (line("firing", 46, "b"), [["opened", "resolved"], ["opened"]]),
        (line("over", 20, "a"), [["opened", "resolved", "noted"]]),
    ],
)
def test_what_was_resolved_by_hand_is_reopened_by_a_new_cycle_alone(later: Line, expected: list[list[str]]) -> None:
    assert effects(*RESOLVED, later) == expected


def test_what_was_resolved_by_hand_and_is_then_over_flaps_from_the_vendors_end() -> None:
    end = [line("repeated", 100, "a"), line("over", 120, "a")]
    assert effects(*RESOLVED, *end, line("firing", 140, "b")) == [["opened", "resolved", "noted", "noted", "reopened"]]


def test_what_changed_is_told_and_the_newest_words_are_shown() -> None:
    [story] = timeline([line("firing", 0, severity="medium"), line("repeated", 5, severity="critical", title="Mem")])
    assert (story.shown.severity, story.steps[1].changed) == ("critical", ("severity", "title"))
    [story] = timeline([line("firing", 0), line("over", 5, title="[Recovered] CPU")])
    assert story.shown.title == "CPU"


CYCLES = st.sampled_from([None, "a", "b", "c"])
ALERTS = st.builds(
    line,
    st.sampled_from(["firing", "repeated", "over"]),
    st.integers(0, 24).map(lambda n: n * 10),
    CYCLES,
    severity=st.sampled_from(["high", "low"]),
)


@given(st.lists(ALERTS, max_size=12), st.randoms(use_true_random=False))
def test_order_and_doubling_change_nothing(lines: list[Line], chance: random.Random) -> None:
    heard = [*lines, *(chance.choice(lines) for _ in lines)]
    chance.shuffle(heard)
    assert told(timeline(heard)) == told(timeline(lines))


@given(st.lists(ALERTS, max_size=12))
def test_every_line_is_in_one_incident_and_only_the_last_incident_goes_on(lines: list[Line]) -> None:
    stories = timeline(lines)
    kept = [step.line.key for story in stories for step in story.steps]
    assert sorted(kept) == sorted({each.key for each in lines})
    assert all(not story.going for story in stories[:-1])
    for before, after in pairwise(stories):
        assert before.watermark <= after.steps[0].line.placed_at


@given(st.lists(ALERTS, max_size=12))
def test_an_incident_alone_reads_as_it_does_among_the_others(lines: list[Line]) -> None:
    for story in timeline(lines):
        assert told(timeline(step.line for step in story.steps)) == told([story])
