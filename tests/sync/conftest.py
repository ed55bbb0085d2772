"""What the engine's tests run in: a database, a clock that only tests move, a toy vendor, and a bell that writes down.

`runtime` is on SQLite; `any_runtime` runs a test on SQLite and again on PostgreSQL. Both give a `Runtime` whose
vendor, clock and rings are the fixtures `vendor`, `clock` and `rings`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from connectors.registry import Registry
from core import ids, workspaces
from core.db import Base, Database
from core.models import IdCounter, Integration, Workspace
from core.settings import OAuthApp, Settings
from core.vault import Vault, new_key
from simulation.toy import BASIC, ToyVendor
from simulation.toy.auth import CLIENT_ID, CLIENT_SECRET
from sync import integrations
from sync.runtime import Lane, Runtime
from tests.services.servers import fresh_database
from tests.sync.forge import Forge

START = datetime(2026, 4, 15, 10, tzinfo=UTC)


class ManualClock:
    """Stands still until a test moves it. As `Runtime.sleep` it notes the seconds and moves."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> datetime:
        """Move by what a timedelta takes."""
        self.now += timedelta(**duration)
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Tenant:
    """One organization's ids. `workspace` is the detached row."""

    organization_id: str
    workspace: Workspace
    line_id: str
    project_id: str
    ann_id: str
    bob_id: str


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vendor(clock: ManualClock) -> ToyVendor:
    return ToyVendor(clock)


@pytest.fixture
def rings() -> list[tuple[Lane, str]]:
    return []


@pytest.fixture
def runtime_on(
    clock: ManualClock, vendor: ToyVendor, rings: list[tuple[Lane, str]]
) -> Iterator[Callable[..., Runtime]]:
    """Makes a `Runtime` on the database of a URL; keyword arguments replace its parts."""
    databases: list[Database] = []
    registry = Registry()
    registry.register(vendor.connector())
    vault = Vault.parse(new_key("test"))

    def make(url: str, **parts: Any) -> Runtime:
        databases.append(Database(url))
        usual = Runtime(
            settings=settings(url),
            db=databases[-1],
            vault=vault,
            registry=registry,
            transport=vendor.transport,
            clock=clock,
            ring=lambda lane, integration_id: rings.append((lane, integration_id)),
            sleep=clock.sleep,
            worker=f"worker-{len(databases)}",
            threads=False,
        )
        return replace(usual, **parts)

    yield make
    for database in databases:
        database.close()


def settings(url: str) -> Settings:
    app = OAuthApp(client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET))
    values: dict[str, Any] = {"public_url": "https://turnbuckle.test", "oauth_apps": {"toy": app}}
    return Settings(database_url=url, **values)


@pytest.fixture(scope="session")
def _empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "empty.db"
    create_schema(f"sqlite:///{path}")
    return path


def create_schema(url: str) -> None:
    """All tables and id counters, without the migrations."""
    database = Database(url)
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        if database.dialect == "postgresql":
            for prefix in ids.PREFIXES:
                session.execute(text(f"CREATE SEQUENCE {ids.sequence_name(prefix)}"))
        else:
            session.execute(insert(IdCounter), [{"prefix": prefix, "last": 0} for prefix in ids.PREFIXES])
    database.close()
    if database.dialect == "sqlite":
        # Closing the last connection moves what is in the write-ahead log into the file, which alone is copied.
        assert not Path(database.engine.url.database or "").with_suffix(".db-wal").exists()


@pytest.fixture
def sqlite_url(_empty_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "turnbuckle.db"
    shutil.copyfile(_empty_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def runtime(sqlite_url: str, runtime_on: Callable[..., Runtime]) -> Runtime:
    return runtime_on(sqlite_url)


@pytest.fixture
def any_url(dialect: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with our tables, on SQLite and again on PostgreSQL."""
    if dialect == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server = request.getfixturevalue("postgres")
    with fresh_database(server, template=server.template("engine", create_schema)) as url:
        yield url


@pytest.fixture
def any_runtime(any_url: str, runtime_on: Callable[..., Runtime]) -> Runtime:
    return runtime_on(any_url)


def make_tenant(rt: Runtime) -> Tenant:
    """An organization with a workspace, a service line, a project label and two people."""
    now = rt.clock()
    with rt.db.write() as session:
        organization = workspaces.create_organization(session, "Apex", now)
        workspace = workspaces.create_workspace(session, organization.id, "Payments", now)
        line = workspaces.create_service_line(session, workspace.id, "Backend", now)
        project = workspaces.create_project(session, organization.id, "Checkout", now)
        ann = workspaces.create_user(session, organization.id, "Ann", "ann@apex.test", now)
        bob = workspaces.create_user(session, organization.id, "Bob", "bob@apex.test", now)
    return Tenant(organization.id, workspace, line.id, project.id, ann.id, bob.id)


@pytest.fixture
def tenant(runtime: Runtime) -> Tenant:
    return make_tenant(runtime)


def toy_config(tenant: Tenant, *containers: str, **more: Any) -> dict[str, Any]:
    """A config that maps the containers (`TOY` where none is named) to the tenant's service line and project."""
    mapping = {"service_line_id": tenant.line_id, "project_id": tenant.project_id}
    return {"projects": [{"external": name, **mapping} for name in containers or ("TOY",)], **more}


def connect(rt: Runtime, tenant: Tenant, **changed: Any) -> Integration:
    """An active toy integration with a login and password; keyword arguments replace those of `create`."""
    arguments: dict[str, Any] = {
        "workspace": tenant.workspace,
        "actor": tenant.ann_id,
        "token_id": None,
        "type": "toy",
        "name": "Toy",
        "config": toy_config(tenant),
        "credentials": BASIC,
    }
    return integrations.create(rt, **(arguments | changed))


@pytest.fixture
def integration(runtime: Runtime, tenant: Tenant) -> Integration:
    return connect(runtime, tenant)


# --- code ---------------------------------------------------------------------------------------------


@pytest.fixture
def forge(clock: ManualClock) -> Forge:
    return Forge(clock)


@pytest.fixture
def with_forge(runtime_on: Callable[..., Runtime], forge: Forge) -> Callable[..., Runtime]:
    """Makes a `Runtime` whose vendor is the forge."""
    registry = Registry()
    registry.register(forge.connector())
    return lambda url, **parts: runtime_on(url, registry=registry, **parts)


@pytest.fixture
def rt(sqlite_url: str, with_forge: Callable[..., Runtime]) -> Runtime:
    return with_forge(sqlite_url)


@pytest.fixture
def any_rt(any_url: str, with_forge: Callable[..., Runtime]) -> Runtime:
    return with_forge(any_url)


@pytest.fixture
def team(rt: Runtime) -> Tenant:
    return make_tenant(rt)
