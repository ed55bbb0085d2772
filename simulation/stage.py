"""The stage on which worlds are played one after another: one database, one clock, one registry, put back each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from connectors.contract import TASK_FIELDS, Connector, Rule, capabilities
from connectors.registry import Registry
from core import ids, workspaces
from core.db import Base
from core.models import IdCounter, Workspace
from core.settings import Settings
from core.vault import Vault, new_key
from simulation.machine import START, Machine, SimulatedDatabase, SimulatedTransport, VirtualClock
from simulation.schedule import Conditions
from simulation.vendor import SimulatedVendor
from sync import integrations
from sync.backfill import backfill
from sync.pull import pull
from sync.runtime import Lane, Runtime
from sync.subscriptions import keep_subscription

Rows = dict[str, list[tuple[Any, ...]]]
TABLES = tuple(table.name for table in Base.metadata.sorted_tables)


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who is here: one workspace with a service line, a project label and three people."""

    workspace: Workspace
    line_id: str
    project_id: str
    people: dict[str, str]


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a world begins: the database's rows, the vendor's state, the time, and the one integration."""

    rows: Rows
    vendor: Any
    now: datetime
    tenant: Tenant
    integration_id: str


MakeVendor = Callable[[VirtualClock, Machine], SimulatedVendor]
"""Makes the vendor's side on a stage's clock and machine."""

Dress = Callable[[type[Connector]], type[Connector]]
"""Makes of the vendor's own connector the one that is registered."""


class Stage:
    """Everything that worlds share."""

    def __init__(self, make_vendor: MakeVendor, dress: Dress = lambda connector: connector) -> None:
        self.clock = VirtualClock()
        self.machine = Machine(self.clock)
        self.database = SimulatedDatabase(self.machine)
        self.vendor = make_vendor(self.clock, self.machine)
        self.transport = SimulatedTransport(self.machine, self.database)
        self.bells: list[tuple[Lane, str]] = []
        registry = Registry()
        registry.register(dress(self.vendor.connector()))
        self.runtime = Runtime(
            settings=_settings(self.vendor),
            db=self.database,
            vault=Vault.parse(new_key("simulation")),
            registry=registry,
            transport=self.transport,
            clock=self.clock,
            ring=lambda lane, integration_id: self.bells.append((lane, integration_id)),
            sleep=self.clock.advance,
            threads=False,
        )
        Base.metadata.create_all(self.database.engine)
        self._empty, self._as_sold = self._rows(), self.vendor.dump()
        self._beginnings: dict[object, Beginning] = {}

    def begin(self, conditions: Conditions) -> Beginning:
        """Put everything back to how a world with these conditions begins."""
        self.transport.own_effects = self.vendor.own_effects
        self.transport.reset()
        self.database.trespasses.clear()
        skew = conditions.skew if self.vendor.begins_skewed else 0
        key = (conditions.oauth, conditions.conflict, conditions.bound, skew)
        if key not in self._beginnings:
            self._beginnings[key] = self._build(conditions, skew)
        beginning = self._beginnings[key]
        self._put(beginning.rows)
        self.vendor.load(beginning.vendor)
        self.transport.inner = self.vendor.transport
        self.clock.now = beginning.now
        self.bells.clear()
        self.vendor.make_difficult(conditions)
        return beginning

    def worker(self, name: str) -> Runtime:
        """The runtime of one worker process."""
        return replace(self.runtime, worker=name)

    # --- how a world begins ---

    def _build(self, conditions: Conditions, skew: int) -> Beginning:
        self._put(self._empty)
        self.vendor.load(self._as_sold)
        if self.vendor.begins_skewed:
            self.vendor.make_difficult(Conditions(skew=skew))
        self.transport.inner = self.vendor.transport
        self.clock.now = START
        with self.database.write() as session:
            session.execute(insert(IdCounter), [{"prefix": prefix, "last": 0} for prefix in ids.PREFIXES])
        tenant = self._tenant()
        integration = integrations.create(
            self.runtime,
            workspace=tenant.workspace,
            actor=tenant.people["ann"],
            token_id=None,
            type=self.vendor.name,
            name="Simulated",
            config=self._config(tenant, dict(conditions.conflict)),
            credentials=self.vendor.credentials(conditions),
        )
        keep_subscription(self.runtime, integration.id)
        if conditions.bound:
            self.vendor.create("T0", 0)
        pull(self.runtime, integration.id)
        while backfill(self.runtime, integration.id):
            pass
        self.vendor.sent()
        self.clock.advance(60)
        return Beginning(self._rows(), self.vendor.dump(), self.clock.now, tenant, integration.id)

    def _tenant(self) -> Tenant:
        now = self.clock()
        with self.database.write() as session:
            organization = workspaces.create_organization(session, "Apex", now)
            workspace = workspaces.create_workspace(session, organization.id, "Payments", now)
            line = workspaces.create_service_line(session, workspace.id, "Backend", now)
            project = workspaces.create_project(session, organization.id, "Checkout", now)
            people = {
                name: workspaces.create_user(session, organization.id, name, f"{name}@apex.test", now).id
                for name in ("ann", "bob", "carl")
            }
        return Tenant(workspace, line.id, project.id, people)

    def _config(self, tenant: Tenant, conflict: dict[str, Rule]) -> dict[str, Any]:
        if "task_source" not in capabilities(self.runtime.registry.get(self.vendor.name)):
            return self.vendor.config()
        first, second = self.vendor.containers
        projects = [
            {"external": first, "service_line_id": tenant.line_id, "project_id": tenant.project_id},
            {"external": second, "service_line_id": tenant.line_id},
        ]
        assert set(conflict) <= set(TASK_FIELDS)
        return {"projects": projects, "conflict": conflict, **self.vendor.config()}

    # --- the database, put back ---

    def _rows(self) -> Rows:
        read = self.database.driver.execute
        return {table: read(f"SELECT * FROM {table}").fetchall() for table in TABLES}

    def _put(self, rows: Rows) -> None:
        """Make the tables hold these rows and no others. Statements prepared for them stay good."""
        driver = self.database.driver
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("BEGIN")
        for table in TABLES:
            driver.execute(f"DELETE FROM {table}")
            if rows[table]:
                places = ",".join("?" * len(rows[table][0]))
                driver.executemany(f"INSERT INTO {table} VALUES ({places})", rows[table])
        driver.execute("COMMIT")
        driver.execute("PRAGMA foreign_keys=ON")


def _settings(vendor: SimulatedVendor) -> Settings:
    values: dict[str, Any] = {"public_url": "https://turnbuckle.test", **vendor.settings()}
    return Settings(database_url="sqlite://", **values)
