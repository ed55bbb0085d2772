"""What a Celery process is started with (`celery -A cli.worker worker`): the app, with a function for every lane.

Rooms of one floor do not know each other; here, above them all, the engine's app is given the lanes that other rooms
work.
"""

from __future__ import annotations

from intelligence.projection import follow
from sync.app import app, take_on
from sync.leases import LeaseLost, hold
from sync.runtime import NEWS, Lane, Runtime
from sync.scheduler import endpoints_due
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.sending import send_due

__all__ = ["app", "facts", "notify"]


def notify(rt: Runtime, subject: str) -> None:
    """The notify lane: queue what is new in the stream, or send what is owed to one endpoint."""
    if subject == NEWS:
        _spread(rt)
    else:
        _send(rt, subject)


def _spread(rt: Runtime) -> None:
    """Queue the news, and ring for the endpoints that now have something due."""
    fan_out(rt)
    with rt.db.read() as session:
        due = session.scalars(endpoints_due(rt.clock())).all()
    for endpoint_id in due:
        rt.ring(Lane.NOTIFY, endpoint_id)


def _send(rt: Runtime, endpoint_id: str) -> None:
    """One turn of one endpoint. Another one is rung for, so that in between others have theirs."""
    with hold(rt, f"notify:{endpoint_id}") as lease:
        if lease is None:
            return
        try:
            more = send_due(rt, endpoint_id, lease.guard)
        except LeaseLost:
            return
    if more:
        rt.ring(Lane.NOTIFY, endpoint_id)


def facts(rt: Runtime, _subject: str) -> None:
    """The facts lane: fold what is new in the stream. One at a time; the one rung in vain returns at once."""
    with hold(rt, "facts") as lease:
        if lease is not None:
            follow(rt.db)


take_on(Lane.NOTIFY, notify)
take_on(Lane.FACTS, facts)
