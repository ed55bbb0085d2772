"""Workers that send: one at a time to an endpoint, in waves and turns, and killed, paused or overtaken. Real HTTP."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from core.models import WebhookEndpoint, WebhookMessage
from sync.leases import LeaseLost, hold
from sync.runtime import Lane, Runtime
from tests.connectors.server import Seen, raw_answer
from tests.sync.conftest import ManualClock, Tenant, make_tenant
from tests.webhooks.outbound.conftest import (
    Receiver,
    attempts,
    deliver,
    endpoint,
    listen,
    messages,
    rung_for,
    send,
    spread,
    tell,
    told_of,
)
from webhooks.outbound import endpoints, sending
from webhooks.outbound.endpoints import By
from webhooks.outbound.schedule import SCHEDULE, WAVE

Receiving = Callable[..., Receiver]


def test_a_worker_killed_after_sending_sends_the_same_id_again(
    any_rt: Runtime, receiver: Receiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, receiver.url)
    tell(any_rt, tenant, "task.created")
    spread(any_rt)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending, "settle", die)
        with pytest.raises(Killed):
            send(any_rt, hook)
    [message] = messages(any_rt, hook)
    assert (message.state, message.attempts) == ("pending", 1), "the attempt was counted before the call"
    assert [each.outcome for each in attempts(any_rt, message.id)] == ["unfinished"]
    clock.advance(seconds=6)
    send(any_rt, hook)
    assert receiver.ids == [message.id] * 2
    assert messages(any_rt, hook)[0].state == "delivered"


def test_the_last_attempt_of_a_killed_worker_is_not_made_again(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    spread(rt)
    with rt.db.write() as session:
        session.scalars(select(WebhookMessage)).one().tries = len(SCHEDULE)
    send(rt, hook)
    [message] = messages(rt, hook)
    assert (message.state, message.error_code, receiver.seen) == ("failed", "unfinished", [])


def test_a_worker_that_was_paused_settles_nothing_another_one_has_taken_over(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    spread(rt)
    receiver.answer(500, 200)
    wave = sending._claim(rt, hook, lambda _session: None, random.Random(1))
    assert wave is not None
    late = sending._call(rt, wave)
    clock.advance(minutes=1)
    send(rt, hook)
    sending.settle(rt, wave, late)
    [message] = messages(rt, hook)
    assert (message.state, message.attempts, message.status) == ("delivered", 2, 200)
    assert [each.outcome for each in attempts(rt, message.id)] == ["refused", "delivered"]


def test_one_worker_at_a_time_sends_to_an_endpoint(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    spread(rt)
    with hold(rt, f"notify:{hook}"):
        send(rt, hook)
        assert receiver.seen == []
    send(rt, hook)
    assert len(receiver.seen) == 1


def test_a_worker_that_lost_its_lease_sends_nothing_more(
    rt: Runtime, tenant: Tenant, receiver: Receiver, rings: list[tuple[Lane, str]]
) -> None:
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    spread(rt)

    def lost(_session: Any) -> None:
        raise LeaseLost(hook)

    with pytest.raises(LeaseLost):
        sending.send_due(rt, hook, lost)
    assert receiver.seen == []
    assert messages(rt, hook)[0].attempts == 0


def test_a_wave_is_sent_at_once_and_no_larger_than_it_may_be(rt: Runtime, tenant: Tenant, receiving: Receiving) -> None:
    together = threading.Barrier(WAVE)

    def reply(_seen: Seen) -> bytes:
        together.wait(10)  # nobody is answered before all of a wave have come
        return raw_answer(200)

    slow = receiving(reply=reply)
    hook = listen(rt, tenant, slow.url)
    tell(rt, tenant, *["task.created"] * WAVE * 2)
    deliver(rt, hook)
    assert {each.state for each in messages(rt, hook)} == {"delivered"}
    assert together.n_waiting == 0


def test_a_turn_ends_and_asks_for_another(
    rt: Runtime, tenant: Tenant, receiving: Receiving, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    def reply(_seen: Seen) -> bytes:
        clock.advance(seconds=3)
        return raw_answer(200)

    slow = receiving(reply=reply)
    hook = listen(rt, tenant, slow.url)
    tell(rt, tenant, *["task.created"] * WAVE * 3)
    spread(rt)
    rings.clear()
    send(rt, hook)
    assert len(slow.seen) == WAVE
    assert rung_for(rings) == {hook}


def test_an_endpoint_disabled_while_its_message_is_in_hand_stays_disabled(
    rt: Runtime, tenant: Tenant, receiving: Receiving
) -> None:
    def reply(_seen: Seen) -> bytes:
        with rt.db.write() as session:
            endpoints.update(session, rt, hook, {"enabled": False}, by=By(tenant.ann_id))
        return raw_answer(410)

    receiver = receiving(reply=reply)
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    now = endpoint(rt, hook)
    assert (now.enabled, now.disabled_code) == (False, "by_hand")
    assert told_of(rt, hook) == []


def test_an_endpoint_deleted_while_its_message_is_in_hand_is_gone(
    rt: Runtime, tenant: Tenant, receiving: Receiving
) -> None:
    def reply(_seen: Seen) -> bytes:
        with rt.db.write() as session:
            endpoints.remove(session, rt, hook, by=By(tenant.ann_id))
        return raw_answer(200)

    receiver = receiving(reply=reply)
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    with rt.db.read() as session:
        assert session.get(WebhookEndpoint, hook) is None
    assert messages(rt, hook) == []
