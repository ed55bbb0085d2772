"""The fake Datadog and SonarCloud: keys, people at the control endpoint, webhooks, recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.base import Sandbox
from sandbox.clock import ManualClock
from sandbox.control import ControlError
from sandbox.datadog import APPLICATION_KEY, DatadogSandbox
from sandbox.datadog.monitors import filled
from sandbox.errors import VendorError
from sandbox.inprocess import InProcessTransport
from sandbox.sonarcloud import ORGANIZATION, SonarCloudSandbox
from sandbox.vendor import API_TOKEN
from tests.sandbox.callers import Inbox

KEYS = {"DD-API-KEY": API_TOKEN, "DD-APPLICATION-KEY": APPLICATION_KEY}
TOKEN = {"Authorization": f"Bearer {API_TOKEN}"}
API = "apex_payments-api"
HOOK = {"name": "ours", "url": "https://turnbuckle.example/hook", "encode_as": "json"}


def caller(sandbox: Sandbox, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(transport=InProcessTransport(sandbox.app), base_url=sandbox.url, headers=headers)


@pytest.fixture
def datadog() -> DatadogSandbox:
    sandbox = DatadogSandbox(clock=ManualClock())
    sandbox.deliveries.sender = Inbox()
    return sandbox


@pytest.fixture
def sonar() -> SonarCloudSandbox:
    sandbox = SonarCloudSandbox(clock=ManualClock())
    sandbox.deliveries.sender = Inbox()
    return sandbox


def received(sandbox: Sandbox) -> Iterator[tuple[dict[str, str], Any]]:
    """Headers and bodies of what was sent."""
    sandbox.deliver()
    inbox = sandbox.deliveries.sender
    assert isinstance(inbox, Inbox)
    return ((headers, json.loads(body)) for _, headers, body in inbox.received)


def test_people_make_monitors_fire_over_real_http() -> None:
    sandbox = DatadogSandbox()
    with sandbox.serve() as server, httpx.Client(base_url=server.url, headers=KEYS) as api:
        act = {"as": "Ann Archer", "do": "trigger", "monitor": 1002}
        assert httpx.post(f"{server.url}/_control/act", json=act).json() == {"monitor": 1002}
        params = {"group_states": "alert", "page": 0, "page_size": 1}
        [slow] = api.get("/api/v1/monitor", params=params).json()
        [busy] = api.get("/api/v1/monitor", params={**params, "page": 1}).json()
        assert (slow["state"]["groups"], busy["state"]["groups"]["*"]["status"]) == ({}, "Alert")
        assert api.get("/api/v1/monitor", params={**params, "page": 2}).json() == []
        told = httpx.get(f"{server.url}/_control/state").json()
        assert [monitor["overall_state"] for monitor in told["monitors"]] == ["OK", "Alert"]


def test_each_key_opens_what_it_opens(datadog: DatadogSandbox) -> None:
    alone, nobody = caller(datadog, {"DD-API-KEY": API_TOKEN}), caller(datadog, {"DD-API-KEY": "x"})
    assert alone.get("/api/v1/validate").json() == {"valid": True}
    for api, path in (
        (alone, "/api/v1/monitor"),
        (nobody, "/api/v1/validate"),
        (caller(datadog, {}), "/api/v1/validate"),
    ):
        refused = api.get(path)
        assert (refused.status_code, refused.json()) == (403, {"errors": ["Forbidden"]})


def test_too_many_calls_are_told_in_seconds_from_now_and_without_a_body(datadog: DatadogSandbox) -> None:
    datadog.settings.enforce_limits, datadog.settings.limits_scale = True, 0.01
    api = caller(datadog, KEYS)
    assert api.get("/api/v1/validate").headers["x-ratelimit-remaining"] == "0"
    refused = api.get("/api/v1/validate")
    assert (refused.status_code, refused.content, refused.headers["x-ratelimit-reset"]) == (429, b"", "60")
    assert "retry-after" not in refused.headers


def test_webhooks_are_what_the_template_and_the_headers_say(datadog: DatadogSandbox) -> None:
    api = caller(datadog, KEYS)
    at = "/api/v1/integration/webhooks/configuration"
    api.post(f"{at}/custom-variables", json={"name": "TOKEN", "value": "hush", "is_secret": True})
    tags = {"team": "$TAGS[team]", "none": "$TAGS[none]"}
    payload = json.dumps({"who": "$ALERT_TITLE", **tags, "left": "$NO_SUCH", "p": "$ALERT_PRIORITY"})
    made = api.post(f"{at}/webhooks", json={**HOOK, "payload": payload, "custom_headers": '{"X-Token": "$TOKEN"}'})
    assert made.status_code == 201
    rule = {"name": "r", "filter": {"scope": "team:platform"}, "recipients": ["webhook-ours"]}
    data = {"data": {"type": "monitor-notification-rule", "attributes": rule}}
    assert api.post("/api/v2/monitor/notification_rule", json=data).status_code == 200
    assert api.post("/api/v2/monitor/notification_rule", json=data).status_code == 409
    datadog.trigger(1002)
    [(headers, body)] = received(datadog)
    assert headers["X-Token"] == "hush"
    left = {"left": "$NO_SUCH", "p": "$ALERT_PRIORITY"}
    assert body == {"who": "CPU is high", "team": "platform", "none": "", **left}


def test_a_monitor_tells_the_webhooks_its_message_mentions_unless_it_is_muted(datadog: DatadogSandbox) -> None:
    api = caller(datadog, KEYS)
    assert api.post("/api/v1/integration/webhooks/configuration/webhooks", json=HOOK).status_code == 201
    monitor = datadog.add_monitor("Mine", message="Look @webhook-ours, and @ann@example.com")
    for action in (datadog.trigger, datadog.recover):
        action(monitor.id)
    datadog.mute(monitor.id)
    datadog.trigger(monitor.id)
    titles = [body["title"] for _, body in received(datadog)]
    assert titles == ["[Triggered on {*}] Mine", "[Recovered on {*}] Mine"]


def test_what_is_filled_in_stays_json() -> None:
    assert json.loads(filled('{"a": "$A"}', {"A": 'say "no"\n'})) == {"a": 'say "no"\n'}


def test_metrics_are_functions_of_time_and_late_points_change(datadog: DatadogSandbox) -> None:
    api, now = caller(datadog, KEYS), int(datadog.clock.now().timestamp())
    asked = {
        "from": (now - 3600) * 1000,
        "to": now * 1000,
        "queries": [
            {"data_source": "metrics", "name": "a", "query": "avg:system.cpu.user{*} by {env}.rollup(avg, 300)"}
        ],
        "formulas": [{"formula": "a"}],
    }

    def read() -> Any:
        body = {"data": {"type": "timeseries_request", "attributes": asked}}
        return api.post("/api/v2/query/timeseries", json=body).json()["data"]["attributes"]

    first = read()
    assert [series["group_tags"] for series in first["series"]] == [["env:prod"], ["env:test"]]
    datadog.clock.advance(600)
    assert [a == b for a, b in zip(first["values"][0], read()["values"][0], strict=True)] == [True] * 11 + [False]


def test_steps_get_wider_where_there_would_be_too_many(datadog: DatadogSandbox) -> None:
    now = int(datadog.clock.now().timestamp())
    query = {"data_source": "metrics", "name": "a", "query": "avg:system.cpu.user{*}.rollup(avg, 60)"}
    asked = {"from": (now - 4 * 86_400) * 1000, "to": now * 1000, "queries": [query]}
    body = {"data": {"type": "timeseries_request", "attributes": asked}}
    answer = caller(datadog, KEYS).post("/api/v2/query/timeseries", json=body).json()
    times = answer["data"]["attributes"]["times"]
    assert times[1] - times[0] == 240_000
    refused = caller(datadog, KEYS).post("/api/v2/query/timeseries", json={"data": {"type": "x", "attributes": asked}})
    assert refused.status_code == 400


def test_analyses_are_made_over_real_http() -> None:
    sandbox = SonarCloudSandbox()
    with sandbox.serve() as server, httpx.Client(base_url=server.url, headers=TOKEN) as api:
        act = {"as": "Ann Archer", "do": "analyse", "project": API, "fields": {"bugs": 2}}
        assert httpx.post(f"{server.url}/_control/act", json=act).json()["gate"] == "ERROR"
        [branch] = api.get("/api/project_branches/list", params={"project": API}).json()["branches"]
        assert branch["status"]["qualityGateStatus"] == "ERROR"
        told = httpx.get(f"{server.url}/_control/state").json()
        assert [project["branches"][0]["analyses"] for project in told["projects"]] == [1, 0]


def test_nobody_is_valid_but_sees_no_organization(sonar: SonarCloudSandbox) -> None:
    nobody, wrong = caller(sonar, {}), caller(sonar, {"Authorization": "Bearer x"})
    assert nobody.get("/api/authentication/validate").json() == {"valid": True}
    assert wrong.get("/api/authentication/validate").json() == {"valid": False}
    for api in (nobody, wrong):
        assert api.get("/api/projects/search", params={"organization": ORGANIZATION}).status_code == 401


def test_a_blank_secret_takes_the_secret_away_and_none_keeps_it(sonar: SonarCloudSandbox) -> None:
    api = caller(sonar, TOKEN)
    form = {"organization": ORGANIZATION, "name": "ours", "url": "https://turnbuckle.example/hook", "secret": "hush"}
    key = api.post("/api/webhooks/create", data=form).json()["webhook"]["key"]
    changed = {"webhook": key, "name": "ours", "url": form["url"]}
    api.post("/api/webhooks/update", data=changed)
    assert sonar.hooks.get(key).secret == "hush"
    api.post("/api/webhooks/update", data={**changed, "secret": ""})
    assert sonar.hooks.get(key).secret == ""
    sonar.analyse(API)
    [(headers, _)] = received(sonar)
    assert "X-Sonar-Webhook-HMAC-SHA256" not in headers


def test_an_analysis_without_a_report_has_no_coverage(sonar: SonarCloudSandbox) -> None:
    sonar.analyse(API, report=False)
    params = {"component": API, "metricKeys": "coverage,bugs"}
    told = caller(sonar, TOKEN).get("/api/measures/component", params=params).json()["component"]["measures"]
    assert told == [{"metric": "bugs", "value": "0"}]


def test_a_long_history_is_paged_fast(sonar: SonarCloudSandbox) -> None:
    sonar.plant(10_000)
    api = caller(sonar, TOKEN)
    params = {"component": API, "metrics": "coverage", "ps": 1000}
    assert (
        len(api.get("/api/measures/search_history", params={**params, "p": 10}).json()["measures"][0]["history"])
        == 1000
    )
    assert api.get("/api/measures/search_history", params={**params, "p": 11}).status_code == 400


def test_what_can_not_be_done_is_said(sonar: SonarCloudSandbox, datadog: DatadogSandbox) -> None:
    with pytest.raises(ControlError, match="not found"):
        sonar.act("Ann Archer", "analyse", {"project": "nowhere"})
    with pytest.raises(ControlError, match="unknown action"):
        datadog.act("Ann Archer", "reboot", {})
    with pytest.raises(VendorError):
        datadog.trigger(7)


def test_recordings_hold_no_secrets(tmp_path: Path) -> None:
    files = tmp_path / "datadog.jsonl", tmp_path / "sonar.jsonl"
    api = caller(DatadogSandbox(record=files[0]), KEYS)
    variable = {"name": "TOKEN", "value": "hush-hush", "is_secret": True}
    api.post("/api/v1/integration/webhooks/configuration/custom-variables", json=variable)
    form = {"organization": ORGANIZATION, "name": "o", "url": "https://t.example/h", "secret": "hush-hush"}
    caller(SonarCloudSandbox(record=files[1]), TOKEN).post("/api/webhooks/create", data=form)
    for file in files:
        text = file.read_text()
        assert "***" in text
        assert "hush-hush" not in text
        assert API_TOKEN not in text
