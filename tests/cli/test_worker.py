"""The worker's composition root: every lane has a function and a process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cli.worker
import sync.app
from cli.embedded import WORKERS
from connectors.http import MAX_CONNECTIONS
from sync.runtime import Lane
from webhooks.outbound.schedule import WAVE

ROOT = Path(__file__).parents[2]

NOT_YET = {Lane.BACKFILL, Lane.AGENTS}
"""Lanes that nothing rings for."""


def test_every_lane_that_is_rung_for_has_a_function() -> None:
    assert set(sync.app._hands) >= set(Lane) - NOT_YET
    assert sync.app._hands[Lane.NOTIFY] is cli.worker.notify


def test_a_lane_nobody_works_says_how_to_start_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sync.app._hands, Lane.NOTIFY)
    with pytest.raises(LookupError, match=r"celery -A cli\.worker worker"):
        sync.app.work(Lane.NOTIFY.value, "WHK-26-000001")


def test_the_notifier_has_a_connection_for_every_call_it_can_make() -> None:
    [notifier] = [line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("notifier:")]
    [threads] = re.findall(r"--concurrency (\d+)", notifier)
    assert int(threads) * WAVE <= MAX_CONNECTIONS, "a slow endpoint would take the connections of others"
    assert WORKERS * WAVE <= MAX_CONNECTIONS
    assert f'"--concurrency", "{threads}"' in (ROOT / "compose.yaml").read_text()


@pytest.mark.parametrize("file", ["Procfile", "compose.yaml"])
def test_the_processes_together_work_every_lane(file: str) -> None:
    text = (ROOT / file).read_text()
    queues = re.findall(r'--queues"?,? "?([a-z,]+)', text)
    assert sorted(",".join(queues).split(",")) == sorted(lane.value for lane in Lane)
    assert "sync.app" not in text
