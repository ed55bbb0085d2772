"""/v1/integrations."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Select, select

from api import paging, scope
from api.auth import IntegrationReader, IntegrationWriter, Rt
from api.errors import documented
from api.filters import Several
from api.idempotency import Json, Once
from api.integration_views import (
    STATUSES,
    IntegrationCreated,
    IntegrationDetail,
    IntegrationListed,
    IntegrationPatch,
    IntegrationRecord,
    NewIntegration,
    SyncDetail,
    SyncStarted,
    WebhookSecret,
    summaries,
)
from api.paging import Window
from api.plan_views import DEFAULT, PlanView
from api.schemas import Answer, Listing
from core import access
from core.access import Principal
from core.errors import BadRequest, NotFound, PlatformError
from core.models import Credential, Integration, Subscription, SyncRun
from sync import farewell, integrations, oauth, subscriptions
from sync.plan import MOST, plan
from sync.runtime import Runtime

router = APIRouter(tags=["Integrations"])

HISTORY_SHOWN = 10
"""Finished syncs shown with an integration; `/syncs` lists them all."""


class IntegrationFilters(Window):
    """What a list of integrations can be narrowed to."""

    workspace_id: Annotated[str | None, Field(description="Required. Workspace scope.")] = None
    type: Annotated[str | None, Field(description="Filter by integration type.", examples=["jira"])] = None
    status: Annotated[str, Several(STATUSES)] | None = None


class SyncFilters(Window):
    """Syncs have no filters."""


@router.get("/v1/integrations", responses=documented(404))
def list_integrations(
    rt: Rt, caller: IntegrationReader, filters: Annotated[IntegrationFilters, Query()]
) -> Listing[IntegrationListed]:
    """List integrations of a workspace, oldest first."""
    if filters.workspace_id is None:
        raise BadRequest("workspace_id is required.")
    with rt.db.read() as session:
        workspace = access.workspace(session, caller, filters.workspace_id)
        wanted = select(Integration).where(Integration.workspace_id == workspace.id)
        if filters.type is not None:
            wanted = wanted.where(Integration.type == filters.type)
        if filters.status is not None:
            wanted = wanted.where(Integration.status.in_(set(filters.status.split(","))))
        page = paging.fetch(session, wanted, Integration.id, filters, newest_first=False)
        return Listing(data=[IntegrationListed.of(row) for row in page.rows], meta=page.meta)


@router.post(
    "/v1/integrations",
    status_code=201,
    response_model=Answer[IntegrationCreated],
    responses=documented(404, 409, 413),
)
def create_integration(rt: Rt, caller: IntegrationWriter, once: Once, body: NewIntegration) -> JSONResponse:
    """Connect a new integration to a workspace.

    Credentials are tried at the vendor before anything is stored. Where a person has to consent first, the
    integration is `pending_auth`, and `authorize_url` is where to send them.
    """
    return once.run(201, lambda _keep: _create(rt, caller, body))


def _create(rt: Runtime, caller: Principal, body: NewIntegration) -> Json:
    with rt.db.read() as session:
        workspace = access.workspace(session, caller, body.workspace_id)
    made = integrations.create(
        rt,
        workspace=workspace,
        actor=caller.actor,
        token_id=caller.token_id,
        type=body.type,
        name=body.name,
        config=body.config,
        credentials=body.credentials,
    )
    view = IntegrationCreated(**_parts(rt, caller, made.id), authorize_url=_authorize_url(rt, caller, made))
    return Answer(data=view).model_dump(mode="json")


def _authorize_url(rt: Runtime, caller: Principal, made: Integration) -> str | None:
    """Where to consent, if that is to be done by OAuth and the operator has an app at the vendor."""
    if made.status != "pending_auth" or rt.registry.get(made.type).manifest.oauth is None:
        return None
    try:
        return oauth.start(rt, made.id, caller.actor)
    except PlatformError:  # the integration stands; its own OAuth route says what is missing
        return None


@router.get("/v1/integrations/{integration_id}", responses=documented(404))
def get_integration(rt: Rt, caller: IntegrationReader, integration_id: str) -> Answer[IntegrationDetail]:
    """Retrieve an integration with its configuration and recent sync history."""
    parts = _parts(rt, caller, integration_id)
    with rt.db.read() as session:
        finished = _runs(integration_id).where(SyncRun.finished_at.is_not(None))
        runs = session.scalars(finished.order_by(SyncRun.id.desc()).limit(HISTORY_SHOWN)).all()
        return Answer(data=IntegrationDetail(**parts, sync_history=summaries(runs)))


@router.patch("/v1/integrations/{integration_id}", responses=documented(404, 409, 413))
def update_integration(
    rt: Rt, caller: IntegrationWriter, integration_id: str, body: IntegrationPatch
) -> Answer[IntegrationRecord]:
    """Update an integration's configuration, name or credentials."""
    found = _find(rt, caller, integration_id)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if changes:
        integrations.update(rt, found, actor=caller.actor, token_id=caller.token_id, **changes)
    return _record(rt, caller, integration_id)


