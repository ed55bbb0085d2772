"""Group commit: few commits for many requests, and an honest answer when one fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, text
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from core.bulk import insert_new
from core.models import Delivery, Integration
from tests.services.process import wait_until
from tests.webhooks.bell import NOW, Door, add_integration, signed, stored_count, stored_keys
from tests.webhooks.conftest import MakeDoor
from webhooks.inbox import GROUP_ROWS, Arrival, Stored

ARRIVAL = Arrival("INT-1", "INT-1:1", "rung", {"content-type": "x"}, b"{}", NOW)


def requests(count: int, body: bytes = b"{}", **request: Any) -> list[dict[str, Any]]:
    return [{"headers": signed(body), "body": body} | request for _ in range(count)]


@contextmanager
def commits(engine: Engine) -> Iterator[list[int]]:
    """One entry per commit."""
    seen: list[int] = []

    def note(_connection: Any) -> None:
        seen.append(1)

    event.listen(engine, "commit", note)
    yield seen
    event.remove(engine, "commit", note)


@contextmanager
def sqlite_writer_held(door: Door) -> Iterator[None]:
    """Somebody else is writing, so that no commit of ours gets through."""
    with door.db.write() as session:
        session.execute(text("SELECT 1"))
        yield


def test_many_requests_share_few_commits(any_door: Door) -> None:
    any_door.post()
    with commits(any_door.db.engine) as seen:
        assert any_door.post_all(requests(200)) == [202] * 200
    assert stored_count(any_door.db) == 201
    assert len(seen) <= 50  # how many share one depends on what else the machine does; each its own would be 200
    any_door.settle()  # the last group is counted after its answers
    assert any_door.value("turnbuckle_webhook_group_rows_sum") == 201
    assert any_door.value("turnbuckle_webhook_group_rows_count") == len(seen) + 1
    assert any_door.value("turnbuckle_webhook_ack_seconds_count") == 201


def test_a_lone_request_does_not_wait_for_company(door: Door) -> None:
    with commits(door.db.engine) as seen:
        for _ in range(5):
            door.post()
    assert len(seen) == 5


def test_a_group_has_a_limit(door: Door) -> None:
    door.post()
    with commits(door.db.engine) as seen:
        assert set(door.post_all(requests(3 * GROUP_ROWS))) == {202}
    assert len(seen) >= 3


def store_together(door: Door, arrivals: list[Arrival]) -> list[Stored]:
    """Store them all in one group: they queue up behind a first one that can't be written yet."""

    async def queue_and_wait() -> list[Stored]:
        with sqlite_writer_held(door):
            first = asyncio.ensure_future(door.inbox.store(replace(ARRIVAL, dedupe_key="INT-1:first")))
            await asyncio.sleep(0)  # now it is queued
            while not door.inbox._queue.empty():  # until the writer has taken it
                await asyncio.sleep(0.001)
            storing = [asyncio.ensure_future(door.inbox.store(arrival)) for arrival in arrivals]
            await asyncio.sleep(0)
        await first
        return await asyncio.gather(*storing)

    return door.runner.run(queue_and_wait())


def test_of_the_same_delivery_twice_in_a_group_one_is_new(door: Door) -> None:
    with commits(door.db.engine) as seen:
        assert store_together(door, [ARRIVAL] * 3) == [Stored.NEW, Stored.DUPLICATE, Stored.DUPLICATE]
    assert len(seen) == 3  # who was in the way, the first, the group


def test_a_group_is_written_in_the_order_of_its_keys_so_that_two_processes_never_wait_in_a_ring(door: Door) -> None:
    store_together(door, [replace(ARRIVAL, dedupe_key=f"INT-1:{number}") for number in (3, 1, 2)])
    assert stored_keys(door.db) == ["INT-1:first", "INT-1:1", "INT-1:2", "INT-1:3"]


