"""Quiet: people stop, failures end, what is under way arrives, and the workers go on until there is nothing to do."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.errors import PlatformError
from core.models import Integration
from simulation.schedule import Conditions, Step
from simulation.world import World, moment
from sync import integrations

MOST_ROUNDS = 60
"""Looks for work until a world must have come to rest; a few are the rule."""

LEASE = timedelta(seconds=61)
"""A dead worker's lease ends after it."""


class Unrest(Exception):
    """A world that does not come to rest."""


def come_to_rest(world: World) -> None:
    """Let a world come to rest, then tell it everything once more. Raises Unrest."""
    world.vendor.calm()
    world.down_until = world.clock()
    world.tell("quiet")
    # Where webhooks tell everything, every second world is left without a poll that would put things right.
    polled = not (world.needs_poll or world.schedule.seed % 2)
    for _ in range(MOST_ROUNDS):
        world.deliver(Step("deliver"))
        work = _due(world)
        if work is not None:
            _do(world, work)
        elif not polled or _unfinished(world):
            polled = _poll(world)
        elif world.needs_sweep:
            _sweep(world)
        else:
            return
    raise Unrest(f"still at work after {MOST_ROUNDS} rounds: {_due(world) or 'polling fails'}")


def tell_again(world: World) -> None:
    """Every delivery once more, long after all is settled."""
    world.clock.advance(120)
    if world.replay_all():
        world.take(Step("drain"))
    if world.rows("SELECT 1 FROM binding WHERE owed AND state != 'ended'"):
        world.take(Step("push"))
    if _unfinished(world):  # the tokens had been lost, and nobody had needed them since
        come_to_rest(world)


def _due(world: World) -> tuple[str, datetime] | None:
    """The next work of the inbox or the push lane and its time."""
    (status, push_at, inbox_at) = world.rows("SELECT status, next_push_at, next_inbox_at FROM integration")[0]
    if status != "active":
        return None
    [(told,)] = world.rows("SELECT min(next_attempt_at) FROM delivery WHERE state = 'pending'")
    [(owed,)] = world.rows(
        "SELECT min(next_attempt_at) FROM binding WHERE owed AND failed_at IS NULL AND state != 'ended'"
    )
    due = []
    if told is not None:
        due.append((max(told, inbox_at or told), "drain"))
    if owed is not None:
        due.append((max(owed, push_at or owed), "push"))
    if not due:
        return None
    at, lane = min(due)
    return lane, moment(at)


def _unfinished(world: World) -> bool:
    """Whether a run is open, or the integration waits for a person."""
    open_runs = world.rows("SELECT 1 FROM sync_run WHERE status = 'running'")
    return bool(open_runs) or world.rows("SELECT status FROM integration") != [("active",)]


def _do(world: World, work: tuple[str, datetime]) -> None:
    lane, at = work
    _pass(world, at)
    world.take(Step(lane))
    if _due(world) == work:  # another worker's lease, or one that died with it
        _pass(world, world.clock() + LEASE)


def _poll(world: World) -> bool:
    """One pull to its end. False: it has to be tried again."""
    [(status, at)] = world.rows("SELECT status, next_pull_at FROM integration")
    if status == "error":
        _consent(world)
        return False
    _pass(world, moment(at))
    before = world.rows("SELECT max(id) FROM sync_run")
    world.take(Step("poll"))
    [(newest, run_status)] = world.rows("SELECT id, status FROM sync_run ORDER BY id DESC LIMIT 1") or [("", "")]
    done: bool = run_status == "success" and (newest,) not in before
    if not done and world.rows("SELECT next_pull_at FROM integration") == [(at,)]:
        _pass(world, world.clock() + LEASE)  # another worker has it, or one that died with it
    return done


def _sweep(world: World) -> None:
    """Nobody was told of a deletion: the next sweep finds it."""
    [(at,)] = world.rows("SELECT next_sweep_at FROM integration")
    _pass(world, moment(at))
    world.take(Step("poll"))
    swept = world.rows("SELECT status FROM sync_run WHERE kind = 'sweep' ORDER BY id DESC LIMIT 1")
    world.needs_sweep = swept != [("success",)]


def _consent(world: World) -> None:
    """The operator sees that consent is needed, and gives it."""
    world.tell("consent is given again")
    world.consents += 1
    with world.stage.database.read() as session:
        integration = session.get_one(Integration, world.integration_id)
    actor = world.beginning.tenant.people["ann"]
    given = world.vendor.consent() if world.schedule.conditions.oauth else world.vendor.credentials(Conditions())
    try:
        integrations.update(world.stage.runtime, integration, actor=actor, token_id=None, credentials=given)
    except PlatformError as error:
        world.tell(f"refused: {error}")


def _pass(world: World, until: datetime) -> None:
    world.clock.now = max(world.clock.now, until)
