"""The conformance kit's bench: the real engine and front door on the simulator's stage, with one connector on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from connectors.contract import Connector, RawDelivery, capabilities
from connectors.kit.bench import Answer, Connected, Moment
from connectors.kit.codepeople import DEEDS
from connectors.kit.rule import Subject
from connectors.kit.run import Trial
from connectors.kit.watchpeople import WATCH_DEEDS
from connectors.tiers import folder_of
from core import tasks
from core.errors import PlatformError
from core.models import Delivery, Integration, Subscription
from core.tasks import NewTask
from simulation.frontdoor import FrontDoor
from simulation.invariants import violations
from simulation.looking import integration_of
from simulation.machine import Runaway
from simulation.observed import Watched, listening, observed
from simulation.quiet import Unrest, come_to_rest
from simulation.schedule import Conditions, Interrupt, Schedule, Step
from simulation.sides import UnknownSide, side
from simulation.speaking import Speaking
from simulation.stage import MakeVendor, Stage
from simulation.world import World, moment
from sync import farewell, integrations, subscriptions
from sync.credentials import label, load
from sync.repositories import read_anew

COLUMNS = {"assignee": "assignee_id"}
"""Field -> its column, where the two differ."""

SUBJECTS = ("task_source", "code_source", "alert_source", "measure_source", "notifier")
"""Capabilities that say what a connector is about."""

TURN = 60
"""Seconds between two turns of the backfill lane when it has to wait."""

MOST_TURNS = 600
"""Turns until a history must be read: some ten hours, at the slowest vendor's rate."""

MOST_TRIES = 20
"""Readings of repositories until they must have come to their end: each failure doubles the wait."""

STRANGE = "a-secret-that-nobody-signs-with-0123456789"


class _Doored(World):
    """A world whose deliveries go through the real front door."""

    def arrive(self, deliveries: list[RawDelivery]) -> None:
        """Knock with each."""
        if deliveries:
            FrontDoor(self.stage.runtime).knock(integration_of(self), deliveries)


