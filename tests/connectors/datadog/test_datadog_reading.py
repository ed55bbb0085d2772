"""Against the sandbox: both ways tell one story, pages, cursors, errors, and the webhook's life."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import (
    Alert,
    AlertRef,
    AlertState,
    AuthFailed,
    Forbidden,
    RateLimited,
    Rejected,
    Subscription,
    Transient,
)
from connectors.datadog.webhook import TEMPLATE
from sandbox.datadog.hookapi import CONFIGURATION
from sandbox.vendor import API_TOKEN, WRONG_TOKEN
from tests.connectors.datadog.conftest import CPU, CPU_METRIC, SECRET, SLOW, URL, Bench, points

GROUP = "service:payments,zone:a"
ALONE = {"api_key": API_TOKEN}


def heard_as_polled(alert: Alert) -> Alert:
    """The API does not tell of cycles."""
    return replace(alert, cycle=None)


# --- both ways ----------------------------------------------------------------------------------------


def test_webhook_and_poll_tell_one_story(datadog: Bench) -> None:
    datadog.subscribe()
    cycles = []
    for monitor, group, state in ((SLOW, GROUP, "Warn"), (SLOW, GROUP, "Alert"), (SLOW, "service:web,zone:b", "Alert")):
        datadog.clock.advance(61.5)
        datadog.act("trigger", monitor=monitor, group=group, state=state)
        [told] = datadog.told()
        cycles.append(told.cycle)
        assert heard_as_polled(told) in datadog.firing()
    assert cycles[0] == cycles[1] != cycles[2]
    datadog.clock.advance(60)
    datadog.act("recover", monitor=SLOW, group=GROUP)
    [over] = datadog.told()
    ref = AlertRef(str(SLOW), GROUP)
    assert over.state is AlertState.OVER
    assert ref not in [alert.ref for alert in datadog.firing()]
    assert datadog.connector().fetch_alerts([ref]) == {ref: heard_as_polled(over)}


def test_a_monitor_without_groups_is_one_in_both_ways_though_deliveries_tell_its_filter(datadog: Bench) -> None:
    datadog.connector(route="team:platform").subscribe(URL, SecretStr(SECRET))
    for state in ("Alert", "No Data"):
        datadog.clock.advance(60)
        datadog.act("trigger", monitor=CPU, state=state)
        [told] = datadog.told()
        assert told.ref == AlertRef(str(CPU), "")
        assert datadog.firing() == [heard_as_polled(told)]


def test_what_fires_again_is_another_cycle_and_what_is_said_again_is_not(datadog: Bench) -> None:
    datadog.subscribe()
    for action in ("trigger", "renotify", "recover", "trigger"):
        datadog.clock.advance(60)
        datadog.act(action, monitor=SLOW, group=GROUP)
    first, again, over, second = datadog.told()
    assert first.cycle == again.cycle == over.cycle != second.cycle
    assert again.state is AlertState.REPEATED


# --- reading monitors ---------------------------------------------------------------------------------


def test_monitors_are_paged_until_a_short_page(datadog: Bench) -> None:
    datadog.sandbox.plant(250)
    for monitor in datadog.sandbox.monitors:
        datadog.sandbox.trigger(monitor)
    batches = [len(batch) for batch in datadog.connector().alerts()]
    assert batches == [100, 100, 52]
    assert datadog.calls()["listMonitors"] == 3


def test_a_full_last_page_is_followed_by_an_empty_one(datadog: Bench) -> None:
    datadog.sandbox.plant(98)
    assert [len(batch) for batch in datadog.connector().alerts()] == [0, 0]


def test_only_monitors_with_one_of_the_tags_are_told(datadog: Bench) -> None:
    for monitor in (SLOW, CPU):
        datadog.act("trigger", monitor=monitor)
    assert len(datadog.firing()) == 2
    assert [alert.ref.monitor for alert in datadog.firing(monitors=["team:Platform", "team:x"])] == [str(CPU)]


def test_what_is_muted_is_not_told_but_stands_as_it_does(datadog: Bench) -> None:
    datadog.subscribe()
    datadog.act("trigger", monitor=SLOW, group=GROUP)
    datadog.act("mute", monitor=SLOW, scope="zone:a", downtime=True, seconds=600)
    ref = AlertRef(str(SLOW), GROUP)
    assert datadog.firing() == []
    assert datadog.connector().fetch_alerts([ref])[ref].state is AlertState.FIRING
    datadog.clock.advance(601)
    assert [alert.ref for alert in datadog.firing()] == [ref]


def test_a_monitor_is_asked_for_once_and_one_that_is_gone_is_over(datadog: Bench) -> None:
    for zone in "ab":
        datadog.act("trigger", monitor=SLOW, group=f"service:payments,zone:{zone}")
    datadog.act("delete_monitor", monitor=CPU)
    refs = [AlertRef(str(SLOW), f"service:payments,zone:{zone}") for zone in "abc"] + [AlertRef(str(CPU), "")]
    found = datadog.connector().fetch_alerts(refs)
    assert [found[ref].state.value for ref in refs] == ["firing", "firing", "over", "over"]
    assert datadog.calls()["getMonitor"] == 2


def test_what_says_nothing_is_left_out(datadog: Bench) -> None:
    datadog.act("trigger", monitor=SLOW, group=GROUP, state="No Data")
    assert datadog.firing() == []
    assert datadog.connector().fetch_alerts([AlertRef(str(SLOW), GROUP)]) == {}


# --- reading metrics ----------------------------------------------------------------------------------


def test_history_is_read_in_days_and_carried_on_from_any_page(datadog: Bench) -> None:
    connector = datadog.connector(metrics=[CPU_METRIC], history_days=3)
    pages = list(connector.measures(None))
    assert len(pages) == 3
    whole = points(pages)
    assert sorted(whole) == [("cpu", "env:prod"), ("cpu", "env:test")]
    assert len(whole["cpu", "env:prod"]) == 3 * 288 - 2
    for number, page in enumerate(pages[:-1]):
        rest = list(connector.measures(json.loads(json.dumps(page.cursor))))
        assert points([*pages[: number + 1], *rest]) == whole


def test_later_polls_bring_what_is_new_and_what_has_changed_since(datadog: Bench) -> None:
    connector = datadog.connector(metrics=[CPU_METRIC], history_days=1)
    *_, last = connector.measures(None)
    known = points([last])
    datadog.clock.advance(900)
    [page] = connector.measures(last.cursor)
    news = points([page])["cpu", "env:prod"]
    assert len(news) == 5
    assert sum(at in known["cpu", "env:prod"] for at in news) == 2


def test_what_is_not_complete_is_not_read(datadog: Bench) -> None:
    connector = datadog.connector(metrics=[CPU_METRIC], history_days=1)
    told = points(list(connector.measures(None)))["cpu", "env:prod"]
    truth = datadog.sandbox.metrics["system.cpu.user"]
    assert all(value == truth.value(at.timestamp(), 0) for at, value in told.items())


def test_holes_are_no_values_and_units_are_ours(datadog: Bench) -> None:
    datadog.act("add_metric", name="latency", unit="millisecond", level=250, holes=7)
    metric = {"name": "latency", "query": "avg:latency{*} by {env}"}
    pages = list(datadog.connector(metrics=[metric], history_days=1).measures(None))
    found = points(pages)
    assert {one.series.unit for page in pages for one in page.measured} == {"seconds"}
    assert None in found["latency", "env:test"].values()
    assert 0 not in found["latency", "env:test"].values()
    assert all(0.2 < value < 0.3 for value in found["latency", "env:prod"].values() if value is not None)


def test_too_many_series_are_cut_and_it_is_said(datadog: Bench) -> None:
    datadog.act("add_metric", name="hosts", tags={"host": [f"h{number:03}" for number in range(340)]})
    metric = {"name": "hosts", "query": "avg:hosts{*} by {host}"}
    [page] = datadog.connector(metrics=[metric], history_days=1).measures(None)
    assert page.cut == ["of 340 series of hosts the first 200 are kept"]
    assert len(page.measured) == 200


def test_a_metric_datadog_refuses_is_said_after_the_others_were_read(datadog: Bench) -> None:
    bad = {"name": "bad", "queries": {"x": "avg:system.cpu.user{*}"}, "formula": "y"}
    pages = []
    with pytest.raises(Rejected, match=r"metric bad: .*names no query") as refused:
        pages.extend(datadog.connector(metrics=[bad, CPU_METRIC], history_days=2).measures(None))
    assert refused.value.field == "config.metrics"
    assert datadog.calls()["queryTimeseries"] == 3


def test_a_metric_nobody_reports_has_no_series(datadog: Bench) -> None:
    [page] = datadog.connector(metrics=[{"name": "a", "query": "avg:a{*}"}], history_days=1).measures(None)
    assert (page.measured, page.cut) == ([], [])


def test_measure_reads_the_last_hours_of_everything(datadog: Bench) -> None:
    connector = datadog.connector(metrics=[CPU_METRIC])
    [page] = connector.measure([""])
    assert len(page.measured[0].points) == 22
    assert list(connector.measure(["something else"])) == []


# --- what goes wrong ----------------------------------------------------------------------------------


def test_check_tells_the_site(datadog: Bench) -> None:
    account = datadog.connector().check()
    assert (account.id, account.name) == ("datadoghq.com", "Datadog at datadoghq.com")
    assert datadog.connector(monitors=[], metrics=[CPU_METRIC]).check() == account
    daily = CPU_METRIC | {"rollup_seconds": 86_400}
    assert datadog.connector(monitors=[], metrics=[daily]).check() == account
    assert datadog.connector(monitors=[]).check() == account


@pytest.mark.parametrize("keys", [{"api_key": WRONG_TOKEN}, {"api_key": WRONG_TOKEN, "application_key": "x"}])
def test_an_api_key_the_site_does_not_know_says_so(datadog: Bench, keys: dict[str, Any]) -> None:
    with pytest.raises(AuthFailed, match=r"Datadog at datadoghq.eu does not know the API key. Is it of another site"):
        datadog.connector({**keys, "site": "datadoghq.eu"}, monitors=[]).check()


def test_an_application_key_that_is_unknown_or_may_not_says_what_it_needs(datadog: Bench) -> None:
    with pytest.raises(Forbidden, match="the permission monitors_read"):
        datadog.connector({**ALONE, "application_key": "wrong"}).check()
    datadog.sandbox.settings.may_read = False
    with pytest.raises(Forbidden, match=r"the permission timeseries_query.*Failed permission"):
        datadog.connector(monitors=[], metrics=[CPU_METRIC]).check()


def test_keys_that_were_revoked_meanwhile_are_dead(datadog: Bench) -> None:
    with pytest.raises(AuthFailed):
        next(datadog.connector({"api_key": WRONG_TOKEN, "application_key": "x"}).alerts())


def test_an_api_key_alone_is_good_for_what_is_heard(datadog: Bench) -> None:
    connector = datadog.connector(ALONE, monitors=[])
    assert connector.check().id == "datadoghq.com"
    with pytest.raises(Forbidden, match="register the webhook by hand"):
        connector.subscribe(URL, SecretStr(SECRET))
    with pytest.raises(Forbidden):
        connector.renew(Subscription(("x",)), URL)
    connector.unsubscribe(Subscription(()))


@pytest.mark.parametrize("config", [{}, {"monitors": [], "metrics": [CPU_METRIC]}, {"monitors": [], "route": "a:b"}])
def test_an_api_key_alone_can_not_read(datadog: Bench, config: dict[str, Any]) -> None:
    named = "monitors" if not config else sorted(config, key=lambda name: not config[name])[0]
    with pytest.raises(Forbidden, match=f"add an application_key, or leave {named} out"):
        datadog.connector(ALONE, **config).check()


def test_too_many_calls_wait_for_the_window(datadog: Bench) -> None:
    datadog.sandbox.faults.add("rate_limit", operation="listMonitors", retry_after=17)
    with pytest.raises(RateLimited) as limited:
        datadog.firing()
    assert limited.value.until == datadog.clock.now() + timedelta(seconds=17)
    assert datadog.budget.until == [limited.value.until]


def test_errors_are_read_from_the_body_whatever_it_is_called(datadog: Bench) -> None:
    datadog.sandbox.faults.add("error", status=503, reason="busy")
    with pytest.raises(Transient, match="busy"):
        datadog.firing()


# --- the webhook --------------------------------------------------------------------------------------


def test_the_webhook_is_made_once_with_our_payload_and_a_secret_nobody_can_read(datadog: Bench) -> None:
    made = datadog.subscribe()
    assert datadog.subscribe() == made
    [hook] = datadog.sandbox.hooks.live()
    assert (hook.url, json.loads(hook.extra["payload"])) == (URL, TEMPLATE)
    assert SECRET not in hook.extra["custom_headers"]
    assert len(datadog.sandbox.hook_api.rules_json()) == 1
    assert datadog.connector().renew(made, URL) == made


@pytest.mark.parametrize("change", [{"payload": "{}"}, {"custom_headers": None}, {"url": "https://other.example"}])
def test_a_webhook_somebody_changed_is_registered_anew(datadog: Bench, change: dict[str, Any]) -> None:
    made = datadog.subscribe()
    [hook] = datadog.sandbox.hooks.live()
    datadog.sandbox.hooks.change(hook.id, url=change.get("url", hook.url), extra={**hook.extra, **change})
    assert datadog.connector().renew(made, URL) is None
    datadog.subscribe()
    assert datadog.connector().renew(made, URL) == made


def test_a_webhook_or_a_rule_that_is_gone_is_noticed(datadog: Bench) -> None:
    made = datadog.subscribe()
    rule = made.external_ids[2].rpartition("/")[2].partition("#")[0]
    datadog.connector()._client.remove(f"/api/v2/monitor/notification_rule/{rule}")
    assert datadog.connector().renew(made, URL) is None
    made = datadog.subscribe()
    datadog.connector()._client.remove(made.external_ids[0])
    assert datadog.connector().renew(made, URL) is None


def test_nothing_is_left_behind(datadog: Bench) -> None:
    made = datadog.subscribe()
    for _ in range(2):
        datadog.connector().unsubscribe(made)
    assert datadog.sandbox.hooks.live() == []
    assert datadog.sandbox.hook_api.secrets() == {}
    assert datadog.sandbox.hook_api.rules_json() == []
    datadog.act("trigger", monitor=SLOW, group=GROUP)
    assert datadog.heard() == []


def test_a_rule_of_somebody_elses_gets_one_recipient_more_and_loses_it_again(datadog: Bench) -> None:
    client = datadog.connector()._client
    theirs = {"name": "Theirs", "filter": {"scope": "team:payments"}, "recipients": ["slack-payments"]}
    client.put_rule(None, theirs)
    made = datadog.subscribe()
    [rule] = client.rules()
    assert (rule.attributes.name, len(rule.attributes.recipients)) == ("Theirs", 2)
    datadog.connector().unsubscribe(made)
    [rule] = client.rules()
    assert rule.attributes.recipients == ["slack-payments"]


def test_a_rule_that_is_full_says_so(datadog: Bench) -> None:
    full = {"name": "Full", "filter": {"scope": "team:payments"}, "recipients": [f"email-{n}" for n in range(20)]}
    datadog.connector()._client.put_rule(None, full)
    with pytest.raises(Forbidden, match="'Full' tells 20 already"):
        datadog.subscribe()


def test_an_application_key_that_may_not_register_says_what_it_needs(datadog: Bench) -> None:
    datadog.sandbox.settings.may_register = False
    with pytest.raises(Forbidden, match="manage_integrations"):
        datadog.subscribe()


def test_a_webhook_set_up_by_hand_without_the_template_is_told_apart(datadog: Bench) -> None:
    datadog.subscribe()
    [hook] = datadog.sandbox.hooks.live()
    datadog.sandbox.hooks.change(hook.id, extra={**hook.extra, "payload": None})
    datadog.act("trigger", monitor=SLOW, group=GROUP)
    [signal] = datadog.heard()
    assert getattr(signal, "code", "") == "template_missing"
    assert CONFIGURATION.endswith("configuration")
