"""Incidents from what monitors tell and polls find: one for each going wrong, whatever is lost, late or said twice."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event, text

from connectors.contract import (
    AlertHeard,
    AlertRef,
    AlertState,
    GateHeard,
    GateSeen,
    GateStatus,
    Severity,
    Signal,
    Transient,
)
from core.errors import Conflict
from core.models import Delivery, Incident
from sync.incidents import hand
from sync.incidents.known import known, ref_key
from sync.incidents.timeline import What
from tests.services.process import wait_until
from tests.sync.conftest import ManualClock, make_tenant
from tests.sync.watching.conftest import Watch, connect
from tests.sync.watching.tower import CPU, ENDED, Tower, heard

HOST_A, HOST_B = AlertRef("7", "host:a"), AlertRef("7", "host:b")


def test_an_alert_becomes_an_incident_with_what_a_person_needs(any_watch: Watch, tower: Tower) -> None:
    alert = tower.fires(cycle="c1")
    assert any_watch.hear(*heard(alert)) == 1
    incident = any_watch.incident()
    assert incident.id.startswith("INC-26-")
    assert (incident.title, incident.severity, incident.status) == ("CPU is high", "high", "open")
    assert (incident.monitor, incident.scope, incident.url) == ("7", "", "https://tower.test/7")
    assert (incident.opened_at, incident.last_seen_at, incident.tags) == (alert.at, alert.at, {"service": ["payments"]})
    [told] = any_watch.told()
    assert (told.type, told.subject_id, told.actor) == ("incident.opened", incident.id, any_watch.id)
    assert (told.data["title"], told.data["severity"], told.data["status"]) == ("CPU is high", "high", "open")
    assert any_watch.delivery().outcome["alerts"] == [{"incident_id": incident.id, "outcome": "opened"}]


def test_what_a_poll_and_a_delivery_tell_of_one_moment_is_news_once(
    watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    """Which of both lines stands first is chance: of so many, some stand either way."""
    refs = [AlertRef("7", f"host:{number}") for number in range(12)]
    for round_ in range(2):
        fired = [tower.fires(ref) for ref in refs]
        watch.poll()
        watch.hear(*heard(*(replace(alert, cycle=f"c{round_}") for alert in fired)))
        clock.advance(minutes=5)
        over = [tower.recovers(ref) for ref in refs]
        watch.poll()
        watch.hear(*heard(*(replace(alert, cycle=f"c{round_}") for alert in over)))
        clock.advance(minutes=5)
    told = watch.events()
    assert told.count("opened") == told.count("reopened") == len(refs)
    assert told.count("resolved") == 2 * len(refs)


def test_an_alert_flapping_fifty_times_makes_one_incident_with_a_history(
    any_watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    for number in range(50):
        any_watch.hear(*heard(tower.fires(cycle=f"c{number}")))
        clock.advance(minutes=5)
        any_watch.hear(*heard(tower.recovers(cycle=f"c{number}")))
        clock.advance(minutes=5)
    incident = any_watch.incident()
    assert (incident.status, incident.flaps) == ("resolved", 49)
    assert any_watch.history() == ["firing", "over"] * 50
    assert any_watch.events() == ["opened", *["resolved", "reopened"] * 49, "resolved"]


def test_flapping_heard_in_one_batch_and_in_any_order_makes_the_same_incident(
    any_watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    alerts = []
    for number in range(25):
        alerts.append(tower.fires(cycle=f"c{number}"))
        clock.advance(minutes=5)
        alerts.append(tower.recovers(cycle=f"c{number}"))
        clock.advance(minutes=5)
    random.Random(7).shuffle(alerts)
    any_watch.hear(*heard(*alerts[:30], *alerts[10:40]))
    any_watch.hear(*heard(*alerts[30:]))
    incident = any_watch.incident()
    assert (incident.status, incident.flaps, len(any_watch.history())) == ("resolved", 24, 50)


def test_what_goes_wrong_long_after_its_end_is_another_incident(watch: Watch, tower: Tower, clock: ManualClock) -> None:
    watch.hear(*heard(tower.fires()))
    watch.hear(*heard(tower.recovers()))
    clock.advance(minutes=31)
    watch.hear(*heard(tower.fires()))
    assert [one.status for one in watch.incidents()] == ["resolved", "open"]


def test_every_group_of_a_monitor_has_an_incident_of_its_own(watch: Watch, tower: Tower) -> None:
    watch.hear(*heard(tower.fires(HOST_A), tower.fires(HOST_B)))
    assert sorted(one.scope for one in watch.incidents()) == ["host:a", "host:b"]


def test_a_delivery_told_twice_changes_nothing(watch: Watch, tower: Tower) -> None:
    alert = tower.fires(cycle="c1")
    watch.hear(*heard(alert))
    watch.hear(*heard(alert))
    assert watch.events() == ["opened"]
    assert watch.delivery().outcome["alerts"][0]["outcome"] == "known"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_order_in_which_deliveries_come_makes_no_difference(
    order: tuple[int, ...], watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    alerts = [tower.fires(cycle="c1")]
    clock.advance(minutes=1)
    alerts.append(tower.fires(cycle="c1", severity=Severity.CRITICAL))
    clock.advance(minutes=1)
    alerts.append(tower.recovers(cycle="c1"))
    for number in order:
        watch.hear(*heard(alerts[number]))
    incident = watch.incident()
    assert (incident.status, incident.severity, incident.flaps) == ("resolved", "critical", 0)
    assert (incident.opened_at, incident.resolved_at) == (alerts[0].at, alerts[2].at)
    assert watch.history() == ["firing", "firing", "over"]


def test_events_say_how_it_stands_at_last_whatever_the_order(watch: Watch, tower: Tower, clock: ManualClock) -> None:
    """Whoever follows the stream knows at each moment what the API shows."""
    alerts = []
    for number in range(8):
        alerts.append(tower.fires(cycle=f"c{number}"))
        clock.advance(minutes=7)
        alerts.append(tower.recovers(cycle=f"c{number}"))
        clock.advance(minutes=7)
    random.Random(11).shuffle(alerts)
    for alert in alerts:
        watch.hear(*heard(alert))
        told = {one.subject_id: one.type for one in watch.told()}
        for incident in watch.rows(Incident):
            over = told[incident.id] == "incident.resolved"
            assert over == (incident.status == "resolved"), (incident.id, told)
    [incident] = watch.incidents()
    assert incident.status == "resolved"


def test_an_end_whose_beginning_was_missed_is_a_resolved_incident(watch: Watch, tower: Tower) -> None:
    tower.fires()
    watch.hear(*heard(tower.recovers()))
    incident = watch.incident()
    assert (incident.status, incident.opened_at) == ("resolved", None)


def test_alerts_are_heard_where_nothing_can_be_asked(watch: Watch, tower: Tower) -> None:
    silent = Watch(watch.rt, tower, watch.tenant, connect(watch.rt, watch.tenant, asks=False, measures=False))
    silent.hear(*heard(tower.fires()))
    assert silent.incident().integration_id == silent.id
    assert silent.integration().next_pull_at is None


def test_only_as_much_of_the_past_is_read_as_what_is_new_may_touch(
    any_watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    for _ in range(5):
        any_watch.hear(*heard(tower.fires()))
        clock.advance(minutes=1)
        any_watch.hear(*heard(tower.recovers()))
        clock.advance(hours=1)
    key = ref_key(any_watch.id, CPU)
    with any_watch.rt.db.read() as session:
        found = known(session, {key: CPU}, clock())
    assert (len(found[key].rows), len(found[key].lines)) == (1, 2)


def test_an_end_that_is_asked_for_counts_although_a_late_word_bears_a_later_time(
    watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    watch.hear(*heard(tower.fires()))
    clock.advance(minutes=1)
    tower.recovers()
    clock.advance(minutes=1)
    watch.hear(*heard(tower.alert(AlertState.REPEATED)))
    watch.poll()
    assert watch.incident().status == "resolved"


def test_an_end_that_is_asked_for_ends_it_whatever_cycle_it_names(
    watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    watch.hear(*heard(tower.fires(cycle="c1")))
    clock.advance(minutes=1)
    watch.hear(*heard(tower.fires(cycle="c2")))
    tower.recovers()
    tower.ended_cycle = "c1"
    watch.poll()
    assert watch.incident().status == "resolved"


def test_what_was_wrong_before_the_tool_was_connected_is_history_and_wakes_nobody(watch: Watch, tower: Tower) -> None:
    tower.fires(at=tower.clock() - timedelta(hours=3))
    watch.poll()
    assert watch.incident().status == "open"
    assert [(one.type, one.backfilled) for one in watch.told()] == [("incident.opened", True)]


# --- service lines ------------------------------------------------------------------------------------


def test_an_incident_is_of_the_service_line_its_tags_name(watch: Watch, tower: Tower) -> None:
    ours = watch.tenant.line_id
    config = {"service_lines": {"team:none": "LIN-26-999999", "service:payments": ours}}
    mapped = Watch(watch.rt, tower, watch.tenant, connect(watch.rt, watch.tenant, **config))
    mapped.hear(*heard(tower.fires(), tower.fires(HOST_A, tags={"service": ["search"]})))
    by_scope = {one.scope: one.service_line_id for one in mapped.incidents()}
    assert by_scope == {"": ours, "host:a": None}


def test_a_service_line_of_another_workspace_is_never_taken(watch: Watch, tower: Tower) -> None:
    theirs = make_tenant(watch.rt).line_id
    config = {"default_service_line": theirs}
    mapped = Watch(watch.rt, tower, watch.tenant, connect(watch.rt, watch.tenant, **config))
    mapped.hear(*heard(tower.fires()))
    assert mapped.incident().service_line_id is None


# --- polls --------------------------------------------------------------------------------------------


def test_a_poll_finds_what_no_delivery_told(any_watch: Watch, tower: Tower, clock: ManualClock) -> None:
    for ref in (CPU, HOST_A, HOST_B):
        tower.fires(ref)
    run = any_watch.poll()
    assert run is not None
    assert run.status == "success"
    assert (run.counts["alerts"], run.counts["incidents_opened"]) == (3, 3)
    clock.advance(minutes=1)
    any_watch.poll()
    assert any_watch.events() == ["opened"] * 3, "a second poll says nothing new"
    for ref in (CPU, HOST_A):
        tower.recovers(ref)
    clock.advance(minutes=1)
    run = any_watch.poll()
    assert run is not None
    assert run.counts["incidents_resolved"] == 2
    assert sorted(one.status for one in any_watch.incidents()) == ["open", "resolved", "resolved"]


def test_what_a_poll_and_a_delivery_tell_is_one_incident(watch: Watch, tower: Tower, clock: ManualClock) -> None:
    alert = tower.fires(cycle="c1")
    watch.poll()
    clock.advance(minutes=1)
    watch.hear(*heard(alert))
    assert watch.events() == ["opened"]
    over = tower.recovers(cycle="c1")
    watch.poll()
    watch.hear(*heard(over))
    assert (watch.incident().status, watch.events()) == ("resolved", ["opened", "resolved"])


def test_a_lost_end_is_healed_by_one_poll_and_told_once(watch: Watch, tower: Tower, clock: ManualClock) -> None:
    watch.hear(*heard(tower.fires(cycle="c1")))
    clock.advance(minutes=3)
    lost = tower.recovers(cycle="c1")
    watch.poll()
    incident = watch.incident()
    assert (incident.status, incident.resolved_at, incident.resolved_by) == ("resolved", lost.at, watch.id)


def test_a_poll_that_fails_half_way_goes_on_from_where_it_was(watch: Watch, tower: Tower) -> None:
    for ref in (CPU, HOST_A, HOST_B):
        tower.fires(ref)
    tower.failures = [Transient("down")]
    run = watch.poll()
    assert run is not None
    assert run.status == "failed"
    assert watch.incidents() == []
    watch.poll()
    assert len(watch.incidents()) == 3


def test_measures_that_cant_be_read_do_not_keep_alerts_from_being_read(watch: Watch, tower: Tower) -> None:
    tower.fires()
    tower.pages = [Transient("no numbers today")]  # type: ignore[list-item]  # raised in a page's place
    run = watch.poll()
    assert run is not None
    assert run.status == "failed"
    assert watch.incident().status == "open"


# --- people -------------------------------------------------------------------------------------------


def test_somebody_acknowledges_and_resolves_it(any_watch: Watch, tower: Tower, clock: ManualClock) -> None:
    any_watch.hear(*heard(tower.fires(cycle="c1")))
    id_, ann = any_watch.incident().id, any_watch.tenant.ann_id
    clock.advance(minutes=1)
    any_watch.change(id_, "acknowledged", "Looking.")
    any_watch.change(id_, "acknowledged")
    incident = any_watch.incident()
    assert (incident.status, incident.acknowledged_by, incident.acknowledged_at) == ("acknowledged", ann, clock())
    clock.advance(minutes=1)
    any_watch.change(id_, "resolved")
    incident = any_watch.incident()
    assert (incident.status, incident.resolved_by, incident.resolved_at) == ("resolved", ann, clock())
    with pytest.raises(Conflict, match=f"{id_} can't be acknowledged: {ann} resolved it"):
        any_watch.change(id_, "acknowledged")
    assert any_watch.events() == ["opened", "acknowledged", "resolved"]
    assert [one.actor for one in any_watch.told()] == [any_watch.id, ann, ann]
    assert any_watch.told()[1].data["note"] == "Looking."


def test_what_a_person_resolved_stays_so_while_it_only_says_that_it_is_still_wrong(
    watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    watch.hear(*heard(tower.fires(cycle="c1")))
    watch.change(watch.incident().id, "resolved")
    clock.advance(minutes=10)
    watch.hear(*heard(tower.alert(AlertState.REPEATED, cycle="c1")))
    watch.poll()
    assert watch.incident().status == "resolved"
    watch.hear(*heard(tower.recovers(cycle="c1")))
    clock.advance(minutes=10)
    watch.hear(*heard(tower.fires(cycle="c2")))
    assert (watch.incident().status, watch.events()) == ("open", ["opened", "resolved", "reopened"])


def test_an_alert_that_comes_while_somebody_resolves_waits_for_it(
    any_watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    any_watch.hear(*heard(tower.fires(cycle="c1")))
    id_ = any_watch.incident().id
    clock.advance(minutes=1)
    any_watch.arrive(*heard(tower.alert(AlertState.REPEATED, cycle="c1", severity=Severity.CRITICAL)))
    worker = Thread(target=any_watch.drain)
    with any_watch.rt.db.write() as session:
        hand.change(session, id_, What.RESOLVED, actor=any_watch.tenant.ann_id, note="", now=clock())
        worker.start()
        wait_until(lambda: not worker.is_alive() or waits_for_a_lock(any_watch), what="the worker to come to the lock")
    worker.join()
    assert any_watch.history() == ["firing", "resolved", "repeated"]
    assert any_watch.incident().status == "resolved", "what a person resolved stays so"


def waits_for_a_lock(watch: Watch) -> bool:
    """Whether somebody waits for another's transaction. On SQLite everybody does who writes."""
    if watch.rt.db.engine.dialect.name != "postgresql":
        return True
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with watch.rt.db.read() as session:
        return bool(session.scalar(text(waiting)))


