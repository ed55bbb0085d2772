"""Projects that are analysed in the demo's SonarCloud, and whether our gates and series say what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from cli.demo.crew import Crew, Scene
from cli.demo.outcome import Outcome
from cli.demo.sonarcloud import SonarCloudTool, Standing
from cli.demo.world import Connected, World
from sandbox.faults import FaultKind
from sandbox.sonarcloud.sandbox import EVENT

COVERAGE = "test_coverage"


class Builders(Crew):
    """Their pipelines analyse what they build; gates turn, and are turned back."""

    pause = (3.0, 6.0)

    def __init__(self, world: World, one: Connected[SonarCloudTool], seed: int) -> None:
        super().__init__(seed)
        self._sandbox = one.vendor.sandbox
        self._projects = sorted(self._sandbox.projects)

    def opening(self) -> Sequence[Callable[[], None]]:
        """The gate of the first project turns, and turns back."""
        return (self._breaks_the_first, self._mends_the_first)

    def scenes(self) -> Sequence[Scene]:
        """Most analyses are good."""
        return (
            (self._builds_well, 4),
            (self._builds_badly, 2),
            (self._somebody_accepts, 1),
            (self._an_analysis_fails, 1),
            (self._a_pull_request_is_analysed, 1),
            (self._builds_unheard, 1),
        )

    def _breaks_the_first(self) -> None:
        self._analyse(self._projects[0], bugs=2.0)

    def _mends_the_first(self) -> None:
        self._analyse(self._projects[0])

    def _builds_well(self) -> None:
        self._analyse(self._some())

    def _builds_badly(self) -> None:
        self._analyse(self._some(), bugs=float(self.rng.randint(1, 5)))

    def _builds_unheard(self) -> None:
        """Nobody tells us: the next poll finds it."""
        self._sandbox.faults.add(FaultKind.WEBHOOK_DROP, operation=EVENT, count=1)
        self._builds_well()

    def _somebody_accepts(self) -> None:
        """What fails the gate of a project is accepted, if anything does."""
        project = self._some()
        with self._sandbox.tracker.lock:
            if self._sandbox.project(project).main.newest is not None:
                self._sandbox.accept(project)

    def _an_analysis_fails(self) -> None:
        with self._sandbox.tracker.lock:
            self._sandbox.fail(self._some())

    def _a_pull_request_is_analysed(self) -> None:
        """It is not the project's: nothing of it may show."""
        with self._sandbox.tracker.lock:
            self._sandbox.analyse_pull(self._some(), str(self.rng.randint(1, 99)), bugs=9.0)

    def _analyse(self, project: str, bugs: float = 0.0) -> None:
        with self._sandbox.tracker.lock:
            self._sandbox.analyse(project, uncovered_lines=float(self.rng.randint(20, 180)), bugs=bugs)

    def _some(self) -> str:
        return self.rng.choice(self._projects)


def check(world: World, one: Connected[SonarCloudTool]) -> Outcome:
    """Gates and newest coverage of the API beside Sonar's own."""
    path = f"/v1/integrations/{one.integration_id}"
    series = list(world.api.listed(f"{path}/measures"))
    gates = {gate["subject"]: gate["status"] for gate in world.api.listed(f"{path}/quality-gates", main="true")}
    mains = [row for row in series if row["metric"] == COVERAGE and row["main"]]
    coverage = {row["subject"]: row["newest_value"] for row in mains}
    there = one.vendor.standings()
    passed = sum(standing.gate == "passed" for standing in there.values())
    return Outcome(
        f"{len(series)} series, {len(gates)} gates",
        f"{len(there)} gates, {passed} of them passed, and the coverage of {len(coverage)} projects",
        list(differences(gates, coverage, there)),
    )


def differences(
    gates: Mapping[str, str], coverage: Mapping[str, float | None], there: Mapping[str, Standing]
) -> Iterator[str]:
    """Where a gate or a coverage here is not the one there. A gate of which only a failed analysis is known is none."""
    for project in sorted({*there, *(key for key, status in gates.items() if status != "none")}):
        standing = there.get(project, Standing("none", None))
        if gates.get(project, "none") != standing.gate:
            yield f"{project} gate: here {gates.get(project, 'none')}, there {standing.gate}"
        if coverage.get(project) != standing.coverage:
            yield f"{project} coverage: here {coverage.get(project)}, there {standing.coverage}"
