"""/v1/integrations/{id}/deliveries and /health: what vendors told us, what came of it, and how an integration does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from api import paging, scope
from api.auth import IntegrationReader, IntegrationWriter, Rt
from api.delivery_views import (
    LARGEST_ID,
    STATES,
    DeliveryDetail,
    DeliveryListed,
    HealthView,
    Replay,
    ReplayPlanned,
    ReplayStarted,
)
from api.errors import documented
from api.filters import Names, Several, Since, Until
from api.idempotency import Json, Once
from api.paging import Window
from api.schemas import Answer, Listing
from core.bulk import among
from core.errors import NotFound
from core.models import Delivery
from sync.replay import MOST, preview, replay
from sync.vitals import vitals

router = APIRouter(tags=["Deliveries"])


class DeliveryFilters(Window):
    """What a list of deliveries can be narrowed to."""

    state: Annotated[str, Several(STATES)] | None = None
    event: Annotated[Names | None, Field(description="As the vendor calls it.", examples=["jira:issue_updated"])] = None
    from_: Annotated[Since | None, Field(alias="from", description="Received since then.")] = None
    to: Annotated[Until | None, Field(description="Received before then.")] = None


@router.get("/v1/integrations/{integration_id}/deliveries", responses=documented(404))
def list_deliveries(
    rt: Rt, caller: IntegrationReader, integration_id: str, filters: Annotated[DeliveryFilters, Query()]
) -> Listing[DeliveryListed]:
    """List an integration's deliveries, newest first."""
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
        return listing(session, integration_id, filters)


def listing(session: Session, integration_id: str, filters: DeliveryFilters) -> Listing[DeliveryListed]:
    """A page of an integration's deliveries. Raises BadRequest for a cursor that is not ours."""
    wanted = select(Delivery).where(Delivery.integration_id == integration_id).options(defer(Delivery.body))
    if filters.state is not None:
        wanted = wanted.where(Delivery.state.in_(set(filters.state.split(","))))
    if filters.event is not None:
        wanted = wanted.where(Delivery.event.in_(set(filters.event.split(","))))
    if filters.from_ is not None:
        wanted = wanted.where(Delivery.received_at >= filters.from_)
    if filters.to is not None:
        wanted = wanted.where(Delivery.received_at < filters.to)
    page = paging.fetch(session, wanted, Delivery.id, filters)
    sizes = _sizes(session, page.rows)
    return Listing(data=[DeliveryListed.of(row, sizes[row.id]) for row in page.rows], meta=page.meta)


def _sizes(session: Session, rows: Sequence[Delivery]) -> dict[int, int]:
    """How long the bodies are, which are not read for a list: one may have 25 MB."""
    wanted = select(Delivery.id, func.length(Delivery.body)).where(
        among(session, Delivery.id, [row.id for row in rows])
    )
    return {row[0]: row[1] for row in session.execute(wanted)}


@router.get("/v1/integrations/{integration_id}/deliveries/{delivery_id}", responses=documented(404))
def get_delivery(
    rt: Rt,
    caller: IntegrationReader,
    integration_id: str,
    delivery_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
) -> Answer[DeliveryDetail]:
    """Retrieve one delivery: as it came, what came of each item it named, and what went wrong."""
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
        wanted = select(Delivery).where(Delivery.integration_id == integration_id, Delivery.id == delivery_id)
        found = session.scalar(wanted)
        if found is None:
            raise NotFound(f"Delivery {delivery_id} not found.")
        return Answer(data=DeliveryDetail.whole(found))


class ReplayOptions(BaseModel):
    """How to replay."""

    model_config = ConfigDict(extra="forbid")

    dry_run: Annotated[
        bool, Field(description=f"Only tell what would be decided now, of at most {MOST} deliveries.")
    ] = False


@router.post(
    "/v1/integrations/{integration_id}/deliveries/replay",
    status_code=202,
    response_model=Answer[ReplayStarted],
    responses={
        200: {"model": Answer[ReplayPlanned], "description": "What would be decided (`dry_run=true`)."},
        **documented(404, 409, 413),
    },
)
def replay_deliveries(
    rt: Rt,
    caller: IntegrationWriter,
    once: Once,
    integration_id: str,
    body: Replay,
    options: Annotated[ReplayOptions, Query()],
) -> JSONResponse:
    """Work deliveries off once more: some, those of a time, or all dead ones. What is older than what is known since
    changes nothing.

    With `dry_run=true` nothing is written: the answer tells, item by item, what would be decided.
    """
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
    if options.dry_run:
        planned = ReplayPlanned.of(preview(rt, integration_id, body.chosen()))
        return JSONResponse(Answer(data=planned).model_dump(mode="json"))

    def work(_keep: object) -> Json:
        done = replay(rt, integration_id, body.chosen(), actor=caller.actor, token_id=caller.token_id)
        return Answer(data=ReplayStarted.of(done)).model_dump(mode="json")

    return once.run(202, work)


@router.get("/v1/integrations/{integration_id}/health", responses=documented(404))
def get_health(rt: Rt, caller: IntegrationReader, integration_id: str) -> Answer[HealthView]:
    """How an integration does: all that is wrong with it, what its webhook brought in the last day, and what waits."""
    with rt.db.read() as session:
        found = scope.integration(session, caller, integration_id)
        return Answer(data=HealthView.of(vitals(session, found, rt.clock())))
