"""Front doors on databases with one bell integration (INT-1) in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.services.servers import fresh_database
from tests.webhooks.bell import Door, create

MakeDoor = Callable[..., Door]


@pytest.fixture(scope="session")
def _bell_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bell") / "bell.db"
    create(f"sqlite:///{path}")  # closing the last connection moves everything into this one file
    return path


@pytest.fixture
def sqlite_url(_bell_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "turnbuckle.db"
    shutil.copyfile(_bell_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def bell_postgres_url(request: pytest.FixtureRequest, postgres: Any) -> Iterator[str]:
    with fresh_database(postgres, template=postgres.template("bell", create)) as url:
        yield url


@pytest.fixture
def any_url(dialect: str, request: pytest.FixtureRequest) -> str:
    """On SQLite and again on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if dialect == "sqlite" else "bell_postgres_url")
    return url


@pytest.fixture
def make_door() -> Iterator[MakeDoor]:
    with ExitStack() as open_doors:

        def make(url: str, **parts: Any) -> Door:
            door = Door(url, **parts).open()
            open_doors.callback(door.close)
            return door

        yield make


@pytest.fixture
def door(sqlite_url: str, make_door: MakeDoor) -> Door:
    return make_door(sqlite_url)


@pytest.fixture
def any_door(any_url: str, make_door: MakeDoor) -> Door:
    return make_door(any_url)
