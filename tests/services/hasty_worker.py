"""What the worker of a test that kills it is started with: `celery -A tests.services.hasty_worker worker`.

Its vendors limit nobody, and what a killed worker held is looked for as soon as its lease has run out, not five
seconds later: a test that kills ten times would wait for most of a minute.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cli.worker import app
from connectors.contract import RateFacts
from connectors.slack import SlackConnector
from sync import runs
from tests.services.github import lift_limits

__all__ = ["app"]

lift_limits()
# As many calls as it can. The budget is kept all the same.
SlackConnector.manifest = replace(SlackConnector.manifest, rates=RateFacts(per_second=10_000, burst=10_000))
runs.AFTER_LEASE = timedelta(milliseconds=200)
