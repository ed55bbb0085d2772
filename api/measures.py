"""/v1/integrations/{id}/measures and /quality-gates: what monitoring and quality tools measure."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import select

from api import paging, scope
from api.auth import IntegrationReader, Rt
from api.errors import documented
from api.filters import Since
from api.measure_views import MeasurePointView, MeasureSeriesView, QualityGateView
from api.paging import Window
from api.schemas import Listing
from core.errors import NotFound
from core.models import MeasurePoint, MeasureSeries, QualityGate

router = APIRouter(tags=["Measures"])

SeriesId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class SeriesFilters(Window):
    """What a list of series can be narrowed to."""

    metric: Annotated[str | None, Field(description="Only this metric.", examples=["test_coverage"])] = None
    subject: Annotated[str | None, Field(description="Only what is measured on this.")] = None
    main: Annotated[bool | None, Field(description="Only main branches, or only the others.")] = None


class PointFilters(Window):
    """What a list of points can be narrowed to."""

    since: Annotated[Since | None, Field(description="Only points of this time or later.")] = None


class GateFilters(Window):
    """What a list of gates can be narrowed to."""

    main: Annotated[bool | None, Field(description="Only main branches, or only the others.")] = None


@router.get("/v1/integrations/{integration_id}/measures", responses=documented(404))
def list_measures(
    rt: Rt, caller: IntegrationReader, integration_id: str, filters: Annotated[SeriesFilters, Query()]
) -> Listing[MeasureSeriesView]:
    """List what an integration measures, each with its newest value."""
    series = MeasureSeries
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
        wanted = select(series).where(series.integration_id == integration_id)
        for column, value in ((series.metric, filters.metric), (series.subject, filters.subject)):
            if value is not None:
                wanted = wanted.where(column == value)
        if filters.main is not None:
            wanted = wanted.where(series.main.is_(filters.main))
        page = paging.fetch(session, wanted, series.id, filters, newest_first=False)
        return Listing(data=[MeasureSeriesView.of(row) for row in page.rows], meta=page.meta)


@router.get("/v1/integrations/{integration_id}/measures/{series_id}/points", responses=documented(404))
def list_measure_points(
    rt: Rt,
    caller: IntegrationReader,
    integration_id: str,
    series_id: SeriesId,
    filters: Annotated[PointFilters, Query()],
) -> Listing[MeasurePointView]:
    """List the points of a series, the newest first."""
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
        series = session.get(MeasureSeries, series_id)
        if series is None or series.integration_id != integration_id:
            raise NotFound(f"{integration_id} has no series {series_id}.")
        wanted = select(MeasurePoint).where(MeasurePoint.series_id == series_id)
        if filters.since is not None:
            wanted = wanted.where(MeasurePoint.at >= filters.since)
        page = paging.fetch(session, wanted, MeasurePoint.at, filters)
        return Listing(data=[MeasurePointView.of(row) for row in page.rows], meta=page.meta)


@router.get("/v1/integrations/{integration_id}/quality-gates", responses=documented(404))
def list_quality_gates(
    rt: Rt, caller: IntegrationReader, integration_id: str, filters: Annotated[GateFilters, Query()]
) -> Listing[QualityGateView]:
    """List how branches stand with their quality gates, as of their newest analyses."""
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
        wanted = select(QualityGate).where(QualityGate.integration_id == integration_id)
        if filters.main is not None:
            wanted = wanted.where(QualityGate.main.is_(filters.main))
        page = paging.fetch(session, wanted, QualityGate.id, filters, newest_first=False)
        return Listing(data=[QualityGateView.of(row) for row in page.rows], meta=page.meta)
