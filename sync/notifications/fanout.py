"""From events to messages: whatever is new in the stream is owed to every route that wants it, exactly once.

One transaction moves the reader's place in the stream and inserts a message for each event and route. Killed before its
commit, it did nothing; two workers come one after the other; and should the stream ever show an event twice, the
message's key is taken. What a route gathers waits until its window ends, then one message says all of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from connectors.contract import Severity
from core import ids, stream
from core.bulk import among, insert_new, insert_rows
from core.models import Event, Integration, NotificationMessage, NotificationRoute, Task
from core.stream import News
from sync.notifications.digest import Member, digest
from sync.notifications.words import QUIET, Draft, Happened, Known, as_body, at_least, draft
from sync.runtime import Runtime

BATCH = 1000
"""Events looked at at once, so that a burst of any size needs little memory."""

FLOOD = 20
"""Messages of one route that may wait. Vendors allow a channel one a second, so more would keep an incident waiting
behind them: what is quiet is gathered then, as if the route asked for it."""

DIGEST = "digest"
"""The event type of a message that says others."""

OWN = (
    "It is about {id} itself, which this route sends through: that could not tell, or would go round in circles. "
    "Let another integration tell of it."
)

Row = dict[str, Any]


def fan_out(rt: Runtime) -> None:
    """Queue what is new; once more from the start if a route was deleted meanwhile."""
    rt.db.run(lambda session: _queue(rt, session, stream.advance(session, stream.NOTIFICATIONS)))


def start_listening(session: Session) -> None:
    """Before a route is enabled: while there is none, nobody reads the stream, and what was appended meanwhile need not
    be looked through."""
    stream.hold(session, stream.NOTIFICATIONS)
    if session.scalar(select(NotificationRoute.id).where(NotificationRoute.enabled).limit(1)) is None:
        stream.start(session, stream.NOTIFICATIONS)


def _queue(rt: Runtime, session: Session, news: News) -> None:
    now, waiting = rt.clock(), _Waiting(session)
    for pairs in _wanted(session, news):
        known = _known(session, {event.subject_id for event, _ in pairs})
        rows = []
        for event, route in pairs:
            made = draft(_happened(event, known), rt.settings.platform_url)
            if at_least(made.severity, Severity(route.least_severity)):
                rows.append(_row(event, route, made, now) | _when(event, route, made, waiting, now))
        _insert(session, rows, now)


def _wanted(session: Session, news: News) -> Iterator[Sequence[tuple[Event, NotificationRoute]]]:
    """The new events with the routes that name them, in the events' order, in batches."""
    route = NotificationRoute
    found = session.execute(
        select(Event, route)
        .join(route, route.workspace_id == Event.workspace_id)
        .join(Integration, Integration.id == route.integration_id)
        .where(
            news,
            Event.backfilled.is_(False),  # history that was read later is no news
            route.enabled,
            Event.at >= route.listening_since,
            Integration.status != "disconnected",
            stream.is_named(session, route.events),
        )
        .order_by(Event.id, route.id)
        .execution_options(yield_per=BATCH)
    )
    for pairs in found.partitions():
        yield [(event, route) for event, route in pairs]


def _known(session: Session, subjects: set[str]) -> Mapping[str, Known]:
    """What the subjects are called, of those that have a name."""
    tasks = session.execute(select(Task.id, Task.title, Task.priority).where(among(session, Task.id, subjects)))
    known = {id_: Known(title, priority) for id_, title, priority in tasks}
    named = session.execute(select(Integration.id, Integration.name).where(among(session, Integration.id, subjects)))
    return known | {id_: Known(name) for id_, name in named}


def _happened(event: Event, known: Mapping[str, Known]) -> Happened:
    subject = known.get(event.subject_id, Known())
    return Happened(event.type, event.subject_id, event.actor, event.data, event.occurred_at or event.at, subject)


def _row(event: Event, route: NotificationRoute, made: Draft, now: datetime) -> Row:
    key, at = f"{event.id}-{route.id}", event.occurred_at or event.at
    return _message(route, made, key, event.type, at, now) | {"event_id": event.id}


def _message(route: NotificationRoute, made: Draft, key: str, event_type: str, at: datetime, now: datetime) -> Row:
    """The columns of a message that was never tried, without its id and state."""
    return {
        "delivery_key": key,
        "organization_id": route.organization_id,
        "workspace_id": route.workspace_id,
        "route_id": route.id,
        "integration_id": route.integration_id,
        "channel": route.channel,
        "event_id": None,
        "event_type": event_type,
        "kind": made.kind.value,
        "severity": made.severity.value,
        "title": made.title,
        "body": as_body(made),
        "thread_key": made.thread_key,
        "event_at": at,
        "attempts": 0,
        "tries": 0,
        "queued_at": now,
        "next_attempt_at": now,
        "created_at": now,
    }


