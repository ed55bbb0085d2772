"""What the worker of a test that kills it is started with: `celery -A tests.services.hasty_worker worker`.

Its GitHub is not limited, and what a killed worker held is looked for as soon as its lease has run out, not five
seconds later: a test that kills ten times would wait for most of a minute.
"""

from __future__ import annotations

from datetime import timedelta

from cli.worker import app
from sync import runs
from tests.services.github import lift_limits

__all__ = ["app"]

lift_limits()
runs.AFTER_LEASE = timedelta(milliseconds=200)
