"""Sync runs: how one is opened, and how its counts grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from core.models import SyncRun
from sync.leases import lease_time
from sync.runtime import Runtime

AFTER_LEASE = timedelta(seconds=5)
"""Added to a lease's time, the tick leaves a run alone for this long after its last sign of life: when a killed
worker's lease has run out, the run is found again."""


class Remapped(Exception):
    """The integration's mapping or config changed while the run was going: what is left belongs to the next run."""


def claim_time(rt: Runtime) -> timedelta:
    """How long work that was claimed is not claimed again."""
    return lease_time(rt) + AFTER_LEASE


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
