"""What Sonar says, read without a network: units, absent values, gates, deliveries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

import connectors.sonarcloud
from connectors.contract import (
    BadPayload,
    GateCondition,
    GateHeard,
    GateStatus,
    Ignored,
    MeasureHint,
    RawDelivery,
)
from connectors.sonarcloud.config import METRICS, SonarCloudConfig
from connectors.sonarcloud.mapping import (
    History,
    Measure,
    Place,
    gates_since,
    measured_at,
    measured_since,
    number,
    unit_of,
)
from connectors.sonarcloud.webhook import parse
from connectors.times import moment
from tests.connectors.sonarcloud.conftest import settings

FIXTURES = Path(connectors.sonarcloud.__file__).with_name("fixtures")
AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
PLACE = Place("https://sonarcloud.io", "apex_api", "API", "main", main=True)


def units(*metrics: str) -> dict[str, tuple[str, float]]:
    return {metric: known for metric in metrics if (known := unit_of(metric)) is not None}


@pytest.mark.parametrize(
    ("metric", "known"),
    [
        ("coverage", ("percent", 1.0)),
        ("new_coverage", ("percent", 1.0)),
        ("uncovered_conditions", ("count", 1.0)),
        ("new_bugs", ("count", 1.0)),
        ("security_rating", ("rating", 1.0)),
        ("sqale_index", ("seconds", 60.0)),
        ("test_execution_time", ("seconds", 0.001)),
        ("software_quality_maintainability_issues", None),
        ("alert_status", None),
    ],
)
def test_units_are_brought_to_ours(metric: str, known: Any) -> None:
    assert unit_of(metric) == known


def test_everything_that_is_read_by_itself_has_a_unit() -> None:
    assert set(units(*METRICS)) == set(METRICS)


def test_values_are_numbers_under_our_names_and_minutes_are_seconds() -> None:
    told = [Measure("coverage", "76.2"), Measure("sqale_index", "480"), Measure("sqale_rating", "1.0")]
    found = list(measured_at(PLACE, told, AT, units("coverage", "sqale_index", "sqale_rating")))
    assert [(one.series.metric, one.series.unit, one.points[0].value) for one in found] == [
        ("test_coverage", "percent", 76.2),
        ("technical_debt", "seconds", 28_800.0),
        ("maintainability_rating", "rating", 1.0),
    ]
    assert {(one.series.subject, one.series.branch, one.series.main) for one in found} == {("apex_api", "main", True)}


@pytest.mark.parametrize(
    "told",
    [
        {"metric": "new_coverage", "period": {"index": 1, "value": "91.5"}},
        {"metric": "new_coverage", "periods": [{"index": 1, "value": "91.5", "bestValue": False}]},
        {"metric": "new_coverage", "value": "91.5"},
    ],
)
def test_values_of_new_code_are_read_wherever_they_are(told: dict[str, Any]) -> None:
    [one] = measured_at(PLACE, [msgspec.convert(told, Measure)], AT, units("new_coverage"))
    assert one.points[0].value == 91.5


@pytest.mark.parametrize("value", [None, "", "NaN", "Infinity", "many"])
def test_what_was_not_computed_is_absent_and_never_zero(value: str | None) -> None:
    assert number(value) is None
    assert list(measured_at(PLACE, [Measure("coverage", value)], AT, units("coverage"))) == []
    history = [msgspec.convert({"metric": "coverage", "history": [{"date": "2026-04-15T10:00:00+0000"}]}, History)]
    assert list(measured_since(PLACE, history, units("coverage"))) == []
    assert number("0.0") == 0.0


def test_times_have_an_offset_without_a_colon() -> None:
    at = moment("2016-12-12T17:12:45+0100")
    assert at == datetime(2016, 12, 12, 17, 12, 45, tzinfo=timezone(timedelta(hours=1)))


def test_the_gates_history_is_that_of_a_metric() -> None:
    values: list[dict[str, str]] = [{"value": "OK"}, {"value": "ERROR"}, {}]
    history = [{"date": f"2026-04-1{day}T10:00:00+0000", **value} for day, value in enumerate(values)]
    told = {"metric": "alert_status", "history": history}
    found = list(gates_since(PLACE, [msgspec.convert(told, History)]))
    assert [(gate.status, gate.at.day) for gate in found] == [(GateStatus.PASSED, 10), (GateStatus.FAILED, 11)]


def test_pages_name_a_branch_that_is_not_the_main_one() -> None:
    assert PLACE.url == "https://sonarcloud.io/dashboard?id=apex_api"
    branch = Place("https://sonarcloud.io", "apex:api", "API", "release/1 & 2", main=False)
    assert branch.url == "https://sonarcloud.io/dashboard?id=apex%3Aapi&branch=release%2F1+%26+2"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "needs `organization`"),
        ({"organization": "apex", "url": "https://sonar.example"}, "no `url`"),
        ({"flavor": "server"}, "needs `url`"),
        ({"flavor": "server", "url": "https://sonar.example", "organization": "apex"}, "no `organization`"),
        ({"flavor": "server", "url": "http://sonar.example"}, "pattern"),
        ({"organization": "apex", "projects": ["a b"]}, "pattern"),
        ({"organization": "apex", "metrics": []}, "at least 1"),
    ],
)
def test_a_config_that_does_not_fit_its_flavor_is_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SonarCloudConfig.model_validate(config)


# --- deliveries ---------------------------------------------------------------------------------------

TOLD: dict[str, Any] = {
    "serverUrl": "https://sonarcloud.io",
    "taskId": "AX1",
    "status": "SUCCESS",
    "analysedAt": "2026-04-15T10:00:00+0000",
    "changedAt": "2026-04-15T10:00:07+0000",
    "project": {"key": "apex_api", "name": "API", "url": "https://sonarcloud.io/dashboard?id=apex_api"},
    "branch": {"name": "main", "type": "LONG", "isMain": True, "url": "https://sonarcloud.io/dashboard?id=apex_api"},
    "qualityGate": {
        "name": "Sonar way",
        "status": "ERROR",
        "conditions": [
            {"metric": "coverage", "operator": "LESS_THAN", "value": "71.2", "status": "ERROR", "errorThreshold": "80"},
            {"metric": "new_coverage", "operator": "LESS_THAN", "status": "NO_VALUE", "errorThreshold": "80"},
        ],
    },
    "properties": {"sonar.analysis.scmRevision": "abc"},
}


def signals(body: Any, **config: Any) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(RawDelivery({}, text, AT), settings(**config))


def told(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**TOLD, **fields}.items() if value is not None}


def test_an_analysis_is_a_gate_as_of_then_and_a_hint() -> None:
    heard, hint = signals(TOLD)
    assert isinstance(heard, GateHeard)
    assert hint == MeasureHint("apex_api")
    gate = heard.gate
    assert (gate.subject, gate.name, gate.branch, gate.main) == ("apex_api", "API", "main", True)
    assert (gate.status, gate.at, gate.analysis) == (GateStatus.FAILED, AT, True)
    assert gate.conditions == (
        GateCondition("coverage", False, "71.2", "80"),
        GateCondition("new_coverage", True, None, "80"),
    )


def test_a_gate_that_an_issue_moved_is_as_of_that_change() -> None:
    heard, _ = signals(told(taskId=None))
    assert heard.gate.at == AT + timedelta(seconds=7)


@pytest.mark.parametrize("status", ["FAILED", "CANCELED"])
def test_an_analysis_that_failed_says_nothing_of_the_code(status: str) -> None:
    [heard] = signals(told(status=status, analysedAt=None, qualityGate=None))
    assert (heard.gate.analysis, heard.gate.status, heard.gate.at.second) == (False, GateStatus.NONE, 7)


@pytest.mark.parametrize(
    ("fields", "config", "meaning"),
    [
        ({}, {"projects": ["other"]}, [Ignored("other_project", "apex_api")]),
        ({"branch": {"name": "42", "type": "PULL_REQUEST", "isMain": False}}, {}, [Ignored("pull_request", "42")]),
        ({"branch": {"name": "topic", "type": "SHORT", "isMain": False}}, {}, [Ignored("other_branch", "topic")]),
        ({"branch": None}, {}, [MeasureHint("apex_api")]),
        ({"qualityGate": None}, {}, [MeasureHint("apex_api")]),
        ({"status": "PAUSED"}, {}, [Ignored("unsupported", "PAUSED")]),
    ],
)
def test_what_is_no_gate_of_ours(fields: dict[str, Any], config: dict[str, Any], meaning: Any) -> None:
    assert signals(told(**fields), **config) == meaning


def test_a_failure_without_a_branch_is_nobodys() -> None:
    [ignored] = signals(told(status="FAILED", branch=None))
    assert ignored.code == "no_branch"


def test_branches_are_followed_by_pattern() -> None:
    branch = {"name": "release/2", "type": "LONG", "isMain": False}
    heard, _ = signals(told(branch=branch), branches=["release/*"])
    assert (heard.gate.branch, heard.gate.main) == ("release/2", False)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 5000, b'{"project": 7}'])
def test_what_has_another_shape_is_broken(body: bytes) -> None:
    with pytest.raises(BadPayload):
        signals(body)


def test_a_time_in_an_unknown_form_is_broken() -> None:
    with pytest.raises(BadPayload, match="unknown form"):
        signals(told(analysedAt="yesterday"))


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.json")), ids=lambda file: file.stem)
def test_recorded_deliveries_mean_what_they_are_said_to(file: Path) -> None:
    recording = json.loads(file.read_text())
    first = signals(recording["body"])[0]
    match first:
        case Ignored(code):
            said = f"ignored:{code}"
        case MeasureHint():
            said = "measure"
        case GateHeard(gate):
            said = f"gate:{gate.status}" if gate.analysis else "gate:analysis_failed"
    assert said == recording["expect"]
