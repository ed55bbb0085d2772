"""One world: a schedule played with the real engine, and the story of what happened in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from connectors.contract import RawDelivery, capabilities
from connectors.http import WireResponse
from core import tasks
from core.bulk import insert_new
from core.errors import PlatformError
from core.models import Delivery
from core.tasks import PRIORITIES, STATUSES, NewTask
from simulation.codeside import code_side
from simulation.machine import MOST_CALLS_OF_A_HISTORY, Process
from simulation.monitorside import watch_side
from simulation.schedule import Interrupt, Schedule, Step
from simulation.stage import Beginning, Stage
from sync import integrations
from sync.backfill import backfill
from sync.runtime import NEWS, Lane, Runtime
from sync.scheduler import tick
from sync.work import work

CALL_SECONDS = 0.05
"""What a call to the vendor takes."""

SAFE_PAUSE = 20
"""Seconds a process may stand still between announcing a write and the vendor taking it. A lease outlives a call that
times out (35 s); a process that slept longer just there would send what another one has already sent, and no vendor
without a version check could tell. What is proven here is everything short of that."""

COPY = "x-simulated-copy"
"""Header of a delivery that the vendor sent twice, as if under another id."""

COMING_UP = timedelta(minutes=10)
"""A poll due within this time is waited for."""

ASSIGNEES = (None, "ann", "bob", "carl")


@dataclass
class World:
    """The state of a play: the network's deliveries, what was disturbed, the story."""

    stage: Stage
    schedule: Schedule
    story: list[str] | None = None
    air: list[RawDelivery] = field(default_factory=list)
    needs_poll: bool = False
    needs_sweep: bool = False
    disturbances: int = 0
    token_trouble: bool = False
    faults: list[str] = field(default_factory=list)
    unsettled: set[int] = field(default_factory=set)
    consents: int = 0
    refusals: int = 0
    _workers: int = 0
    _copies: int = 0

    def __post_init__(self) -> None:
        self.beginning: Beginning = self.stage.begin(self.schedule.conditions)
        self.vendor = self.stage.vendor
        self.hears = "webhooks" in capabilities(self.stage.runtime.registry.get(self.vendor.name))
        self.clock = self.stage.clock
        self.integration_id = self.beginning.integration_id
        machine = self.stage.machine
        machine.running.clear()
        machine.happen = self._happen
        self.stage.transport.pass_time = lambda: self.clock.advance(CALL_SECONDS)
        self.stage.transport.down = self._down
        self.down_until = self.clock.now
        machine.note = self.tell if self.story is not None else lambda _text: None

    def play(self) -> None:
        """Everything the schedule says."""
        for step in self.schedule.steps:
            self.take(step)

    def tell(self, text: str) -> None:
        """A line of the story."""
        if self.story is not None:
            depth = len(self.stage.machine.running)
            self.story.append(f"{self.clock():%d %H:%M:%S}  {'  ' * depth}{text}")

    # --- steps ---

    def take(self, step: Step) -> None:
        """One step, as a process of its own where it runs our code."""
        if step.wait:
            self.clock.advance(step.wait)
        self.tell(str(step))
        there = _THERE.get(step.do)
        if there is not None:
            self._outside(lambda: there(self, step))
            return
        if step.do == "hear":
            self._outside(lambda: self.deliver(step))
        self._run(step.do, step.interrupts, lambda rt: _HERE[step.do](self, rt, step))
        self.air += self.vendor.sent()

    def _outside(self, work: Callable[[], None]) -> None:
        """What is no worker's doing, though one may be interrupted by it."""
        before = self.vendor.happened()
        with self.stage.machine.process(Process("outside")):
            work()
        self.air += self.vendor.sent()
        if not (self.hears and self.vendor.tells_deletions):
            self._unheard(before)

    def _unheard(self, before: int) -> None:
        """What happened there since then, and was told nobody: a poll finds it, and a sweep what was deleted."""
        for change in self.vendor.journal()[before:]:
            self.needs_poll |= not self.hears
            self.needs_sweep |= change.after is None

    def _run(self, name: str, interrupts: tuple[Interrupt, ...], work: Callable[[Runtime], object]) -> None:
        """Run our code as a process of its own."""
        self._workers += 1
        process = Process(f"{name}-{self._workers}", interrupts, self.vendor.happened())
        if name == "backfill":
            process.most_calls = MOST_CALLS_OF_A_HISTORY
        with self.stage.machine.process(process):
            try:
                work(self.stage.worker(process.name))
            except PlatformError as error:
                self.tell(f"refused: {error}")
            except Exception as error:  # a fault of ours is what is being looked for
                self.faults.append(f"{name} failed with {type(error).__name__}: {error}")
                self.tell(self.faults[-1])

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Rows of the database, read past the engine."""
        found: list[Any] = self.stage.database.driver.execute(sql, parameters).fetchall()
        return found

    # --- people here ---

    def here_create(self, rt: Runtime, step: Step) -> None:
        """A new task, in the mapping of one container or the other."""
        tenant = self.beginning.tenant
        new = NewTask(
            tenant.workspace.id,
            str(step.value),
            status=STATUSES[step.slot % 3],
            service_line_id=tenant.line_id,
            project_id=tenant.project_id if step.slot % 2 == 0 else None,
        )
        with rt.db.write() as session:
            tasks.create(session, new, actor=tenant.people["ann"], now=rt.clock())

    def here_edit(self, rt: Runtime, step: Step) -> None:
        """A field of a task."""
        found = self.rows("SELECT id FROM task ORDER BY id")
        if not found:
            return
        task_id = found[step.slot % len(found)][0]
        with rt.db.write() as session:
            tasks.change(session, task_id, self._here(step), actor=self.beginning.tenant.people["ann"], now=rt.clock())

    def _here(self, step: Step) -> Mapping[str, str | None]:
        match step.field:
            case "status":
                return {"status": STATUSES[int(step.value) % len(STATUSES)]}
            case "priority":
                return {"priority": PRIORITIES[int(step.value) % len(PRIORITIES)]}
            case "assignee":
                name = ASSIGNEES[int(step.value) % len(ASSIGNEES)]
                return {"assignee_id": self.beginning.tenant.people[name] if name else None}
        return {step.field: str(step.value)}

    # --- the network ---

    def deliver(self, step: Step) -> None:
        """Everything under way arrives, in order."""
        arriving, self.air = self.air + self.vendor.sent(), []
        self.arrive(arriving)

    def deliver_one(self, step: Step) -> None:
        """One delivery overtakes the others."""
        if self.air:
            self.arrive([self.air.pop(step.slot % len(self.air))])

    def drop(self, step: Step) -> None:
        """One delivery never arrives."""
        if self.air:
            raw = self.air.pop(step.slot % len(self.air))
            self.needs_poll = True
            self.needs_sweep |= self.vendor.tells_of_absence(raw)

    def double(self, step: Step) -> None:
        """One delivery will arrive twice, the second time under another id."""
        if self.air:
            raw = self.air[step.slot % len(self.air)]
            self._copies += 1
            self.air.append(replace(raw, headers={**raw.headers, COPY: str(self._copies)}))

    def replay(self, step: Step) -> None:
        """A delivery long dealt with is worked off once more."""
        done = self.rows("SELECT id FROM delivery WHERE state = 'done' ORDER BY id")
        if done:
            self._again([done[step.slot % len(done)][0]])

    def replay_all(self) -> bool:
        """Every delivery there ever was is worked off once more; whether there were any."""
        done = [id_ for (id_,) in self.rows("SELECT id FROM delivery WHERE state = 'done'")]
        self._again(done)
        return bool(done)

    def _again(self, ids: list[int]) -> None:
        now = self.clock().replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        change = "UPDATE delivery SET state = 'pending', attempts = 0, next_attempt_at = ? WHERE id = ?"
        for id_ in ids:
            self.rows(change, now, id_)

    def arrive(self, deliveries: list[RawDelivery]) -> None:
        """The front door: a committed row for each, once per delivery id."""
        rows = []
        for raw in deliveries:
            key = self.vendor.delivery_key(raw) + raw.headers.get(COPY, "")
            rows.append(
                {
                    "integration_id": self.integration_id,
                    "dedupe_key": f"{self.integration_id}:{key}",
                    "event": "simulated",
                    "headers": dict(raw.headers),
                    "body": raw.body,
                    "received_at": self.clock(),
                    "state": "pending",
                    "attempts": 0,
                    "next_attempt_at": self.clock(),
                }
            )
        if rows:
            with self.stage.database.write() as session:
                insert_new(session, Delivery.__table__, rows, key="dedupe_key")

    # --- workers ---

    def drain(self, rt: Runtime, _step: Step) -> None:
        """The inbox lane."""
        work(rt, Lane.INBOX, self.integration_id)

    def hear(self, rt: Runtime, _step: Step) -> None:
        """Deliveries have arrived, and the doorbell is heard."""
        work(rt, Lane.INBOX, self.integration_id)

    def push(self, rt: Runtime, _step: Step) -> None:
        """The push lane."""
        work(rt, Lane.PUSH, self.integration_id)

    def poll(self, rt: Runtime, _step: Step) -> None:
        """The pull lane; one that is coming up is waited for, unless others are at work."""
        [(due,)] = self.rows("SELECT next_pull_at FROM integration")
        if due is not None and len(self.stage.machine.running) == 1:
            at = moment(due)
            if at - self.clock() < COMING_UP:
                self.clock.now = max(self.clock.now, at)
        work(rt, Lane.PULL, self.integration_id)

    def backfill(self, rt: Runtime, _step: Step) -> None:
        """The backfill lane, turn after turn."""
        while backfill(rt, self.integration_id):
            pass

    def tick(self, step: Step) -> None:
        """Beat: everything due, found by query, each done by a worker of its own. What other rooms make of the stream
        (messages to people's endpoints, facts) changes nothing of a sync."""
        self.stage.bells.clear()
        self._run("tick", (), tick)
        rung = tuple(bell for bell in self.stage.bells if bell[0] in _LANE_NAMES)
        for number, (lane, integration_id) in enumerate(rung):
            interrupts = step.interrupts if number == step.slot % len(rung) else ()
            self._run(_LANE_NAMES[lane], interrupts, partial(work, lane=lane, integration_id=integration_id))
        if any(lane is Lane.MESSAGES for lane, _ in self.stage.bells):
            self._run("speak", (), lambda rt: self.speak(rt, step))

    def speak(self, rt: Runtime, _step: Step) -> None:
        """The messages lane: what is new in the stream is queued, and all that is due is said."""
        for subject in (NEWS, self.integration_id):
            work(rt, Lane.MESSAGES, subject)

    def sync(self, rt: Runtime, _step: Step) -> None:
        """Somebody asks for a sync, and it is worked at once."""
        integrations.request_sync(rt, self.integration_id, actor=self.beginning.tenant.people["ann"])
        work(rt, Lane.PULL, self.integration_id)

    # --- interrupts ---

    def _happen(self, process: Process, interrupt: Interrupt, operation: str) -> WireResponse | None:
        self.disturbances += 1
        self.unsettled |= set(range(process.began, self.vendor.happened()))
        fatal = interrupt.what in ("crash", "cut") and interrupt.where != "before_call"
        self.token_trouble |= fatal and (process.used_token or "token" in operation)
        self.tell(f"{process.name} {operation}: {interrupt}")
        match interrupt.what:
            case "crash":
                self.stage.machine.crash(process)
            case "cut":
                self.vendor.cut(operation)
            case "limit":
                return self._answer(429, {"Retry-After": f"{interrupt.seconds:g}"})
            case "refuse":
                return self._answer(500, {})
            case "outage":
                self.down_until = self.clock() + timedelta(seconds=interrupt.seconds)
                return self._down()
            case "unauthorized":
                self.refusals += 2 if process.used_token else 1
                return self._answer(401, {})
        began = self.clock()
        longest = self._longest(process, interrupt, operation)
        self.clock.advance(min(interrupt.seconds, longest))
        for step in interrupt.then:
            if (self.clock() - began).total_seconds() <= longest:
                self.take(step)
        self.token_trouble |= longest <= SAFE_PAUSE < (self.clock() - began).total_seconds()
        # A commit between two calls (of the rate budget) lies in the same moment as the end of the first.
        moment = (interrupt.where, operation) if operation else ("after_call", process.last_call)
        if self.vendor.writes_blindly(*moment):
            self.unsettled.add(self.vendor.happened())  # the line of the journal that the write will be
        return None

    def _longest(self, process: Process, interrupt: Interrupt, operation: str) -> float:
        """How long a pause may be: see SAFE_PAUSE."""
        written = interrupt.where == "after_call" and self.vendor.ends_a_write(operation)
        announced = process.name.startswith("push") and not written
        token = "token" in operation or process.used_token
        return SAFE_PAUSE if announced or token else float("inf")

    def _down(self) -> WireResponse | None:
        """What a vendor that is out of order answers."""
        return self._answer(500, {}) if self.clock() < self.down_until else None

    def _answer(self, status: int, headers: Mapping[str, str]) -> WireResponse:
        date = format_datetime(self.vendor.now(), usegmt=True)
        return WireResponse(status, headers={"Date": date, **headers}, text="told to fail")


def moment(text: str) -> datetime:
    """A time as SQLite keeps it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _expire(world: World, _step: Step) -> None:
    """The access tokens end. Those that a process has just renewed, because the ones before were refused, are refused
    at once, too: that is the second time."""
    if any(process.used_token for process in world.stage.machine.running):
        world.refusals += 2
    world.vendor.expire()


def _there_edit(world: World, step: Step) -> None:
    world.vendor.edit(step.slot, step.field, step.value)


_THERE: Mapping[str, Callable[[World, Step], Any]] = {
    "there_create": lambda world, step: world.vendor.create(str(step.value), step.slot),
    "there_edit": _there_edit,
    "there_code": lambda world, step: code_side(world.vendor).do(step.field, step.slot),
    "there_watch": lambda world, step: watch_side(world.vendor).do(step.field, step.slot),
    "there_move": lambda world, step: world.vendor.move(step.slot, 1),
    "there_delete": lambda world, step: world.vendor.delete(step.slot),
    "there_restore": lambda world, _step: world.vendor.restore(),
    "expire": _expire,
    "deliver": World.deliver,
    "deliver_one": World.deliver_one,
    "drop": World.drop,
    "double": World.double,
    "replay": World.replay,
    "tick": World.tick,
}
"""What happens outside our processes."""

_LANE_NAMES = {Lane.PUSH: "push", Lane.INBOX: "drain", Lane.PULL: "poll", Lane.BACKFILL: "backfill"}

_HERE: Mapping[str, Callable[[World, Runtime, Step], None]] = {
    "here_create": World.here_create,
    "here_edit": World.here_edit,
    "drain": World.drain,
    "hear": World.hear,
    "push": World.push,
    "poll": World.poll,
    "backfill": World.backfill,
    "sync": World.sync,
    "speak": World.speak,
}
"""What our processes do."""
