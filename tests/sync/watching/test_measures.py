"""Measures kept as series and points, and quality gates that people hear of when they turn."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.contract import (
    GateCondition,
    GateSeen,
    GateStatus,
    Measured,
    MeasurePage,
    NotFound,
    Point,
    Rejected,
    Series,
    Transient,
)
from core.models import MeasurePoint, MeasureSeries, QualityGate
from sync.measures import pull as measure_pull
from tests.sync.conftest import START, ManualClock
from tests.sync.watching.conftest import Watch, connect
from tests.sync.watching.tower import MEASURED, Tower, seen

COVERAGE = Series("shop", "test_coverage", "percent", branch="main")


def page(done: int, *values: float | None, series: Series = COVERAGE, first: int = 0, **more: Any) -> MeasurePage:
    """A page of points of successive hours."""
    points = [Point(START + timedelta(hours=first + n), value) for n, value in enumerate(values)]
    return MeasurePage([Measured(series, points)], {"done": done}, **more)


def gate(status: str, hour: int = 0, **more: Any) -> GateSeen:
    """How `main` stands after an analysis of an hour."""
    usual: dict[str, Any] = {"subject": "shop", "name": "Shop", "branch": "main", "main": True}
    conditions = [GateCondition("coverage", status == "passed", "71.2", "80")]
    usual |= {"url": "https://tower.test/shop", "conditions": conditions, "at": START + timedelta(hours=hour)}
    return GateSeen(status=GateStatus(status), **(usual | more))


def points_of(watch: Watch) -> list[tuple[datetime, float | None]]:
    return [(row.at, row.value) for row in watch.rows(MeasurePoint)]


def test_points_are_kept_in_their_series_with_the_newest_at_hand(any_watch: Watch, tower: Tower) -> None:
    tower.pages = [page(1, 70.0, 71.5), page(2, None, 72.25, first=2)]
    run = any_watch.poll()
    assert run is not None
    assert (run.status, run.counts["points"], run.counts["series_new"], run.counts["pages"]) == ("success", 4, 1, 2)
    [series] = any_watch.rows(MeasureSeries)
    assert (series.metric, series.unit, series.branch, series.subject) == ("test_coverage", "percent", "main", "shop")
    assert (series.newest_value, series.newest_at) == (72.25, START + timedelta(hours=3))
    assert [value for _, value in points_of(any_watch)] == [70.0, 71.5, None, 72.25]


def test_the_next_pull_goes_on_behind_the_last_page_that_was_stored(watch: Watch, tower: Tower) -> None:
    tower.pages = [page(1, 70.0), Transient("down"), page(3, 90.0, first=2)]  # type: ignore[list-item]  # raised
    run = watch.poll()
    assert run is not None
    assert run.status == "partial"
    assert watch.integration().measure_cursor == {"done": 1}
    tower.pages[1] = page(2, 80.0, first=1)
    watch.poll()
    assert tower.cursors == [None, {"done": 1}]
    assert [value for _, value in points_of(watch)] == [70.0, 80.0, 90.0]


def test_told_again_a_points_newest_value_counts_and_no_point_is_there_twice(any_watch: Watch, tower: Tower) -> None:
    tower.pages = [page(1, 70.0, 71.0), page(2, 69.5, 71.0)]
    any_watch.poll()
    assert [value for _, value in points_of(any_watch)] == [69.5, 71.0]
    assert len(any_watch.rows(MeasureSeries)) == 1


@pytest.mark.parametrize(
    "other",
    [
        Series("mail", "test_coverage", "percent", branch="main"),
        Series("shop", "bugs", "count", branch="main"),
        Series("shop", "test_coverage", "percent", branch="work"),
        Series("shop", "test_coverage", "percent", branch="main", dimensions={"env": "eu"}),
    ],
    ids=["subject", "metric", "branch", "dimensions"],
)
def test_what_differs_in_anything_is_another_series(other: Series, watch: Watch, tower: Tower) -> None:
    tower.pages = [page(1, 70.0), page(2, 71.0, series=other)]
    watch.poll()
    assert len(watch.rows(MeasureSeries)) == 2


def test_the_order_of_dimensions_is_no_difference(watch: Watch, tower: Tower) -> None:
    both = [Series("", "cpu", "percent", dimensions=given) for given in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})]
    tower.pages = [page(1, 1.0, series=both[0]), page(2, 2.0, series=both[1], first=1)]
    watch.poll()
    assert len(watch.rows(MeasureSeries)) == 1


def test_an_older_page_does_not_hide_the_newest_value(watch: Watch, tower: Tower) -> None:
    tower.pages = [page(1, 90.0, first=5), page(2, 10.0)]
    watch.poll()
    assert watch.rows(MeasureSeries)[0].newest_value == 90.0


def test_a_hint_has_only_its_subject_read_once_for_all_who_say_it(watch: Watch, tower: Tower) -> None:
    tower.fresh["shop"] = [page(0, 81.0)]
    watch.arrive(MEASURED)
    watch.arrive(MEASURED)
    assert watch.drain() == 2
    assert tower.calls.count("measure shop") == 1
    assert [value for _, value in points_of(watch)] == [81.0]
    assert watch.delivery().outcome == {"items": {}, "measures": {"shop": 1}, "ignored": []}
    assert watch.integration().measure_cursor is None, "the poll's place is its own"


def test_a_hint_means_nothing_where_no_measures_are_read(watch: Watch, tower: Tower) -> None:
    silent = Watch(watch.rt, tower, watch.tenant, connect(watch.rt, watch.tenant, measures=False))
    silent.hear(MEASURED)
    assert silent.delivery().state == "ignored"
    assert silent.delivery().outcome["ignored"][0]["code"] == "no_measures"


def test_what_was_left_out_is_said_of_the_run_and_the_rest_is_kept(watch: Watch, tower: Tower) -> None:
    tower.pages = [page(1, 70.0, cut=["Of 340 series of cpu the first 200 are kept."])]
    run = watch.poll()
    assert run is not None
    assert run.status == "partial"
    assert watch.run().error_code == measure_pull.CUT
    assert watch.run().error_text == "Of 340 series of cpu the first 200 are kept."
    assert watch.integration().sync_status == "healthy"
    assert len(points_of(watch)) == 1


@pytest.mark.parametrize("error", [NotFound("no project shop"), Rejected("metric cpu: unknown", "config.metrics")])
def test_what_is_wrong_with_a_part_is_said_after_the_rest_was_read(
    error: Exception, watch: Watch, tower: Tower
) -> None:
    tower.pages = [page(1, 70.0), error]  # type: ignore[list-item]  # raised in a page's place
    watch.poll()
    assert len(points_of(watch)) == 1
    assert (watch.integration().sync_status, watch.integration().sync_text) == ("failed", str(error))


# --- gates --------------------------------------------------------------------------------------------


def test_people_hear_when_a_gate_turns_and_not_how_it_stood_at_first(any_watch: Watch, tower: Tower) -> None:
    any_watch.hear(*seen(gate("failed", 1)))
    assert any_watch.events("quality.") == []
    any_watch.hear(*seen(gate("passed", 2)))
    any_watch.hear(*seen(gate("passed", 3)))
    any_watch.hear(*seen(gate("failed", 4)))
    assert any_watch.events("quality.") == ["gate_passed", "gate_failed"]
    told = any_watch.told("quality.")[-1]
    assert (told.data["name"], told.data["from"], told.data["branch"]) == ("Shop", "passed", "main")
    assert told.data["conditions"] == [{"metric": "coverage", "passed": False, "value": "71.2", "threshold": "80"}]
    [row] = any_watch.rows(QualityGate)
    assert (row.status, row.at) == ("failed", START + timedelta(hours=4))


def test_a_gate_told_twice_or_late_turns_nothing(watch: Watch, tower: Tower) -> None:
    watch.hear(*seen(gate("passed", 1)))
    watch.hear(*seen(gate("failed", 3)))
    for told in (gate("failed", 3), gate("passed", 2)):
        watch.hear(*seen(told))
    assert watch.events("quality.") == ["gate_failed"]
    assert watch.delivery().outcome["gates"] == ["late"]


def test_other_branches_are_kept_and_are_no_news(watch: Watch, tower: Tower) -> None:
    for hour, status in enumerate(("passed", "failed", "passed")):
        watch.hear(*seen(gate(status, hour, branch="work", main=False)))
    assert watch.events("quality.") == []
    assert watch.rows(QualityGate)[0].status == "passed"


def test_an_analysis_that_fails_says_nothing_of_the_code(watch: Watch, tower: Tower) -> None:
    watch.hear(*seen(gate("passed", 1)))
    watch.hear(*seen(gate("none", 2, analysis=False)))
    watch.hear(*seen(gate("passed", 3)))
    assert watch.events("quality.") == ["analysis_failed"]
    assert watch.rows(QualityGate)[0].status == "passed"


def test_a_poll_and_a_delivery_tell_of_a_turn_once(watch: Watch, tower: Tower, clock: ManualClock) -> None:
    watch.hear(*seen(gate("passed", 1)))
    tower.pages = [page(1, 70.0, gates=[gate("failed", 2)])]
    watch.poll()
    watch.hear(*seen(gate("failed", 2)))
    assert watch.events("quality.") == ["gate_failed"]
    assert watch.run().counts["gates_changed"] == 1
