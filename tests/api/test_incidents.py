"""Incidents and measures over the API: what is shown, narrowed, and what people do."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from api.paging import encode
from connectors.contract import (
    AlertRef,
    GateCondition,
    GateSeen,
    GateStatus,
    Measured,
    MeasurePage,
    Point,
    Series,
    Severity,
)
from core.models import IncidentUpdate
from sync.runtime import Runtime
from tests.api.conftest import Caller, Tenant, error_of, make_agent, rows, stored
from tests.sync.conftest import START, ManualClock
from tests.sync.watching.conftest import Watch, connect
from tests.sync.watching.tower import Tower, heard, seen


@pytest.fixture
def watch(rt: Runtime, tenant: Tenant, tower: Tower) -> Watch:
    """An integration that watches."""
    return Watch(rt, tower, tenant, connect(rt, tenant, service_lines={"service:payments": tenant.line_id}))


@pytest.fixture
def path(watch: Watch) -> str:
    """Of an incident that is there."""
    watch.hear(*heard(watch.tower.fires(cycle="c1")))
    return f"/v1/incidents/{watch.incident().id}"


def test_an_incident_is_shown_with_all_that_a_person_needs(api: TestClient, watch: Watch, path: str) -> None:
    shown = api.get(path).json()["data"]
    assert shown | {"created_at": None, "updated_at": None} == {
        "id": watch.incident().id,
        "workspace_id": watch.tenant.workspace.id,
        "integration_id": watch.id,
        "service_line_id": watch.tenant.line_id,
        "title": "CPU is high",
        "text": "92 %",
        "severity": "high",
        "status": "open",
        "monitor": "7",
        "scope": "",
        "tags": {"service": ["payments"]},
        "url": "https://tower.test/7",
        "opened_at": "2026-04-15T10:00:00Z",
        "acknowledged_at": None,
        "acknowledged_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "last_seen_at": "2026-04-15T10:00:00Z",
        "flaps": 0,
        "merged_into": None,
        "created_at": None,
        "updated_at": None,
    }
    assert api.get("/v1/incidents").json()["data"] == [shown]


def test_somebody_acknowledges_resolves_and_reads_the_history(
    api: TestClient, watch: Watch, path: str, clock: ManualClock
) -> None:
    clock.advance(minutes=1)
    changed = api.patch(path, json={"status": "acknowledged", "note": " Looking. "}).json()["data"]
    assert (changed["status"], changed["acknowledged_by"]) == ("acknowledged", watch.tenant.ann_id)
    assert changed["acknowledged_at"] == "2026-04-15T10:01:00Z"
    assert api.patch(path, json={"status": "acknowledged"}).json()["data"] == changed, "saying it twice changes nothing"
    assert api.patch(path, json={"status": "resolved"}).json()["data"]["status"] == "resolved"
    assert error_of(api.patch(path, json={"status": "acknowledged"}))["code"] == "conflict"
    history = api.get(f"{path}/history").json()["data"]
    assert [(line["what"], line["by"], line["text"]) for line in history] == [
        ("firing", watch.id, "92 %"),
        ("acknowledged", watch.tenant.ann_id, "Looking."),
        ("resolved", watch.tenant.ann_id, ""),
    ]
    assert history[0]["source"].startswith("delivery:")
    told = api.get("/v1/events", params={"type": "incident.*"}).json()["data"]
    assert sorted(event["type"] for event in told) == ["incident.acknowledged", "incident.opened", "incident.resolved"]


@pytest.mark.parametrize(
    "body", [{}, {"status": "open"}, {"status": "reopened"}, {"status": "resolved", "severity": "low"}, {"note": "x"}]
)
def test_what_nobody_can_do_is_refused(body: dict[str, Any], api: TestClient, rt: Runtime, path: str) -> None:
    before = stored(rt)
    assert error_of(api.patch(path, json=body))["status"] == 422
    assert stored(rt) == before


def test_a_history_longer_than_a_page_is_paged(api: TestClient, watch: Watch, clock: ManualClock) -> None:
    for _ in range(20):
        watch.hear(*heard(watch.tower.fires()))
        clock.advance(minutes=1)
        watch.hear(*heard(watch.tower.recovers()))
        clock.advance(minutes=1)
    path = f"/v1/incidents/{watch.incident().id}"
    assert api.get(path).json()["data"]["flaps"] == 19
    first = api.get(f"{path}/history").json()
    assert (len(first["data"]), first["meta"]["has_more"]) == (25, True)
    rest = api.get(f"{path}/history", params={"cursor": first["meta"]["cursor"]}).json()
    assert len(first["data"]) + len(rest["data"]) == len(rows(watch.rt, IncidentUpdate)) == 40


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": "open"}, ["9"]),
        ({"status": "open,resolved"}, ["9", "8"]),
        ({"severity": "critical,low"}, ["9"]),
        ({"opened_since": "2026-04-15T10:05:00Z"}, ["9"]),
        ({"service_line_id": "line"}, ["9", "8"]),
        ({"service_line_id": "LIN-26-999999"}, []),
        ({"integration_id": "mine"}, ["9", "8"]),
    ],
    ids=str,
)
def test_a_list_is_narrowed(
    filters: dict[str, str], found: list[str], api: TestClient, watch: Watch, clock: ManualClock
) -> None:
    old, new = AlertRef("8", ""), AlertRef("9", "")
    watch.hear(*heard(watch.tower.fires(old)))
    watch.hear(*heard(watch.tower.recovers(old)))
    clock.advance(minutes=10)
    watch.hear(*heard(watch.tower.fires(new, severity=Severity.CRITICAL)))
    names = {"line": watch.tenant.line_id, "mine": watch.id}
    asked = {key: names.get(value, value) for key, value in filters.items()}
    assert [row["monitor"] for row in api.get("/v1/incidents", params=asked).json()["data"]] == found


def test_agents_read_incidents_and_leave_them_as_they_are(
    caller: Caller, rt: Runtime, tenant: Tenant, path: str
) -> None:
    agent = caller(user_id=None, agent_id=make_agent(rt, tenant, permitted=[], granted=[]))
    assert agent.get(path).status_code == 200
    assert "may not change incidents" in error_of(agent.patch(path, json={"status": "resolved"}))["message"]


# --- measures -----------------------------------------------------------------------------------------


def test_measures_and_their_points_are_shown_page_by_page(api: TestClient, watch: Watch, clock: ManualClock) -> None:
    series = Series("shop", "test_coverage", "percent", branch="main")
    points = []
    for number in range(30):
        points.append(Point(clock(), None if number == 3 else float(number)))
        clock.advance(hours=1)
    watch.tower.pages = [MeasurePage([Measured(series, points)], {"done": 1})]
    watch.poll()
    [shown] = api.get(f"/v1/integrations/{watch.id}/measures").json()["data"]
    assert (shown["metric"], shown["unit"], shown["newest_value"]) == ("test_coverage", "percent", 29.0)
    path = f"/v1/integrations/{watch.id}/measures/{shown['id']}/points"
    first = api.get(path).json()
    rest = api.get(path, params={"cursor": first["meta"]["cursor"]}).json()
    values = [point["value"] for point in first["data"] + rest["data"]]
    assert values == [None if n == 3 else float(n) for n in reversed(range(30))]
    late = api.get(path, params={"since": "2026-04-16T14:00:00Z"}).json()["data"]
    assert [point["at"] for point in late] == ["2026-04-16T15:00:00Z", "2026-04-16T14:00:00Z"]
    assert api.get(f"/v1/integrations/{watch.id}/measures?metric=bugs").json()["data"] == []


@pytest.mark.parametrize("last", ["yesterday", "2026-04-15T10:00:00", "12"])
def test_a_cursor_that_is_no_time_is_refused(last: str, api: TestClient, watch: Watch) -> None:
    watch.tower.pages = [MeasurePage([Measured(Series("", "cpu", "percent"), [Point(START, 1.0)])], {})]
    watch.poll()
    path = f"/v1/integrations/{watch.id}/measures/1/points"
    assert error_of(api.get(path, params={"cursor": encode(last, {})}))["status"] == 400


def test_a_series_of_another_integration_is_not_there(
    api: TestClient, rt: Runtime, watch: Watch, tenant: Tenant
) -> None:
    watch.tower.pages = [MeasurePage([Measured(Series("", "cpu", "percent"), [Point(START, 1.0)])], {})]
    watch.poll()
    other = connect(rt, tenant)
    assert error_of(api.get(f"/v1/integrations/{other}/measures/1/points"))["code"] == "not_found"


def test_quality_gates_are_shown(api: TestClient, watch: Watch) -> None:
    condition = GateCondition("coverage", False, "71.2", "80")
    url = "https://tower.test/shop"
    watch.hear(*seen(GateSeen("shop", "Shop", "main", True, GateStatus.FAILED, START, url, [condition])))
    [gate] = api.get(f"/v1/integrations/{watch.id}/quality-gates").json()["data"]
    assert (gate["name"], gate["status"], gate["at"]) == ("Shop", "failed", "2026-04-15T10:00:00Z")
    assert gate["conditions"] == [{"metric": "coverage", "passed": False, "value": "71.2", "threshold": "80"}]
    assert api.get(f"/v1/integrations/{watch.id}/quality-gates?main=false").json()["data"] == []
