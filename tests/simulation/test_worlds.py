"""Schedules from fixed seeds end well, and the simulator itself can be trusted: it is deterministic and explains."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

import sync.scope
from cli.main import app
from simulation.machine import VirtualClock
from simulation.report import Report
from simulation.run import explained, run, run_many, seeds_of
from simulation.schedule import Conditions, Interrupt, Schedule, Step, draw
from simulation.shrink import shrink
from simulation.sides import side
from simulation.stage import Stage
from simulation.world import World
from sync.writes import Writer


@pytest.mark.parametrize(("vendor", "schedules"), [("toy", 200), ("jira", 20), ("clickup", 20)])
def test_no_edit_is_lost_nothing_is_doubled_and_all_comes_to_rest(vendor: str, schedules: int) -> None:
    report = run_many(vendor, seeds_of(42, schedules))
    assert not report.failures, "\n".join(report.as_lines())
    assert report.schedules == schedules
    assert report.edits > schedules
    assert report.disturbances > schedules / 4


def test_a_seed_always_tells_the_same_story() -> None:
    stories = [run(Stage(side("toy")), draw(seed), story=True) for seed in (5, 6, 5)]
    assert stories[0] == stories[2]
    assert stories[0] != stories[1]


def test_a_wait_shorter_than_the_clocks_step_ends() -> None:
    clock = VirtualClock()
    before = clock()
    clock.advance(1e-9)
    assert clock() > before
    clock.advance(0)
    assert clock() - before == timedelta.resolution


def test_an_edit_that_no_client_could_notice_is_excused_and_no_other() -> None:
    """ClickUp: a title set between our look (call 0 of the push) and our write (call 1), and before both."""
    stage = Stage(side("clickup"))
    for nth, where, excused in ((1, "before_call", 1), (0, "after_call", 1), (0, "before_call", 0)):
        meanwhile = Interrupt(where, nth, "pause", 0, (Step("there_edit", 0, "title", "T1"),))
        ours = Step("here_edit", 0, "title", "H1")
        worlds: list[World] = []
        result = run(
            stage, Schedule(0, Conditions(), (ours, Step("push", interrupts=(meanwhile,)))), seen=worlds.append
        )
        assert not result.violations
        changes = [change.after.values["title"] for change in worlds[0].vendor.journal() if change.after]
        assert (changes[-2:] == ["T1", "H1"]) == bool(excused)


@pytest.mark.parametrize("vendor", ["toy", "jira", "linear", "clickup", "azure_boards"])
def test_what_was_played_before_does_not_matter(vendor: str) -> None:
    stage = Stage(side(vendor))
    for seed in range(100, 110):
        run(stage, draw(seed))
    for seed in (5, 104):  # one begins as none before it, the other has been played
        again, anew = (run(one, draw(seed), story=True) for one in (stage, Stage(side(vendor))))
        assert [_without_chance(line) for line in again.story] == [_without_chance(line) for line in anew.story]
        assert replace(again, story=()) == replace(anew, story=())


def _without_chance(line: str) -> str:
    """An id that the engine chose, as Linear lets it: the only thing in a story that the seed does not say."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", line)


def test_every_decision_can_be_made_again_from_what_led_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = sync.scope.reconcile

    def recorded(*args, **named):
        decision = real(*args, **named)
        made.append((args, named, decision))
        return decision

    monkeypatch.setattr(sync.scope, "reconcile", recorded)
    run_many("toy", seeds_of(43, 60))
    assert len(made) > 50
    assert all(real(*args, **named) == decision for args, named, decision in made)


def test_starts_do_not_share_their_schedules() -> None:
    assert set(seeds_of(1, 1000)).isdisjoint(seeds_of(2, 1000))


def test_a_failing_schedule_is_made_small_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Writer, "_surely_absent", lambda *_: True)
    lost = Interrupt("after_call", 0, "cut")
    padding = (Step("poll"), Step("there_edit", 0, "title", "T1"), Step("hear", wait=5))
    steps = (*padding, Step("here_create", 0, "title", "Twice"), Step("push", interrupts=(lost,)), Step("drop", 1))
    steps = (*steps, Step("push", wait=400), *padding)
    stage = Stage(side("toy"))
    failure = run(stage, Schedule(0, Conditions(page=2, skew=3), steps))
    small = explained(stage, failure)
    assert any(found.startswith("created_once") for found in small.violations)
    assert {step.do for step in small.schedule.steps} <= {"here_create", "push", "drop"}
    assert small.schedule.conditions == Conditions()
    assert any("cut" in line for line in small.story)
    told = "\n".join(Report("toy", failures=[small]).as_lines())
    assert "wrong: created_once" in told


def test_shrinking_stops_at_what_is_needed() -> None:
    steps = tuple(Step("drain", slot, wait=5) for slot in range(9))
    small = shrink(Schedule(1, Conditions(), steps), lambda schedule: sum(s.slot for s in schedule.steps) >= 8)
    assert [(step.slot, step.wait) for step in small.steps] == [(8, 0)]


def test_the_command_reports_for_scripts() -> None:
    result = CliRunner().invoke(app, ["simulate", "--schedules", "20", "--seed", "3", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["schedules"], report["violations"], report["failures"]) == (20, 0, [])


def test_the_command_tells_the_story_of_one_schedule() -> None:
    result = CliRunner().invoke(app, ["simulate", "--schedule", "3000004"])
    assert result.exit_code == 0, result.output
    assert "quiet" in result.stdout
    assert "0 violations" in result.stdout
