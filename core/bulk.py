"""Set-based statements: many rows in one, the same on both databases.

PostgreSQL gets one array per column (`… FROM unnest(…)`), so that the number of statements, their text and their
plan do not depend on the number of rows. SQLite runs one prepared statement over the rows inside the process.
Rows are dicts, all with the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Table,
    TableValuedAlias,
    Text,
    and_,
    any_,
    bindparam,
    column,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.elements import TextClause

from core.db import BinaryArray

Row = Mapping[str, Any]


def insert_rows(session: Session, table: FromClause, rows: Sequence[Row], *, shared: Row | None = None) -> None:
    """Insert the rows; nothing happens for an empty list. `shared` holds the columns that are alike in all of them."""
    assert isinstance(table, Table)
    if not rows:
        return
    shared = shared or {}
    columns = tuple(rows[0])
    if on_postgresql(session):
        parameters = {**_arrays(table, columns, rows), **_scalars(table, shared)}
        session.execute(_pg_insert(table, columns, tuple(shared)), parameters)
    else:
        session.execute(insert(table), [{**shared, **row} for row in rows])


def insert_new(
    through: Session | Connection, table: FromClause, rows: Sequence[Row], *, key: str, where: str | None = None
) -> set[Any]:
    """Insert the rows whose unique `key` is not there yet, in one statement; the keys of those that were inserted.
    `where` is the condition of the key's index, if it has one.

    Of rows with the same key the first is taken. In the order of the keys, so that two transactions with the same rows
    never wait for each other in a ring.
    """
    assert isinstance(table, Table)
    if not rows:
        return set()
    rows = sorted(rows, key=lambda row: row[key])  # stable
    columns = tuple(rows[0])
    connection = through.connection() if isinstance(through, Session) else through
    if connection.dialect.name == "postgresql":
        return set(connection.scalars(_pg_insert_new(table, columns, key, where), _arrays(table, columns, rows)))
    condition = None if where is None else text(where)
    insertion = sqlite.insert(table).on_conflict_do_nothing(index_elements=[key], index_where=condition)
    return set(connection.scalars(insertion.returning(table.c[key]), list(rows)))


def upsert_rows(session: Session, table: FromClause, rows: Sequence[Row], *, key: str | tuple[str, ...]) -> None:
    """Insert the rows; where one with the same unique `key` (one column, or several) is there, set its columns. Nothing
    happens for an empty list. No two rows may have the same key."""
    assert isinstance(table, Table)
    if not rows:
        return
    keys = (key,) if isinstance(key, str) else key
    rows = sorted(rows, key=lambda row: tuple(row[name] for name in keys))
    columns = tuple(rows[0])
    if on_postgresql(session):
        session.execute(_pg_upsert(table, columns, keys), _arrays(table, columns, rows))
        return
    insertion = sqlite.insert(table)
    values = {name: insertion.excluded[name] for name in columns if name not in keys}
    session.connection().execute(insertion.on_conflict_do_update(index_elements=keys, set_=values), list(rows))


def insert_missing(session: Session, table: FromClause, row: Row) -> bool:
    """Insert one row unless one with the same unique key is there already; True if it was inserted."""
    assert isinstance(table, Table)
    dialect = postgresql if on_postgresql(session) else sqlite
    statement = dialect.insert(table).values(**row).on_conflict_do_nothing()
    return session.execute(statement.returning(*table.primary_key)).first() is not None


def update_rows(session: Session, table: FromClause, rows: Sequence[Row], *, key: str) -> None:
    """Set each row's columns where `key` equals the row's own; nothing happens for an empty list."""
    assert isinstance(table, Table)
    if not rows:
        return
    columns = tuple(rows[0])
    if on_postgresql(session):
        session.execute(_pg_update(table, columns, key), _arrays(table, columns, rows))
        return
    values: dict[str, Any] = {name: bindparam(f"v_{name}") for name in columns if name != key}
    statement = update(table).where(and_(table.c[key] == bindparam(f"v_{key}"))).values(values)
    session.connection().execute(statement, [{f"v_{name}": row[name] for name in columns} for row in rows])


def among(session: Session, target: InstrumentedAttribute[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`target` is one of `values`, as one parameter whatever their number."""
    if on_postgresql(session):
        return target == any_(literal(list(values), ARRAY(target.type)))
    listed = func.json_each(json.dumps(list(values))).table_valued(column("value", target.type))
    return target.in_(select(listed.c.value))


