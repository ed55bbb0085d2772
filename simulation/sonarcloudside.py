"""SonarCloud on the conformance kit's bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import connectors.sonarcloud
from connectors.contract import GateStatus, Measured, Point, Series
from connectors.kit.watchpeople import Stands
from connectors.sonarcloud import SonarCloudConnector
from sandbox.sonarcloud import ORGANIZATION, Project, SonarCloudSandbox
from simulation.monitorside import MonitorSide

READ = {
    "coverage": ("test_coverage", "percent", 1.0),
    "new_coverage": ("new_coverage", "percent", 1.0),
    "ncloc": ("ncloc", "count", 1.0),
    "sqale_rating": ("maintainability_rating", "rating", 1.0),
    "sqale_index": ("technical_debt", "seconds", 60.0),
}
"""Sonar's metric -> what it is to be here: our name, the unit, and what values are multiplied by for it."""

GATES = {"OK": GateStatus.PASSED, "ERROR": GateStatus.FAILED}

NO_NUMBER = "quality_profiles"
"""A metric that can't be kept as a number."""

HISTORY = "apex_history"


class SonarCloudSide(MonitorSide):
    """People at an organization whose pipelines analyse its projects."""

    name = "sonarcloud"
    connector_class = SonarCloudConnector
    sandbox_class = SonarCloudSandbox
    token_field = "api_key"
    fixtures = Path(connectors.sonarcloud.__file__).with_name("fixtures")
    only_live = frozenset({"new_coverage"})
    pause = 55
    sandbox: SonarCloudSandbox

    def config(self) -> dict[str, Any]:
        """The organization, and a metric of each kind."""
        return {"organization": ORGANIZATION, "poll_seconds": 60, "metrics": list(READ)}

    def happen(self) -> None:
        """An analysis."""
        self.sandbox.analyse(self._project(0))

    # --- what goes on there -------------------------------------------------------------------------

    def deeds(self) -> Mapping[str, Callable[[int], object]]:
        """All that is done to projects."""
        do = self.sandbox
        how: dict[str, Callable[[str], object]] = {
            "measure": self._measure,
            "spoil": partial(do.analyse, bugs=3.0),
            "accept": do.accept,
            "fail": do.fail,
            "drop": do.delete,
        }
        return {deed: partial(self._to, one) for deed, one in how.items()}

    def _to(self, how: Callable[[str], object], slot: int) -> None:
        how(self._project(slot))

    def _project(self, slot: int) -> str:
        return list(self.sandbox.projects)[slot]

    def _measure(self, project: str) -> None:
        """Every time there is a little more code."""
        done = len(self.sandbox.projects[project].main.analyses)
        self.sandbox.analyse(project, ncloc=10_000.0 + done, uncovered_lines=100.0 + done % 50)

    def measured(self) -> list[Measured]:
        """The values of every analysis of the main branches."""
        return [one for project in self.sandbox.projects.values() for one in _series(project)]

    def gates(self) -> list[Stands]:
        """Of what was analysed."""
        mains = [(project.key, project.main) for project in self.sandbox.projects.values()]
        return [Stands(key, main.name, GATES[main.gate]) for key, main in mains if main.analyses]

    def grow(self, count: int) -> Mapping[str, Any]:
        """A project with a history; all projects are read."""
        self.sandbox.add_project(HISTORY)
        self.sandbox.plant(count, HISTORY)
        return {}

    def named(self) -> Mapping[str, Any]:
        """The projects."""
        return {"projects": list(self.sandbox.projects)}

    def too_much(self) -> Mapping[str, Any]:
        """What is no number is left out."""
        return {"metrics": [*READ, NO_NUMBER]}


def _series(project: Project) -> Iterator[Measured]:
    for metric, (name, unit, scale) in READ.items():
        told = ((one.at, one.value(metric)) for one in project.main.analyses)
        points = [Point(at, float(text) * scale) for at, text in told if text is not None]
        if points:
            yield Measured(Series(project.key, name, unit, project.main.name), points)
