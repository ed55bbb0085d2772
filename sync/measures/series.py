"""Measures kept: series by what they are of, points by their time. Told again, a point's newest value counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import Measured, MeasurePage, Series
from core.bulk import among, insert_new, update_rows, upsert_rows
from core.models import Integration, MeasurePoint, MeasureSeries
from sync.code import plain
from sync.measures.gates import GatesSettled, settle_gates


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of pages: how many points they had, how many series were new, and what the gates did."""

    points: int
    series_new: int
    gates: GatesSettled

    def counts(self) -> dict[str, int]:
        """As runs count them."""
        return {"points": self.points, "series_new": self.series_new, **self.gates.counts()}


def series_key(integration_id: str, series: Series) -> str:
    """By what a series is found: all that tells it from others, the dimensions in the order of their names."""
    what = [series.subject, series.metric, series.branch, sorted(series.dimensions.items())]
    digest = blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()
    return f"{integration_id}:{digest}"


def store_pages(db: DbSession, integration: Integration, pages: Sequence[MeasurePage], now: datetime) -> Kept:
    """Store what the pages hold, in a handful of statements; others may store the same at once."""
    found = _together(integration.id, (measured for page in pages for measured in page.measured))
    new = insert_new(db, MeasureSeries.__table__, _series_rows(integration, found, now), key="series_key")
    rows = _locked(db, list(found))
    points = [
        {"series_id": rows[key].id, "at": at, "value": value}
        for key, (_, values) in found.items()
        for at, value in values.items()
    ]
    upsert_rows(db, MeasurePoint.__table__, points, key=("series_id", "at"))
    update_rows(db, MeasureSeries.__table__, list(_newest(rows, found)), key="id")
    gates = settle_gates(db, integration, [gate for page in pages for gate in page.gates], now)
    return Kept(len(points), len(new), gates)


Points = dict[datetime, float | None]


def _together(integration_id: str, measured: Iterable[Measured]) -> dict[str, tuple[Series, Points]]:
    """Series by key, and of each the value at every time; of values told of one time the last."""
    found: dict[str, tuple[Series, Points]] = {}
    for one in measured:
        key = series_key(integration_id, one.series)
        values = found[key][1] if key in found else {}
        values.update((point.at, point.value) for point in one.points)
        found[key] = (one.series, values)
    return dict(sorted(found.items()))


def _series_rows(
    integration: Integration, found: dict[str, tuple[Series, Points]], now: datetime
) -> list[dict[str, Any]]:
    return [
        {
            "series_key": key,
            "integration_id": integration.id,
            "workspace_id": integration.workspace_id,
            "subject": plain(series.subject),
            "metric": plain(series.metric),
            "unit": plain(series.unit),
            "branch": plain(series.branch),
            "main": series.main,
            "dimensions": {plain(name): plain(value) for name, value in series.dimensions.items()},
            "created_at": now,
        }
        for key, (series, _) in found.items()
    ]


def _locked(db: DbSession, keys: Sequence[str]) -> dict[str, Any]:
    """The series' rows, which nobody else changes until the transaction ends; in one order, so that nobody waits in a
    ring."""
    columns = (MeasureSeries.id, MeasureSeries.series_key, MeasureSeries.newest_at)
    mine = select(*columns).where(among(db, MeasureSeries.series_key, keys)).order_by(MeasureSeries.series_key)
    return {row.series_key: row for row in db.execute(mine.with_for_update())}


def _newest(rows: dict[str, Any], found: dict[str, tuple[Series, Points]]) -> Iterable[dict[str, Any]]:
    """The newest point, the unit and whether the branch is the main one, of series that were told one as new."""
    for key, (series, values) in found.items():
        row, newest = rows[key], max(values, default=None)
        if newest is not None and (row.newest_at is None or newest >= row.newest_at):
            yield {
                "id": row.id,
                "newest_at": newest,
                "newest_value": values[newest],
                "unit": plain(series.unit),
                "main": series.main,
            }
