"""Deliveries are counted per integration, without a write per request, and whoever tries URLs makes no rows."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from core import delivery_counts
from core.delivery_counts import Counted, add_counts, period, totals
from core.hook_secrets import OVERLAP, HookSecrets
from core.models import DeliveryCount, Subscription
from tests.webhooks.bell import NOW, VAULT, Door, signed
from tests.webhooks.conftest import MakeDoor
from webhooks.hooks import TTL
from webhooks.tally import Tally


def counted(door: Door, id_: str = "INT-1") -> dict[str, int]:
    with door.db.read() as session:
        return {what.value: n for what, n in totals(session, id_, NOW - timedelta(days=1)).items() if n}


def rows(door: Door) -> list[DeliveryCount]:
    with door.db.read() as session:
        return list(session.scalars(select(DeliveryCount).order_by(DeliveryCount.at)))


def test_what_came_is_counted_and_written_down_at_the_end(any_door: Door) -> None:
    for key in ("a", "b", "b"):
        any_door.post(headers=signed(key=key))
    for _ in range(4):
        any_door.post(headers=signed(secret="guessed"))
    assert rows(any_door) == []
    any_door.settle()
    assert counted(any_door) == {"accepted": 2, "duplicates": 1, "rejected": 4}


def test_a_thousand_refusals_cost_no_statement_each(door: Door) -> None:
    door.post()
    statements: list[str] = []
    event.listen(door.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    requests = [{"headers": signed(secret="guessed"), "body": b"{}"}] * 1000
    assert set(door.post_all(requests)) == {401}
    door.settle()
    assert len(statements) < 10
    assert counted(door)["rejected"] == 1000


def test_urls_that_are_nobodys_make_no_rows(door: Door) -> None:
    for number in range(50):
        assert door.post(path=f"/webhooks/bell/{number:032d}").status == 404
    door.settle()
    assert rows(door) == []


def test_counts_are_written_every_few_seconds_while_nothing_comes(sqlite_url: str, make_door: MakeDoor) -> None:
    door = make_door(sqlite_url, flush_seconds=0.05)
    door.post(headers=signed(secret="guessed"))
    deadline = time.monotonic() + 10
    while not counted(door) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert counted(door) == {"rejected": 1}


def test_counts_of_five_minutes_share_a_row_and_two_processes_add_up(any_url: str, make_door: MakeDoor) -> None:
    doors = [make_door(any_url), make_door(any_url)]
    for door in doors:
        door.post()
        door.seconds += 299
        door.post()
        door.seconds += 1
        door.post()
        door.settle()
    assert [(row.at, row.accepted) for row in rows(doors[0])] == [(NOW, 4), (NOW + timedelta(minutes=5), 2)]


def test_counts_that_could_not_be_written_wait_for_the_next_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.post(headers=signed(secret="guessed"))

    def away(*_: Any) -> None:
        raise OperationalError("", {}, Exception("away"))

    with monkeypatch.context() as patch:
        patch.setattr("webhooks.inbox.add_counts", away)
        door.inbox._flush()
    assert rows(door) == []
    door.inbox._flush()
    assert counted(door) == {"rejected": 1}


def test_counts_of_an_integration_that_is_gone_are_left_out(any_door: Door) -> None:
    counts = {(id_, NOW, Counted.REJECTED): 2 for id_ in ("INT-1", "INT-99")}
    with any_door.db.write() as session:
        add_counts(session, counts)
    assert [(row.integration_id, row.rejected) for row in rows(any_door)] == [("INT-1", 2)]


def test_a_tally_forgets_what_was_taken_and_keeps_what_is_given_back() -> None:
    tally = Tally()
    tally.note("INT-1", Counted.ACCEPTED, NOW + timedelta(seconds=3))
    taken = tally.take()
    assert taken == {("INT-1", NOW, Counted.ACCEPTED): 1}
    assert tally.take() == {}
    tally.note("INT-1", Counted.ACCEPTED, NOW)
    tally.give_back(taken)
    assert tally.take() == {("INT-1", NOW, Counted.ACCEPTED): 2}


def test_periods_begin_every_five_minutes() -> None:
    assert period(NOW + timedelta(minutes=9, seconds=59)) == NOW + timedelta(minutes=5)
    assert timedelta(days=1) < delivery_counts.LIFE


# --- secrets that end -------------------------------------------------------------------------------------


def seal(door: Door, secrets: HookSecrets) -> None:
    with door.db.write() as session:
        row = session.get_one(Subscription, "INT-1")
        row.sealed = VAULT.seal(secrets.to_seal(), "integration:INT-1:subscription")


def test_an_old_secret_ends_and_the_door_notices_within_seconds(door: Door) -> None:
    seal(door, HookSecrets.first("bell-secret").changed("new").settled(NOW))
    assert [door.post(headers=signed(secret=secret)).status for secret in ("bell-secret", "new")] == [202, 202]
    door.seconds += OVERLAP.total_seconds() - TTL - 1
    assert door.post(headers=signed(secret="bell-secret")).status == 202
    door.seconds += TTL + 1
    assert [door.post(headers=signed(secret=secret)).status for secret in ("bell-secret", "new")] == [401, 202]


def test_until_the_vendor_knows_the_new_secret_the_old_one_has_no_end() -> None:
    changed = HookSecrets.first("a").changed("b")
    assert changed.valid(NOW + timedelta(days=365)) == ("b", "a")
    settled = HookSecrets.opened(changed.settled(NOW).to_seal())
    assert settled.valid(NOW + OVERLAP - timedelta(seconds=1)) == ("b", "a")
    assert settled.valid(NOW + OVERLAP) == ("b",)
    assert settled.settled(NOW + timedelta(hours=23)).valid(NOW + OVERLAP) == ("b",), "looking again prolongs nothing"
    assert settled.settled(NOW + OVERLAP).kept == HookSecrets.first("b").kept


def test_secrets_sealed_before_they_had_an_end_get_one_when_the_webhook_is_looked_after() -> None:
    old = HookSecrets.opened({"secrets": ["b", "a"]})
    assert old.valid(NOW) == ("b", "a")
    assert old.settled(NOW).valid(NOW + OVERLAP) == ("b",)


def test_changing_to_the_same_secret_changes_nothing() -> None:
    assert HookSecrets.first("a").changed("a").valid(NOW) == ("a",)
