"""After an outage of ours, what the vendor could not hand over is fetched from its own log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from connectors.contract import Missed, NotFound, RawDelivery
from core.delivery_counts import Counted, totals
from core.models import Delivery, Integration
from simulation.toy import ToyConnector, ToyVendor
from sync.inbound import drain
from sync.missed import LOG_EVERY, LOG_OVERLAP
from sync.runtime import Lane, Runtime
from sync.scheduler import tick
from sync.subscriptions import keep_subscription
from tests.sync.conftest import ManualClock, Tenant, connect
from tests.sync.engine import Both


class LoggingToy(ToyConnector):
    """A toy vendor that remembers deliveries that failed; `whole` ones with all that was in them."""

    failed: list[tuple[datetime, str, RawDelivery]]
    whole = True
    asked: list[datetime]
    again: list[str]

    def missed(self, since: datetime) -> Iterator[Sequence[Missed]]:
        self._call("missed", lambda: None)
        self.asked.append(since)
        found = [(key, raw) for at, key, raw in self.failed if at >= since]
        for start in range(0, len(found), 2):
            yield [
                Missed(key, f"ref-{key}", "item.changed", raw if self.whole else None)
                for key, raw in found[start : start + 2]
            ]

    def redeliver(self, missed: Missed) -> None:
        self._call("redeliver", lambda: None)
        if missed.key == "too-old":
            raise NotFound("It is too old.")
        self.again.append(missed.ref)


@pytest.fixture
def toy(runtime: Runtime, vendor: ToyVendor) -> type[LoggingToy]:
    made = type("Logging", (LoggingToy,), {"vendor": vendor, "failed": [], "asked": [], "again": []})
    runtime.registry._entries.clear()
    runtime.registry.register(made)
    return made


@pytest.fixture
def both(runtime: Runtime, vendor: ToyVendor, tenant: Tenant, toy: type[LoggingToy]) -> Both:
    both = Both(runtime, vendor, tenant, connect(runtime, tenant))
    keep_subscription(runtime, both.id)
    toy.asked.clear()
    return both


def outage(both: Both, toy: type[LoggingToy], *titles: str) -> None:
    """People work while nobody answers the vendor's deliveries."""
    for title in titles:
        both.vendor.add(title=title)
    for _, raw in both.vendor.outbox:
        toy.failed.append((both.rt.clock(), raw.headers["x-toy-delivery"], raw))
    both.vendor.outbox.clear()


def look(both: Both, clock: ManualClock) -> None:
    clock.advance(seconds=LOG_EVERY.total_seconds())
    keep_subscription(both.rt, both.id)


def recovered(both: Both) -> int:
    with both.rt.db.read() as session:
        return totals(session, both.id, both.rt.clock() - timedelta(hours=1))[Counted.RECOVERED]


def test_it_is_what_the_class_can_do(both: Both) -> None:
    assert "delivery_log" in both.rows(Integration)[0].capabilities


def test_what_failed_while_we_were_away_is_put_into_the_inbox_once(
    both: Both, toy: type[LoggingToy], clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    outage(both, toy, "a", "b", "c")
    look(both, clock)
    assert len(both.rows(Delivery)) == 3
    assert recovered(both) == 3
    assert (Lane.INBOX, both.id) in rings
    assert drain(both.rt, both.id) == 3
    both.assert_equal()
    look(both, clock)
    assert len(both.rows(Delivery)) == 3
    assert {tuple(row.headers) for row in both.rows(Delivery)} == {("x-toy-delivery",)}


def test_what_came_in_another_way_is_left_out(both: Both, toy: type[LoggingToy], clock: ManualClock) -> None:
    outage(both, toy, "a", "b")
    (_, key, raw), _ = toy.failed
    with both.rt.db.write() as session:
        session.add(
            Delivery(
                integration_id=both.id,
                dedupe_key=f"{both.id}:{key}",
                event="item.changed",
                headers={},
                body=raw.body,
                received_at=clock.now,
                state="done",
                attempts=1,
                next_attempt_at=clock.now,
            )
        )
    look(both, clock)
    assert (len(both.rows(Delivery)), recovered(both)) == (2, 1)


def test_where_the_log_holds_no_bodies_the_vendor_is_asked_to_send_them_again(
    both: Both, toy: type[LoggingToy], clock: ManualClock
) -> None:
    toy.whole = False
    outage(both, toy, "a")
    toy.failed.append((clock.now, "too-old", toy.failed[0][2]))
    outage(both, toy, "b")
    look(both, clock)
    assert both.rows(Delivery) == []
    assert toy.again == [f"ref-{key}" for _, key, _ in toy.failed if key != "too-old"]


def test_the_log_is_read_from_before_where_it_was_read_to(
    both: Both, toy: type[LoggingToy], clock: ManualClock
) -> None:
    connected = clock.now
    look(both, clock)
    clock.advance(hours=30)  # nobody was there
    look(both, clock)
    first, second = toy.asked
    assert first == connected - LOG_OVERLAP
    assert second == connected + LOG_EVERY - LOG_OVERLAP


def test_a_log_that_can_not_be_read_is_read_later_from_the_same_place(
    both: Both, toy: type[LoggingToy], vendor: ToyVendor, clock: ManualClock
) -> None:
    outage(both, toy, "a")
    vendor.fail("missed", 503)
    look(both, clock)
    assert both.rows(Delivery) == []
    asked = list(vendor.calls)
    keep_subscription(both.rt, both.id)
    assert vendor.calls == asked, "not before its time"
    look(both, clock)
    assert len(both.rows(Delivery)) == 1


def test_the_tick_finds_that_it_is_time(both: Both, clock: ManualClock, rings: list[tuple[Lane, str]]) -> None:
    with both.rt.db.write() as session:
        row = session.scalars(select(Integration)).one()
        row.next_pull_at = row.next_sweep_at = row.next_subscription_at = None
    rings.clear()
    tick(both.rt)
    assert (Lane.PULL, both.id) not in rings
    clock.advance(seconds=LOG_EVERY.total_seconds())
    tick(both.rt)
    assert (Lane.PULL, both.id) in rings
