"""Measures: series of numbers over time, and how code stands with its quality gates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Double, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class MeasureSeries(Base):
    """What is measured: a metric of a subject, on a branch, with what else tells it from others.

    series_key  what makes it the same one: all of that, canonical, as one text
    newest_at   the time of its newest point, and `newest_value` its value (None: the vendor says that there is none)
    """

    __tablename__ = "measure_series"
    __table_args__ = (Index(None, "integration_id", "id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    series_key: Mapped[str] = mapped_column(Text, unique=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    workspace_id: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    metric: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    branch: Mapped[str | None] = mapped_column(Text)
    main: Mapped[bool]
    dimensions: Mapped[dict[str, Any]]
    newest_at: Mapped[datetime | None]
    newest_value: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime]


class MeasurePoint(Base):
    """One value at one time of the vendor's. None: the vendor says that there is none, which is not 0."""

    __tablename__ = "measure_point"

    series_id: Mapped[int] = mapped_column(ForeignKey("measure_series.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float | None] = mapped_column(Double)


class QualityGate(Base):
    """How a branch stands with its quality gate, as of its newest analysis.

    gate_key    the integration, the subject and the branch, as one text
    status      passed | failed | none
    verdict     passed or failed, whichever was told last; None before the first
    at          the vendor's time of the analysis; None as long as only failed ones are known
    failed_at   of the newest analysis that itself failed
    conditions  [{metric, passed, value, threshold}]
    """

    __tablename__ = "quality_gate"
    __table_args__ = (Index(None, "integration_id", "id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    gate_key: Mapped[str] = mapped_column(Text, unique=True)
    integration_id: Mapped[str] = mapped_column(ForeignKey("integration.id", ondelete="CASCADE"))
    workspace_id: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    branch: Mapped[str] = mapped_column(Text)
    main: Mapped[bool]
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    url: Mapped[str] = mapped_column(Text)
    conditions: Mapped[list[Any]]