def test_the_same_delivery_many_times_at_once_is_one_row(any_door: Door) -> None:
    headers = signed(b"{}", key="same")
    assert any_door.post_all([{"headers": headers, "body": b"{}"}] * 100) == [202] * 100
    assert stored_keys(any_door.db) == ["INT-1:same"]
    assert (any_door.count("accepted"), any_door.count("duplicate")) == (1, 99)


def test_two_processes_that_get_the_same_deliveries_do_not_lock_each_other_out(
    any_url: str, make_door: MakeDoor
) -> None:
    doors = [make_door(any_url), make_door(any_url)]
    again = requests(150)
    orders = [again, again[::-1]]
    answers: dict[int, list[int]] = {}

    def send(number: int) -> None:
        answers[number] = [status for _ in range(3) for status in doors[number].post_all(orders[number])]

    threads = [threading.Thread(target=send, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: [202] * 450, 1: [202] * 450}
    assert stored_count(doors[0].db) == 150


def test_a_full_queue_says_come_back(sqlite_url: str, make_door: MakeDoor) -> None:
    door = make_door(sqlite_url, max_waiting=10)
    door.post()  # the hook is known now
    statuses = door.post_all(requests(30))
    assert sorted(statuses) == [202] * 10 + [503] * 20
    assert stored_count(door.db) == 11
    assert door.post().status == 202


def test_a_commit_that_takes_too_long_is_no_2xx_and_its_retry_is_no_second_row(
    sqlite_url: str, make_door: MakeDoor
) -> None:
    door = make_door(sqlite_url, store_seconds=0.1)
    door.post(headers=signed(key="warm"))
    headers = signed(key="late")
    with sqlite_writer_held(door):
        assert door.post(headers=headers).status == 503
    wait_until(lambda: stored_count(door.db) == 2, what="the late commit")
    assert door.post(headers=headers).status == 202
    assert stored_keys(door.db) == ["INT-1:warm", "INT-1:late"]


def test_everybody_who_waits_is_given_up_in_time_whoever_came_before(sqlite_url: str, make_door: MakeDoor) -> None:
    door = make_door(sqlite_url, store_seconds=0.2)

    async def store(number: int) -> tuple[Stored, float]:
        await asyncio.sleep(number * 0.1)
        loop = asyncio.get_running_loop()
        came = loop.time()
        return await door.inbox.store(replace(ARRIVAL, dedupe_key=f"INT-1:{number}")), loop.time() - came

    async def store_all() -> list[tuple[Stored, float]]:
        return await asyncio.gather(*(store(number) for number in range(4)))

    for _ in range(2):  # the second time there is nothing left of the first
        with sqlite_writer_held(door):
            given_up = door.runner.run(store_all())
        assert [stored for stored, _ in given_up] == [Stored.NOT] * 4
        assert all(0.19 <= waited < 2 for _, waited in given_up)
        wait_until(lambda: stored_count(door.db) == 4, what="the late commits")
    assert door.runner.run(store(5))[0] is Stored.NEW


def test_a_sender_that_gives_up_takes_nobodys_answer(sqlite_url: str, make_door: MakeDoor) -> None:
    door = make_door(sqlite_url)

    async def store_three() -> list[Any]:
        with sqlite_writer_held(door):
            storing = [
                asyncio.ensure_future(door.inbox.store(replace(ARRIVAL, dedupe_key=f"INT-1:{number}")))
                for number in (1, 2, 1)
            ]
            await asyncio.sleep(0)
            storing[1].cancel()
        return await asyncio.gather(*storing, return_exceptions=True)

    first, cancelled, again = door.runner.run(store_three())
    assert (first, type(cancelled), again) == (Stored.NEW, asyncio.CancelledError, Stored.DUPLICATE)


def test_an_integration_removed_meanwhile_does_not_take_its_neighbours_along(any_door: Door) -> None:
    add_integration(any_door.db, "INT-2", hook_id="g" * 32)
    gone = "/webhooks/bell/" + "g" * 32
    assert any_door.post(path=gone).status == 202  # now the hook is remembered
    with any_door.db.write() as session:
        session.execute(delete(Integration).where(Integration.id == "INT-2"))
    statuses = any_door.post_all([*requests(20), *requests(3, path=gone), *requests(20)])
    assert statuses == [202] * 20 + [404] * 3 + [202] * 20
    assert stored_count(any_door.db) == 40


def test_a_removed_integration_is_looked_up_anew_at_once(door: Door) -> None:
    door.post()
    with door.db.write() as session:
        session.execute(delete(Integration))
    assert [door.post().status for _ in range(2)] == [404, 404]
    with capture_logs() as logs:
        assert door.post().status == 404
    assert logs == [], "the second request did not get as far as the inbox"


def test_a_row_no_database_takes_does_not_take_its_neighbours_along(any_door: Door) -> None:
    bad = "\ud800" if any_door.db.dialect == "sqlite" else "\x00"
    arrivals = [replace(ARRIVAL, dedupe_key=f"INT-1:{n}", event=bad if n == 2 else "rung") for n in range(5)]

    async def store_all() -> list[Stored]:
        return await asyncio.gather(*(any_door.inbox.store(arrival) for arrival in arrivals))

    assert any_door.runner.run(store_all()) == [Stored.NOT if n == 2 else Stored.NEW for n in range(5)]
    assert stored_keys(any_door.db) == [f"INT-1:{n}" for n in (0, 1, 3, 4)]


def test_a_fault_in_the_writer_is_no_2xx_and_not_its_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("webhooks.inbox.insert_new", lambda *_args, **_kwargs: 1 / 0)
        assert door.post().status == 503
    assert [line["event"] for line in logs] == ["inbox_fault"]
    assert door.post().status == 202


def test_what_was_taken_is_stored_before_it_stops_and_nothing_is_taken_after(door: Door) -> None:
    async def stop_in_the_middle() -> list[Stored]:
        arrivals = [replace(ARRIVAL, dedupe_key=f"INT-1:{n}") for n in range(50)]
        storing = [asyncio.ensure_future(door.inbox.store(arrival)) for arrival in arrivals]
        await asyncio.sleep(0)
        await door.inbox.stop()
        return [*await asyncio.gather(*storing), await door.inbox.store(ARRIVAL)]

    assert door.runner.run(stop_in_the_middle()) == [Stored.NEW] * 50 + [Stored.NOT]
    assert stored_count(door.db) == 50
    assert door.rings.count("INT-1") in (1, 2)
    assert door.post().status == 503


def test_connections_the_database_has_closed_cost_no_delivery(
    postgres: Any, bell_postgres_url: str, make_door: MakeDoor
) -> None:
    door = make_door(bell_postgres_url)
    name = door.db.engine.url.database
    for _ in range(3):
        assert door.post_all(requests(20)) == [202] * 20
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert stored_count(door.db) == 60


def test_while_the_database_is_away_nothing_is_acknowledged_and_then_all_is_as_before(
    postgres: Any, bell_postgres_url: str, make_door: MakeDoor
) -> None:
    door = make_door(bell_postgres_url)
    name = door.db.engine.url.database
    assert door.post().status == 202
    postgres.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    with capture_logs() as logs:
        assert set(door.post_all(requests(50))) == {503}  # the hook is remembered
        door.seconds += 60
        answered = door.post()  # it has to be looked up
        assert (answered.status, answered.headers["retry-after"]) == (503, "5")
        postgres.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        assert door.post_all(requests(50)) == [202] * 50
    assert [line["event"] for line in logs] == ["inbox_unavailable", "inbox_available"], "once per outage"
    assert stored_count(door.db) == 51
    assert door.count("unavailable") == 51


def test_a_databases_error_does_not_show_the_body(any_door: Door) -> None:
    arrival = replace(ARRIVAL, integration_id="INT-9", body=b"canary")
    with pytest.raises(IntegrityError) as error, any_door.db.write() as session:
        insert_new(session, Delivery.__table__, [arrival.row()], key="dedupe_key")
    assert "canary" not in str(error.value)
