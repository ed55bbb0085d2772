"""Reading projects: what was measured since a cursor, and how branches stand with their gates.

The cursor holds for each project `at` (branch -> the newest analysis that is known), `gate` (branch -> how it stood
when that was seen) and `failed` (when the last analysis failed that was told).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.contract import GateSeen, Measured, MeasurePage
from connectors.sonarcloud.client import HISTORY, Analysis, Branch, Component, Histories, SonarClient
from connectors.sonarcloud.config import SonarCloudConfig
from connectors.sonarcloud.mapping import (
    FAILED_TASKS,
    GATE,
    NEW,
    TYPES,
    Place,
    Units,
    failure,
    gate,
    gates_since,
    measured_at,
    measured_since,
    unit_of,
)
from connectors.times import moment

NO_NUMBER = "{metric} is no number, or SonarCloud does not know it: it is left out"


class Reading:
    """One run through projects. `known` is what the cursor knew."""

    def __init__(
        self,
        client: SonarClient,
        config: SonarCloudConfig,
        base: str,
        known: Mapping[str, Any],
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._config, self._base, self._now = client, config, base, now
        self._known: dict[str, Any] = deepcopy(dict(known))
        self._units, self._cut = _units(client, config)

    def project(self, key: str) -> Iterator[MeasurePage]:
        """What is new of a project. Raises NotFound."""
        branches = self._followed(key)
        mine = self._mine(key)
        for branch in branches:
            if branch.analysis_date is None:
                continue
            known = mine["at"].get(branch.name)
            if known is None or moment(branch.analysis_date) > moment(known):
                yield from self._analysed(key, branch, known and moment(known))
            elif _stands(branch) not in (None, mine["gate"].get(branch.name)):
                yield self._gate_moved(key, branch)
        yield from self._failed(key, branches)

    def newest(self, key: str) -> Iterator[MeasurePage]:
        """What was measured last of a project. Raises NotFound."""
        for branch in self._followed(key):
            place = self._place(key, branch)
            analysis = self._client.newest(place)
            if analysis is not None:
                component = self._client.values(place, self._asked)
                yield self._latest(replace(place, name=component.name or key), branch, analysis, component)

    def _followed(self, key: str) -> list[Branch]:
        return [one for one in self._client.branches(key) if self._config.follows_branch(one.name, one.is_main)]

    def _place(self, key: str, branch: Branch, name: str = "") -> Place:
        return Place(self._base, key, name or key, branch.name, branch.is_main)

    def _mine(self, key: str) -> dict[str, Any]:
        mine: dict[str, Any] = self._known.setdefault(key, {"at": {}, "gate": {}})
        return mine

    @property
    def _asked(self) -> list[str]:
        return [GATE, *self._units]

    def _page(self, measured: list[Measured], gates: list[GateSeen]) -> MeasurePage:
        """What was read, and the cursor as it is now. What is left out is said with the first."""
        cut, self._cut = self._cut, []
        return MeasurePage(measured, {"projects": deepcopy(self._known)}, gates, cut)

    # --- a branch that was analysed -----------------------------------------------------------------

    def _analysed(self, key: str, branch: Branch, known: datetime | None) -> Iterator[MeasurePage]:
        """All between what is known and the newest analysis from the history; of the newest all that there is."""
        place = self._place(key, branch)
        analysis = self._client.newest(place)
        if analysis is None:
            return
        component = self._client.values(place, self._asked)
        place, until = replace(place, name=component.name or key), moment(analysis.date)
        for told in self._histories(place, known):
            between = (one for one in gates_since(place, told.measures) if one.at < until)
            fresh = [one for one in between if known is None or one.at > known]
            yield self._page(list(measured_since(place, told.measures, self._units)), fresh)
        yield self._latest(place, branch, analysis, component)

    def _histories(self, place: Place, known: datetime | None) -> Iterator[Histories]:
        """Pages by the time of their last analysis, as counted ones end at ten thousand rows. What is read again is the
        one with which a page ends."""
        days = self._config.history_days
        since = known if known is not None or days is None else self._now() - timedelta(days=days)
        metrics = [metric for metric in self._asked if not metric.startswith(NEW)]
        while True:
            told = self._client.history(place, metrics, since)
            dates = [moment(dated.date) for one in told.measures for dated in one.history]
            more = bool(dates) and told.paging.total > HISTORY
            if more:
                since = max(dates)
                self._mine(place.project)["at"][place.branch] = since.isoformat()
            yield told
            if not more:
                return

    def _latest(self, place: Place, branch: Branch, analysis: Analysis, component: Component) -> MeasurePage:
        at, stands = moment(analysis.date), self._client.gate(place, analysis.key)
        mine = self._mine(place.project)
        mine["at"][branch.name], mine["gate"][branch.name] = at.isoformat(), _stands(branch)
        rows = list(measured_at(place, component.measures, at, self._units))
        return self._page(rows, [gate(place, stands.status, at, stands.conditions)])

    # --- what happens without an analysis -----------------------------------------------------------

    def _gate_moved(self, key: str, branch: Branch) -> MeasurePage:
        """Somebody accepted an issue, or changed the gate: when is not told."""
        place = self._place(key, branch, self._client.name(key))
        stands = self._client.gate(place)
        self._mine(key)["gate"][branch.name] = _stands(branch)
        return self._page([], [gate(place, stands.status, self._now(), stands.conditions)])

    def _failed(self, key: str, branches: list[Branch]) -> Iterator[MeasurePage]:
        """The last analysis, if it failed and that has not been told."""
        task, mine = self._client.task(key), self._mine(key)
        if task is None or task.status not in FAILED_TASKS or task.executed_at is None:
            return
        at, told = moment(task.executed_at), mine.get("failed")
        branch = next((one for one in branches if (one.name == task.branch if task.branch else one.is_main)), None)
        if branch is None or (told is not None and at <= moment(told)):
            return
        mine["failed"] = at.isoformat()
        yield self._page([], [failure(self._place(key, branch, self._client.name(key)), at)])


def _stands(branch: Branch) -> str | None:
    return branch.status.quality_gate_status if branch.status else None


def _units(client: SonarClient, config: SonarCloudConfig) -> tuple[Units, list[str]]:
    """The unit of each metric, and what was left out. Only for those that are in no table their host is asked."""
    units: dict[str, tuple[str, float]] = {}
    types: dict[str, str] | None = None
    cut = []
    for metric in config.metrics:
        known = unit_of(metric)
        if known is None:
            types = client.types() if types is None else types
            known = TYPES.get(types.get(metric, ""))
        if known is None:
            cut.append(NO_NUMBER.format(metric=metric))
        else:
            units[metric] = known
    return units, cut
