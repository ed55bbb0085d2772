"""The simulator can fail: every bug planted here is found within a few hundred schedules."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import select, update

import sync.apply
import sync.inbound
import sync.leases
import sync.pull
import sync.push
import sync.scope
import sync.writes
from core.models import Binding, Delivery, Integration, Task
from simulation.run import run
from simulation.schedule import Conditions, Interrupt, Schedule, Step, draw
from simulation.stage import Stage
from simulation.toy import ToyConnector
from simulation.toyside import ToySide
from sync.leases import Lease
from sync.push import _Pusher
from sync.scope import local_of
from sync.writes import Writer

FIRST = 7_000_000
Patch = Callable[[pytest.MonkeyPatch], None]


def drop_the_watermark(patch: pytest.MonkeyPatch) -> None:
    """A state older than one already seen is applied."""
    real = sync.scope.reconcile
    patch.setattr(sync.scope, "reconcile", lambda *args, watermark=0: real(*args, watermark=0))


def skip_the_marker_search(patch: pytest.MonkeyPatch) -> None:
    """After an unclear creation the item is simply created again."""
    patch.setattr(Writer, "_surely_absent", lambda *_: True)


def believe_one_search(patch: pytest.MonkeyPatch) -> None:
    """A marker that is not found at once counts as absent, though the vendor's search lags."""
    patch.setattr(sync.writes, "SEARCHES", 0)
    patch.setattr(ToyConnector, "manifest", replace(ToyConnector.manifest, create_settle=timedelta(0)))


def move_the_cursor_early(patch: pytest.MonkeyPatch) -> None:
    """The cursor moves before the page is stored."""
    real = sync.pull._store

    def store(rt, lease, session, scope, run_id, pages):
        with rt.db.write() as db:
            lease.guard(db)
            db.execute(update(Integration).values(cursor=pages[-1].cursor))
        real(rt, lease, session, scope, run_id, pages)

    patch.setattr(sync.pull, "_store", store)


def acknowledge_before_the_effect(patch: pytest.MonkeyPatch) -> None:
    """Deliveries are done when they are taken, not when what they say is committed."""
    real = sync.inbound._claim

    def claim(rt, lease, integration_id):
        batch = real(rt, lease, integration_id)
        with rt.db.write() as db:
            db.execute(update(Delivery).where(Delivery.id.in_([one.id for one in batch])).values(state="done"))
        return batch

    patch.setattr(sync.inbound, "_claim", claim)


def drop_fencing(patch: pytest.MonkeyPatch) -> None:
    """A worker that wakes up late writes as if it still had its lease."""
    patch.setattr(Lease, "guard", lambda *_: None)


def two_holders_of_one_lease(patch: pytest.MonkeyPatch) -> None:
    """A lease is given to whoever asks."""
    real = sync.leases._take

    def take(runtime, name):
        with runtime.db.write() as db:
            db.execute(update(sync.leases.LeaseRow).where(sync.leases.LeaseRow.name == name).values(holder=None))
        return real(runtime, name)

    patch.setattr(sync.leases, "_take", take)


def apply_messages_without_their_version(patch: pytest.MonkeyPatch) -> None:
    """What a delivery says is taken for the newest state, in whatever order deliveries come."""
    real = sync.inbound.read

    def read(one, session):
        real(one, session)
        one.snapshots = [replace(task, version=task.version + 1_000) for task in one.snapshots]

    patch.setattr(sync.inbound, "read", read)


def believe_messages_of_what_is_gone(patch: pytest.MonkeyPatch) -> None:
    """A late message brings back what was deleted."""
    patch.setattr(sync.apply, "_doubtful", lambda *_: False)


def take_an_echo_for_a_change(patch: pytest.MonkeyPatch) -> None:
    """Our own write, seen before its answer, is taken for somebody's edit there."""
    patch.setattr(sync.writes, "with_sent", lambda base, *_: base)


def settle_against_what_the_task_says_now(patch: pytest.MonkeyPatch) -> None:
    """An edit made during a write is held to be written."""
    real = Writer.settle

    def settle(self, debt, owed, written, refused):
        with self.rt.db.read() as db:
            now = local_of(db.get_one(Task, debt.task.id)).values
        return real(self, debt, {name: now[name] for name in owed}, written, refused)

    patch.setattr(Writer, "settle", settle)


