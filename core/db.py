"""The database: engines, transactions and the few places where SQLite and PostgreSQL differ.

There are two kinds of transaction: `write()` (commits at its end) and `read()` (never commits). On SQLite a
write transaction takes the one writer's lock at its start, so that it can't fail half way; on PostgreSQL the
rows it works on are locked with `FOR UPDATE`. Neither may be open while a vendor is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import JSON, BigInteger, Connection, DateTime, Dialect, Engine, Integer, MetaData, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

SQLITE_BUSY_MS = 30_000
"""How long a SQLite writer waits for another: longer than any page's transaction, shorter than a lease."""

MEETINGS = 3
"""Tries of a transaction that keeps meeting others; more than two in a row means something is really wrong."""

T = TypeVar("T")

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, fixed so that migrations can name them on every database."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite stores it without zone; what comes back is aware all the same."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive time reached the database: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JsonType = JSON().with_variant(JSONB(), "postgresql")
BigKey = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit key that counts by itself (SQLite only counts plain INTEGER keys)."""


class own_transaction(FunctionElement[int]):  # noqa: N801 - it reads as the SQL function it is
    """The number of the transaction a row is written in (PostgreSQL); NULL on SQLite, whose one writer needs none."""

    inherit_cache = True


@compiles(own_transaction)
def _no_number(_element: Any, _compiler: Any, **_: Any) -> str:
    return "NULL"


@compiles(own_transaction, "postgresql")
def _number(_element: Any, _compiler: Any, **_: Any) -> str:
    return "pg_current_xact_id()::text::bigint"


class Base(DeclarativeBase):
    """Base of all models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain class attribute
        datetime: UtcDateTime(),
        dict[str, Any]: JsonType,
        list[Any]: JsonType,
    }


class Database:
    """An engine and its two kinds of transaction."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._writer = self.engine.execution_options(sqlite_immediate=True)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that commits when the block ends and rolls back when it raises."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads: what the block changed is not kept. Rows stay readable after it."""
        # Closing ends the transaction too; a rollback would first forget what the rows held.
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def run(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a write transaction, again if it met another one: a row that both were first to insert, a
        deadlock. `work` must do nothing but use its session."""
        for attempt in range(1, MEETINGS + 1):
            try:
                with self.write() as session:
                    return work(session)
            except (IntegrityError, OperationalError):
                if attempt == MEETINGS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def appender(self) -> Appender:
        """For a thread that writes all the time, one statement at a time."""
        options: dict[str, Any] = {} if self.dialect == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        return Appender(self._writer.execution_options(**options))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


class Appender:
    """Write transactions of a single statement each, on a connection that is kept for them. For one thread.

    PostgreSQL commits such a statement by itself: one round trip instead of the four of `write()`, which asks whether
    the connection is alive, begins, executes and commits.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def run(self, statement: Callable[[Connection], T]) -> T:
        """Execute one statement. If the kept connection turns out to be dead it is executed again on a new one, and the
        database may have committed the first: it has to be one that changes nothing the second time."""
        kept = self._connection is not None and not self._connection.invalidated
        try:
            return self._once(statement)
        except DBAPIError as error:
            if not (kept and error.connection_invalidated):
                raise
        return self._once(statement)

    def close(self) -> None:
        """Give the connection back; the next statement takes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _once(self, statement: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            return statement(self._connection)


def make_engine(url: str) -> Engine:
    """An engine for the URL with what each database needs to behave alike."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url, in_memory=parsed.database in (None, "", ":memory:"))
    _register_binary_arrays()
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        connect_args={
            "options": "-c timezone=UTC",
            "application_name": "turnbuckle",
            # A plan prepared while a table was empty would be kept and read the whole table ever after, page by page.
            # (Not by plan_cache_mode: with it the check of every foreign key is planned anew for every row.)
            "prepare_threshold": None,
        },
        json_serializer=_json,
        hide_parameters=True,  # an error's text ends up in logs; bodies and sealed credentials must not
    )


class BinaryArray(list[Any]):
    """An array parameter that travels in binary form. The driver's default is text, in which every byte becomes two hex
    digits and every quote is escaped: it was half the CPU of a page of tasks, and most of the price of storing a
    webhook."""


def _register_binary_arrays() -> None:
    # Imported here: SQLite needs no driver. Before the engine is made, which copies what the driver knows.
    import psycopg
    from psycopg.types.array import ListBinaryDumper

    psycopg.adapters.register_dumper(BinaryArray, ListBinaryDumper)


def _sqlite_engine(url: str, *, in_memory: bool) -> Engine:
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False}, "json_serializer": _json}
    options["hide_parameters"] = True  # as above
    if in_memory:
        options["poolclass"] = StaticPool
    engine = create_engine(url, **options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's "begin" below starts transactions, not the driver
        pragmas = (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={SQLITE_BUSY_MS}",
        )
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        immediate = connection.get_execution_options().get("sqlite_immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
