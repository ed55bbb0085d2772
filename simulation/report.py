"""What came of schedules, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulation.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one schedule: what is wrong, and the story if it was asked for."""

    schedule: Schedule
    violations: tuple[str, ...]
    story: tuple[str, ...] = ()
    edits: int = 0
    writes: int = 0
    disturbances: int = 0

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "seed": self.schedule.seed,
            "violations": self.violations,
            "conditions": str(self.schedule.conditions),
            "schedule": [str(step) for step in self.schedule.steps],
            "story": self.story,
        }

    def as_lines(self) -> Iterator[str]:
        """For people."""
        yield f"schedule {self.schedule.seed} ({self.schedule.conditions})"
        yield from (f"  {step}" for step in self.schedule.steps)
        yield "what happened"
        yield from (f"  {line}" for line in self.story)
        yield from (f"  wrong: {violation}" for violation in self.violations)


@dataclass
class Report:
    """What came of many schedules. `failures` are shrunk and told."""

    vendor: str
    schedules: int = 0
    edits: int = 0
    writes: int = 0
    disturbances: int = 0
    seconds: float = 0
    failures: list[Result] = field(default_factory=list)
    told: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one schedule."""
        self.schedules += 1
        self.edits += result.edits
        self.writes += result.writes
        self.disturbances += result.disturbances

    @classmethod
    def joined(cls, reports: Sequence[Report]) -> Report:
        """One report of what several processes found at the same time."""
        whole = cls(reports[0].vendor, seconds=max(report.seconds for report in reports))
        for report in reports:
            whole.schedules += report.schedules
            whole.edits += report.edits
            whole.writes += report.writes
            whole.disturbances += report.disturbances
            whole.failures += report.failures
        return whole

    @property
    def per_minute(self) -> int:
        """How fast it went."""
        return round(self.schedules / self.seconds * 60) if self.seconds else 0

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "schedules": self.schedules,
            "violations": len(self.failures),
            "vendor": self.vendor,
            "edits": self.edits,
            "writes": self.writes,
            "disturbances": self.disturbances,
            "seconds": round(self.seconds, 1),
            "per_minute": self.per_minute,
            "failures": [failure.as_json() for failure in self.failures],
        }

    def as_lines(self) -> Iterator[str]:
        """For people."""
        for told in [*self.failures, *self.told]:
            yield from told.as_lines()
            yield ""
        yield (
            f"{self.schedules} schedules with {self.vendor}: {self.edits} edits, {self.disturbances} disturbances, "
            f"{self.writes} writes to the vendor; {len(self.failures)} violations "
            f"({self.per_minute} schedules a minute)"
        )
