"""Metrics as points: which windows are asked for, and what the answers are. Pure.

Every point stands for `rollup_seconds`. What is younger than two of those is left for the next time, as it still
changes; the last two that are known are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from connectors.contract import JsonObject, Measured, Point, Series, Unit
from connectors.datadog.client import Measurement, Timeseries
from connectors.datadog.config import DAY, DatadogMetric
from connectors.datadog.mapping import tagged
from connectors.envelope import digest_of
from connectors.times import at_ms, epoch_ms

UNSETTLED = 2
"""Rollups behind now that are not read yet, and rollups behind what is known that are read again."""

SHORTEST_WAIT = 300
"""Seconds behind now, however short the rollup: integrations with clouds are some minutes behind."""

MOST_POINTS = 1000
"""Points of a series in a window: with more, Datadog makes the steps wider without a word."""

ENOUGH_TO_TELL = 10
"""Points from which on wider steps than asked for are no chance gaps."""

BASES = {"time": Unit.SECONDS, "bytes": Unit.BYTES, "percentage": Unit.PERCENT}
"""Family -> the unit its scale factors lead to."""

RATIOS = frozenset({"fraction", "apdex"})
"""Of the family of percents, what goes from 0 to 1."""

COUNTED = frozenset({"general", "cache", "db", "network", "system", "disk", "logging", "email"})
"""Families of things that are counted: requests, hits, rows, packets, processes."""

FEWER = "{name} has points {step} s apart and not {rollup}: it is reported so rarely, or Datadog widened the steps."


@dataclass(frozen=True, slots=True)
class Window:
    """A metric from a time on (epoch milliseconds) up to another, which is excluded."""

    metric: DatadogMetric
    start: int
    end: int

    def asked(self) -> JsonObject:
        """The request's attributes."""
        metric = self.metric
        queries = [{"data_source": "metrics", "name": name, "query": text} for name, text in metric.pinned().items()]
        return {
            "from": self.start,
            "to": self.end,
            "interval": metric.rollup_seconds * 1000,
            "formulas": [{"formula": metric.formula or queries[0]["name"]}],
            "queries": queries,
        }


def key_of(metric: DatadogMetric) -> str:
    """What a cursor knows a metric by: another query is read from the start."""
    parts = (f"{name}={text}" for name, text in sorted(metric.pinned().items()))
    return (digest_of(metric.name, metric.formula or "", *parts) or "")[:16]


def windows(
    metrics: Sequence[DatadogMetric], known: Mapping[str, int], now: datetime, history: timedelta
) -> Iterator[Window]:
    """What is to be read, oldest first. `known` is until when metrics are known, by `key_of`; of others so much of
    history, and two rollups at least."""
    due = {metric.name: _due(metric, known.get(key_of(metric)), now, history) for metric in metrics}
    while due:
        name = min(due, key=lambda name: due[name].start)
        whole = due[name]
        longest = min(DAY, MOST_POINTS * whole.metric.rollup_seconds) // whole.metric.rollup_seconds
        end = min(whole.end, whole.start + longest * whole.metric.rollup_seconds * 1000)
        if whole.start < end:
            yield Window(whole.metric, whole.start, end)
        due[name] = Window(whole.metric, end, whole.end)
        if end >= whole.end:
            del due[name]


def _due(metric: DatadogMetric, known: int | None, now: datetime, history: timedelta) -> Window:
    step = metric.rollup_seconds * 1000
    oldest = min(epoch_ms(now - history), epoch_ms(now) - 2 * UNSETTLED * step)
    begin = oldest if known is None else known - UNSETTLED * step
    settled = epoch_ms(now) - max(UNSETTLED * step, SHORTEST_WAIT * 1000)
    return Window(metric, begin // step * step, settled // step * step)


def measured(window: Window, told: Timeseries, most: int) -> tuple[list[Measured], list[str]]:
    """The series of a window, and what of them was left out. A null is no value, and not 0."""
    rows = [
        (_dimensions(series.group_tags), series.unit, values)
        for series, values in zip(told.series, told.values, strict=False)
    ]
    rows.sort(key=lambda row: sorted(row[0].items()))
    name, step = window.metric.name, window.metric.rollup_seconds
    cut = [f"of {len(rows)} series of {name} the first {most} are kept"] if len(rows) > most else []
    apart = min((b - a for a, b in pairwise(told.times)), default=0) // 1000
    if apart > step and len(told.times) >= ENOUGH_TO_TELL:
        cut.append(FEWER.format(name=name, step=apart, rollup=step))
    return [_measured(window, told.times, *row) for row in rows[:most]], cut


def _measured(
    window: Window,
    times: Sequence[int],
    dimensions: Mapping[str, str],
    told: Sequence[Measurement | None] | None,
    values: Sequence[float | None],
) -> Measured:
    unit, scale = unit_of(told)
    if window.metric.unit is not None:
        unit, scale = window.metric.unit, 1.0
    points = [
        Point(at, None if value is None else value * scale)
        for time, value in zip(times, values, strict=False)
        if window.start <= time < window.end and (at := at_ms(time)) is not None
    ]
    return Measured(Series("", window.metric.name, unit, dimensions=dimensions), points)


def _dimensions(tags: Sequence[str]) -> Mapping[str, str]:
    return {key: ",".join(values) for key, values in sorted(tagged(tags).items())}


def unit_of(told: Sequence[Measurement | None] | None) -> tuple[str, float]:
    """The unit values are brought to, and what they are multiplied by for it."""
    counted, per = (*(told or ()), None, None)[:2]
    unit, scale = (Unit.COUNT.value, 1.0) if counted is None else _base(counted)
    return (unit if per is None else f"{unit}/{per.name}"), scale


def _base(unit: Measurement) -> tuple[str, float]:
    if unit.name in RATIOS:
        return Unit.RATIO.value, 1.0
    if unit.family in BASES:
        return BASES[unit.family].value, unit.scale_factor or 1.0
    return (Unit.COUNT.value if unit.family in COUNTED else unit.name), 1.0
