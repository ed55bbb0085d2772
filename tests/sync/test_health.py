"""Causes come and go by themselves, the worst is shown, and health tells all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from core.delivery_counts import Counted, add_counts, period
from core.models import Delivery, DeliveryCount, Event, Integration, Subscription, SyncCause
from simulation.toy import BASIC, ToyVendor, deliver
from sync import farewell, integrations
from sync.health import DEGRADED, FAILED, Cause, Trouble, clear_causes, raise_cause
from sync.missed import GRACE
from sync.runtime import Runtime
from sync.scheduler import purge, tick
from sync.subscriptions import keep_subscription
from sync.vitals import vitals
from sync.watch import DEAD_FOR, EVERY, LAG, REFUSED_FOR, SILENT_FOR, watch
from tests.sync.conftest import ManualClock, Tenant, connect, make_tenant
from tests.sync.engine import Both


@pytest.fixture
def both(runtime: Runtime, vendor: ToyVendor, tenant: Tenant, integration: Integration) -> Both:
    keep_subscription(runtime, integration.id)
    return Both(runtime, vendor, tenant, integration)


def wrong(both: Both, cause: Cause, code: str, severity: str = DEGRADED) -> None:
    with both.rt.db.write() as session:
        row = session.get_one(Integration, both.id)
        raise_cause(session, row, cause, Trouble(code, f"{code} text", severity), both.rt.clock())


def over(both: Both, *causes: Cause) -> None:
    with both.rt.db.write() as session:
        clear_causes(session, session.get_one(Integration, both.id), causes, both.rt.clock())


def shown(both: Both) -> tuple[str, str | None]:
    (row,) = both.rows(Integration, Integration.id == both.id)
    return row.sync_status, row.sync_code


def looked(both: Both) -> tuple[str, str | None]:
    """What is shown after the next look."""
    both.rt.clock.advance(seconds=EVERY.total_seconds())  # type: ignore[attr-defined]
    watch(both.rt)
    return shown(both)


def count(both: Both, **counts: int) -> None:
    at = period(both.rt.clock())
    with both.rt.db.write() as session:
        add_counts(session, {(both.id, at, Counted(name)): number for name, number in counts.items()})


def changes(both: Both) -> list[tuple[str, str, str | None]]:
    rows = both.rows(Event, Event.type == "integration.sync_status_changed")
    return [(row.data["from"], row.data["to"], row.data["code"]) for row in rows]


def test_the_worst_cause_is_shown_and_each_goes_by_itself(both: Both) -> None:
    wrong(both, Cause.DEAD, "deliveries_dead")
    wrong(both, Cause.SWEEP, "sweep_guard")
    assert shown(both) == ("degraded", "sweep_guard")
    wrong(both, Cause.PULL, "unusable", FAILED)
    assert shown(both) == ("failed", "unusable")
    over(both, Cause.SWEEP)
    assert shown(both) == ("failed", "unusable")
    over(both, Cause.PULL)
    assert shown(both) == ("degraded", "deliveries_dead")
    over(both, Cause.DEAD)
    assert shown(both) == ("healthy", None)
    assert changes(both) == [
        ("healthy", "degraded", "deliveries_dead"),
        ("degraded", "failed", "unusable"),
        ("failed", "degraded", "deliveries_dead"),
        ("degraded", "healthy", None),
    ]


def test_a_failed_cause_is_worse_than_a_degraded_one_that_stands_before_it(both: Both) -> None:
    wrong(both, Cause.PULL, "transient")
    wrong(both, Cause.WRITES, "write_failed", FAILED)
    assert shown(both) == ("failed", "write_failed")


def test_a_cause_said_again_keeps_its_beginning_and_gets_the_newer_words(both: Both, clock: ManualClock) -> None:
    began = clock.now
    wrong(both, Cause.PULL, "transient")
    clock.advance(minutes=5)
    wrong(both, Cause.PULL, "rejected", FAILED)
    (row,) = both.rows(SyncCause)
    assert (row.code, row.severity, row.since) == ("rejected", "failed", began)


def test_a_pull_that_works_again_does_not_hide_what_else_is_wrong(both: Both, vendor: ToyVendor) -> None:
    wrong(both, Cause.SWEEP, "sweep_guard")
    vendor.fail("changed_tasks", 400)
    both.poll()
    assert shown(both) == ("failed", "rejected")
    both.poll()
    assert shown(both) == ("degraded", "sweep_guard")


def test_missing_scopes_stay_until_a_consent_brings_them(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    vendor.missing_scopes = ("items:write",)
    both = Both(runtime, vendor, tenant, connect(runtime, tenant))
    both.poll()
    assert shown(both) == ("degraded", "missing_scopes")
    vendor.missing_scopes = ()
    (row,) = both.rows(Integration)
    integrations.update(runtime, row, actor=tenant.ann_id, token_id=None, credentials=dict(BASIC))
    assert shown(both) == ("healthy", None)


def test_two_lanes_that_find_something_wrong_at_once_overlook_neither(any_runtime: Runtime, vendor: ToyVendor) -> None:
    tenant = make_tenant(any_runtime)
    both = Both(any_runtime, vendor, tenant, connect(any_runtime, tenant))
    wrong(both, Cause.LAG, "inbox_lag")
    with any_runtime.db.read() as session:
        stale = session.get_one(Integration, both.id)  # read before the other lane spoke
    wrong(both, Cause.PULL, "rejected", FAILED)
    with any_runtime.db.write() as session:
        session.add(stale)
        clear_causes(session, stale, (Cause.LAG,), any_runtime.clock())
    assert shown(both) == ("failed", "rejected")


# --- what the watch finds ---------------------------------------------------------------------------------


def test_deliveries_signed_with_another_secret_are_told_and_forgotten_when_they_are_right(both: Both) -> None:
    count(both, rejected=2)
    assert looked(both) == ("healthy", None), "a stranger may try his luck"
    count(both, rejected=1)
    assert looked(both) == ("degraded", "signatures_rejected")
    count(both, accepted=3)
    assert looked(both) == ("healthy", None)


def test_refusals_that_ended_are_forgotten(both: Both, clock: ManualClock) -> None:
    count(both, rejected=50)
    assert looked(both) == ("degraded", "signatures_rejected")
    clock.advance(minutes=REFUSED_FOR / timedelta(minutes=1) + 5)
    assert looked(both) == ("healthy", None)


def test_a_webhook_that_is_silent_while_polls_find_changes_is_told(
    both: Both, vendor: ToyVendor, clock: ManualClock
) -> None:
    items = [vendor.add(title=f"{n}") for n in range(3)]
    both.poll()
    clock.advance(minutes=1)
    for item in items:
        vendor.edit(item.id, title="changed")
    vendor.outbox.clear()  # the deliveries never come
    clock.advance(minutes=5)
    pulled = both.poll()
    assert pulled.counts["missed"] == 3
    assert looked(both) == ("degraded", "webhook_silent")
    count(both, accepted=1)
    assert looked(both) == ("healthy", None)
    clock.advance(minutes=SILENT_FOR / timedelta(minutes=1) + 5)
    assert looked(both) == ("healthy", None)


@pytest.mark.parametrize("why", ["too young", "told and waiting", "no webhook", "webhook expired", "told", "ours"])
def test_what_a_poll_finds_is_not_missed_where_the_webhook_could_not_have_told(
    both: Both, vendor: ToyVendor, clock: ManualClock, why: str
) -> None:
    vendor.add(title="one")
    both.poll()
    vendor.outbox.clear()
    clock.advance(minutes=1)
    item = next(iter(vendor.items.values()))
    if why == "ours":
        both.change(both.task().id, title="ours")
        both.push()
    else:
        vendor.edit(item.id, title="changed")
    if why == "told":
        both.deliver()
    elif why == "told and waiting":
        vendor.fail("fetch_tasks", 503)
        vendor.snapshots = False
        vendor.edit(item.id, title="again")
        both.deliver()
        assert both.rows(Delivery)[0].state == "pending"
    elif why != "ours":
        values = {"no webhook": {"state": "unavailable"}, "webhook expired": {"expires_at": clock.now}}.get(why)
        if values:
            with both.rt.db.write() as session:
                session.execute(update(Subscription).values(**values))
    clock.advance(seconds=10 if why == "too young" else GRACE.total_seconds() + 60)
    assert "missed" not in both.poll().counts


def test_an_inbox_that_lags_is_told_with_since_when_and_heals(
    both: Both, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.snapshots = False
    vendor.fail("fetch_tasks", 503)
    vendor.add(title="waits")
    both.deliver()
    assert looked(both) == ("healthy", None)
    clock.advance(minutes=LAG / timedelta(minutes=1))
    assert looked(both) == ("degraded", "inbox_lag")
    (row,) = both.rows(Integration)
    assert "2026-04-15T10:00:00Z" in row.sync_text
    both.deliver()
    assert looked(both) == ("healthy", None)


def test_dead_deliveries_are_told_for_a_day(both: Both, vendor: ToyVendor, clock: ManualClock) -> None:
    hook = next(iter(vendor.hooks.values()))
    vendor.outbox.append((hook.url, deliver(b"[]", hook.secret, "bad", vendor.clock())))
    both.deliver()
    assert looked(both) == ("degraded", "deliveries_dead")
    clock.advance(hours=DEAD_FOR / timedelta(hours=1))
    assert looked(both) == ("healthy", None)


def test_a_webhook_that_can_not_be_registered_or_renewed_is_told_and_one_that_is_not_allowed_is_not(
    both: Both, vendor: ToyVendor, clock: ManualClock
) -> None:
    def stored(**values: Any) -> tuple[str, str | None]:
        with both.rt.db.write() as session:
            session.execute(update(Subscription).values(**values))
        return looked(both)

    expired = {"expires_at": clock.now - timedelta(hours=1)}
    assert stored(state="creating", code="transient", text="No answer.") == ("degraded", "subscription_failed")
    assert stored(state="active", code=None, text=None, **expired) == ("degraded", "subscription_expired")
    assert stored(state="unavailable", code="forbidden", text="No.", **expired) == ("healthy", None)
    assert stored(state="active", code="transient", expires_at=None) == ("healthy", None), "it works until it expires"


def test_an_integration_that_stopped_is_told_of_nothing_else(both: Both) -> None:
    count(both, rejected=10)
    assert looked(both) == ("degraded", "signatures_rejected")
    with both.rt.db.write() as session:
        session.execute(update(Integration).values(status="error"))
    assert looked(both) == ("healthy", None)


def test_a_disconnected_integration_keeps_no_causes(both: Both, tenant: Tenant) -> None:
    count(both, rejected=10)
    looked(both)
    (row,) = both.rows(Integration)
    farewell.disconnect(both.rt, row, actor=tenant.ann_id, token_id=None)
    assert both.rows(SyncCause) == []
    assert watch(both.rt) == 0


def test_one_worker_looks_and_not_more_often_than_it_is_worth(both: Both, clock: ManualClock) -> None:
    count(both, rejected=10)
    assert watch(both.rt) == 1
    count(both, accepted=20)
    assert watch(both.rt) == 0
    assert shown(both) == ("degraded", "signatures_rejected")
    clock.advance(seconds=EVERY.total_seconds())
    tick(both.rt)
    assert shown(both) == ("healthy", None)


def test_looking_says_nothing_twice(both: Both) -> None:
    count(both, rejected=10)
    assert looked(both) == looked(both)
    assert len(changes(both)) == 1


# --- vitals -----------------------------------------------------------------------------------------------


def test_health_tells_what_came_what_waits_and_how_long_the_webhook_lasts(
    both: Both, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.snapshots = False
    vendor.add(title="one")
    vendor.fail("fetch_tasks", 503)
    both.deliver()
    came = clock.now
    count(both, accepted=4, duplicates=2, rejected=1)
    wrong(both, Cause.WRITES, "write_failed")
    wrong(both, Cause.PULL, "transient", FAILED)
    clock.advance(minutes=3)
    with both.rt.db.read() as session:
        seen = vitals(session, session.get_one(Integration, both.id), clock.now)
    assert [cause.code for cause in seen.causes] == ["transient", "write_failed"]
    assert (seen.pending, seen.oldest_pending_at, seen.dead, seen.last_delivery_at) == (1, came, 0, came)
    assert (seen.counts[Counted.ACCEPTED], seen.counts[Counted.DUPLICATES], seen.counts[Counted.REJECTED]) == (4, 2, 1)
    assert seen.subscription is not None
    assert seen.subscription.state == "active"
    clock.advance(days=1, minutes=5)
    with both.rt.db.read() as session:
        assert vitals(session, session.get_one(Integration, both.id), clock.now).counts[Counted.ACCEPTED] == 0


def test_old_counts_are_thrown_out_and_what_waits_never(both: Both, vendor: ToyVendor, clock: ManualClock) -> None:
    vendor.snapshots = False
    vendor.fail("fetch_tasks", 503)
    vendor.add(title="waits")
    both.deliver()
    with both.rt.db.write() as session:
        (waiting,) = session.query(Delivery)
        session.add(Delivery(**_as(waiting, "dead")))
        session.add(Delivery(**_as(waiting, "done")))
    count(both, accepted=1)
    clock.advance(days=15)
    purge(both.rt, clock.now)
    assert both.rows(DeliveryCount) == []
    assert [row.state for row in both.rows(Delivery)] == ["pending"]


def _as(row: Delivery, state: str) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in Delivery.__table__.columns if column.name != "id"}
    return values | {"state": state, "dedupe_key": state, "finished_at": row.received_at}
