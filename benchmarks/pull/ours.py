"""Turnbuckle itself: `sync.pull.pull` as a worker runs it, through the real connector, client, budget and leases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, update

from benchmarks.pull.job import Job, Phase, work
from benchmarks.statements import Statements
from connectors.http import default_transport
from connectors.registry import Registry
from core import logs
from core.clock import utc_now
from core.db import Database
from core.models import Integration, RateBudget
from core.settings import Settings
from core.vault import Vault
from sync.pull import pull
from sync.runtime import Runtime, settle

PAGE_MARK = "binding"
"""A transaction one of whose statements names this table stores pages."""


def runtime(url: str, key: str, site: str) -> Runtime:
    """A worker's runtime that may reach the vendor although it is on this machine."""
    settings = Settings(database_url=url, egress_allow=[urlsplit(site).netloc])
    return Runtime(
        settings=settings,
        db=Database(url),
        vault=Vault.parse(key),
        registry=Registry.load(),
        transport=default_transport(settings.egress_allow),
    )


def contest(job: Job) -> list[Phase]:
    """The first pull, an unchanged second one of everything, and one of what changed since (nothing)."""
    logs.set_up(as_json=True)
    rt = runtime(job.url, job.key, job.site)
    settle()
    statements = Statements(rt.db, PAGE_MARK)
    phases = []
    for name in ("first", "again", "since"):
        _make_due(rt, job.integration_id, from_the_start=name == "again")
        statements.reset()
        with job.phase(name) as phase:
            pulled = pull(rt, job.integration_id)
        assert pulled is not None, name
        assert pulled.status == "success", pulled
        phase.records = pulled.counts["records"]
        phase.found = {"counts": pulled.counts} | statements.found()
        phases.append(phase)
    return phases


def _make_due(rt: Runtime, integration_id: str, *, from_the_start: bool) -> None:
    """A pull of everything or of what changed since is due, and the budget of calls is full as after a quiet minute."""
    values: dict[str, Any] = {"next_pull_at": utc_now() - timedelta(seconds=1)}
    if from_the_start:
        values["cursor"] = None
    with rt.db.write() as session:
        session.execute(update(Integration).where(Integration.id == integration_id).values(values))
        session.execute(delete(RateBudget).where(RateBudget.key == integration_id))


if __name__ == "__main__":
    work(contest)
