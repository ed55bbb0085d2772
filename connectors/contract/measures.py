"""Measures: numbers over time, of monitoring and of code quality, and quality gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from connectors.contract.words import JsonObject


class Unit(StrEnum):
    """Units numbers are brought to before they are told; a vendor's own unit that is none of these stays as it is."""

    PERCENT = "percent"
    COUNT = "count"
    RATIO = "ratio"
    SECONDS = "seconds"
    BYTES = "bytes"
    RATING = "rating"


@dataclass(frozen=True, slots=True)
class Series:
    """What is measured.

    subject     what it is measured on, by the vendor's lasting id: a project's key, "" for what has no other subject
    metric      our name (`test_coverage`), or the name the config gives it
    branch      of code quality: the branch, None for what has none; `main` whether it is the main one
    dimensions  tag -> value, what else tells it from others: `{"env": "production"}`
    """

    subject: str
    metric: str
    unit: str
    branch: str | None = None
    main: bool = True
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """One value at one time (aware, the vendor's). None: the vendor says that there is none, which is not 0."""

    at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Points of one series, oldest first. Told again, a point's newest value counts."""

    series: Series
    points: Sequence[Point]


class GateStatus(StrEnum):
    """How code stands with its quality gate."""

    PASSED = "passed"
    FAILED = "failed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class GateCondition:
    """One condition of a gate: `coverage` is 71.2, and has to be at least 80."""

    metric: str
    passed: bool
    value: str | None
    threshold: str | None


@dataclass(frozen=True, slots=True)
class GateSeen:
    """A branch's quality gate, at the time (aware, the vendor's) of its analysis. `analysis` False: the analysis itself
    failed, which says nothing of the code."""

    subject: str
    name: str
    branch: str
    main: bool
    status: GateStatus
    at: datetime
    url: str
    conditions: Sequence[GateCondition] = ()
    analysis: bool = True


@dataclass(frozen=True, slots=True)
class MeasurePage:
    """What was read of measures, and the cursor from which to carry on after it.

    cut   what was left out and why (`"of 340 series the first 200 are kept"`), for the operator; never silently
    """

    measured: Sequence[Measured]
    cursor: JsonObject
    gates: Sequence[GateSeen] = ()
    cut: Sequence[str] = ()