def _insert(session: Session, rows: Sequence[Row], now: datetime) -> None:
    numbered = zip(ids.take(session, "NTF", now, len(rows)), rows, strict=True)
    insert_new(
        session, NotificationMessage.__table__, [{"id": id_, **row} for id_, row in numbered], key="delivery_key"
    )


# --- when it is said ----------------------------------------------------------------------------------


@dataclass
class _Waiting:
    """Per route, how many messages wait to be said, and when the window ends that is open now."""

    session: Session
    _pending: dict[str, int] = field(default_factory=dict)
    _windows: dict[str, datetime] = field(default_factory=dict)

    def one_more(self, route_id: str) -> int:
        """How many wait, with this one."""
        if route_id not in self._pending:
            self._pending[route_id] = self._count(route_id)
        self._pending[route_id] += 1
        return self._pending[route_id]

    def window(self, route: NotificationRoute, now: datetime) -> datetime:
        """When what the route gathers now will be said."""
        if route.id not in self._windows:
            opened = self._opened(route.id, now)
            self._windows[route.id] = opened or now + timedelta(minutes=route.digest_minutes)
        return self._windows[route.id]

    def _count(self, route_id: str) -> int:
        message = NotificationMessage
        wanted = select(func.count()).where(message.route_id == route_id, message.state == "pending")
        return self.session.scalar(wanted) or 0

    def _opened(self, route_id: str, now: datetime) -> datetime | None:
        message = NotificationMessage
        ends = select(func.min(message.next_attempt_at))
        mine = (message.route_id == route_id, message.state == "gathering", message.next_attempt_at > now)
        return self.session.scalar(ends.where(*mine))


def _when(event: Event, route: NotificationRoute, made: Draft, waiting: _Waiting, now: datetime) -> Row:
    """The state a message begins in."""
    if event.type.startswith("integration.") and event.subject_id == route.integration_id:
        told = {"error_code": "own_integration", "error_text": OWN.format(id=route.integration_id)}
        return {"state": "skipped", "finished_at": now, **told}
    unsaid: Row = {"finished_at": None, "error_code": None, "error_text": None}
    if route.digest_minutes:
        return {"state": "gathering", **unsaid, "next_attempt_at": waiting.window(route, now)}
    if waiting.one_more(route.id) > FLOOD and made.kind in QUIET:
        return {"state": "gathering", **unsaid}
    return {"state": "pending", **unsaid}


# --- windows that have ended --------------------------------------------------------------------------


def gather(rt: Runtime) -> None:
    """Make one message of what each route has gathered in a window that has ended."""
    now = rt.clock()
    with rt.db.read() as session:
        ended = session.scalars(windows_ended(now, NotificationMessage.route_id).distinct()).all()
    for route_id in sorted(ended):
        with rt.db.write() as session:
            _gather(session, route_id, now)


def windows_ended(now: datetime, column: Any) -> Any:
    """This column of the messages whose window has ended."""
    message = NotificationMessage
    return select(column).where(message.state == "gathering", message.next_attempt_at <= now)


def _gather(session: Session, route_id: str, now: datetime) -> None:
    # The route first: two workers come one after the other, and the second finds nothing.
    route = session.get(NotificationRoute, route_id, with_for_update={"key_share": True})
    message = NotificationMessage
    mine = (message.route_id == route_id, message.state == "gathering", message.next_attempt_at <= now)
    rows = session.scalars(select(message).where(*mine).order_by(message.id)).all()
    if route is None:
        return
    groups = defaultdict(list)
    for row in rows:
        groups[row.integration_id, row.channel].append(row)
    for members in groups.values():
        if len(members) == 1:
            members[0].state, members[0].next_attempt_at = "pending", now
        else:
            _say_together(session, route, members, now)


def _say_together(
    session: Session, route: NotificationRoute, rows: Sequence[NotificationMessage], now: datetime
) -> None:
    members = [
        Member(row.event_type, Severity(row.severity), row.title, row.thread_key, row.body["over"], row.event_at)
        for row in rows
    ]
    id_ = ids.take_one(session, "NTF", now)
    whole = _message(route, digest(members), id_, DIGEST, rows[-1].event_at, now)
    whole |= {"id": id_, "state": "pending", "integration_id": rows[0].integration_id, "channel": rows[0].channel}
    insert_rows(session, NotificationMessage.__table__, [whole])
    session.execute(
        update(NotificationMessage)
        .where(among(session, NotificationMessage.id, [row.id for row in rows]))
        .values(state="gathered", digest_id=id_, finished_at=now)
        .execution_options(synchronize_session=False)
    )
