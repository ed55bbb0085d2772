"""Readers of the stream of events: each sees every event once, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import events, stream
from core.clock import utc_now
from core.db import Database
from core.events import Fact
from core.migrations import upgrade
from core.models import Event
from tests.services.servers import fresh_database


@pytest.fixture
def pg(postgres) -> Iterator[Database]:
    with fresh_database(postgres, template=postgres.template("migrated", upgrade)) as url:
        database = Database(url)
        yield database
        database.close()


def append(session: Session, *subjects: str) -> None:
    facts = [Fact("ORG-26-000001", None, "task.created", subject, "USR-26-000001", {}) for subject in subjects]
    events.append(session, facts, utc_now())


def tell(db: Database, *subjects: str) -> None:
    with db.write() as session:
        append(session, *subjects)


def read(db: Database, reader: str = "somebody") -> list[str]:
    """The subjects of what is new to the reader."""
    with db.write() as session:
        return taken(session, reader)


def taken(session: Session, reader: str = "somebody") -> list[str]:
    news = stream.advance(session, reader)
    return list(session.scalars(select(Event.subject_id).where(news).order_by(Event.id)))


def has_news(db: Database) -> bool:
    with db.read() as session:
        return stream.has_news(session, "somebody")


def test_a_new_reader_begins_at_now(db: Database) -> None:
    tell(db, "before")
    assert not has_news(db)
    assert read(db) == []
    tell(db, "after")
    assert has_news(db)
    assert read(db) == ["after"]
    assert not has_news(db)
    assert read(db) == []


def test_every_reader_has_a_place_of_its_own(db: Database) -> None:
    read(db), read(db, "another")
    tell(db, "one")
    assert read(db) == ["one"]
    tell(db, "two")
    assert read(db) == ["two"]
    assert read(db, "another") == ["one", "two"]


def test_a_reader_that_starts_anew_skips_what_it_has_not_seen(db: Database) -> None:
    read(db)
    tell(db, "skipped")
    with db.write() as session:
        stream.start(session, "somebody")
    tell(db, "seen")
    assert read(db) == ["seen"]


def test_a_place_is_kept_only_with_what_was_made_of_the_events(db: Database) -> None:
    read(db)
    tell(db, "one")
    with db.read() as session:  # never commits
        assert taken(session) == ["one"]
    assert read(db) == ["one"]


def test_events_are_seen_as_their_transactions_commit(pg: Database) -> None:
    read(pg)
    with pg.write() as first:
        append(first, "began first")
        with pg.write() as second:
            append(second, "began second")
            tell(pg, "third")
            assert read(pg) == ["third"]
        assert read(pg) == ["began second"]
        assert not has_news(pg), "nothing waits for the transaction that is open"
    assert has_news(pg)
    assert read(pg) == ["began first"]
    assert read(pg) == []


def test_what_was_rolled_back_is_never_seen(pg: Database) -> None:
    read(pg)
    with pg.read() as session:
        append(session, "taken back")
        tell(pg, "kept")
    assert read(pg) == ["kept"]
    assert read(pg) == []


def test_two_who_read_at_once_come_one_after_the_other(pg: Database) -> None:
    read(pg)
    tell(pg, "one", "two")
    found: list[list[str]] = []
    other = threading.Thread(target=lambda: found.append(read(pg)))
    with pg.write() as session:
        assert taken(session) == ["one", "two"]
        other.start()
        other.join(0.3)
        assert found == [], "it waits"
    other.join(10)
    assert found == [[]]
