"""One run of one contestant, in a process of its own: what it is told, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks import child
from benchmarks.machine import Usage, measured, tree_cpu
from connectors.contract import RemoteRepository
from connectors.http import default_transport
from connectors.registry import Registry
from core.db import Database
from core.settings import Settings
from core.vault import Vault
from sync.runtime import Runtime
from tests.services.github import lift_limits


@dataclass
class Phase:
    """What a stretch of a contestant's work took; `found` is what only some of them can tell."""

    name: str
    events: int = 0
    vendor_cpu: float = 0.0
    usage: Usage = field(default_factory=Usage)
    found: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Flat, for programs."""
        about = {"phase": self.name, "events": self.events, "vendor_cpu": self.vendor_cpu}
        return about | asdict(self.usage) | self.found


@dataclass(frozen=True)
class Job:
    """Where everything is.

    url, site        of the database and of the vendor
    server_pid       of the database server, whose CPU is counted too; that of the vendor is `vendor_pid`
    repository       what has the history, as connectors know it
    urls             what a reading of it asks for, in order; only those who replay it are told
    """

    url: str
    site: str
    server_pid: int
    vendor_pid: int
    key: str
    integration_id: str
    repository: dict[str, Any]
    urls: list[str] = field(default_factory=list)

    def remote(self) -> RemoteRepository:
        """The repository."""
        return RemoteRepository(**self.repository)

    def runtime(self) -> Runtime:
        """A worker's."""
        return runtime(self.url, self.key, self.site)

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Measure one."""
        phase = Phase(name)
        vendor = tree_cpu(self.vendor_pid)
        with measured(self.server_pid) as phase.usage:
            yield phase
        phase.vendor_cpu = tree_cpu(self.vendor_pid) - vendor


def runtime(url: str, key: str, site: str) -> Runtime:
    """A worker's runtime that may reach the vendor although it is on this machine, and is not limited there."""
    lift_limits()
    endpoints = {"github": {"api": site}}
    settings = Settings(database_url=url, egress_allow=[urlsplit(site).netloc], vendor_endpoints=endpoints)
    return Runtime(
        settings=settings,
        db=Database(url),
        vault=Vault.parse(key),
        registry=Registry.load(),
        transport=default_transport(settings.egress_allow),
    )


def run(contestant: str, job: Job) -> Any:
    """Run `benchmarks.code.<contestant>`; its answer."""
    return child.run(f"benchmarks.code.{contestant}", asdict(job))


def work(contest: Callable[[Job], list[Phase]]) -> None:
    """The main function of a contestant's process."""
    phases = contest(Job(**child.given()))
    child.answer([phase.as_json() for phase in phases])