class EngineBench(Speaking):
    """One connector on the real engine; see `connectors.kit.bench.Bench`."""

    def __init__(self, connector: type[Connector], make_vendor: MakeVendor, heard: list[str]) -> None:
        self._seen: Counter[str] = Counter()
        self._heard = heard

        def dress(own: type[Connector]) -> type[Connector]:
            # A side may tie the class to its vendor; then that is the one to be run.
            self.connector = observed(own if issubclass(own, connector) else connector, self._seen)
            return self.connector

        self._stage = Stage(make_vendor, dress)
        self._watched = Watched(self._stage.transport)
        self._stage.runtime = replace(self._stage.runtime, transport=self._watched)
        self.begin()

    # --- worlds and time ---

    def begin(self, *, bound: bool = True, oauth: bool = False) -> None:
        """A new world."""
        self._seen.clear()
        self._strange = False
        self._world = _Doored(self._stage, Schedule(0, Conditions(bound=bound, oauth=oauth)))
        self._id = self._world.integration_id
        self.vendor.faults.clear()
        self.vendor.calls.reset()

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._stage.clock.advance(seconds)

    def strike(self, seconds: int) -> None:
        """Time passes to the next full so many seconds."""
        clock, began = self._stage.clock, self._world.beginning.now
        step = timedelta(seconds=seconds)
        clock.now = began + ((clock.now - began) // step + 1) * step

    def ways_in(self) -> tuple[bool, ...]:
        """By token or password, and by consent."""
        return (False,) if self.connector.manifest.oauth is None else (False, True)

    # --- whatever the connector is about ---

    def subjects(self) -> tuple[str, ...]:
        """What the connector is about."""
        return tuple(name for name in SUBJECTS if name in capabilities(self.connector))

    def stir(self, subject: str, text: str) -> None:
        """An item gets a title, a change is opened, something is wrong or measured, or a button is pressed."""
        if subject == "code_source":
            self.code.do("open")
        elif subject == "notifier":
            self.press()
        elif subject == "task_source":
            self.vendor.edit(0, "title", text)
        else:
            self.vendor.create(text, 0)

    # --- people here ---

    def create(self, title: str, **values: str) -> str:
        """A new task."""
        tenant, rt = self._world.beginning.tenant, self._stage.runtime
        context = {"service_line_id": tenant.line_id, "project_id": tenant.project_id}
        if "assignee" in values:
            values["assignee_id"] = tenant.people[values.pop("assignee")]
        new = NewTask(tenant.workspace.id, title, **(context | values))
        with rt.db.write() as session:
            return tasks.create(session, new, actor=tenant.people["ann"], now=rt.clock()).task.id

    def edit(self, field: str, value: str | None, task_id: str | None = None) -> None:
        """Set a field of a task."""
        tenant, rt = self._world.beginning.tenant, self._stage.runtime
        if field == "assignee" and value is not None:
            value = tenant.people[value]
        chosen = task_id or self.tasks()[0]["id"]
        with rt.db.write() as session:
            changes = {COLUMNS.get(field, field): value}
            tasks.change(session, chosen, changes, actor=tenant.people["ann"], now=rt.clock())

    def person(self, name: str) -> str:
        """A user's id."""
        return self._world.beginning.tenant.people[name]

    # --- deliveries ---

    def arriving(self) -> list[RawDelivery]:
        """What is under way."""
        world = self._world
        deliveries, world.air = world.air + self.vendor.sent(), []
        return deliveries

    def knock(self, deliveries: Iterable[RawDelivery]) -> list[Answer]:
        """Deliver through the front door."""
        rt = self._stage.runtime
        if self._strange:
            rt = replace(rt, settings=rt.settings.model_copy(update={"oauth_apps": {}}))
        return FrontDoor(rt).knock(self.row(), deliveries)

    def empty_inbox(self) -> None:
        """No delivery ever came."""
        with self._stage.database.write() as session:
            session.execute(delete(Delivery))

    def hear(self) -> None:
        """All arrives and is worked off."""
        self._world.take(Step("hear"))

    # --- workers ---

    def pull(self, *moments: Moment) -> bool:
        """The pull lane."""
        return self._struck(Step("poll", interrupts=_interrupts(moments)))

    def push(self, *moments: Moment) -> bool:
        """The push lane."""
        return self._struck(Step("push", interrupts=_interrupts(moments)))

    def _struck(self, step: Step) -> bool:
        """Take a step; whether any of its moments came."""
        before = self._world.disturbances
        self._world.take(step)
        return self._world.disturbances > before

    def drain(self) -> None:
        """The inbox lane."""
        self._world.take(Step("drain"))

    def sweep(self) -> None:
        """The search for deleted items."""
        due = self.row().next_sweep_at
        if due is not None:
            self._stage.clock.now = max(self._stage.clock.now, due)
        self.pull()

    def backfill(self, *moments: Moment) -> bool:
        """The backfill lane, until nothing of it is left."""
        struck = self._struck(Step("backfill", interrupts=_interrupts(moments)))
        for _ in range(MOST_TURNS):
            if not self._world.rows("SELECT 1 FROM repository WHERE state = 'backfilling'"):
                break
            self.wait(TURN)  # for what a vendor's limit allows by then, or until a dead worker's lease has ended
            self._world.take(Step("backfill"))
        return struck

    def tick(self) -> None:
        """Beat, and the work it finds."""
        self._world.take(Step("tick"))

    def resync(self, *moments: Moment) -> None:
        """Every item, every repository, and all that was measured, once more."""
        now = self._stage.clock()
        with self._stage.database.write() as session:
            row = session.get_one(Integration, self._id)
            row.cursor, row.measure_cursor, row.next_pull_at = None, None, now
            read_anew(session, self._id, now)
        self.pull(*moments)

    def rest(self) -> list[str]:
        """Come to rest, and look."""
        self._world.needs_poll = True
        try:
            come_to_rest(self._world)
            self._read_on()
            self.say_on()
        except (Unrest, Runaway) as error:
            return [f"at_rest: {error}"]
        return violations(self._world)

    def _read_on(self) -> None:
        """Histories are read to their end, and repositories that failed are tried again when that is due."""
        for _ in range(MOST_TRIES):
            [(due,)] = self._world.rows(
                "SELECT max(next_poll_at) FROM repository WHERE state IN ('backfilling', 'live')"
            )
            if due is None:
                return
            self._stage.clock.now = max(self._stage.clock.now, moment(due))
            self.backfill()
            self.pull()

    # --- operators ---

    def connect(self, credentials: Mapping[str, Any] | None = None) -> Connected:
        """Connect once more."""
        tenant, row = self._world.beginning.tenant, self.row()
        given = dict(credentials) if credentials is not None else self.vendor.credentials(Conditions())
        return self._asked(
            lambda: integrations.create(
                self._stage.runtime,
                workspace=tenant.workspace,
                actor=tenant.people["ann"],
                token_id=None,
                type=row.type,
                name="Once more",
                config=row.config,
                credentials=given,
            )
        )

    def reconfigure(self, **config: Any) -> Connected:
        """Change the config."""
        actor = self._world.beginning.tenant.people["ann"]
        row = self.row()
        return self._asked(
            lambda: integrations.update(self._stage.runtime, row, actor=actor, token_id=None, config=config)
        )

    def _asked(self, request: Callable[[], Integration]) -> Connected:
        try:
            made = request()
        except PlatformError as error:
            return Connected(error.status, error.message)
        return Connected(201, "", made.id, made.status)

    def new_secret(self) -> None:
        """A new signing secret."""
        actor = self._world.beginning.tenant.people["ann"]
        subscriptions.new_secret(self._stage.runtime, self._id, actor=actor, token_id=None)

    def forget_secrets(self) -> None:
        """The front door knows other secrets."""
        self._strange = True
        rt = self._stage.runtime
        facts = self.connector.manifest.webhooks
        names = facts.secrets if facts else ()
        with rt.db.write() as session:
            row = session.get(Subscription, self._id)
            if row is not None:
                row.sealed = rt.vault.seal({"secrets": [STRANGE]}, f"integration:{self._id}:subscription")
            opened = load(rt, session, session.get_one(Integration, self._id))
            values = {name: STRANGE if name in names else value for name, value in opened.values.items()}
            sealed = rt.vault.seal(values, label(self._id))
            session.connection().exec_driver_sql("UPDATE credential SET sealed = ?", (sealed,))

    def disconnect(self) -> None:
        """End the integration."""
        actor = self._world.beginning.tenant.people["ann"]
        farewell.disconnect(self._stage.runtime, self.row(), actor=actor, token_id=None)


def _interrupts(moments: Iterable[Moment]) -> tuple[Interrupt, ...]:
    return tuple(
        Interrupt(m.where, m.nth, m.what, 0, tuple(_meanwhile(do, slot) for do, slot in m.meanwhile)) for m in moments
    )


def _meanwhile(do: str, slot: int) -> Step:
    if do in DEEDS:
        return Step("there_code", slot, do)
    if do in WATCH_DEEDS:
        return Step("there_watch", slot, do)
    return Step(do, slot, "title", f"Meanwhile {slot}")


# --- the composition ----------------------------------------------------------------------------------


def trial_of(connector: type[Connector], make_vendor: MakeVendor | None = None, folder: Path | None = None) -> Trial:
    """The examination of a connector against its fake vendor; without one, only its code can be looked at."""
    make = make_vendor or _known_side(connector.manifest.type)
    subject = Subject(connector, folder or folder_of(connector))
    if make is None:
        return Trial(subject)
    return Trial(subject, lambda: _opened(connector, make))


def _known_side(type_: str) -> MakeVendor | None:
    try:
        return side(type_)
    except UnknownSide:
        return None


def _opened(connector: type[Connector], make_vendor: MakeVendor) -> AbstractContextManager[EngineBench]:
    @contextmanager
    def opened() -> Iterator[EngineBench]:
        heard: list[str] = []
        with listening(heard):
            yield EngineBench(connector, make_vendor, heard)

    return opened()
