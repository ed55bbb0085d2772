"""What Sonar says of code, in the contract's terms. Pure; webhooks and polls read by the same rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from urllib.parse import urlencode

import msgspec

from connectors.contract import GateCondition, GateSeen, GateStatus, Measured, Point, Series, Unit
from connectors.times import moment

NEW = "new_"
"""Metrics of new code: they have no history, and their values are those of a period."""

GATE = "alert_status"
"""The metric whose history is that of the quality gate."""

GATES = {"OK": GateStatus.PASSED, "WARN": GateStatus.PASSED, "ERROR": GateStatus.FAILED}
"""A gate's status; `WARN` is of old servers, and stops nobody."""

FAILED_TASKS = frozenset({"FAILED", "CANCELED"})

OURS = {
    "coverage": "test_coverage",
    "sqale_index": "technical_debt",
    "sqale_rating": "maintainability_rating",
    "sqale_debt_ratio": "technical_debt_ratio",
}
"""Sonar's keys -> our names, where they are not the same."""

_PERCENT, _COUNT, _RATING, _MINUTES = (Unit.PERCENT, 1.0), (Unit.COUNT, 1.0), (Unit.RATING, 1.0), (Unit.SECONDS, 60.0)

UNITS: Mapping[str, tuple[str, float]] = {
    **dict.fromkeys(("coverage", "line_coverage", "branch_coverage", "duplicated_lines_density"), _PERCENT),
    **dict.fromkeys(("sqale_debt_ratio", "test_success_density", "security_hotspots_reviewed"), _PERCENT),
    **dict.fromkeys(("lines_to_cover", "uncovered_lines", "conditions_to_cover", "uncovered_conditions"), _COUNT),
    **dict.fromkeys(("ncloc", "lines", "bugs", "vulnerabilities", "code_smells", "security_hotspots"), _COUNT),
    **dict.fromkeys(("tests", "skipped_tests", "test_failures", "test_errors", "violations"), _COUNT),
    **dict.fromkeys(("reliability_rating", "security_rating", "sqale_rating", "security_review_rating"), _RATING),
    "sqale_index": _MINUTES,
    "test_execution_time": (Unit.SECONDS, 0.001),
}
"""Sonar's key -> the unit values are brought to, and what they are multiplied by for it."""

TYPES: Mapping[str, tuple[str, float]] = {
    "PERCENT": _PERCENT,
    "INT": _COUNT,
    "FLOAT": _COUNT,
    "RATING": _RATING,
    "WORK_DUR": _MINUTES,
    "MILLISEC": (Unit.SECONDS, 0.001),
}
"""The same for metrics that are in no table, by the type their host names. All other types are no numbers."""


class Period(msgspec.Struct):
    """A value of new code."""

    value: str | None = None


class Measure(msgspec.Struct):
    """A value; of new code, that of the period, which older answers have in a list."""

    metric: str
    value: str | None = None
    period: Period | None = None
    periods: list[Period] = []

    @property
    def told(self) -> str | None:
        """The value, wherever it is."""
        if self.value is not None:
            return self.value
        return next((one.value for one in (self.period, *self.periods) if one is not None), None)


class Dated(msgspec.Struct):
    """A value of an analysis."""

    date: str
    value: str | None = None


class History(msgspec.Struct):
    """A metric's values, oldest first."""

    metric: str
    history: list[Dated] = []


class Condition(msgspec.Struct):
    """A condition of a gate, in the words of the API or of a webhook."""

    status: str
    metric_key: str = msgspec.field(name="metricKey", default="")
    metric: str = ""
    actual_value: str | None = msgspec.field(name="actualValue", default=None)
    value: str | None = None
    error_threshold: str | None = msgspec.field(name="errorThreshold", default=None)


@dataclass(frozen=True, slots=True)
class Place:
    """A branch of a project, at an address of Sonar's."""

    base: str
    project: str
    name: str
    branch: str
    main: bool

    @property
    def asked(self) -> dict[str, str]:
        """How a query names it: editions without branches know no name for the main one."""
        return {} if self.main else {"branch": self.branch}

    @property
    def url(self) -> str:
        """Its page; what says no branch is the main one's."""
        return f"{self.base}/dashboard?{urlencode({'id': self.project, **self.asked})}"

    def series(self, metric: str, unit: str) -> Series:
        """One of its metrics."""
        return Series(self.project, OURS.get(metric, metric), unit, self.branch, self.main)


Units = Mapping[str, tuple[str, float]]


def unit_of(metric: str) -> tuple[str, float] | None:
    """By the table; new code is counted as all code is."""
    return UNITS.get(metric) or UNITS.get(metric.removeprefix(NEW))


def measured_at(place: Place, measures: Iterable[Measure], at: datetime, units: Units) -> Iterator[Measured]:
    """One point for each metric that was computed. One that was not is absent, and never 0."""
    for one in measures:
        value = number(one.told)
        if one.metric in units and value is not None:
            unit, scale = units[one.metric]
            yield Measured(place.series(one.metric, unit), [Point(at, value * scale)])


def measured_since(place: Place, histories: Iterable[History], units: Units) -> Iterator[Measured]:
    """The points of each metric's history."""
    for one in histories:
        if one.metric not in units:
            continue
        unit, scale = units[one.metric]
        values = ((moment(dated.date), number(dated.value)) for dated in one.history)
        points = [Point(at, value * scale) for at, value in values if value is not None]
        if points:
            yield Measured(place.series(one.metric, unit), points)


def gates_since(place: Place, histories: Iterable[History]) -> Iterator[GateSeen]:
    """How the gate was at each analysis; which conditions it had then is not told."""
    for one in histories:
        if one.metric == GATE:
            for dated in one.history:
                if dated.value in GATES:
                    yield gate(place, dated.value, moment(dated.date))


def gate(place: Place, status: str, at: datetime, conditions: Sequence[Condition] = ()) -> GateSeen:
    """How a branch stands with its gate."""
    told = tuple(
        GateCondition(
            metric=one.metric_key or one.metric,
            passed=one.status != "ERROR",
            value=one.actual_value if one.actual_value is not None else one.value,
            threshold=one.error_threshold,
        )
        for one in conditions
    )
    known = GATES.get(status, GateStatus.NONE)
    return GateSeen(place.project, place.name, place.branch, place.main, known, at, place.url, told)


def failure(place: Place, at: datetime) -> GateSeen:
    """An analysis that failed, which says nothing of the code."""
    here = (place.project, place.name, place.branch, place.main)
    return GateSeen(*here, GateStatus.NONE, at, place.url, analysis=False)


def number(text: str | None) -> float | None:
    """A value, which is text there; None for what is no number."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if isfinite(value) else None
