"""Watching a sync run until it is finished."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.output import note
from core.models import SyncRun
from sync.runtime import Runtime

COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

LOOK_SECONDS = 0.25

LONELY_SECONDS = 20.0
"""A worker takes up a run within seconds; after this, it is likelier that there is none."""


def follow(runtime: Runtime, run: SyncRun, *, quiet: bool) -> SyncRun:
    """Wait for the run's end, with a progress bar on stderr. A rate limit of the vendor only makes it longer."""
    with Progress(*COLUMNS, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        bar = progress.add_task(run.id, total=None)
        started = time.monotonic()
        lonely = False
        while run.status == "running":
            time.sleep(LOOK_SECONDS)
            with runtime.db.read() as session:
                run = session.get_one(SyncRun, run.id)
            progress.update(bar, completed=run.counts.get("records", 0), total=run.total, description=_says(run))
            if not lonely and run.attempts == 0 and time.monotonic() - started > LONELY_SECONDS:
                lonely = True
                note("No worker has taken it up yet. Is `turnbuckle up`, or a Celery worker, running?")
    return run


def _says(run: SyncRun) -> str:
    return f"{run.id} {run.error_text}" if run.error_text else run.id