def forget_what_a_write_replaced(patch: pytest.MonkeyPatch) -> None:
    """A value there that nobody here had seen is written over without a trace."""
    patch.setattr(Writer, "_record_overwritten", lambda *_: None)


def forget_to_count_attempts(patch: pytest.MonkeyPatch) -> None:
    """What fails is due again at once, for ever, and the lane is not closed either: one of the two would do."""
    patch.setattr(sync.push, "TRIPS_AT", 10**9)

    def claim(self):
        now = self.writer.rt.clock()
        with self.writer.rt.db.write() as db:
            return [row.id for row in db.execute(sync.push._due(self.writer.scope.integration_id, now))]

    patch.setattr(_Pusher, "claim", claim)


def forget_the_loser(patch: pytest.MonkeyPatch) -> None:
    """A value of the vendor's that lost a conflict is not written down."""
    patch.setattr("core.tasks.Ledger.lost", lambda *_: None)


def keep_the_old_base(patch: pytest.MonkeyPatch) -> None:
    """What both sides have agreed on is not remembered."""
    real = sync.scope.reconcile
    patch.setattr(
        sync.scope,
        "reconcile",
        lambda base, *args, watermark=0: replace(real(base, *args, watermark=watermark), base=base),
    )


def forget_that_something_is_owed(patch: pytest.MonkeyPatch) -> None:
    """A settled write clears the debt, whatever became of the task meanwhile."""
    real = Writer.settle

    def settle(self, debt, owed, written, refused):
        done = real(self, debt, owed, written, refused)
        with self.rt.db.write() as db:
            binding = db.scalars(select(Binding).where(Binding.id == debt.binding.id)).one()
            binding.owed = False
        return done

    patch.setattr(Writer, "settle", settle)


def believe_that_an_item_is_gone(patch: pytest.MonkeyPatch) -> None:
    """An item that was looked for in vain is ended, although it has come back since."""
    patch.setattr(sync.apply, "_may_be_back", lambda *_: False)


MUTATIONS: dict[Patch, int] = {
    drop_the_watermark: 254,
    skip_the_marker_search: 147,
    believe_one_search: 418,
    move_the_cursor_early: 541,
    acknowledge_before_the_effect: 84,
    drop_fencing: 808,
    two_holders_of_one_lease: 34,
    apply_messages_without_their_version: 254,
    believe_messages_of_what_is_gone: 588,
    take_an_echo_for_a_change: 4602,
    settle_against_what_the_task_says_now: 475,
    forget_what_a_write_replaced: 141,
    forget_to_count_attempts: 204,
    forget_the_loser: 141,
    keep_the_old_base: 87,
    forget_that_something_is_owed: 162,
}
"""The bugs, and after how many schedules from FIRST each was found when this was written; `python -m
tests.simulation.test_mutations` counts anew. The tests begin a little before that, to be quick."""

HEAD_START = 10
MOST = 2000
"""Schedules within which a bug must be found, wherever one begins."""


def schedules_until_found(stage: Stage, first: int) -> tuple[int, str] | None:
    """How many schedules it takes, and what was found."""
    for number in range(MOST):
        result = run(stage, draw(first + number))
        if result.violations:
            return number + 1, result.violations[0]
    return None


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(ToySide)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_planted_bug_is_found(mutation: Patch, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(stage, draw(FIRST)).violations == ()
    mutation(monkeypatch)
    assert schedules_until_found(stage, FIRST + max(MUTATIONS[mutation] - HEAD_START, 0)) is not None


def test_an_item_that_came_back_while_it_was_looked_for_is_missed_without_the_check(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too rare for chance: four things must happen within one call."""
    back = Interrupt("after_call", 0, "pause", 0, (Step("there_restore"), Step("drop"), Step("sync")))
    steps = (Step("there_delete"), Step("deliver"), Step("drain", interrupts=(back,)))
    assert run(stage, Schedule(1, Conditions(), steps)).violations == ()
    believe_that_an_item_is_gone(monkeypatch)
    assert run(stage, Schedule(1, Conditions(), steps)).violations


def _count_anew() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for mutation in MUTATIONS:
        with pytest.MonkeyPatch.context() as patch:
            stage = Stage(ToySide)
            mutation(patch)
            print(mutation.__name__, schedules_until_found(stage, FIRST), flush=True)


if __name__ == "__main__":
    _count_anew()
