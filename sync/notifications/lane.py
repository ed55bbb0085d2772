"""The messages lane: queue what is new in the stream, or say what is owed through one integration."""

from __future__ import annotations

from sync.notifications.fanout import fan_out, gather
from sync.notifications.outbox import due_now
from sync.notifications.sending import send_due
from sync.runtime import NEWS, Lane, Runtime


def messages(rt: Runtime, subject: str) -> None:
    """What a doorbell in the lane means."""
    if subject == NEWS:
        _spread(rt)
    else:
        send_due(rt, subject)


def _spread(rt: Runtime) -> None:
    """Queue the news, end windows, and ring for the integrations through which something can be said now."""
    fan_out(rt)
    gather(rt)
    with rt.db.read() as session:
        due = session.scalars(due_now(rt.clock())).all()
    for integration_id in due:
        rt.ring(Lane.MESSAGES, integration_id)
