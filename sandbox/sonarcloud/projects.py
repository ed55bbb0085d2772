"""Projects, their branches and analyses: what was measured, and how that stands with the quality gate."""

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]

OK, ERROR, NONE = "OK", "ERROR", "NONE"

CONDITIONS = (("coverage", "LT", 80.0), ("bugs", "GT", 0.0), ("new_coverage", "LT", 80.0))
"""The gate every project has: metric, what fails it, threshold."""

OPERATORS = {"LT": "LESS_THAN", "GT": "GREATER_THAN"}

TYPES = {
    **dict.fromkeys(("coverage", "line_coverage", "branch_coverage", "new_coverage"), "PERCENT"),
    **dict.fromkeys(("duplicated_lines_density", "sqale_debt_ratio"), "PERCENT"),
    **dict.fromkeys(("lines_to_cover", "uncovered_lines", "conditions_to_cover", "uncovered_conditions"), "INT"),
    **dict.fromkeys(("ncloc", "bugs", "vulnerabilities", "code_smells", "security_hotspots", "new_bugs"), "INT"),
    **dict.fromkeys(("reliability_rating", "security_rating", "sqale_rating"), "RATING"),
    "sqale_index": "WORK_DUR",
    "alert_status": "LEVEL",
    "quality_profiles": "DATA",
    "software_quality_maintainability_issues": "INT",
}
"""Every metric there is, and the type of its values."""

USUAL = {
    "lines_to_cover": 1000.0,
    "uncovered_lines": 150.0,
    "conditions_to_cover": 200.0,
    "uncovered_conditions": 30.0,
    "new_coverage": 91.5,
    "ncloc": 12_345.0,
    "duplicated_lines_density": 3.2,
    "bugs": 0.0,
    "new_bugs": 0.0,
    "vulnerabilities": 1.0,
    "code_smells": 42.0,
    "security_hotspots": 2.0,
    "reliability_rating": 1.0,
    "security_rating": 2.0,
    "sqale_rating": 1.0,
    "sqale_index": 480.0,
    "sqale_debt_ratio": 0.4,
    "software_quality_maintainability_issues": 42.0,
}
"""What an analysis measures unless something else is said."""

REPORTED = ("lines_to_cover", "uncovered_lines", "conditions_to_cover", "uncovered_conditions", "new_coverage")
"""What only a coverage report tells."""


def stamp(at: datetime) -> str:
    """A time as Sonar writes it: the offset has no colon."""
    return f"{at:%Y-%m-%dT%H:%M:%S%z}"


def text_of(metric: str, value: float) -> str:
    """A value as text, in the form of its type."""
    match TYPES.get(metric):
        case "INT" | "WORK_DUR":
            return str(int(value))
        case "RATING":
            return f"{value:.1f}"
    return str(round(value, 1))


@dataclass
class Analysis:
    """What was measured at a time; a metric that was not computed is not there."""

    key: str
    at: datetime
    values: dict[str, float]
    gate: str = OK
    revision: str = ""

    def value(self, metric: str) -> str | None:
        """A metric's value as text."""
        if metric == "alert_status":
            return self.gate
        return text_of(metric, self.values[metric]) if metric in self.values else None

    def conditions(self) -> list[Json]:
        """The gate's conditions, in no vendor words: metric, operator, threshold, status, and the value if there is
        one."""
        told = []
        for metric, operator, threshold in CONDITIONS:
            value = self.values.get(metric)
            fails = value is not None and (value < threshold if operator == "LT" else value > threshold)
            status = "NO_VALUE" if value is None else ERROR if fails else OK
            one = {"metric": metric, "operator": operator, "threshold": f"{threshold:g}", "status": status}
            told.append(one | ({} if value is None else {"value": text_of(metric, value)}))
        return told


@dataclass
class Branch:
    """A branch. `gate` is how it stands now: an accepted issue may have changed it since the analysis."""

    name: str
    main: bool
    type: str = "LONG"
    analyses: list[Analysis] = field(default_factory=list)
    gate: str = NONE

    @property
    def newest(self) -> Analysis | None:
        """The last analysis."""
        return self.analyses[-1] if self.analyses else None

    def since(self, at: datetime | None) -> list[Analysis]:
        """The analyses since then, oldest first."""
        return self.analyses[bisect_left(self.analyses, at, key=lambda one: one.at) if at else 0 :]


@dataclass
class Project:
    """A project; `task` is the analysis that was worked on last."""

    key: str
    name: str
    branches: dict[str, Branch] = field(default_factory=dict)
    hidden: bool = False
    task: Json | None = None

    @property
    def main(self) -> Branch:
        """The main branch."""
        return next(branch for branch in self.branches.values() if branch.main)


def measured(**changed: float | None) -> dict[str, float]:
    """The values of an analysis: the usual ones, with these changed. Without a coverage report (`report=False`) there
    are none of coverage."""
    report = changed.pop("report", True)
    values = {name: value for name, value in {**USUAL, **changed}.items() if value is not None}
    if not report:
        return {name: value for name, value in values.items() if name not in REPORTED}
    lines, branches = (values["lines_to_cover"], values["conditions_to_cover"])
    hit, taken = lines - values["uncovered_lines"], branches - values["uncovered_conditions"]
    values["line_coverage"] = 100 * hit / lines
    values["branch_coverage"] = 100 * taken / branches
    values["coverage"] = 100 * (hit + taken) / (lines + branches)
    return values | {name: value for name, value in changed.items() if value is not None}
