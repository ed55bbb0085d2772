"""One run of one contestant, in a process of its own: what it is told, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import child
from benchmarks.machine import Usage, measured
from benchmarks.pull import vendor


@dataclass
class Phase:
    """What one pull of a contestant took; `found` is what only some of them can tell."""

    name: str
    records: int = 0
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    found: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Flat, for programs."""
        about = {"phase": self.name, "records": self.records, "calls": self.calls}
        return about | asdict(self.usage) | self.found


@dataclass(frozen=True)
class Job:
    """Where everything is, and how much of it to do.

    url, site    of the database and of the vendor
    server_pid   of the database server, whose CPU is counted too
    users        address -> id of the people who are users here
    items        how many to read
    markdown     the limit makes the same text of descriptions as we do
    """

    url: str
    site: str
    server_pid: int
    key: str
    workspace_id: str
    line_id: str
    project_id: str
    integration_id: str
    users: dict[str, str]
    items: int
    page_size: int
    markdown: bool = False

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Measure one pull."""
        phase = Phase(name)
        vendor.control(self.site)
        with measured(self.server_pid) as phase.usage:
            yield phase
        phase.calls = vendor.control(self.site)


def run(contestant: str, job: Job) -> list[dict[str, Any]]:
    """Run `benchmarks.pull.<contestant>` and return its phases."""
    phases: list[dict[str, Any]] = child.run(f"benchmarks.pull.{contestant}", asdict(job))
    return phases


def work(contest: Callable[[Job], list[Phase]]) -> None:
    """The main function of a contestant's process."""
    phases = contest(Job(**child.given()))
    child.answer([phase.as_json() for phase in phases])
