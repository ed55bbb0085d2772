"""What users of other tools reported, as schedules of their own: each must come to rest with nothing lost."""

from __future__ import annotations

import pytest

from simulation.run import run
from simulation.schedule import Conditions, Interrupt, Step
from simulation.schedule import Schedule as Drawn
from simulation.sides import SIDES, side
from simulation.stage import Stage
from simulation.world import World

BACKLOG, IN_PROGRESS, IN_REVIEW, DONE, CANCELLED = range(5)
NOBODY, ANN, BOB = range(3)
TODO_THERE, DOING_THERE, REVIEW_THERE, QA_THERE, CLOSED_THERE, DROPPED_THERE = range(6)


@pytest.fixture(scope="module", params=SIDES)
def stage(request: pytest.FixtureRequest) -> Stage:
    return Stage(side(request.param))


@pytest.fixture(scope="module")
def toy() -> Stage:
    return Stage(side("toy"))


def here(field: str, value: str | int, wait: float = 0, slot: int = 0) -> Step:
    return Step("here_edit", slot, field, value, wait)


def there(field: str, value: str | int, wait: float = 0, slot: int = 0) -> Step:
    return Step("there_edit", slot, field, value, wait)


def push(*interrupts: Interrupt, wait: float = 0) -> Step:
    return Step("push", wait=wait, interrupts=interrupts)


def while_(where: str, nth: int, *then: Step, seconds: float = 0) -> Interrupt:
    return Interrupt(where, nth, "pause", seconds, then)


def writing(stage: Stage) -> int:
    """At which call of a push a title is written: the toy looks first."""
    return 1 if stage.vendor.name == "toy" else 0


def ends_well(stage: Stage, *steps: Step, **conditions: object) -> World:
    """Play the steps; nothing may be wrong. Returns the world, which is still standing."""
    schedule = Drawn(0, Conditions(**conditions), steps)  # type: ignore[arg-type]  # each test names its own
    worlds: list[World] = []
    result = run(stage, schedule, story=True, seen=worlds.append)
    assert not result.violations, "\n".join([*result.violations, *result.story])
    return worlds[0]


def task(world: World, column: str) -> str | None:
    [(value,)] = world.rows(f"SELECT {column} FROM task ORDER BY id LIMIT 1")
    return value


def item(world: World, field: str) -> str | None:
    return next(iter(world.vendor.items().values())).values[field]


HEAR, POLL, DELIVER, DROP = Step("hear"), Step("poll"), Step("deliver"), Step("drop")


def test_a_close_retried_after_a_reopen_does_not_close_again(stage: Stage) -> None:
    close_unanswered = push(Interrupt("after_call", 1, "cut"))
    world = ends_well(
        stage,
        here("status", DONE),
        close_unanswered,
        here("status", IN_PROGRESS, wait=60),
        push(wait=60),
    )
    assert task(world, "status") == item(world, "status") == "in_progress"


def test_a_close_whose_answer_was_lost_does_not_undo_a_reopen_there(toy: Stage) -> None:
    world = ends_well(
        toy,
        here("status", DONE),
        push(Interrupt("after_call", 1, "cut")),
        HEAR,
        there("status", DOING_THERE, wait=30),
        push(wait=60),
    )
    assert task(world, "status") == item(world, "status") == "in_progress"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_assigned_and_unassigned_arrive_in_either_order(stage: Stage, order: tuple[int, int]) -> None:
    first, second = order
    world = ends_well(
        stage,
        there("assignee", ANN),
        there("assignee", NOBODY, wait=1),
        Step("deliver_one", first),
        Step("drain"),
        Step("deliver_one", second),
        Step("drain"),
    )
    assert task(world, "assignee_id") is None
    assert item(world, "assignee") is None


def test_quick_changes_of_the_assignee_on_both_sides_come_to_rest(stage: Stage) -> None:
    steps = []
    for number in range(4):
        steps += [here("assignee", 1 + number % 2, wait=1), push(), there("assignee", 1 + (number + 1) % 2, wait=1)]
        steps += [DELIVER, Step("drain")]
    world = ends_well(stage, *steps)
    assert item(world, "assignee") is not None


