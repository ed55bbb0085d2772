"""What a caller sees: every look-up by id and every list starts here, so that nothing out of scope exists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.access import Principal
from core.errors import NotFound
from core.models import Incident, Integration, NotificationMessage, NotificationRoute, Task, WebhookEndpoint, Workspace


def task(session: Session, caller: Principal, task_id: str, *, lock: bool = False) -> Task:
    """A task of a visible workspace, locked for a change if asked. Raises NotFound."""
    wanted = select(Task).join(Workspace, Workspace.id == Task.workspace_id)
    if lock:
        wanted = wanted.with_for_update(of=Task)
    found = session.scalar(wanted.where(Task.id == task_id, visible(caller, Workspace.organization_id, Workspace.id)))
    if found is None:
        raise NotFound(f"Task {task_id} not found.")
    return found


def integration(session: Session, caller: Principal, integration_id: str) -> Integration:
    """An integration of a visible workspace. Raises NotFound."""
    in_scope = visible(caller, Integration.organization_id, Integration.workspace_id)
    found = session.scalar(select(Integration).where(Integration.id == integration_id, in_scope))
    if found is None:
        raise NotFound(f"Integration {integration_id} not found.")
    return found


def webhook(session: Session, caller: Principal, webhook_id: str) -> WebhookEndpoint:
    """A webhook endpoint of a visible workspace, or of the whole organization for who sees that. Raises NotFound."""
    in_scope = visible(caller, WebhookEndpoint.organization_id, WebhookEndpoint.workspace_id)
    found = session.scalar(select(WebhookEndpoint).where(WebhookEndpoint.id == webhook_id, in_scope))
    if found is None:
        raise NotFound(f"Webhook {webhook_id} not found.")
    return found


def notification_route(session: Session, caller: Principal, route_id: str) -> NotificationRoute:
    """A notification route of a visible workspace. Raises NotFound."""
    in_scope = visible(caller, NotificationRoute.organization_id, NotificationRoute.workspace_id)
    found = session.scalar(select(NotificationRoute).where(NotificationRoute.id == route_id, in_scope))
    if found is None:
        raise NotFound(f"Notification route {route_id} not found.")
    return found


def notification(session: Session, caller: Principal, notification_id: str) -> NotificationMessage:
    """A notification of a visible workspace. Raises NotFound."""
    in_scope = visible(caller, NotificationMessage.organization_id, NotificationMessage.workspace_id)
    found = session.scalar(select(NotificationMessage).where(NotificationMessage.id == notification_id, in_scope))
    if found is None:
        raise NotFound(f"Notification {notification_id} not found.")
    return found


def incident(session: Session, caller: Principal, incident_id: str) -> Incident:
    """An incident of a visible workspace. Raises NotFound."""
    in_scope = visible(caller, Incident.organization_id, Incident.workspace_id)
    found = session.scalar(select(Incident).where(Incident.id == incident_id, in_scope))
    if found is None:
        raise NotFound(f"Incident {incident_id} not found.")
    return found


def visible(
    caller: Principal, organization: InstrumentedAttribute[str], workspace: InstrumentedAttribute[Any]
) -> ColumnElement[bool]:
    """The condition on a row's own columns under which the caller sees it."""
    narrowed = true() if caller.workspace_id is None else workspace == caller.workspace_id
    return and_(organization == caller.organization_id, narrowed)