def elements(session: Session, listed: InstrumentedAttribute[list[Any]]) -> TableValuedAlias:
    """The texts of a JSON list as rows with the one column `value`, for an EXISTS over each row's own list."""
    function = func.jsonb_array_elements_text if on_postgresql(session) else func.json_each
    return function(listed).table_valued(column("value", Text))


def on_postgresql(session: Session) -> bool:
    """Whether this is PostgreSQL; else it is SQLite."""
    return session.get_bind().dialect.name == "postgresql"


# One text per table and set of columns: the cache is bounded by the number of call sites, not by data.
@lru_cache(maxsize=256)
def _pg_insert(table: Table, columns: tuple[str, ...], shared: tuple[str, ...] = ()) -> TextClause:
    names = ", ".join((*columns, *shared))
    varying = [f"v.{name}{_cast(table, name)}" for name in columns]
    alike = [f"CAST(:{name} AS {_element(table, name)}){_cast(table, name)}" for name in shared]
    picked = ", ".join(varying + alike)
    return text(f"INSERT INTO {table.name} ({names}) SELECT {picked} FROM {_unnest(table, columns)}")  # noqa: S608


@lru_cache(maxsize=256)
def _pg_insert_new(table: Table, columns: tuple[str, ...], key: str, where: str | None = None) -> TextClause:
    target = f"({key})" if where is None else f"({key}) WHERE {where}"
    return text(f"{_pg_insert(table, columns).text} ON CONFLICT {target} DO NOTHING RETURNING {key}")


@lru_cache(maxsize=256)
def _pg_upsert(table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> TextClause:
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    return text(f"{_pg_insert(table, columns).text} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}")


@lru_cache(maxsize=256)
def _pg_update(table: Table, columns: tuple[str, ...], key: str) -> TextClause:
    sets = ", ".join(f"{name} = v.{name}{_cast(table, name)}" for name in columns if name != key)
    return text(f"UPDATE {table.name} AS t SET {sets} FROM {_unnest(table, columns)} WHERE t.{key} = v.{key}")  # noqa: S608


def _unnest(table: Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {_element(table, name)}[])" for name in columns)
    return f"unnest({arrays}) AS v({', '.join(columns)})"


def _element(table: Table, name: str) -> str:
    """The array's element type; JSON travels as text, since a list of JSON values can't be told from a JSON list."""
    kind = table.c[name].type.dialect_impl(_POSTGRES)
    return "TEXT" if _is_json(table, name) else kind.compile(dialect=_POSTGRES)


def _cast(table: Table, name: str) -> str:
    # `text()` would read a bare colon as the start of a parameter's name.
    return "\\:\\:jsonb" if _is_json(table, name) else ""


def _arrays(table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> dict[str, BinaryArray]:
    return {name: _array(table, name, rows) for name in columns}


def _array(table: Table, name: str, rows: Sequence[Row]) -> BinaryArray:
    if _is_json(table, name):
        return BinaryArray([_wire(row[name]) for row in rows])
    return BinaryArray([row[name] for row in rows])


def _scalars(table: Table, row: Row) -> dict[str, Any]:
    return {name: _wire(value) if _is_json(table, name) else value for name, value in row.items()}


def _wire(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


@lru_cache(maxsize=1024)
def _is_json(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, JSON)


_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves this constructor untyped
