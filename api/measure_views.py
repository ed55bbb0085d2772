"""Measures and quality gates as the API shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas import Moment, View
from core.models import MeasurePoint, MeasureSeries, QualityGate


class MeasureSeriesView(View):
    """Numbers over time, of one metric of one subject."""

    id: int
    integration_id: str
    subject: str = Field(description="What it is measured on, by the vendor's id; empty where there is nothing else.")
    metric: str = Field(examples=["test_coverage"])
    unit: str = Field(description="`percent`, `count`, `ratio`, `seconds`, `bytes`, `rating`, or the vendor's own.")
    branch: str | None
    main: bool = Field(description="It is of the main branch, or of no branch.")
    dimensions: dict[str, str]
    newest_at: Moment | None
    newest_value: float | None = Field(description="null: the vendor says that there is none, which is not 0.")

    @classmethod
    def of(cls, row: MeasureSeries) -> MeasureSeriesView:
        """The view of a series."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class MeasurePointView(View):
    """One value at one time of the vendor's."""

    at: Moment
    value: float | None = Field(description="null: the vendor says that there is none, which is not 0.")

    @classmethod
    def of(cls, row: MeasurePoint) -> MeasurePointView:
        """The view of a point."""
        return cls(at=row.at, value=row.value)


class GateConditionView(View):
    """One thing that a gate asks for."""

    metric: str
    passed: bool
    value: str | None
    threshold: str | None


class QualityGateView(View):
    """How a branch stands with its quality gate."""

    id: int
    integration_id: str
    subject: str
    name: str
    branch: str
    main: bool
    status: Literal["passed", "failed", "none"]
    at: Moment | None = Field(description="When it was analysed; null as long as only failed analyses are known.")
    failed_at: Moment | None = Field(description="When an analysis itself failed last.")
    url: str
    conditions: list[GateConditionView]

    @classmethod
    def of(cls, row: QualityGate) -> QualityGateView:
        """The view of a gate."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})