@router.delete("/v1/integrations/{integration_id}", responses=documented(404, 409))
def disconnect_integration(rt: Rt, caller: IntegrationWriter, integration_id: str) -> Answer[IntegrationRecord]:
    """Disconnect an integration. Synced data is retained, but no new data will be received.

    Answers the integration as it is now; disconnecting it again changes nothing.
    """
    found = _find(rt, caller, integration_id)
    if found.status != "disconnected":
        farewell.disconnect(rt, found, actor=caller.actor, token_id=caller.token_id)
    return _record(rt, caller, integration_id)


class SyncOptions(BaseModel):
    """How to sync."""

    model_config = ConfigDict(extra="forbid")

    confirm_deletions: Annotated[
        bool, Field(description="Also look for deleted items, and believe the vendor however many there are.")
    ] = False
    dry_run: Annotated[bool, Field(description="Only tell what a sync would do now.")] = False
    limit: Annotated[int | None, Field(ge=1, le=MOST, description=f"Items of a dry run ({DEFAULT} where unsaid).")] = (
        None
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.dry_run and self.confirm_deletions:
            raise ValueError("a dry run does not look for deletions: leave confirm_deletions out")
        if self.limit is not None and not self.dry_run:
            raise ValueError("limit is for a dry run: add dry_run=true")
        return self


@router.post(
    "/v1/integrations/{integration_id}/sync",
    status_code=202,
    response_model=Answer[SyncStarted],
    responses={
        200: {"model": Answer[PlanView], "description": "The plan (`dry_run=true`)."},
        **documented(404, 409, 413),
    },
)
def start_sync(
    rt: Rt,
    caller: IntegrationWriter,
    once: Once,
    integration_id: str,
    options: Annotated[SyncOptions, Query()],
) -> JSONResponse:
    """Trigger a manual sync, both ways. While one is running, it is joined.

    With `dry_run=true` nothing is done: the answer tells, item by item, what both sides have, what a sync would decide
    and why, and what it would write to the tool. Nothing is stored for it, so an Idempotency-Key has no meaning then.
    """
    _find(rt, caller, integration_id)
    if options.dry_run:
        planned = PlanView.of(plan(rt, integration_id, options.limit or DEFAULT))
        return JSONResponse(Answer(data=planned).model_dump(mode="json"))

    def work(_keep: object) -> Json:
        run = integrations.request_sync(
            rt,
            integration_id,
            actor=caller.actor,
            token_id=caller.token_id,
            confirm_deletions=options.confirm_deletions,
        )
        return Answer(data=SyncStarted.of(run)).model_dump(mode="json")

    return once.run(202, work)


@router.post(
    "/v1/integrations/{integration_id}/webhook-secret",
    status_code=201,
    response_model=Answer[WebhookSecret],
    responses=documented(404, 409, 413),
)
def new_webhook_secret(rt: Rt, caller: IntegrationWriter, integration_id: str) -> Answer[WebhookSecret]:
    """A new secret for the integration's webhook, where a person registers it at the vendor by hand.

    Shown this once. The secret before it still verifies, so that nothing is lost while it is being changed. This POST
    takes no Idempotency-Key: an answer with a secret is not kept.
    """
    found = _find(rt, caller, integration_id)
    secret = subscriptions.new_secret(rt, found.id, actor=caller.actor, token_id=caller.token_id)
    return Answer(data=WebhookSecret(webhook_url=subscriptions.webhook_url(rt, found), secret=secret))


@router.get("/v1/integrations/{integration_id}/syncs", responses=documented(404))
def list_syncs(
    rt: Rt, caller: IntegrationReader, integration_id: str, filters: Annotated[SyncFilters, Query()]
) -> Listing[SyncDetail]:
    """List an integration's syncs, newest first."""
    _find(rt, caller, integration_id)
    with rt.db.read() as session:
        page = paging.fetch(session, _runs(integration_id), SyncRun.id, filters)
        return Listing(data=[SyncDetail.at(run, rt.clock()) for run in page.rows], meta=page.meta)


@router.get("/v1/integrations/{integration_id}/syncs/{sync_id}", responses=documented(404))
def get_sync(rt: Rt, caller: IntegrationReader, integration_id: str, sync_id: str) -> Answer[SyncDetail]:
    """Retrieve one sync: how far it is, or what came of it."""
    _find(rt, caller, integration_id)
    with rt.db.read() as session:
        run = session.scalar(_runs(integration_id).where(SyncRun.id == sync_id))
        if run is None:
            raise NotFound(f"Sync {sync_id} not found.")
        return Answer(data=SyncDetail.at(run, rt.clock()))


def _find(rt: Runtime, caller: Principal, integration_id: str) -> Integration:
    with rt.db.read() as session:
        return scope.integration(session, caller, integration_id)


def _runs(integration_id: str) -> Select[SyncRun]:
    return select(SyncRun).where(SyncRun.integration_id == integration_id)


def _record(rt: Runtime, caller: Principal, integration_id: str) -> Answer[IntegrationRecord]:
    return Answer(data=IntegrationRecord(**_parts(rt, caller, integration_id)))


def _parts(rt: Runtime, caller: Principal, integration_id: str) -> Json:
    """The values of an integration's record, read anew."""
    with rt.db.read() as session:
        found = scope.integration(session, caller, integration_id)
        return IntegrationRecord.parts(
            found,
            has_credentials=session.get(Credential, found.id) is not None,
            subscription=session.get(Subscription, found.id),
            public_url=rt.settings.public_url,
        )
