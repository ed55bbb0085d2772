"""What the tests of notifications run in: the engine on a fake notifier, a tenant, and events that happen.

`rt` is on SQLite; `any_rt` runs a test on SQLite and again on PostgreSQL. The clock moves when a test moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import select

from connectors.registry import Registry
from core import events
from core.events import Fact
from core.models import Integration, NotificationMessage, NotificationRoute, SyncCause
from sync import integrations, scheduler
from sync.notifications import routes
from sync.notifications.routes import By, NewRoute
from sync.runtime import Lane, Runtime
from sync.work import work
from tests.sync.conftest import ManualClock, Tenant, make_tenant
from tests.sync.notifications.megaphone import TOKEN, Megaphone

INCIDENT = "INC-26-000001"
TASK = "TSK-26-000001"


@pytest.fixture
def megaphone(clock: ManualClock) -> Megaphone:
    return Megaphone(clock)


@pytest.fixture
def other(clock: ManualClock) -> Megaphone:
    """Another vendor that says things."""
    return Megaphone(clock)


@pytest.fixture
def loud(
    runtime_on: Callable[..., Runtime], megaphone: Megaphone, other: Megaphone, rings: list[tuple[Lane, str]]
) -> Callable[..., Runtime]:
    """Makes a runtime whose vendors are the megaphones."""
    registry = Registry()
    registry.register(megaphone.connector())
    registry.register(other.connector("bullhorn"))

    def make(url: str, **parts: Any) -> Runtime:
        rt = runtime_on(url, registry=registry, **parts)
        return replace(rt, settings=rt.settings.model_copy(update={"platform_url": "https://app.apex.test"}))

    return make


@pytest.fixture
def rt(loud: Callable[..., Runtime], sqlite_url: str) -> Runtime:
    return loud(sqlite_url)


@pytest.fixture
def any_rt(loud: Callable[..., Runtime], any_url: str) -> Runtime:
    return loud(any_url)


@dataclass
class Office:
    """A workspace with an integration that says things."""

    rt: Runtime
    rings: list[tuple[Lane, str]]
    tenant: Tenant
    id: str

    # --- who hears what ---

    def route(self, *names: str, **changed: Any) -> str:
        """A route for these events (all where none is named) to the channel `ops`; its id."""
        integration_id = changed.pop("integration_id", self.id)
        usual = {
            "name": "",
            "channel": "ops",
            "events": list(names) or ["*"],
            "least_severity": "info",
            "digest_minutes": 0,
            "enabled": True,
        }
        with self.rt.db.write() as session:
            new = NewRoute(**(usual | changed))
            return routes.create(session, self.rt, integration_id, new, by=By(self.tenant.ann_id)).id

    def change(self, route_id: str, **changes: Any) -> None:
        with self.rt.db.write() as session:
            routes.update(session, self.rt, route_id, changes, by=By(self.tenant.ann_id))

    # --- what happens ---

    def happens(self, type_: str, subject_id: str = TASK, **data: Any) -> None:
        """An event of the workspace."""
        self.happen([(type_, subject_id, data)])

    def happen(self, told: Sequence[tuple[str, str, dict[str, Any]]], **changed: Any) -> None:
        """Several events in one transaction."""
        usual = {
            "organization_id": self.tenant.organization_id,
            "workspace_id": self.tenant.workspace.id,
            "actor": self.tenant.ann_id,
        }
        facts = [Fact(**(usual | changed), type=t, subject_id=s, data=data) for t, s, data in told]
        with self.rt.db.write() as session:
            events.append(session, facts, self.rt.clock())

    def incident(self, what: str, subject_id: str = INCIDENT, **data: Any) -> None:
        """Something about an incident happens."""
        usual = {"title": "Payments are slow", "severity": "high", "status": what}
        self.happens(f"incident.{what}", subject_id, **(usual | data))

    # --- workers ---

    def tick(self, rt: Runtime | None = None) -> set[str]:
        """Beat, and all the work it rings for, until it rings for nothing more of the lane; what it rang for."""
        rt, rung = rt or self.rt, set()
        self.rings.clear()
        scheduler.tick(rt)
        while subjects := [subject for lane, subject in self.rings if lane is Lane.MESSAGES]:
            self.rings.clear()
            for subject in dict.fromkeys(subjects):
                rung.add(subject)
                work(rt, Lane.MESSAGES, subject)
        return rung

    # --- what is kept ---

    def messages(self, *where: Any) -> list[NotificationMessage]:
        with self.rt.db.read() as session:
            return list(session.scalars(select(NotificationMessage).where(*where).order_by(NotificationMessage.id)))

    def states(self) -> list[str]:
        return [message.state for message in self.messages()]

    def integration(self, id_: str | None = None) -> Integration:
        with self.rt.db.read() as session:
            return session.get_one(Integration, id_ or self.id)

    def routed(self, route_id: str) -> NotificationRoute:
        with self.rt.db.read() as session:
            return session.get_one(NotificationRoute, route_id)

    def causes(self) -> dict[str, str]:
        """What is wrong with the integration: cause -> code."""
        with self.rt.db.read() as session:
            rows = session.scalars(select(SyncCause).where(SyncCause.integration_id == self.id))
            return {row.cause: row.code for row in rows}


def connect(rt: Runtime, tenant: Tenant, type_: str = "megaphone", **config: Any) -> str:
    """An active integration that says things; its id."""
    made = integrations.create(
        rt,
        workspace=tenant.workspace,
        actor=tenant.ann_id,
        token_id=None,
        type=type_,
        name=type_.capitalize(),
        config=config,
        credentials=TOKEN,
    )
    return made.id


def office_of(rt: Runtime, rings: list[tuple[Lane, str]]) -> Office:
    """A new tenant's."""
    tenant = make_tenant(rt)
    return Office(rt, rings, tenant, connect(rt, tenant))


@pytest.fixture
def office(rt: Runtime, rings: list[tuple[Lane, str]]) -> Office:
    return office_of(rt, rings)


@pytest.fixture
def any_office(any_rt: Runtime, rings: list[tuple[Lane, str]]) -> Office:
    return office_of(any_rt, rings)
