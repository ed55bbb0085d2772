"""Following the stream of events: a reader sees every event once, in whatever order the transactions commit.

Ids are no order to follow. They are taken before the commit, so an event with a low id may appear after one with a high
id was read, and a reader that remembers "all up to this id" would never see it. On PostgreSQL every event knows the
transaction that appended it, and a reader remembers the *snapshot* of its last look: new is what is visible now and was
not visible then. Nothing is missed, nothing comes twice, and nobody waits for a long transaction, which only makes the
next look start further back. On SQLite one writer appends at a time, so there the last id is enough.

`advance` belongs into the transaction that makes something of the events: both are kept, or neither.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.elements import TextClause

from core.bulk import elements, insert_missing, on_postgresql
from core.models import Event, StreamCursor

log = structlog.get_logger(__name__)

WEBHOOKS = "webhooks"
"""The reader that queues events for webhook endpoints."""

FACTS = "facts"
"""The reader that makes facts of code events."""

NOTIFICATIONS = "notifications"
"""The reader that queues what people are to be told."""

News = ColumnElement[bool] | TextClause
"""The condition on `event` that holds for what a reader has not seen."""

_XID = "CAST(CAST(event.txid AS text) AS xid8)"  # the column is a plain number, which has no cast of its own
_BETWEEN = f"""event.txid >= :oldest AND event.txid < :next
    AND pg_visible_in_snapshot({_XID}, CAST(:now AS pg_snapshot))
    AND NOT pg_visible_in_snapshot({_XID}, CAST(:seen AS pg_snapshot))"""


def start(session: Session, reader: str) -> None:
    """Let the reader see only what is appended from now on. Holds its place until the transaction ends."""
    _locked(session, reader)
    _move(session, reader, _now(session))


def hold(session: Session, reader: str) -> None:
    """Hold the reader's place until the transaction ends: nobody else advances it meanwhile."""
    _locked(session, reader)


def advance(session: Session, reader: str) -> News:
    """Move the reader to now; the condition of what is new to it. Two at once come one after the other."""
    seen, now = _locked(session, reader), _now(session)
    _move(session, reader, now)
    if on_postgresql(session):
        if _next(now) < _next(seen):
            return _start_over(session, reader, now)
        return _between(seen, now)
    return and_(Event.id > seen, Event.id <= now)


def has_started(session: Session, reader: str) -> bool:
    """Whether the reader has a place in the stream."""
    return session.scalar(select(StreamCursor.position).where(StreamCursor.reader == reader)) is not None


def has_news(session: Session, reader: str) -> bool:
    """Whether `advance` would find something, without moving. A reader that never started has no news."""
    seen = session.scalar(select(StreamCursor.position).where(StreamCursor.reader == reader))
    if seen is None:
        return False
    now = _now(session)
    if not on_postgresql(session):
        return now > seen
    if _next(now) < _next(seen):
        return True  # `advance` has to put things right
    return session.scalar(select(Event.id).where(_between(seen, now)).limit(1)) is not None


def is_named(session: Session, names: InstrumentedAttribute[list[Any]]) -> ColumnElement[bool]:
    """Whether the event's type is one of the names in a JSON list: itself, the beginning of it (`task.*`), or `*`."""
    name = elements(session, names)
    value = name.c.value
    begins = and_(value.like("%*"), Event.type.like(func.replace(value, "*", "%")))
    return exists(select(literal(1)).select_from(name).where(or_(value == Event.type, begins)))


def _between(seen: str, now: str) -> TextClause:
    """Committed after one snapshot was taken and before the other."""
    return text(_BETWEEN).bindparams(
        bindparam("oldest", int(seen.split(":")[0]), BigInteger),
        bindparam("next", _next(now), BigInteger),
        bindparam("seen", seen),
        bindparam("now", now),
    )


def _start_over(session: Session, reader: str, now: str) -> ColumnElement[bool]:
    """The database was restored from a dump into a server that counts its transactions from another start.

    The old numbers mean nothing here, and would be taken for new ones when the count reaches them: they are removed.
    """
    log.warning("stream.start_over", reader=reader, hint="restored from a dump? events of before are not sent again")
    session.execute(
        update(Event).where(Event.txid >= _next(now)).values(txid=None).execution_options(synchronize_session=False)
    )
    return false()


def _next(snapshot: str) -> int:
    """The second number of `xmin:xmax:running,…`: no transaction from it on had begun."""
    return int(snapshot.split(":")[1])


def _now(session: Session) -> str:
    if on_postgresql(session):
        return session.scalar(text("SELECT CAST(pg_current_snapshot() AS text)")) or ""
    return session.scalar(select(func.max(Event.id))) or ""


def _locked(session: Session, reader: str) -> str:
    """The reader's position, which nobody else moves until the transaction ends; a new reader begins at now."""
    position = _find(session, reader)
    if position is None:
        insert_missing(session, StreamCursor.__table__, {"reader": reader, "position": _now(session)})
        position = _find(session, reader)
    assert position is not None
    return position


def _find(session: Session, reader: str) -> str | None:
    found = select(StreamCursor.position).where(StreamCursor.reader == reader).with_for_update()
    return session.scalar(found)


def _move(session: Session, reader: str, position: str) -> None:
    session.execute(
        update(StreamCursor)
        .where(StreamCursor.reader == reader)
        .values(position=position)
        .execution_options(synchronize_session=False)
    )
