"""Every event reaches every endpoint that wants it exactly once, in whatever order transactions commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from core import events, stream
from core.events import Fact, Told
from core.models import Event, StreamCursor, WebhookEndpoint, WebhookMessage
from sync.runtime import NEWS, Lane, Runtime
from sync.scheduler import tick
from tests.services.servers import fresh_database
from tests.sync.conftest import ManualClock, Tenant, create_schema, make_tenant
from tests.webhooks.outbound.conftest import listen, messages, rung_for, send, spread, tell
from webhooks.outbound import endpoints
from webhooks.outbound.endpoints import By
from webhooks.outbound.fanout import fan_out, queue

URL = "https://example.com/hook"


@pytest.fixture
def pg_rt(outward: Callable[..., Runtime], postgres):
    with fresh_database(postgres, template=postgres.template("engine", create_schema)) as url:
        yield outward(url)


def types(rt: Runtime, endpoint_id: str) -> list[str]:
    return [message.type for message in messages(rt, endpoint_id)]


def test_an_event_is_queued_once_for_each_endpoint_that_wants_it(any_rt: Runtime) -> None:
    tenant = make_tenant(any_rt)
    all_of_it, tasks = listen(any_rt, tenant, URL), listen(any_rt, tenant, URL, "task.*")
    exact = listen(any_rt, tenant, URL, "task.created", "integration.connected")
    tell(any_rt, tenant, "task.created", "task.status_changed", "integration.connected")
    for _ in range(3):
        spread(any_rt)
    assert types(any_rt, all_of_it) == ["task.created", "task.status_changed", "integration.connected"]
    assert types(any_rt, tasks) == ["task.created", "task.status_changed"]
    assert types(any_rt, exact) == ["task.created", "integration.connected"]
    assert {each.state for each in messages(any_rt, exact)} == {"pending"}


def test_history_that_was_read_later_is_queued_for_nobody(any_rt: Runtime) -> None:
    tenant = make_tenant(any_rt)
    everything = listen(any_rt, tenant, URL, "code.*")
    now = any_rt.clock()
    told = [
        Told(tenant.organization_id, tenant.workspace.id, "code.push", "RPO-1", "INT-1", {}, key, now, backfilled)
        for key, backfilled in (("old", True), ("new", False))
    ]
    with any_rt.db.write() as session:
        assert events.append_new(session, told, now) == {"old", "new"}
    spread(any_rt)
    with any_rt.db.read() as session:
        [message] = messages(any_rt, everything)
        assert session.get_one(Event, message.event_id).key == "new"


def test_a_name_with_an_underscore_matches_no_other_name(any_rt: Runtime) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, URL, "task.status_changed")
    tell(any_rt, tenant, "task.statusxchanged", "task.status_changed", "task.status_changed_twice")
    spread(any_rt)
    assert types(any_rt, hook) == ["task.status_changed"]


def test_nobody_hears_of_another_organization_or_workspace(any_rt: Runtime) -> None:
    ours, theirs = make_tenant(any_rt), make_tenant(any_rt)
    narrow = listen(any_rt, ours, URL, workspace_id=ours.workspace.id)
    whole = listen(any_rt, ours, URL)
    tell(any_rt, theirs, "task.created")
    tell(any_rt, ours, "task.updated", workspace_id="WS-26-000099")
    tell(any_rt, ours, "webhook.disabled", workspace_id=None)
    tell(any_rt, ours, "task.deleted")
    spread(any_rt)
    assert types(any_rt, narrow) == ["task.deleted"]
    assert types(any_rt, whole) == ["task.updated", "webhook.disabled", "task.deleted"]


def test_an_endpoint_gets_what_happens_after_it_was_made(any_rt: Runtime, clock: ManualClock) -> None:
    tenant = make_tenant(any_rt)
    tell(any_rt, tenant, "task.created")
    first = listen(any_rt, tenant, URL)
    tell(any_rt, tenant, "task.updated")
    clock.advance(seconds=1)
    second = listen(any_rt, tenant, URL)
    tell(any_rt, tenant, "task.deleted")
    spread(any_rt)
    assert types(any_rt, first) == ["task.updated", "task.deleted"]
    assert types(any_rt, second) == ["task.deleted"]


def test_what_happens_while_nobody_listens_is_not_queued_later(any_rt: Runtime, clock: ManualClock) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, URL)
    _switch(any_rt, tenant, hook, False)
    tell(any_rt, tenant, "task.created")
    spread(any_rt)
    clock.advance(minutes=1)
    _switch(any_rt, tenant, hook, True)
    tell(any_rt, tenant, "task.updated")
    spread(any_rt)
    assert types(any_rt, hook) == ["task.updated"]


def _switch(rt: Runtime, tenant: Tenant, hook: str, enabled: bool) -> None:
    with rt.db.write() as session:
        endpoints.update(session, rt, hook, {"enabled": enabled}, by=By(tenant.ann_id))


def test_an_event_that_commits_late_is_not_skipped(pg_rt: Runtime) -> None:
    tenant = make_tenant(pg_rt)
    hook = listen(pg_rt, tenant, URL)
    fact = Fact(tenant.organization_id, tenant.workspace.id, "task.created", "TSK-26-000001", tenant.ann_id, {})
    with pg_rt.db.write() as late:
        events.append(late, [fact], pg_rt.clock())  # has the lower id
        tell(pg_rt, tenant, "task.updated")  # commits first
        spread(pg_rt)
        assert types(pg_rt, hook) == ["task.updated"], "what is committed does not wait for the other transaction"
    spread(pg_rt)
    spread(pg_rt)
    assert types(pg_rt, hook) == ["task.created", "task.updated"]  # by id: the late one is the older
    with pg_rt.db.read() as session:
        ids = session.scalars(select(Event.id).where(Event.type.startswith("task.")).order_by(Event.id)).all()
    assert [each.event_id for each in messages(pg_rt, hook)] == ids


def test_many_transactions_at_once_lose_and_double_nothing(pg_rt: Runtime) -> None:
    tenant = make_tenant(pg_rt)
    hook = listen(pg_rt, tenant, URL)
    writers = [threading.Thread(target=_write_many, args=(pg_rt, tenant, number)) for number in range(4)]
    readers = [threading.Thread(target=_spread_until, args=(pg_rt, writers)) for _ in range(2)]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in [*writers, *readers]:
        thread.join(60)
    spread(pg_rt)
    with pg_rt.db.read() as session:
        told = session.scalars(select(Event.id).where(Event.type == "task.created").order_by(Event.id)).all()
    assert len(told) == 4 * 25 * 3
    assert [each.event_id for each in messages(pg_rt, hook)] == told


def _write_many(rt: Runtime, tenant: Tenant, number: int) -> None:
    for _ in range(25):
        tell(rt, tenant, *["task.created"] * 3)


def _spread_until(rt: Runtime, writers: list[threading.Thread]) -> None:
    while any(writer.is_alive() for writer in writers):
        fan_out(rt)


def test_two_workers_at_once_queue_an_event_once(pg_rt: Runtime) -> None:
    tenant = make_tenant(pg_rt)
    hook = listen(pg_rt, tenant, URL)
    tell(pg_rt, tenant, *["task.created"] * 50)
    workers = [threading.Thread(target=fan_out, args=(pg_rt,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert len(messages(pg_rt, hook)) == 50


def test_a_worker_killed_before_its_commit_has_done_nothing(any_rt: Runtime) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, URL)
    tell(any_rt, tenant, "task.created")

    class Killed(BaseException):
        pass

    def fan_out_and_die() -> None:
        with any_rt.db.write() as session:
            queue(session, any_rt.clock(), stream.advance(session, stream.WEBHOOKS))
            assert session.scalar(select(func.count()).select_from(WebhookMessage)) == 1
            raise Killed

    with pytest.raises(Killed):
        fan_out_and_die()
    assert messages(any_rt, hook) == []
    spread(any_rt)
    assert types(any_rt, hook) == ["task.created"]


def test_a_dump_restored_into_a_younger_server_sends_nothing_again_and_goes_on(pg_rt: Runtime) -> None:
    tenant = make_tenant(pg_rt)
    hook = listen(pg_rt, tenant, URL)
    tell(pg_rt, tenant, "task.created")
    spread(pg_rt)
    with pg_rt.db.write() as session:  # as if the other server had counted much further
        session.execute(text("UPDATE event SET txid = 90000000"))
        session.execute(text("UPDATE stream_cursor SET position = '90000001:90000001:'"))
        session.execute(text("DELETE FROM webhook_message"))
    with pg_rt.db.read() as session:
        assert stream.has_news(session, stream.WEBHOOKS)
    spread(pg_rt)
    assert types(pg_rt, hook) == []
    with pg_rt.db.read() as session:
        assert session.scalar(select(func.count()).where(Event.txid >= 90000000)) == 0
    tell(pg_rt, tenant, "task.updated")
    spread(pg_rt)
    assert types(pg_rt, hook) == ["task.updated"]


# --- found by the tick ----------------------------------------------------------------------------------


def test_the_tick_rings_for_news_only_while_somebody_listens(any_rt: Runtime, rings: list[tuple[Lane, str]]) -> None:
    tenant = make_tenant(any_rt)
    tell(any_rt, tenant, "task.created")
    tick(any_rt)
    assert rung_for(rings) == set()
    listen(any_rt, tenant, URL)
    tick(any_rt)
    assert rung_for(rings) == set(), "nothing is new to it"
    tell(any_rt, tenant, "task.updated")
    tick(any_rt)
    assert rung_for(rings) == {NEWS}
    rings.clear()
    fan_out(any_rt)
    tick(any_rt)
    assert NEWS not in rung_for(rings)


def test_the_tick_finds_what_is_due_although_the_doorbell_was_lost(
    any_rt: Runtime, rings: list[tuple[Lane, str]], clock: ManualClock
) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, URL)
    listen(any_rt, tenant, URL, "alert.*")
    tell(any_rt, tenant, "task.created")
    fan_out(any_rt)
    tick(any_rt)
    assert rung_for(rings) == {hook}
    with any_rt.db.write() as session:
        session.get_one(WebhookEndpoint, hook).paused_until = clock() + timedelta(seconds=30)
    rings.clear()
    tick(any_rt)
    assert rung_for(rings) == set()
    clock.advance(seconds=30)
    tick(any_rt)
    assert rung_for(rings) == {hook}


def test_messages_are_thrown_out_after_the_retention_time(any_rt: Runtime, clock: ManualClock) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, URL)
    tell(any_rt, tenant, "task.created")
    spread(any_rt)
    with any_rt.db.write() as session:
        session.scalars(select(WebhookMessage)).one().state = "delivered"
    clock.advance(days=13)
    tick(any_rt)
    assert len(messages(any_rt, hook)) == 1
    clock.advance(days=2)
    tick(any_rt)
    assert messages(any_rt, hook) == []
    with any_rt.db.read() as session:
        assert session.scalar(select(func.count()).select_from(StreamCursor)) == 1


def test_ringing_for_a_deleted_endpoint_does_nothing(rt: Runtime, tenant: Tenant) -> None:
    hook = listen(rt, tenant, URL)
    with rt.db.write() as session:
        endpoints.remove(session, rt, hook, by=By(tenant.ann_id))
    send(rt, hook)
    with rt.db.read() as session:
        assert session.get(WebhookEndpoint, hook) is None


def test_an_endpoint_deleted_in_the_middle_does_not_stop_the_others(pg_rt: Runtime) -> None:
    tenant = make_tenant(pg_rt)
    kept, doomed = listen(pg_rt, tenant, URL), listen(pg_rt, tenant, URL)
    tell(pg_rt, tenant, "task.created")
    spreading = threading.Thread(target=fan_out, args=(pg_rt,))
    with pg_rt.db.write() as session:
        endpoints.remove(session, pg_rt, doomed, by=By(tenant.ann_id))
        session.flush()
        spreading.start()
        spreading.join(0.3)
        assert spreading.is_alive(), "it waits for what becomes of the endpoint"
    spreading.join(10)
    assert types(pg_rt, kept) == ["task.created"]