# --- access and other news ----------------------------------------------------------------------------


def test_that_our_access_has_ended_is_asked_of_the_vendor_and_said(watch: Watch, tower: Tower) -> None:
    tower.dead_tokens = {"tower-token-canary"}
    watch.hear(ENDED)
    row = watch.integration()
    assert (row.status, row.sync_status, row.status_code) == ("error", "failed", "reauth_required")
    assert watch.delivery().state == "pending", "it is looked at again with new credentials"


def test_an_old_word_of_ended_access_harms_nobody(watch: Watch, tower: Tower) -> None:
    watch.hear(ENDED)
    assert (watch.integration().status, watch.delivery().state) == ("active", "done")
    assert watch.delivery().outcome["access"] == ["The app was removed. Looked at: it has not ended."]


def test_an_integration_without_items_takes_whatever_is_for_it_out_of_one_delivery(watch: Watch, tower: Tower) -> None:
    gate = GateSeen("shop", "Shop", "main", True, GateStatus.PASSED, tower.clock(), "https://tower.test/shop")
    mixed: list[Signal] = [AlertHeard(tower.fires()), GateHeard(gate)]
    watch.hear(*mixed)
    outcome = watch.delivery().outcome
    assert [one["outcome"] for one in outcome["alerts"]] == ["opened"]
    assert (outcome["gates"], watch.delivery().state) == (["changed"], "done")


