"""Routes: made, changed and removed, each with its audit record in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import events, ids
from core.errors import Conflict, NotFound, Unprocessable
from core.models import Integration, NotificationMessage, NotificationRoute
from sync.notifications import channels, fanout, outbox
from sync.runtime import Runtime

MOST_ROUTES = 50
"""Of a workspace: every event is looked at once for each that names it."""

DISABLED = "The route was disabled before this was said."


@dataclass(frozen=True, slots=True)
class By:
    """Who is asking, for the audit trail."""

    actor: str
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewRoute:
    """A route to be made; see `NotificationRoute`."""

    name: str
    channel: str
    events: Sequence[str]
    least_severity: str
    digest_minutes: int
    enabled: bool


def create(session: Session, rt: Runtime, integration_id: str, new: NewRoute, *, by: By) -> NotificationRoute:
    """A new route through an integration, in its workspace. Raises Unprocessable, Conflict."""
    if new.enabled:
        fanout.start_listening(session)
    now, integration = rt.clock(), _usable(session, integration_id)
    if _count(session, integration.workspace_id) >= MOST_ROUTES:
        raise Conflict(f"A workspace can have {MOST_ROUTES} notification routes. Delete one that is not used.")
    route = NotificationRoute(
        id=ids.take_one(session, "NRT", now),
        organization_id=integration.organization_id,
        workspace_id=integration.workspace_id,
        name=new.name,
        integration_id=integration.id,
        channel=new.channel,
        events=list(new.events),
        least_severity=new.least_severity,
        digest_minutes=new.digest_minutes,
        enabled=new.enabled,
        listening_since=now,
        created_by=by.actor,
        created_at=now,
        updated_at=now,
    )
    session.add(route)
    session.flush()
    told = {"integration_id": integration.id, "channel": new.channel, "events": list(new.events)}
    audit(session, route, by, "notification_route.created", now, told)
    return route


def update(session: Session, rt: Runtime, route_id: str, changes: Mapping[str, Any], *, by: By) -> NotificationRoute:
    """Change columns. Disabled, what it has not said yet is not said; what is queued already goes where it was to go.

    Raises NotFound, Unprocessable for an integration that can't be used.
    """
    if changes.get("enabled"):
        fanout.start_listening(session)  # before the route: the order in which both are locked everywhere
    now, route = rt.clock(), locked(session, route_id)
    if "integration_id" in changes:
        _usable(session, changes["integration_id"], route.workspace_id)
    before = session.get_one(Integration, route.integration_id)
    changed = [name for name, value in changes.items() if getattr(route, name) != value]
    for name in changed:
        setattr(route, name, changes[name])
    if "enabled" in changed:
        _switch(session, route, now)
    if changed:
        route.updated_at = now
        session.flush()
        audit(session, route, by, "notification_route.updated", now, {"fields": sorted(changed)})
        channels.forget_unused(session, before, now)
    return route


def remove(session: Session, rt: Runtime, route_id: str, *, by: By) -> NotificationRoute:
    """Delete a route with all it said and has yet to say. Raises NotFound."""
    now, route = rt.clock(), locked(session, route_id)
    audit(session, route, by, "notification_route.deleted", now, {})
    session.delete(route)
    session.flush()
    channels.forget_unused(session, session.get_one(Integration, route.integration_id), now)
    return route


def locked(session: Session, route_id: str) -> NotificationRoute:
    """The route, locked for a change that leaves its key: messages can be queued for it. Raises NotFound."""
    route = session.get(NotificationRoute, route_id, with_for_update={"key_share": True})
    if route is None:
        raise NotFound(f"Notification route {route_id} not found.")
    return route


def _usable(session: Session, integration_id: str, workspace_id: str | None = None) -> Integration:
    """An integration (of the workspace, where one is named) that can say something. Raises Unprocessable."""
    integration = session.get(Integration, integration_id)
    if integration is None or workspace_id not in (None, integration.workspace_id):
        raise Unprocessable(f"integration_id: {integration_id} is not an integration of workspace {workspace_id}.")
    if "notifier" not in integration.capabilities:
        raise Unprocessable(f"integration_id: {integration.id} ({integration.type}) has no notifier to say it with.")
    if integration.status == "disconnected":
        raise Unprocessable(f"integration_id: {integration.id} is disconnected.")
    return integration


def _switch(session: Session, route: NotificationRoute, now: datetime) -> None:
    if route.enabled:
        route.listening_since = now
    else:
        outbox.drop_all(session, "route_disabled", DISABLED, now, NotificationMessage.route_id == route.id)


def _count(session: Session, workspace_id: str) -> int:
    wanted = select(func.count()).select_from(NotificationRoute)
    return session.scalar(wanted.where(NotificationRoute.workspace_id == workspace_id)) or 0


def audit(
    session: Session, route: NotificationRoute, by: By, action: str, now: datetime, data: Mapping[str, Any]
) -> None:
    """Record what somebody did with a route."""
    events.audit(
        session,
        organization_id=route.organization_id,
        workspace_id=route.workspace_id,
        actor=by.actor,
        token_id=by.token_id,
        action=action,
        subject_id=route.id,
        now=now,
        data=data,
    )
