"""Turnbuckle itself: `sync.backfill.backfill` as a worker runs it, through the real connector, client, budget and
leases; then the facts folded from the stream, as the facts lane does."""

from __future__ import annotations

from sqlalchemy import select

from benchmarks.code.job import Job, Phase, work
from benchmarks.statements import Statements
from core import logs
from core.models import SyncRun
from intelligence.projection import follow
from sync.backfill import backfill
from sync.runtime import Runtime, settle

PAGE_MARK = "INSERT INTO event"
"""A transaction with this statement stores pages."""


def contest(job: Job) -> list[Phase]:
    """The whole history, and what is made of it."""
    logs.set_up(as_json=True)
    rt = job.runtime()
    settle()
    statements = Statements(rt.db, PAGE_MARK)
    with job.phase("backfill") as history:
        turns = 1
        while backfill(rt, job.integration_id):
            turns += 1
    counts = _counts(rt)
    history.events = counts["events_new"]
    history.found = {"counts": counts, "turns": turns} | statements.found()
    with job.phase("facts") as facts:
        facts.events = follow(rt.db)
    return [history, facts]


def _counts(rt: Runtime) -> dict[str, int]:
    with rt.db.read() as session:
        run = session.scalars(select(SyncRun).where(SyncRun.kind == "backfill")).one()
    assert run.status == "success", (run.status, run.error_text)
    assert run.done == run.total, "it came to an end short of what there is"
    return dict(run.counts)


if __name__ == "__main__":
    work(contest)
