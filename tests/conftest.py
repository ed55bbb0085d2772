"""Fixtures for every test. The servers start when the first test asks for one, once per test process.

| fixture | scope | gives |
|---|---|---|
| `postgres`, `redis` | session | the servers: `.url()`, `.process.kill()`, `.process.start()` |
| `postgres_url` | module | the SQLAlchemy URL of an empty PostgreSQL database |
| `redis_url` | module | the URL of a Redis, empty at the start of the module |
| `database_url` | test, on SQLite and again on PostgreSQL | the URL of an empty database |
| `migrated_url` | test, on SQLite and again on PostgreSQL | the same, with our schema in it |
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from tests.contract import load_checker
from tests.services.network import NetworkGuard, guarded_network
from tests.services.process import end_with_parent
from tests.services.servers import (
    PostgresServer,
    RedisServer,
    ServerUnavailable,
    fresh_database,
    postgres_server,
    redis_server,
)

SERVER_FIXTURES = {"postgres", "redis"}
MIGRATED = "migrated"

# The same examples every time, and no opinion on how long they take: a busy machine is no fault of the code.
settings.register_profile("ours", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist
        end_with_parent()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m 'not service'` leaves out whatever needs a server; nobody has to remember the mark."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        fixtures = set(getattr(item, "fixturenames", ()))
        if parameters.get("dialect") == "postgresql" or fixtures & SERVER_FIXTURES:
            item.add_marker("service")


@pytest.fixture(scope="session", autouse=True)
def network() -> Iterator[NetworkGuard]:
    with guarded_network() as guard:
        yield guard


@pytest.fixture(autouse=True)
def _this_machine_only(network: NetworkGuard) -> Iterator[None]:
    yield
    attempts = network.take_attempts()
    if attempts:
        pytest.fail(f"the test reached outside of this machine: {', '.join(attempts)}", pytrace=False)


def _unavailable(error: ServerUnavailable) -> None:
    # Somebody's laptop may do without; where the verdict counts, a silent skip would be a lie.
    if os.environ.get("CI"):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    try:
        with postgres_server() as server:
            yield server
    except ServerUnavailable as error:
        _unavailable(error)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    try:
        with redis_server() as server:
            yield server
    except ServerUnavailable as error:
        _unavailable(error)


@pytest.fixture(scope="module")
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def redis_url(redis: RedisServer) -> str:
    redis.flush()
    return redis.url()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'turnbuckle.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def migrated_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The migrations run once per test process and dialect; each test gets a copy of the result."""
    if dialect == "sqlite":
        database = tmp_path / "turnbuckle.db"
        shutil.copyfile(request.getfixturevalue("_migrated_sqlite"), database)
        yield f"sqlite:///{database}"
        return
    from core.migrations import upgrade

    server: PostgresServer = request.getfixturevalue("postgres")
    with fresh_database(server, template=server.template(MIGRATED, upgrade)) as url:
        yield url


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import sqlite3

    from core.migrations import upgrade

    database = tmp_path_factory.mktemp("migrated") / "turnbuckle.db"
    upgrade(f"sqlite:///{database}")
    # Whatever still is in the write-ahead log goes into the file, which alone is copied.
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return database


@pytest.fixture
def checker() -> ModuleType:
    """What checks recorded exchanges against the vendors' API descriptions; the test is skipped where it is absent."""
    return load_checker()
