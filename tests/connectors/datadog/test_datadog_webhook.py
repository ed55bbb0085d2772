"""Datadog's deliveries: what each of them says, and what is no alert."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import connectors.datadog
from connectors.contract import Alert, AlertHeard, AlertRef, AlertState, BadPayload, Ignored, Severity
from connectors.datadog.config import DatadogConfig
from connectors.datadog.webhook import SCHEMA, TEMPLATE, parse
from tests.connectors.datadog.conftest import raw

FIXTURES = Path(connectors.datadog.__file__).with_name("fixtures")

TOLD = {
    **TEMPLATE,
    "event_id": "6327818702635911562",
    "event_type": "query_alert_monitor",
    "alert_id": "1001",
    "alert_cycle_key": "77",
    "transition": "Triggered",
    "priority": "P1",
    "alert_title": "Payments are slow",
    "title": "[Triggered on {service:api}] Payments are slow",
    "text": "p95 is above 2 s.",
    "query": "avg(last_5m):avg:app.latency{env:prod} by {service} > 2",
    "scope": "env:prod,service:api",
    "tags": "env:prod,service:api,team:payments,urgent",
    "date": "1776247200500",
    "link": "https://app.datadoghq.eu/event/event?id=6327818702635911562",
}


def signals(body: Any) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(raw({}, text), DatadogConfig())


def alert(**fields: Any) -> Alert:
    [signal] = signals({**TOLD, **fields})
    assert isinstance(signal, AlertHeard)
    return signal.alert


def test_everything_is_read() -> None:
    assert alert() == Alert(
        ref=AlertRef("1001", "service:api"),
        state=AlertState.FIRING,
        severity=Severity.CRITICAL,
        title="Payments are slow",
        text="p95 is above 2 s.",
        url="https://app.datadoghq.eu/monitors/1001",
        at=datetime(2026, 4, 15, 10, tzinfo=UTC),
        cycle="77",
        tags={"env": ("prod",), "service": ("api",), "team": ("payments",), "urgent": ()},
    )


@pytest.mark.parametrize(
    ("transition", "state", "severity"),
    [
        ("Triggered", AlertState.FIRING, Severity.HIGH),
        ("Warn", AlertState.FIRING, Severity.MEDIUM),
        ("No Data", AlertState.FIRING, Severity.MEDIUM),
        ("Re-Triggered", AlertState.REPEATED, Severity.HIGH),
        ("Re-Warn", AlertState.REPEATED, Severity.MEDIUM),
        ("Re-No Data", AlertState.REPEATED, Severity.MEDIUM),
        ("Renotify", AlertState.REPEATED, Severity.HIGH),
        ("Something New", AlertState.REPEATED, Severity.HIGH),
        ("Recovered", AlertState.OVER, Severity.HIGH),
    ],
)
def test_a_transition_without_a_priority(transition: str, state: AlertState, severity: Severity) -> None:
    told = alert(transition=transition, priority="$ALERT_PRIORITY")
    assert (told.state, told.severity) == (state, severity)


def test_unfilled_variables_are_absent() -> None:
    for empty in ("", "left"):
        absent = {name: "" if empty == "" else TEMPLATE[name] for name in ("alert_cycle_key", "alert_title", "link")}
        told = alert(**absent, text="$TEXT_ONLY_MSG", tags="$TAGS")
        assert (told.cycle, told.title, told.url, told.text) == (None, "Payments are slow", "", "")
        assert told.tags == {"env": ("prod",), "service": ("api",)}


def test_a_title_may_begin_with_a_dollar() -> None:
    assert alert(alert_title="$5 a day are spent").title == "$5 a day are spent"


def test_without_a_date_the_last_update_counts_and_without_either_it_is_broken() -> None:
    assert alert(date="$DATE", last_updated="1776247260000").at.minute == 1
    with pytest.raises(BadPayload, match="names no time"):
        alert(date="$DATE", last_updated="")


def test_without_the_template_there_is_no_alert() -> None:
    [signal] = signals({"body": "x", "title": "[Triggered] Slow", "date": "1776247200000", "id": "1"})
    assert isinstance(signal, Ignored)
    assert signal.code == "template_missing"
    assert "README.md" in signal.text


def test_an_event_that_is_no_monitors_is_ignored() -> None:
    [signal] = signals({**TEMPLATE, "schema": SCHEMA, "event_type": "incident"})
    assert signal == Ignored("not_an_alert", "incident")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5000, b'"text"'])
def test_what_is_no_json_object_is_broken(body: bytes) -> None:
    with pytest.raises(BadPayload):
        signals(body)


def test_values_of_another_form_are_absent() -> None:
    told = alert(alert_id=1001, tags=["env:prod"], title=None, alert_title={"a": 1})
    assert (told.ref.monitor, told.title) == ("1001", "Monitor 1001")


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.json")), ids=lambda file: file.stem)
def test_recorded_deliveries_mean_what_they_are_said_to(file: Path) -> None:
    recording = json.loads(file.read_text())
    [signal] = signals(recording["body"])
    said = f"ignored:{signal.code}" if isinstance(signal, Ignored) else str(signal.alert.state)
    assert said == recording["expect"]


def test_the_readme_shows_the_template() -> None:
    readme = FIXTURES.with_name("README.md").read_text()
    shown = next(part for part in readme.split("```json\n")[1:] if SCHEMA in part).partition("```")[0]
    assert json.loads(shown) == TEMPLATE