def test_a_hundred_alerts_are_settled_with_a_handful_of_statements(watch: Watch, tower: Tower) -> None:
    alerts = [tower.fires(AlertRef("9", f"host:{n:03d}")) for n in range(100)]
    statements = count_statements(watch, lambda: watch.hear(*heard(*alerts)))
    watch.hear()
    few = count_statements(watch, lambda: watch.hear(*heard(replace(alerts[0], severity=Severity.LOW))))
    assert len(watch.incidents()) == 100
    assert statements <= few + 5


def count_statements(watch: Watch, work: Callable[[], object]) -> int:
    """How many statements the work takes."""
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    event.listen(watch.rt.db.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(watch.rt.db.engine, "before_cursor_execute", note)
    return len(seen)


def test_deliveries_of_a_minute_of_flapping_are_worked_off_together(
    watch: Watch, tower: Tower, clock: ManualClock
) -> None:
    for number in range(20):
        watch.arrive(*heard(tower.fires(cycle=f"c{number}")))
        clock.advance(seconds=2)
        watch.arrive(*heard(tower.recovers(cycle=f"c{number}")))
        clock.advance(seconds=2)
    assert watch.drain() == 40
    assert watch.incident().flaps == 19
    assert {row.state for row in watch.rows(Delivery)} == {"done"}
    assert watch.incident().resolved_at == clock() - timedelta(seconds=2)
