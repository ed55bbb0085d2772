"""Single statements on a kept connection: committed each, and a dead connection costs none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from core.db import Appender, Database
from core.models import Lease
from tests.core.conftest import NOW
from tests.services.servers import fresh_database

Statement = Callable[[Connection], Any]


@pytest.fixture
def appender(db: Database) -> Iterator[Appender]:
    kept = db.appender()
    yield kept
    kept.close()


def take(name: str) -> Statement:
    return lambda connection: connection.execute(insert(Lease).values(name=name, fence=1, expires_at=NOW))


def count(db: Database) -> int:
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(Lease)) or 0


def cut(postgres: Any, db: Database) -> None:
    """The server closes all of the database's connections."""
    name = db.engine.url.database
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def test_each_statement_is_committed(db, appender):
    for number in range(3):
        appender.run(take(str(number)))
        assert count(db) == number + 1


def test_it_keeps_one_connection_and_gives_it_back(db, appender):
    given = []
    event.listen(db.engine, "checkout", lambda *args: given.append(args))
    for number in range(3):
        appender.run(take(str(number)))
    assert len(given) == 1
    appender.close()
    appender.close()
    appender.run(take("again"))
    assert len(given) == 2


def test_a_statement_that_fails_leaves_nothing_and_the_next_one_holds(db, appender):
    appender.run(take("1"))
    with pytest.raises(IntegrityError):
        appender.run(take("1"))
    with pytest.raises(ZeroDivisionError):
        appender.run(lambda _connection: 1 / 0)
    appender.run(take("2"))
    assert count(db) == 2


def test_postgresql_commits_the_statement_by_itself_and_is_not_asked_a_second_time(postgres):
    with fresh_database(postgres) as url:
        db = Database(url)
        with db.write() as session:
            session.execute(text("CREATE TABLE n (n int)"))
        appender = db.appender()

        def write(connection: Connection) -> int:
            connection.execute(text("INSERT INTO n VALUES (1)"))
            with db.read() as session:
                return session.scalar(text("SELECT count(*) FROM n"))

        assert appender.run(write) == 1, "others see it before anybody has said COMMIT"
        appender.close()
        db.close()


def test_a_connection_that_died_meanwhile_costs_no_statement(postgres):
    with fresh_database(postgres) as url:
        db = Database(url)
        with db.write() as session:
            session.execute(text("CREATE TABLE n (n int)"))
        appender = db.appender()
        for _ in range(2):
            appender.run(lambda connection: connection.execute(text("INSERT INTO n VALUES (1)")))
            cut(postgres, db)
        assert appender.run(lambda connection: connection.scalar(text("SELECT count(*) FROM n"))) == 2
        appender.close()
        db.close()


def test_a_statement_is_tried_on_a_new_connection_once(postgres):
    with fresh_database(postgres) as url:
        db = Database(url)
        appender = db.appender()
        tried = []

        def die(connection: Connection) -> None:
            tried.append(connection.scalar(text("SELECT 1")))
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(OperationalError):
            appender.run(die)
        assert len(tried) == 1, "the connection was new: the fault is the statement's"
        appender.run(lambda connection: connection.execute(text("SELECT 1")))
        with pytest.raises(OperationalError):
            appender.run(die)
        assert len(tried) == 3
        appender.close()
        db.close()
