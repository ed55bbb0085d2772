"""The whole of it: schedules of edits on both sides and failures, with the real engine between them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from turnbuckle_plank.side import PlankSide

from simulation.run import run
from simulation.schedule import draw
from simulation.stage import Stage

SCHEDULES = range(200)
"""Each is a world of its own; more of them: `turnbuckle simulate --vendor plank`."""


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """The engine's warnings are about failures that are made on purpose."""
    usual = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**usual)


def test_no_schedule_loses_an_edit_or_makes_a_duplicate() -> None:
    stage = Stage(PlankSide)
    results = [run(stage, draw(seed)) for seed in SCHEDULES]
    assert [(result.schedule.seed, result.violations) for result in results if result.violations] == []
    assert sum(result.writes for result in results) > len(SCHEDULES) / 4
