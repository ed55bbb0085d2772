"""Sync runs: how one is opened, and how its counts grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, case, literal

from core.models import Integration, SyncRun
from sync.leases import lease_time
from sync.runtime import Runtime

AFTER_LEASE = timedelta(seconds=5)
"""Added to a lease's time, the tick leaves a run alone for this long after its last sign of life: when a killed
worker's lease has run out, the run is found again."""


AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""As `next_pull_at`: there is something to look at, and a pull that is under way is no answer, since it may have looked
before. It stays until the next one begins."""


class Remapped(Exception):
    """The integration's mapping or config changed while the run was going: what is left belongs to the next run."""


def claim_time(rt: Runtime) -> timedelta:
    """How long work that was claimed is not claimed again."""
    return lease_time(rt) + AFTER_LEASE


def claimed_until(at: datetime) -> ColumnElement[datetime]:
    """What `next_pull_at` becomes while a run is worked on, so that nobody else begins with it before."""
    due, kind = Integration.next_pull_at, Integration.next_pull_at.type
    return case((due == literal(AT_ONCE, kind), due), else_=literal(at, kind))


def new_run(integration_id: str, run_id: str, trigger: str, requested_by: str, now: datetime) -> SyncRun:
    """A run that is open: a pull, unless its `kind` is changed."""
    return SyncRun(
        id=run_id,
        integration_id=integration_id,
        kind="pull",
        trigger=trigger,
        requested_by=requested_by,
        status="running",
        counts={},
        total=None,
        attempts=0,
        started_at=now,
    )


def summed(counts: Mapping[str, int], *more: Mapping[str, int]) -> dict[str, int]:
    """A run's counts with others added."""
    return dict(sum((Counter(each) for each in more), Counter(counts)))