def test_done_and_reopened_at_once_is_reopened(stage: Stage) -> None:
    world = ends_well(stage, here("status", DONE), here("status", IN_PROGRESS, wait=1), push())
    assert item(world, "status") == "in_progress"


def test_reopened_while_done_is_being_written_is_reopened(stage: Stage) -> None:
    reopened = while_("before_call", 1, here("status", IN_PROGRESS), seconds=1)
    world = ends_well(stage, here("status", DONE), push(reopened), HEAR)
    assert task(world, "status") == item(world, "status") == "in_progress"


def test_an_edit_survives_although_the_echo_of_the_one_before_overtakes_its_answer(stage: Stage) -> None:
    world = ends_well(
        stage,
        here("title", "First"),
        push(
            while_("before_call", writing(stage), here("title", "Second"), seconds=1),
            while_("after_call", writing(stage), HEAR, seconds=1),
        ),
    )
    assert task(world, "title") == item(world, "title") == "Second"


def test_a_later_edit_there_survives_a_write_that_lands_on_it_without_an_answer(toy: Stage) -> None:
    heard = while_("after_call", 0, there("title", "Theirs"), Step("hear"), Step("tick"))
    world = ends_well(
        toy, here("title", "Ours", wait=5), push(heard, Interrupt("before_commit", 5, "crash")), Step("drop")
    )
    assert task(world, "title") == item(world, "title") == "Theirs"


def test_a_write_without_an_answer_is_known_as_ours_however_late_the_next_one_goes_out(toy: Stage) -> None:
    cut = Interrupt("after_call", 1, "cut")
    world = ends_well(toy, here("title", "One"), push(cut), here("title", "Two"), push(wait=10_800))
    assert task(world, "title") == item(world, "title") == "Two"
    assert world.rows("SELECT there FROM conflict") == []


def test_a_value_that_lost_while_ours_was_being_written_is_lost_once(toy: Stage) -> None:
    heard = while_("after_call", 0, Step("hear"))
    found = while_("after_call", 1, Step("poll"))
    world = ends_well(toy, there("title", "Theirs", wait=1), here("title", "Ours", wait=10_800), push(heard, found))
    assert task(world, "title") == item(world, "title") == "Ours"
    assert world.rows("SELECT there FROM conflict") == [("Theirs",)]


def test_an_archived_item_is_not_brought_back_by_a_done(toy: Stage) -> None:
    world = ends_well(toy, Step("there_delete"), here("status", DONE), push(), DELIVER, Step("drain"))
    assert world.vendor.items() == {}
    assert world.rows("SELECT state FROM binding") == [("ended",)]


def test_an_item_that_is_restored_is_tied_to_its_old_task_again(toy: Stage) -> None:
    world = ends_well(toy, Step("there_delete"), HEAR, here("title", "Meanwhile"), Step("there_restore", wait=60), HEAR)
    assert task(world, "title") == item(world, "title") == "Meanwhile"
    assert task(world, "status") == "backlog"


def test_a_late_message_does_not_bring_back_what_was_deleted(stage: Stage) -> None:
    world = ends_well(
        stage,
        there("title", "Late"),
        Step("there_delete"),
        Step("deliver_one", 1),
        Step("drain"),
        DELIVER,
        Step("drain"),
    )
    assert world.rows("SELECT state FROM binding") == [("ended",)]


def test_the_answer_to_a_write_does_not_bring_back_what_was_deleted_since(stage: Stage) -> None:
    gone = while_("after_call", writing(stage), Step("there_delete"), HEAR, seconds=1)
    world = ends_well(stage, here("title", "New"), push(gone))
    assert world.rows("SELECT state FROM binding") == [("ended",)]


def test_an_item_restored_while_its_end_was_being_written_down_stays_tied(toy: Stage) -> None:
    restored = while_("after_call", 0, Step("there_restore"), DROP, Step("sync"))
    world = ends_well(toy, Step("there_delete"), DELIVER, Step("drain", interrupts=(restored,)))
    assert world.rows("SELECT state FROM binding") == [("bound",)]
    assert task(world, "status") == "backlog"


