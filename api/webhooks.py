"""/v1/webhooks: endpoints that the platform's events are sent to, and what became of each delivery."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import paging, scope
from api.auth import Rt, WebhookReader, WebhookWriter
from api.errors import documented
from api.filters import Several
from api.idempotency import Json, Keep, Once
from api.paging import Window
from api.schemas import Answer, Listing
from api.webhook_views import (
    STATES,
    NewWebhook,
    Redeliver,
    Redelivered,
    WebhookDelivery,
    WebhookDeliveryDetail,
    WebhookPatch,
    WebhookRecord,
    WebhookWithSecret,
)
from core import access
from core.access import Principal
from core.errors import NotFound
from core.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from sync.runtime import Lane, Runtime
from webhooks.outbound import again, endpoints
from webhooks.outbound.endpoints import By

router = APIRouter(tags=["Webhooks"])

ATTEMPTS_SHOWN = 50
"""Five rounds of redelivery; nobody needs more to see what is wrong."""


class WebhookFilters(Window):
    """What a list of endpoints can be narrowed to."""

    workspace_id: Annotated[str | None, Field(description="Only endpoints of this workspace.")] = None


class DeliveryFilters(Window):
    """What a list of deliveries can be narrowed to."""

    state: Annotated[str, Several(STATES)] | None = None
    event_id: Annotated[str | None, Field(description="The deliveries of one event.")] = None


@router.get("/v1/webhooks", responses=documented(404))
def list_webhooks(rt: Rt, caller: WebhookReader, filters: Annotated[WebhookFilters, Query()]) -> Listing[WebhookRecord]:
    """List webhook endpoints, oldest first."""
    with rt.db.read() as session:
        wanted = select(WebhookEndpoint).where(
            scope.visible(caller, WebhookEndpoint.organization_id, WebhookEndpoint.workspace_id)
        )
        if filters.workspace_id is not None:
            access.workspace(session, caller, filters.workspace_id)
            wanted = wanted.where(WebhookEndpoint.workspace_id == filters.workspace_id)
        page = paging.fetch(session, wanted, WebhookEndpoint.id, filters, newest_first=False)
        return Listing(data=[WebhookRecord.of(row) for row in page.rows], meta=page.meta)


@router.post(
    "/v1/webhooks", status_code=201, response_model=Answer[WebhookWithSecret], responses=documented(404, 409, 413)
)
def create_webhook(rt: Rt, caller: WebhookWriter, once: Once, body: NewWebhook) -> JSONResponse:
    """Create a webhook endpoint. Its signing secret is in this answer and never again."""
    return once.run(201, lambda keep: _create(rt, caller, body, keep))


def _create(rt: Runtime, caller: Principal, body: NewWebhook, keep: Keep) -> Json:
    workspace_id = body.workspace_id or caller.workspace_id
    if workspace_id is not None:
        with rt.db.read() as session:
            access.workspace(session, caller, workspace_id)
    endpoints.check(rt, body.url)
    with rt.db.write() as session:
        made, secret = endpoints.create(
            session,
            rt,
            by=_by(caller),
            organization_id=caller.organization_id,
            workspace_id=workspace_id,
            url=body.url,
            description=body.description,
            names=body.events,
            enabled=body.enabled,
        )
        keep(session, _with_secret(made, None))  # what is kept for a repetition must not hold it
    return _with_secret(made, secret)


@router.get("/v1/webhooks/{webhook_id}", responses=documented(404))
def get_webhook(rt: Rt, caller: WebhookReader, webhook_id: str) -> Answer[WebhookRecord]:
    """Retrieve a webhook endpoint: whether it is enabled, why not, and how it does."""
    with rt.db.read() as session:
        return Answer(data=WebhookRecord.of(scope.webhook(session, caller, webhook_id)))


@router.patch("/v1/webhooks/{webhook_id}", responses=documented(404, 409, 413))
def update_webhook(rt: Rt, caller: WebhookWriter, webhook_id: str, body: WebhookPatch) -> Answer[WebhookRecord]:
    """Change a webhook endpoint, disable it, or enable it again.

    While it is disabled nothing is sent and nothing is queued. Enabled again, what was pending goes on; what happened
    meanwhile is sent by `POST /v1/webhooks/{id}/redeliver` with `only: all`.
    """
    _seen(rt, caller, webhook_id)
    changes = body.model_dump(include=body.model_fields_set)
    if "url" in changes:
        endpoints.check(rt, changes["url"])
    with rt.db.write() as session:
        record = WebhookRecord.of(endpoints.update(session, rt, webhook_id, changes, by=_by(caller)))
    rt.ring(Lane.NOTIFY, webhook_id)
    return Answer(data=record)


@router.delete("/v1/webhooks/{webhook_id}", responses=documented(404))
def delete_webhook(rt: Rt, caller: WebhookWriter, webhook_id: str) -> Answer[WebhookRecord]:
    """Delete a webhook endpoint and its deliveries. Answers it as it was."""
    _seen(rt, caller, webhook_id)
    with rt.db.write() as session:
        return Answer(data=WebhookRecord.of(endpoints.remove(session, rt, webhook_id, by=_by(caller))))


@router.post(
    "/v1/webhooks/{webhook_id}/rotate-secret",
    response_model=Answer[WebhookWithSecret],
    responses=documented(404, 409, 413),
)
def rotate_webhook_secret(rt: Rt, caller: WebhookWriter, once: Once, webhook_id: str) -> JSONResponse:
    """Make a new signing secret, which is in this answer and never again.

    For 24 hours everything is signed with the secret before it, too, so that nothing is lost while the receiver is
    being changed.
    """
    _seen(rt, caller, webhook_id)

    def work(keep: Keep) -> Json:
        with rt.db.write() as session:
            endpoint, secret = endpoints.rotate_secret(session, rt, webhook_id, by=_by(caller))
            keep(session, _with_secret(endpoint, None))
        return _with_secret(endpoint, secret)

    return once.run(200, work)


@router.post(
    "/v1/webhooks/{webhook_id}/test", response_model=Answer[WebhookDeliveryDetail], responses=documented(404, 409, 413)
)
def test_webhook(rt: Rt, caller: WebhookWriter, once: Once, webhook_id: str) -> JSONResponse:
    """Send a `webhook.test` event now and answer what came of it; takes as long as the endpoint does, at most 15 s.

    It is sent once, also to a disabled endpoint, and does not count for or against it.
    """
    _seen(rt, caller, webhook_id)

    def work(_keep: Keep) -> Json:
        message_id = again.send_test(rt, webhook_id, by=_by(caller))
        with rt.db.read() as session:
            return _detail(session, webhook_id, message_id).model_dump(mode="json")

    return once.run(200, work)


@router.get("/v1/webhooks/{webhook_id}/deliveries", responses=documented(404))
def list_webhook_deliveries(
    rt: Rt, caller: WebhookReader, webhook_id: str, filters: Annotated[DeliveryFilters, Query()]
) -> Listing[WebhookDelivery]:
    """List what was sent to an endpoint or is owed to it, by event, newest first."""
    with rt.db.read() as session:
        scope.webhook(session, caller, webhook_id)
        wanted = select(WebhookMessage).where(WebhookMessage.endpoint_id == webhook_id)
        if filters.state is not None:
            wanted = wanted.where(WebhookMessage.state.in_(set(filters.state.split(","))))
        if filters.event_id is not None:
            wanted = wanted.where(WebhookMessage.event_id == filters.event_id)
        page = paging.fetch(session, wanted, WebhookMessage.id, filters)
        return Listing(data=[WebhookDelivery.of(row) for row in page.rows], meta=page.meta)


@router.get("/v1/webhooks/{webhook_id}/deliveries/{message_id}", responses=documented(404))
def get_webhook_delivery(
    rt: Rt, caller: WebhookReader, webhook_id: str, message_id: str
) -> Answer[WebhookDeliveryDetail]:
    """Retrieve one delivery with its attempts: status, latency, and the beginning of each answer."""
    with rt.db.read() as session:
        scope.webhook(session, caller, webhook_id)
        return _detail(session, webhook_id, message_id)


@router.post(
    "/v1/webhooks/{webhook_id}/deliveries/{message_id}/redeliver",
    status_code=202,
    response_model=Answer[WebhookDelivery],
    responses=documented(404, 409, 413),
)
def redeliver_webhook_delivery(
    rt: Rt, caller: WebhookWriter, once: Once, webhook_id: str, message_id: str
) -> JSONResponse:
    """Send one delivery once more, now, under the same `webhook-id`. 409 while the endpoint is disabled."""
    _seen(rt, caller, webhook_id)

    def work(keep: Keep) -> Json:
        with rt.db.write() as session:
            message = again.redeliver_one(session, rt, webhook_id, message_id, by=_by(caller))
            answer = Answer(data=WebhookDelivery.of(message)).model_dump(mode="json")
            keep(session, answer)
        rt.ring(Lane.NOTIFY, webhook_id)
        return answer

    return once.run(202, work)


@router.post(
    "/v1/webhooks/{webhook_id}/redeliver",
    status_code=202,
    response_model=Answer[Redelivered],
    responses=documented(404, 409, 413),
)
def redeliver_webhook(rt: Rt, caller: WebhookWriter, once: Once, webhook_id: str, body: Redeliver) -> JSONResponse:
    """Send all failed deliveries once more, or everything of a stretch of time. 409 while the endpoint is disabled."""
    _seen(rt, caller, webhook_id)

    def work(keep: Keep) -> Json:
        with rt.db.write() as session:
            count = again.redeliver_many(
                session,
                rt,
                webhook_id,
                by=_by(caller),
                since=body.since,
                until=body.until,
                everything=body.only == "all",
            )
            answer = Answer(data=Redelivered(webhook_id=webhook_id, deliveries=count)).model_dump(mode="json")
            keep(session, answer)
        rt.ring(Lane.NOTIFY, webhook_id)
        return answer

    return once.run(202, work)


def _seen(rt: Runtime, caller: Principal, webhook_id: str) -> None:
    """Raises NotFound for what the caller does not see."""
    with rt.db.read() as session:
        scope.webhook(session, caller, webhook_id)


def _detail(session: Session, webhook_id: str, message_id: str) -> Answer[WebhookDeliveryDetail]:
    message = session.get(WebhookMessage, message_id)
    if message is None or message.endpoint_id != webhook_id:
        raise NotFound(f"Delivery {message_id} not found.")
    newest = (
        select(WebhookAttempt).where(WebhookAttempt.message_id == message_id).order_by(WebhookAttempt.number.desc())
    )
    log = session.scalars(newest.limit(ATTEMPTS_SHOWN)).all()
    return Answer(data=WebhookDeliveryDetail.with_log(message, log[::-1]))


def _with_secret(endpoint: WebhookEndpoint, secret: str | None) -> Json:
    return Answer(data=WebhookWithSecret.made(endpoint, secret)).model_dump(mode="json")


def _by(caller: Principal) -> By:
    return By(caller.actor, caller.token_id)
