"""What the tests of incidents and measures run in: the engine on a vendor that watches, and a tenant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from connectors.contract import Signal
from connectors.registry import Registry
from core.models import Delivery, Event, Incident, IncidentUpdate, Integration, SyncRun
from sync import integrations
from sync.inbound import drain
from sync.incidents import hand
from sync.incidents.timeline import What
from sync.pull import Pulled, pull
from sync.runtime import Runtime
from tests.sync.conftest import Tenant, make_tenant
from tests.sync.watching.tower import TOKEN, Tower


@pytest.fixture
def tower(clock: Callable[..., Any]) -> Tower:
    return Tower(clock)


@pytest.fixture
def watched(runtime_on: Callable[..., Runtime], tower: Tower) -> Callable[..., Runtime]:
    """Makes a runtime whose vendor is the tower."""
    registry = Registry()
    registry.register(tower.connector())
    return lambda url, **parts: runtime_on(url, registry=registry, **parts)


@dataclass
class Watch:
    """A workspace that watches."""

    rt: Runtime
    tower: Tower
    tenant: Tenant
    id: str

    # --- what is heard and read ---

    def hear(self, *signals: Signal) -> int:
        """A delivery that means this arrives."""
        self.arrive(*signals)
        return self.drain()

    def arrive(self, *signals: Signal) -> None:
        """As above; it is not worked off yet."""
        body = self.tower.write(*signals)
        with self.rt.db.write() as session:
            number = len(self.tower.letters)
            session.add(
                Delivery(
                    integration_id=self.id,
                    dedupe_key=f"{self.id}:{number}",
                    event="letter",
                    headers={},
                    body=body,
                    received_at=self.rt.clock(),
                    state="pending",
                    attempts=0,
                    next_attempt_at=self.rt.clock(),
                )
            )

    def drain(self) -> int:
        return drain(self.rt, self.id)

    def poll(self) -> Pulled | None:
        """A pull that is due now."""
        with self.rt.db.write() as session:
            session.get_one(Integration, self.id).next_pull_at = self.rt.clock()
        return pull(self.rt, self.id)

    def change(self, incident_id: str, what: str, note: str = "") -> None:
        """Somebody acknowledges or resolves it."""
        with self.rt.db.write() as session:
            hand.change(session, incident_id, What(what), actor=self.tenant.ann_id, note=note, now=self.rt.clock())

    # --- what is kept ---

    def rows(self, model: Any, *where: Any) -> list[Any]:
        with self.rt.db.read() as session:
            return list(session.scalars(select(model).where(*where).order_by(*model.__table__.primary_key)))

    def incidents(self) -> list[Incident]:
        """Those that are shown."""
        return self.rows(Incident, Incident.merged_into.is_(None))

    def incident(self) -> Incident:
        """The only one."""
        [found] = self.incidents()
        return found

    def history(self) -> list[str]:
        """What is known of all, in the vendor's order."""
        lines = sorted(self.rows(IncidentUpdate), key=lambda line: (line.placed_at, line.id))
        return [line.what for line in lines]

    def events(self, beginning: str = "incident.") -> list[str]:
        return [event.type.removeprefix(beginning) for event in self.told(beginning)]

    def told(self, beginning: str = "incident.") -> list[Event]:
        return [event for event in self.rows(Event) if event.type.startswith(beginning)]

    def delivery(self) -> Delivery:
        """The newest."""
        return self.rows(Delivery)[-1]

    def run(self) -> SyncRun:
        """The newest."""
        return self.rows(SyncRun)[-1]

    def integration(self) -> Integration:
        [found] = self.rows(Integration, Integration.id == self.id)
        return found


def connect(rt: Runtime, tenant: Tenant, **config: Any) -> str:
    """An active integration that watches; its id."""
    made = integrations.create(
        rt,
        workspace=tenant.workspace,
        actor=tenant.ann_id,
        token_id=None,
        type="tower",
        name="Tower",
        config=config,
        credentials=TOKEN,
    )
    return made.id


def watch_of(rt: Runtime, tower: Tower, **config: Any) -> Watch:
    """A new tenant's."""
    tenant = make_tenant(rt)
    return Watch(rt, tower, tenant, connect(rt, tenant, **config))


@pytest.fixture
def watch(watched: Callable[..., Runtime], sqlite_url: str, tower: Tower) -> Watch:
    return watch_of(watched(sqlite_url), tower)


@pytest.fixture
def any_watch(watched: Callable[..., Runtime], any_url: str, tower: Tower) -> Watch:
    """On SQLite and again on PostgreSQL."""
    return watch_of(watched(any_url), tower)
