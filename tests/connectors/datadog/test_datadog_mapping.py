"""What Datadog says, read without a network: groups, mutes, severities, units, windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from connectors.contract import AlertRef, AlertState, Severity
from connectors.datadog.client import Measurement, Timeseries
from connectors.datadog.config import SITES, DatadogConfig, DatadogKeys, DatadogMetric
from connectors.datadog.mapping import (
    Monitor,
    app_host,
    firing,
    gone,
    host_of,
    muted,
    scope_of,
    severity_of,
    standing,
    tagged,
)
from connectors.datadog.timeseries import Window, key_of, measured, unit_of, windows
from connectors.times import epoch_ms

NOW = datetime(2026, 4, 15, 10, 7, tzinfo=UTC)
SITE = "datadoghq.com"
GROUPED = "avg(last_5m):avg:app.latency{env:prod} by {service,zone} > 2"
SECONDS = 1_776_247_200


def monitor(**fields: Any) -> Monitor:
    usual = {
        "id": 7,
        "name": "Slow",
        "query": GROUPED,
        "tags": ["Team:Payments", "urgent"],
        "message": "Look. @ann@x.io",
    }
    return msgspec.convert({**usual, **fields}, Monitor)


def grouped(status: str = "Alert", **fields: Any) -> Monitor:
    group = {"status": status, "last_triggered_ts": SECONDS, "last_resolved_ts": SECONDS + 60}
    return monitor(state={"groups": {"zone:b,service:api": group}}, **fields)


@pytest.mark.parametrize(
    ("told", "query", "scope"),
    [
        ("zone:b,service:api", GROUPED, "service:api,zone:b"),
        ("env:prod,zone:b,service:api", GROUPED, "service:api,zone:b"),
        ("env:prod", "avg(last_5m):avg:app.latency{env:prod} > 2", ""),
        ("*", "avg(last_5m):avg:app.latency{*} > 2", ""),
        ("host:a", '"datadog.agent.up".over("*").by("host").last(2).count_by_status()', "host:a"),
        ("service:api", 'logs("status:error").index("*").rollup("count").by("service").last("5m") > 5', "service:api"),
        ("host:a", "12 && 13", "host:a"),
        ("Host:A, *", "", "host:a"),
        ("", "", ""),
    ],
)
def test_a_group_is_named_by_the_tags_its_monitor_is_grouped_by(told: str, query: str, scope: str) -> None:
    assert scope_of(told, query) == scope


def test_tags_have_any_number_of_values_and_none_where_they_have_no_colon() -> None:
    assert tagged(["Env:Prod", "env:test", "urgent", "url:http://x", "", " "]) == {
        "env": ("prod", "test"),
        "urgent": (),
        "url": ("http://x",),
    }


@pytest.mark.parametrize(
    ("priority", "state", "severity"),
    [
        (1, "Warn", Severity.CRITICAL),
        (2, "Alert", Severity.HIGH),
        (3, "Alert", Severity.MEDIUM),
        (4, "Alert", Severity.LOW),
        (5, "Alert", Severity.LOW),
        (None, "Alert", Severity.HIGH),
        (None, "Warn", Severity.MEDIUM),
        (None, "No Data", Severity.MEDIUM),
    ],
)
def test_severity_is_the_priority_or_else_the_state(priority: int | None, state: str, severity: Severity) -> None:
    assert severity_of(priority, state) is severity


def test_a_group_that_fires_is_an_alert() -> None:
    [alert] = firing(grouped(priority=1), SITE, NOW)
    assert alert.ref == AlertRef("7", "service:api,zone:b")
    assert (alert.state, alert.severity, alert.title) == (AlertState.FIRING, Severity.CRITICAL, "Slow")
    assert (alert.text, alert.url) == ("Look.", "https://app.datadoghq.com/monitors/7")
    assert (alert.at, alert.cycle) == (datetime.fromtimestamp(SECONDS, UTC), None)
    assert alert.tags is not None
    assert alert.tags["env"] == ("prod",)
    assert alert.tags["team"] == ("payments",)


def test_a_text_that_only_rendering_makes_readable_is_left_out() -> None:
    [alert] = firing(grouped(message="{{#is_alert}}Run!{{/is_alert}}"), SITE, NOW)
    assert alert.text == ""


@pytest.mark.parametrize("status", ["OK", "Ignored", "Skipped", "Unknown", "No Data"])
def test_what_does_not_fire_is_no_alert(status: str) -> None:
    assert list(firing(grouped(status), SITE, NOW)) == []


@pytest.mark.parametrize("option", [{"notify_no_data": True}, {"on_missing_data": "show_and_notify_no_data"}])
def test_missing_data_is_an_alert_where_the_monitor_tells_of_it(option: dict[str, Any]) -> None:
    group = {"status": "No Data", "last_nodata_ts": SECONDS, "last_triggered_ts": 5}
    [alert] = firing(monitor(options=option, state={"groups": {"zone:a": group}}), SITE, NOW)
    assert (alert.severity, alert.at) == (Severity.MEDIUM, datetime.fromtimestamp(SECONDS, UTC))


def test_a_monitor_of_which_no_groups_are_told_is_one_itself() -> None:
    alone = monitor(overall_state="Alert", overall_state_modified="2026-04-15T10:00:00.000000+00:00")
    [alert] = firing(alone, SITE, NOW)
    assert (alert.ref.scope, alert.at) == ("", datetime(2026, 4, 15, 10, tzinfo=UTC))
    assert list(firing(monitor(), SITE, NOW)) == []


@pytest.mark.parametrize(
    ("fields", "is_muted"),
    [
        ({"options": {"silenced": {"*": None}}}, True),
        ({"options": {"silenced": {"*": SECONDS}}}, False),
        ({"options": {"silenced": {"*": SECONDS + 3600}}}, True),
        ({"options": {"silenced": {"service:api": None}}}, True),
        ({"options": {"silenced": {"service:web": None}}}, False),
        ({"options": {"silenced": None}}, False),
        ({"matching_downtimes": [{"id": 1, "scope": ["env:prod", "zone:b"], "start": SECONDS, "end": None}]}, True),
        ({"matching_downtimes": [{"id": 1, "scope": ["zone:a"], "start": SECONDS}]}, False),
        ({"matching_downtimes": [{"id": 1, "scope": ["*"], "start": SECONDS + 3600, "end": None}]}, False),
        ({"matching_downtimes": [{"id": 1, "scope": ["*"], "start": 1, "end": SECONDS}]}, False),
        ({}, False),
    ],
)
def test_a_mute_counts_while_it_lasts_and_for_the_groups_it_fits(fields: dict[str, Any], is_muted: bool) -> None:
    one = grouped(**fields)
    assert muted(one, "service:api,zone:b", NOW) is is_muted
    assert len(list(firing(one, SITE, NOW))) == (not is_muted)


def test_how_a_group_stands_is_told_also_when_it_is_muted_or_gone() -> None:
    scope = "service:api,zone:b"
    silenced = grouped(options={"silenced": {"*": None}})
    fires, well = standing(silenced, scope, SITE, NOW), standing(grouped("OK"), scope, SITE, NOW)
    assert fires is not None
    assert fires.state is AlertState.FIRING
    assert well is not None
    assert (well.state, well.at) == (AlertState.OVER, datetime.fromtimestamp(SECONDS + 60, UTC))
    assert standing(grouped("Unknown"), scope, SITE, NOW) is None
    left = standing(grouped(), "service:web,zone:b", SITE, NOW)
    assert left is not None
    assert (left.state, left.at) == (AlertState.OVER, NOW)
    deleted = gone(AlertRef("9", ""), SITE, NOW)
    assert (deleted.state, deleted.at) == (AlertState.OVER, NOW)


def test_pages_are_where_the_site_has_them() -> None:
    assert app_host("datadoghq.eu") == "app.datadoghq.eu"
    assert app_host("us3.datadoghq.com") == "us3.datadoghq.com"
    assert host_of("https://apex.datadoghq.com/event/event?id=1") == "apex.datadoghq.com"
    for link in ("http://app.datadoghq.com/x", "https://datadoghq.com.evil.example/x", "https://[", "javascript:1", ""):
        assert host_of(link) == ""


# --- config -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ({"name": "cpu"}, "give a `query`"),
        ({"name": "cpu", "query": "avg:a{*}", "formula": "a"}, "give a `query`"),
        ({"name": "cpu", "formula": "a"}, "give a `query`"),
        ({"name": "cpu", "query": "avg:a{*}.rollup(avg, 60)"}, "leave the rollup out"),
        ({"name": "cpu", "query": "avg:a{*} / avg:b{*}"}, "is no single query"),
        ({"name": "cpu", "query": "avg:a{*}", "rollup_seconds": 700}, "can't be divided"),
        ({"name": "CPU", "query": "avg:a{*}"}, "pattern"),
    ],
)
def test_a_metric_that_can_not_be_read_is_refused(metric: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        DatadogConfig(metrics=[metric])


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two metrics are called 'cpu'"):
        DatadogConfig(metrics=[{"name": "cpu", "query": "avg:a{*}"}] * 2)


@pytest.mark.parametrize(
    ("fields", "pinned"),
    [
        ({"query": "avg:a{*}"}, "avg:a{*}.rollup(avg, 300)"),
        ({"query": "max:a{*} by {host}"}, "max:a{*} by {host}.rollup(max, 300)"),
        ({"query": "sum:a{x:y}.as_count()"}, "sum:a{x:y}.as_count().rollup(sum, 300)"),
        ({"query": "avg:a{*}", "rollup": "max", "rollup_seconds": 60}, "avg:a{*}.rollup(max, 60)"),
    ],
)
def test_the_rollup_is_pinned(fields: dict[str, Any], pinned: str) -> None:
    assert DatadogMetric(name="a", **fields).pinned() == {"a": pinned}


def test_capabilities_nothing_is_asked_of_are_not_used() -> None:
    assert DatadogConfig().without() == {"alert_source", "measure_source"}
    assert DatadogConfig(monitors=["*"], metrics=[{"name": "a", "query": "avg:a{*}"}]).without() == set()


def test_a_site_there_is_not_is_refused() -> None:
    assert len(SITES) == 9
    with pytest.raises(ValidationError, match="site"):
        DatadogKeys(api_key="k", site="datadoghq.example")


# --- points -------------------------------------------------------------------------------------------

METRIC = DatadogMetric(name="a", query="avg:a{*}")
STEP = 300_000


def test_windows_last_a_day_and_end_two_rollups_ago() -> None:
    found = list(windows([METRIC], {}, NOW, timedelta(days=2)))
    assert found[0].start == epoch_ms(datetime(2026, 4, 13, 10, 5, tzinfo=UTC))
    assert found[-1].end == epoch_ms(datetime(2026, 4, 15, 9, 55, tzinfo=UTC))
    assert all(one.end - one.start <= 86_400_000 for one in found)
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]


def test_what_is_known_is_read_again_for_two_rollups() -> None:
    known = epoch_ms(datetime(2026, 4, 15, 9, 30, tzinfo=UTC))
    [window] = windows([METRIC], {key_of(METRIC): known}, NOW, timedelta(days=30))
    assert (known - window.start, window.end - known) == (2 * STEP, 5 * STEP)


def test_of_several_metrics_the_oldest_is_read_first() -> None:
    other = DatadogMetric(name="b", query="avg:b{*}")
    known = {key_of(METRIC): epoch_ms(NOW - timedelta(days=1))}
    found = list(windows([METRIC, other], known, NOW, timedelta(days=3)))
    assert [window.metric.name for window in found[:2]] == ["b", "b"]
    assert [window.start for window in found] == sorted(window.start for window in found)


@pytest.mark.parametrize("rollup", [60, 300, 3600, 86_400])
def test_a_window_is_asked_for_whatever_the_rollup(rollup: int) -> None:
    metric = DatadogMetric(name="a", query="avg:a{*}", rollup_seconds=rollup)
    found = list(windows([metric], {}, NOW, timedelta(hours=2)))
    assert found
    assert all(one.start % (rollup * 1000) == 0 and (one.end - one.start) // rollup <= 1_000_000 for one in found)


def test_another_query_is_another_series_to_a_cursor() -> None:
    changed = METRIC.model_copy(update={"query": "avg:a{env:prod}"})
    assert key_of(changed) != key_of(METRIC)
    assert key_of(METRIC.model_copy(update={"unit": "percent"})) == key_of(METRIC)


def answer(values: list[list[float | None]], times: list[int], **series: Any) -> Timeseries:
    told = [{"group_tags": [f"host:{number}"], **series} for number in range(len(values))]
    return msgspec.convert({"series": told, "times": times, "values": values}, Timeseries)


def test_a_null_is_no_value_and_not_zero() -> None:
    [one], cut = measured(Window(METRIC, 0, 3 * STEP), answer([[1.0, None, 0.0]], [0, STEP, 2 * STEP]), 9)
    assert [point.value for point in one.points] == [1.0, None, 0.0]
    assert cut == []


def test_what_lies_outside_of_the_window_is_left_out() -> None:
    [one], _ = measured(Window(METRIC, STEP, 2 * STEP), answer([[1.0, 2.0, 3.0]], [0, STEP, 2 * STEP]), 9)
    assert [point.value for point in one.points] == [2.0]


def test_of_too_many_series_always_the_same_are_kept_and_it_is_said() -> None:
    told = answer([[float(number)] for number in range(5)], [0])
    told.series.reverse()
    kept, cut = measured(Window(METRIC, 0, STEP), told, 2)
    assert [one.series.dimensions for one in kept] == [{"host": "0"}, {"host": "1"}]
    assert cut == ["of 5 series of a the first 2 are kept"]


def test_steps_wider_than_asked_for_are_said() -> None:
    times = [number * 2 * STEP for number in range(10)]
    _, cut = measured(Window(METRIC, 0, 100 * STEP), answer([[1.0] * 10], times), 9)
    assert cut == ["a has points 600 s apart and not 300: it is reported so rarely, or Datadog widened the steps."]


@pytest.mark.parametrize(
    ("unit", "known"),
    [
        (None, ("count", 1.0)),
        ([None, None], ("count", 1.0)),
        ([Measurement("millisecond", "time", 0.001), None], ("seconds", 0.001)),
        ([Measurement("kibibyte", "bytes", 1024.0), None], ("bytes", 1024.0)),
        ([Measurement("percent", "percentage", 1.0), None], ("percent", 1.0)),
        ([Measurement("fraction", "percentage", 100.0), None], ("ratio", 1.0)),
        ([Measurement("request", "network", 1.0), Measurement("second", "time", 1.0)], ("count/second", 1.0)),
        ([Measurement("byte", "bytes", None), Measurement("second", "time", 1.0)], ("bytes/second", 1.0)),
        ([Measurement("dollar", "money", 1.0), None], ("dollar", 1.0)),
    ],
)
def test_units_are_brought_to_ours(unit: Any, known: tuple[str, float]) -> None:
    assert unit_of(unit) == known


def test_values_are_scaled_with_their_unit_but_not_where_the_config_names_one() -> None:
    unit = [{"name": "millisecond", "family": "time", "scale_factor": 0.001}, None]
    told = answer([[250.0]], [0], unit=unit)
    [scaled], _ = measured(Window(METRIC, 0, STEP), told, 9)
    assert (scaled.series.unit, scaled.points[0].value) == ("seconds", 0.25)
    [named], _ = measured(Window(METRIC.model_copy(update={"unit": "ms"}), 0, STEP), told, 9)
    assert (named.series.unit, named.points[0].value) == ("ms", 250.0)
