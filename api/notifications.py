"""/v1/notification-routes and /v1/notifications: who is told what and where, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import paging, scope
from api.auth import NotificationReader, NotificationWriter, Rt
from api.errors import documented
from api.filters import Several
from api.idempotency import Json, Keep, Once
from api.notification_views import (
    STATES,
    NewNotificationRoute,
    NotificationRoutePatch,
    NotificationRouteRecord,
    NotificationView,
)
from api.paging import Window
from api.schemas import Answer, Listing
from core import access
from core.access import Principal
from core.errors import Unprocessable
from core.models import NotificationMessage, NotificationRoute
from sync.notifications import again, routes
from sync.notifications.routes import By
from sync.runtime import Lane, Runtime

router = APIRouter(tags=["Notifications"])


class RouteFilters(Window):
    """What a list of routes can be narrowed to."""

    workspace_id: Annotated[str | None, Field(description="Only routes of this workspace.")] = None
    integration_id: Annotated[str | None, Field(description="Only routes through this integration.")] = None


class NotificationFilters(Window):
    """What a list of notifications can be narrowed to."""

    workspace_id: Annotated[str | None, Field(description="Only notifications of this workspace.")] = None
    route_id: Annotated[str | None, Field(description="Only those of this route.")] = None
    integration_id: Annotated[str | None, Field(description="Only those through this integration.")] = None
    state: Annotated[str, Several(STATES)] | None = None
    event_id: Annotated[str | None, Field(description="What was said of one event.")] = None
    digest_id: Annotated[str | None, Field(description="What one digest says.")] = None


# --- routes -------------------------------------------------------------------------------------------


@router.get("/v1/notification-routes", responses=documented(404))
def list_notification_routes(
    rt: Rt, caller: NotificationReader, filters: Annotated[RouteFilters, Query()]
) -> Listing[NotificationRouteRecord]:
    """List notification routes, oldest first."""
    route = NotificationRoute
    with rt.db.read() as session:
        wanted = select(route).where(scope.visible(caller, route.organization_id, route.workspace_id))
        if filters.workspace_id is not None:
            access.workspace(session, caller, filters.workspace_id)
            wanted = wanted.where(route.workspace_id == filters.workspace_id)
        if filters.integration_id is not None:
            wanted = wanted.where(route.integration_id == filters.integration_id)
        page = paging.fetch(session, wanted, route.id, filters, newest_first=False)
        return Listing(data=[NotificationRouteRecord.of(row) for row in page.rows], meta=page.meta)


@router.post(
    "/v1/notification-routes",
    status_code=201,
    response_model=Answer[NotificationRouteRecord],
    responses=documented(404, 409, 413),
)
def create_notification_route(
    rt: Rt, caller: NotificationWriter, once: Once, body: NewNotificationRoute
) -> JSONResponse:
    """Create a route. It tells what happens from now on; `POST …/test` shows whether it arrives."""

    def work(keep: Keep) -> Json:
        _check_workspace(rt, caller, body)
        with rt.db.write() as session:
            made = routes.create(session, rt, body.integration_id, body.route(), by=_by(caller))
            answer = Answer(data=NotificationRouteRecord.of(made)).model_dump(mode="json")
            keep(session, answer)
        return answer

    return once.run(201, work)


def _check_workspace(rt: Runtime, caller: Principal, body: NewNotificationRoute) -> None:
    """Raises NotFound for what the caller does not see, Unprocessable for an integration of another workspace."""
    with rt.db.read() as session:
        if body.workspace_id is not None:
            access.workspace(session, caller, body.workspace_id)
        integration = scope.integration(session, caller, body.integration_id)
    if body.workspace_id not in (None, integration.workspace_id):
        raise Unprocessable(f"integration_id: {integration.id} is not an integration of workspace {body.workspace_id}.")


@router.get("/v1/notification-routes/{route_id}", responses=documented(404))
def get_notification_route(rt: Rt, caller: NotificationReader, route_id: str) -> Answer[NotificationRouteRecord]:
    """Retrieve a route."""
    with rt.db.read() as session:
        return Answer(data=NotificationRouteRecord.of(scope.notification_route(session, caller, route_id)))


@router.patch("/v1/notification-routes/{route_id}", responses=documented(404, 409, 413))
def update_notification_route(
    rt: Rt, caller: NotificationWriter, route_id: str, body: NotificationRoutePatch
) -> Answer[NotificationRouteRecord]:
    """Change a route, disable it, or enable it again.

    A disabled one says nothing more, not even what it had queued; enabled again, it tells what happens from then on.
    """
    changes = body.model_dump(mode="json", include=body.model_fields_set)
    with rt.db.read() as session:
        scope.notification_route(session, caller, route_id)
        if "integration_id" in changes:
            scope.integration(session, caller, changes["integration_id"])
    with rt.db.write() as session:
        return Answer(data=NotificationRouteRecord.of(routes.update(session, rt, route_id, changes, by=_by(caller))))


@router.delete("/v1/notification-routes/{route_id}", responses=documented(404))
def delete_notification_route(rt: Rt, caller: NotificationWriter, route_id: str) -> Answer[NotificationRouteRecord]:
    """Delete a route and its notifications. What was said stays at the vendor. Answers it as it was."""
    _seen(rt, caller, route_id)
    with rt.db.write() as session:
        return Answer(data=NotificationRouteRecord.of(routes.remove(session, rt, route_id, by=_by(caller))))


@router.post(
    "/v1/notification-routes/{route_id}/test",
    response_model=Answer[NotificationView],
    responses=documented(404, 409, 413),
)
def test_notification_route(rt: Rt, caller: NotificationWriter, once: Once, route_id: str) -> JSONResponse:
    """Say a test in the route's channel now, and answer what came of it.

    It is said once, also for a disabled route. If it arrives, a channel that was broken counts as mended.
    """
    _seen(rt, caller, route_id)

    def work(_keep: Keep) -> Json:
        message_id = again.send_test(rt, route_id, by=_by(caller))
        with rt.db.read() as session:
            return _shown(session, caller, message_id).model_dump(mode="json")

    return once.run(200, work)


# --- notifications ------------------------------------------------------------------------------------


@router.get("/v1/notifications", responses=documented(404))
def list_notifications(
    rt: Rt, caller: NotificationReader, filters: Annotated[NotificationFilters, Query()]
) -> Listing[NotificationView]:
    """List what was said, is owed, failed or was kept back, newest first."""
    message = NotificationMessage
    with rt.db.read() as session:
        wanted = select(message).where(scope.visible(caller, message.organization_id, message.workspace_id))
        if filters.workspace_id is not None:
            access.workspace(session, caller, filters.workspace_id)
        if filters.state is not None:
            wanted = wanted.where(message.state.in_(set(filters.state.split(","))))
        for column in (
            message.workspace_id,
            message.route_id,
            message.integration_id,
            message.event_id,
            message.digest_id,
        ):
            value = getattr(filters, column.key)
            wanted = wanted if value is None else wanted.where(column == value)
        page = paging.fetch(session, wanted, message.id, filters)
        return Listing(data=[NotificationView.of(row) for row in page.rows], meta=page.meta)


@router.get("/v1/notifications/{notification_id}", responses=documented(404))
def get_notification(rt: Rt, caller: NotificationReader, notification_id: str) -> Answer[NotificationView]:
    """Retrieve a notification: what it says, and what came of it."""
    with rt.db.read() as session:
        return _shown(session, caller, notification_id)


@router.post(
    "/v1/notifications/{notification_id}/resend",
    status_code=202,
    response_model=Answer[NotificationView],
    responses=documented(404, 409, 413),
)
def resend_notification(rt: Rt, caller: NotificationWriter, once: Once, notification_id: str) -> JSONResponse:
    """Say a notification once more, to where its route leads now, whether or not it arrived before.

    409 while it is still to be said, for one that was said in a digest, and while its route is disabled.
    """
    with rt.db.read() as session:
        scope.notification(session, caller, notification_id)

    def work(keep: Keep) -> Json:
        with rt.db.write() as session:
            row = again.resend(session, rt, notification_id, by=_by(caller))
            answer = Answer(data=NotificationView.of(row)).model_dump(mode="json")
            keep(session, answer)
        rt.ring(Lane.MESSAGES, row.integration_id)
        return answer

    return once.run(202, work)


def _seen(rt: Runtime, caller: Principal, route_id: str) -> None:
    """Raises NotFound for what the caller does not see."""
    with rt.db.read() as session:
        scope.notification_route(session, caller, route_id)


def _shown(session: Session, caller: Principal, notification_id: str) -> Answer[NotificationView]:
    return Answer(data=NotificationView.of(scope.notification(session, caller, notification_id)))


def _by(caller: Principal) -> By:
    return By(caller.actor, caller.token_id)
