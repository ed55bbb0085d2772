"""Metrics as functions of time, and the queries that are understood: one aggregation of one metric, grouped or not."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sandbox.errors import VendorError

Json = dict[str, Any]

MOST_POINTS = 1500
"""Of one series: with more the steps get wider."""

UNSETTLED = 2
"""Steps that are not complete yet: what they say is half of what it will be."""

UNITS: Mapping[str, Json] = {
    "percent": {"family": "percentage", "id": 17, "name": "percent", "short_name": "%", "scale_factor": 1.0},
    "fraction": {"family": "percentage", "id": 18, "name": "fraction", "short_name": "fraction", "scale_factor": 100.0},
    "millisecond": {"family": "time", "id": 9, "name": "millisecond", "short_name": "ms", "scale_factor": 0.001},
    "second": {"family": "time", "id": 11, "name": "second", "short_name": "s", "scale_factor": 1.0},
    "kibibyte": {"family": "bytes", "id": 3, "name": "kibibyte", "short_name": "KiB", "scale_factor": 1024.0},
    "request": {"family": "network", "id": 19, "name": "request", "short_name": "req", "scale_factor": 1.0},
    "dollar": {"family": "money", "id": 71, "name": "dollar", "short_name": "$", "scale_factor": 1.0},
}

_QUERY = re.compile(r"(?P<space>[a-z0-9]+):(?P<name>[\w.]+)\{(?P<scope>[^{}]*)\}( by \{(?P<by>[^{}]*)\})?(?P<calls>.*)")
_CALL = re.compile(r"\.(\w+)\(([^()]*)\)")


@dataclass
class Metric:
    """A metric: a wave of so many seconds around a level, for each combination of tags. Every `holes`-th step the last
    series says nothing. `tags` are key -> values; `per` is what the unit is counted by."""

    name: str
    level: float = 50.0
    swing: float = 20.0
    period: float = 3600.0
    unit: str | None = None
    per: str | None = None
    tags: dict[str, list[str]] = field(default_factory=lambda: {"env": ["prod", "test"]})
    holes: int = 0

    def value(self, at: float, number: int) -> float:
        """The value of the series of this number at a time (epoch seconds)."""
        return round(self.level + self.swing * math.sin(2 * math.pi * at / self.period + number), 6)

    def told(self, at: int, step: int, number: int, groups: int) -> float | None:
        """What is told of a step, once it is settled, of the series of this number of so many."""
        if self.holes and number == groups - 1 and (at // step) % self.holes == 0:
            return None
        return self.value(at, number)

    def units(self) -> list[Json | None] | None:
        """What it is counted in, and by."""
        if self.unit is None:
            return None
        return [UNITS[self.unit], UNITS[self.per] if self.per else None]


@dataclass(frozen=True)
class Query:
    """A query as it was asked."""

    metric: Metric
    by: tuple[str, ...]
    only: dict[str, str]
    rollup: int | None

    def groups(self) -> Iterator[list[str]]:
        """The tags of each series."""
        values = ([self.only[key]] if key in self.only else self.metric.tags.get(key, []) for key in self.by)
        for chosen in product(*values):
            yield [f"{key}:{value}" for key, value in zip(self.by, chosen, strict=True)]


def understood(text: str, metrics: Mapping[str, Metric]) -> Query | None:
    """A query; None for a metric nobody reports. Raises VendorError 400."""
    found = _QUERY.fullmatch(text)
    if found is None:
        raise VendorError(400, f"Error parsing query: unable to parse {text}: Rule 'scope_expr' didn't match")
    if found["name"] not in metrics:
        return None
    calls = dict(_CALL.findall(found["calls"]))
    rollup = calls["rollup"].rpartition(",")[2].strip() if "rollup" in calls else None
    only = dict(tag.strip().split(":", 1) for tag in found["scope"].split(",") if ":" in tag)
    by = tuple(key.strip() for key in (found["by"] or "").split(",") if key.strip())
    return Query(metrics[found["name"]], by, only, int(rollup) if rollup else None)


def answer(attributes: Json, metrics: Mapping[str, Metric], now: float) -> Json:
    """The series of a request; a formula is understood as far as it names a query. Times are milliseconds."""
    try:
        start, end = attributes["from"] / 1000, attributes["to"] / 1000
        named = {one["name"]: one["query"] for one in attributes["queries"] if one["data_source"] == "metrics"}
        formulas = [one["formula"] for one in attributes.get("formulas") or [{"formula": name} for name in named]]
    except (KeyError, TypeError) as error:
        raise VendorError(400, f"Invalid request: {error}") from None
    series: list[Json] = []
    rows: list[list[float | None]] = []
    times: list[int] = []
    for index, formula in enumerate(formulas):
        name = next((name for name in named if re.search(rf"\b{name}\b", formula)), None)
        if name is None:
            raise VendorError(400, f"Formula {formula!r} names no query")
        query = understood(named[name], metrics)
        if query is None:
            continue
        step = _step(query.rollup or attributes.get("interval", 20_000) // 1000, end - start)
        steps = range(math.ceil(start / step) * step, math.ceil(min(end, now) / step) * step, step)
        times = [at * 1000 for at in steps]
        groups = list(query.groups())
        for number, tags in enumerate(groups):
            series.append({"group_tags": tags, "query_index": index, "unit": query.metric.units()})
            rows.append([_value(query.metric, at, step, number, len(groups), now) for at in steps])
    return {"series": series, "times": times, "values": rows}


def _step(asked: int, width: float) -> int:
    """As wide as asked, or as much wider as it takes."""
    return asked * max(1, math.ceil(width / asked / MOST_POINTS))


def _value(metric: Metric, at: int, step: int, number: int, groups: int, now: float) -> float | None:
    told = metric.told(at, step, number, groups)
    settled = at + UNSETTLED * step <= now
    return told if settled or told is None else round(told / 2, 6)
