"""Channels nothing can be said in, and what that means for their integration's health."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from connectors.contract import ConnectorError
from core.models import BrokenChannel, Integration, NotificationRoute
from sync.health import Cause, Trouble, clear_causes, raise_cause

CODE = "channel_unreachable"


def mark_broken(session: Session, integration: Integration, channel: str, error: ConnectorError, now: datetime) -> None:
    """The vendor has no such channel, or does not let us write to it."""
    row = session.get(BrokenChannel, (integration.id, channel))
    if row is None:
        row = BrokenChannel(integration_id=integration.id, channel=channel, since=now)
        session.add(row)
    row.code, row.text = error.code, error.text
    _derive(session, integration, now)


def mark_working(session: Session, integration: Integration, channel: str, now: datetime) -> None:
    """Something was said in the channel."""
    if integration.sync_status == "healthy":
        return  # nothing was wrong
    session.execute(
        delete(BrokenChannel)
        .where(BrokenChannel.integration_id == integration.id, BrokenChannel.channel == channel)
        .execution_options(synchronize_session=False)
    )
    clear_causes(session, integration, (Cause.MESSAGES,), now)
    _derive(session, integration, now)


def forget_unused(session: Session, integration: Integration, now: datetime) -> None:
    """A route was changed or removed: a channel to which none leads any more is nobody's trouble."""
    route = NotificationRoute
    leads = exists(
        select(route.id).where(
            route.integration_id == BrokenChannel.integration_id, route.channel == BrokenChannel.channel, route.enabled
        )
    )
    session.execute(
        delete(BrokenChannel)
        .where(BrokenChannel.integration_id == integration.id, ~leads)
        .execution_options(synchronize_session=False)
    )
    _derive(session, integration, now)


def mark_down(session: Session, integration: Integration, error: ConnectorError, now: datetime) -> None:
    """A message could not be said again and again, and the channel is not why."""
    text = f"Notifications can't be said now and are tried again by themselves: {error.text}"
    raise_cause(session, integration, Cause.MESSAGES, Trouble(error.code, text), now)


def _derive(session: Session, integration: Integration, now: datetime) -> None:
    session.flush()
    broken = session.scalars(
        select(BrokenChannel)
        .where(BrokenChannel.integration_id == integration.id)
        .order_by(BrokenChannel.since, BrokenChannel.channel)
    ).all()
    if not broken:
        clear_causes(session, integration, (Cause.CHANNELS,), now)
        return
    raise_cause(session, integration, Cause.CHANNELS, Trouble(CODE, _told(broken[0], len(broken))), now)


def _told(row: BrokenChannel, count: int) -> str:
    which = f"the channel {row.channel}" if row.channel else "the default channel"
    others = f" {count - 1} more can't be reached either." if count > 1 else ""
    return (
        f"Nothing can be said in {which}: {row.text.rstrip('.')}.{others} Mend it there and test the route "
        "(POST /v1/notification-routes/{id}/test), or change the route."
    )
