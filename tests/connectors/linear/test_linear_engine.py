"""The connector on the real engine and front door, beside a Linear whose people do as they like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.kit.bench import Moment
from connectors.linear import LinearConnector
from simulation.bench import EngineBench, trial_of
from simulation.run import run, run_many, seeds_of
from simulation.schedule import Conditions, Interrupt, Schedule, Step
from simulation.sides import side
from simulation.stage import Stage


@pytest.fixture
def bench() -> Iterator[Any]:
    opened = trial_of(LinearConnector).open_bench
    assert opened is not None
    with opened() as made:
        assert isinstance(made, EngineBench)
        yield made


def state(bench: Any) -> tuple[str, str]:
    [binding], [task] = bench.bindings(), bench.tasks()
    return binding["state"], task["status"]


@pytest.mark.parametrize("trash_as", ["remove", "update"])
def test_a_late_message_does_not_bring_back_what_was_trashed(bench: Any, trash_as):
    bench.vendor.sandbox.settings.trash_as = trash_as
    bench.vendor.edit(0, "title", "Told late")
    late = bench.arriving()
    bench.vendor.delete(0)
    bench.hear()
    assert state(bench) == ("ended", "cancelled")
    bench.knock(late)
    bench.drain()
    assert state(bench) == ("ended", "cancelled")
    bench.vendor.restore()
    bench.hear()
    assert bench.bindings()[0]["state"] == "bound"
    assert bench.tasks()[0]["title"] == "Told late"


def test_a_message_of_an_hour_ago_is_not_applied_but_has_the_issue_read_again(bench: Any):
    bench.vendor.edit(0, "title", "Old news")
    late = bench.arriving()
    bench.wait(3600)
    bench.vendor.edit(0, "title", "Nobody told")
    bench.arriving()
    bench.knock(late)
    bench.vendor.calls.reset()
    bench.drain()
    assert bench.tasks()[0]["title"] == "Nobody told"
    assert "Old news" not in str(bench.history())
    assert [call.operation for call in bench.vendor.calls.records()] == ["Changed"]


def test_a_webhook_that_linear_turned_off_is_on_again_within_the_hour_and_nothing_is_missed(bench: Any):
    hooks = bench.vendor.sandbox.hooks
    for hook in hooks.live():
        hooks.change(hook.id, enabled=False)
    bench.vendor.edit(0, "title", "While it was off")
    assert bench.arriving() == []
    bench.wait(3700)
    bench.tick()
    bench.tick()
    assert all(hook.enabled for hook in hooks.live())
    assert bench.tasks()[0]["title"] == "While it was off"
    bench.vendor.edit(0, "title", "Told again")
    assert len(bench.arriving()) == 1


def test_an_issue_heard_of_before_its_creation_was_answered_becomes_no_second_task(bench: Any):
    bench.create("Made here")
    bench.push(Moment("after_call", 1))
    bench.hear()
    assert [task["title"] for task in bench.tasks()] == ["T0", "Made here"]
    assert [binding["state"] for binding in bench.bindings()] == ["bound", "bound"]
    assert len(bench.vendor.items()) == 2


def test_an_edit_made_while_an_update_was_on_its_way_is_in_the_history(bench: Any):
    bench.edit("title", "Ours")
    bench.push(Moment("before_call", 0, "pause", (("there_edit", 0),)))
    assert [item.values["title"] for item in bench.vendor.items().values()] == ["Ours"]
    assert [line["old"] for line in bench.history() if line["kind"] != "change"] == ["Meanwhile 0"]
    assert bench.rest() == []


def test_connecting_another_person_of_the_same_workspace_is_refused(bench: Any):
    tokens = bench.vendor.sandbox.grant(who="Ann Archer")
    made = bench.connect({"access_token": tokens["access_token"]})
    assert made.http == 409
    assert "already connects" in made.text


def test_no_edit_is_lost_and_nothing_is_doubled_whatever_happens():
    report = run_many("linear", seeds_of(42, 40))
    assert not report.failures, "\n".join(report.as_lines())
    assert report.disturbances > 10


def test_what_was_trashed_before_its_creation_was_confirmed_and_only_named_late_is_made_again():
    died, deleted = Interrupt("after_call", 1, "crash"), Step("there_delete", 3)
    looking = Interrupt("before_call", 0, "pause", 0, (deleted,))
    steps = (
        Step("here_create", 0, "title", "First"),
        Step("push", interrupts=(died,)),
        Step("here_create", 0, "title", "Second", wait=65),
        Step("push", interrupts=(looking,)),
    )
    played = run(Stage(side("linear")), Schedule(0, Conditions(), steps))
    assert (played.violations, played.writes) == ((), 3)