def test_an_item_born_and_deleted_before_anybody_looked_leaves_no_task_behind(stage: Stage) -> None:
    world = ends_well(
        stage,
        Step("there_create", 0, "title", "Brief"),
        Step("there_delete"),
        Step("deliver_one", 1),
        Step("drain"),
        DELIVER,
        Step("drain"),
        bound=False,
    )
    assert world.rows("SELECT count(*) FROM task") == [(0,)]


def test_a_deletion_nobody_told_us_of_is_found_by_the_sweep(stage: Stage) -> None:
    world = ends_well(stage, Step("there_delete"), DROP)
    assert world.rows("SELECT state FROM binding") == [("ended",)]


def test_two_webhooks_at_the_same_time_make_one_task(stage: Stage) -> None:
    world = ends_well(
        stage,
        Step("there_create", 0, "title", "New"),
        Step("double"),
        DELIVER,
        Step("drain", interrupts=(while_("after_call", 0, Step("drain"), POLL, seconds=70),)),
    )
    assert world.rows("SELECT count(*) FROM task WHERE title = 'New'") == [(1,)]


def test_a_webhook_for_an_item_of_ours_that_overtakes_its_answer_makes_no_second_task(stage: Stage) -> None:
    world = ends_well(
        stage, Step("here_create", 0, "title", "Ours"), push(while_("after_call", 0, HEAR, POLL)), bound=False
    )
    assert world.rows("SELECT count(*) FROM task") == [(1,)]
    assert len(world.vendor.items()) == 1


@pytest.mark.parametrize("crash", ["before_call", "after_call", "before_commit", "after_commit"])
@pytest.mark.parametrize("nth", range(8))
def test_a_crash_anywhere_in_a_creation_makes_one_item(stage: Stage, crash: str, nth: int) -> None:
    world = ends_well(
        stage, Step("here_create", 0, "title", "Once"), push(Interrupt(crash, nth, "crash")), bound=False, lag=20
    )
    assert len(world.vendor.items()) == 1


def test_an_item_that_changes_again_and_again_is_caught_by_polling_alone(stage: Stage) -> None:
    steps = []
    for number in range(6):
        steps += [there("title", f"T{number}", wait=50), DROP, POLL]
    world = ends_well(stage, *steps, page=1, lag=20)
    assert task(world, "title") == "T5"


@pytest.mark.parametrize("skew", [-7200, -300, 300, 7200])
def test_a_vendor_whose_clock_is_wrong_loses_nothing(stage: Stage, skew: int) -> None:
    world = ends_well(
        stage,
        there("title", "T1"),
        POLL,
        here("title", "H2", wait=30),
        push(),
        there("priority", 3, wait=5),
        DROP,
        skew=skew,
    )
    assert task(world, "title") == item(world, "title") == "H2"


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_the_later_edit_wins_whatever_the_clocks_say(stage: Stage, skew: int) -> None:
    world = ends_well(stage, POLL, there("title", "Earlier"), here("title", "Later", wait=60), HEAR, push(), skew=skew)
    assert task(world, "title") == item(world, "title") == "Later"


def test_a_moved_item_keeps_its_task_under_its_new_key(stage: Stage) -> None:
    world = ends_well(stage, Step("there_move"), here("title", "Moved"), push(), DROP)
    (moved,) = world.vendor.items().values()
    assert task(world, "external_id") == moved.key
    assert moved.values["title"] == "Moved"


def test_unassigning_is_written_as_nobody(stage: Stage) -> None:
    world = ends_well(stage, here("assignee", BOB), push(), here("assignee", NOBODY, wait=5), push())
    assert item(world, "assignee") is None


def test_a_status_of_the_same_meaning_is_left_alone(toy: Stage) -> None:
    ends_well(toy, there("status", QA_THERE), HEAR, here("title", "Renamed"), push())
    assert [item.state for item in toy.vendor.toy.items.values()] == ["qa"]  # type: ignore[attr-defined]
