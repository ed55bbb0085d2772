"""Tests and redeliveries: what a person asks for."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from core.errors import Conflict, NotFound
from core.models import WebhookMessage
from sync.runtime import Runtime
from tests.services.process import free_port
from tests.sync.conftest import ManualClock, Tenant, make_tenant
from tests.webhooks.outbound.conftest import (
    Receiver,
    attempts,
    deliver,
    endpoint,
    listen,
    messages,
    send,
    spread,
    tell,
)
from webhooks.outbound import again, endpoints
from webhooks.outbound.endpoints import By


def redeliver(rt: Runtime, tenant: Tenant, hook: str, **more: Any) -> int:
    usual: dict[str, Any] = {"since": None, "until": None, "everything": False}
    with rt.db.write() as session:
        return again.redeliver_many(session, rt, hook, by=By(tenant.ann_id), **(usual | more))


def fail_all(rt: Runtime) -> None:
    """As if every message's tries were used up."""
    with rt.db.write() as session:
        session.query(WebhookMessage).update({"state": "failed", "tries": 10, "attempts": 10})


def switch(rt: Runtime, tenant: Tenant, hook: str, enabled: bool) -> None:
    with rt.db.write() as session:
        endpoints.update(session, rt, hook, {"enabled": enabled}, by=By(tenant.ann_id))


def test_a_test_is_sent_at_once_and_to_this_endpoint_alone(any_rt: Runtime, receiver: Receiver) -> None:
    tenant = make_tenant(any_rt)
    hook, other = listen(any_rt, tenant, receiver.url), listen(any_rt, tenant, receiver.url)
    delivery_id = again.send_test(any_rt, hook, by=By(tenant.ann_id))
    spread(any_rt)
    assert json.loads(receiver.seen[0].body)["type"] == "webhook.test"
    assert receiver.ids == [delivery_id]
    [message] = messages(any_rt, hook)
    assert (message.state, message.status) == ("delivered", 204)
    assert messages(any_rt, other) == []


def test_a_test_that_fails_is_not_repeated_and_harms_nobody(rt: Runtime, tenant: Tenant) -> None:
    hook = listen(rt, tenant, f"http://127.0.0.1:{free_port()}/")
    delivery_id = again.send_test(rt, hook, by=By(tenant.ann_id))
    [message] = messages(rt, hook)
    assert (message.id, message.state, message.error_code) == (delivery_id, "failed", "unreachable")
    assert (endpoint(rt, hook).failures, endpoint(rt, hook).failing_since) == (0, None)
    assert redeliver(rt, tenant, hook) == 0


def test_a_disabled_endpoint_can_be_tested(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    hook = listen(rt, tenant, receiver.url, enabled=False)
    again.send_test(rt, hook, by=By(tenant.ann_id))
    assert len(receiver.seen) == 1
    assert not endpoint(rt, hook).enabled


def test_a_message_sent_again_has_its_id_and_all_its_tries(
    any_rt: Runtime, receiver: Receiver, clock: ManualClock
) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, receiver.url)
    tell(any_rt, tenant, "task.created")
    deliver(any_rt, hook)
    [message] = messages(any_rt, hook)
    with any_rt.db.write() as session:
        again.redeliver_one(session, any_rt, hook, message.id, by=By(tenant.ann_id))
    receiver.answer(500, 200)
    send(any_rt, hook)
    clock.advance(seconds=10)
    send(any_rt, hook)
    assert receiver.ids == [message.id] * 3
    assert len({seen.body for seen in receiver.seen}) == 1
    assert [each.number for each in attempts(any_rt, message.id)] == [1, 2, 3]
    assert messages(any_rt, hook)[0].tries == 2


def test_failed_messages_of_a_time_are_sent_again(any_rt: Runtime, receiver: Receiver, clock: ManualClock) -> None:
    tenant = make_tenant(any_rt)
    hook, other = listen(any_rt, tenant, receiver.url), listen(any_rt, tenant, receiver.url)
    for _ in range(4):
        tell(any_rt, tenant, "task.updated")
        clock.advance(hours=1)
    spread(any_rt)
    fail_all(any_rt)
    start = clock() - timedelta(hours=3)
    assert redeliver(any_rt, tenant, hook, since=start, until=start + timedelta(hours=2)) == 2
    send(any_rt, hook)
    assert [each.state for each in messages(any_rt, hook)] == ["failed", "delivered", "delivered", "failed"]
    assert redeliver(any_rt, tenant, hook) == 2
    assert {each.state for each in messages(any_rt, other)} == {"failed"}


def test_everything_of_a_time_is_also_what_was_never_queued(
    any_rt: Runtime, receiver: Receiver, clock: ManualClock
) -> None:
    tenant = make_tenant(any_rt)
    hook = listen(any_rt, tenant, receiver.url, "task.*")
    start = clock()
    tell(any_rt, tenant, "task.created")
    deliver(any_rt, hook)
    switch(any_rt, tenant, hook, False)
    clock.advance(hours=1)
    tell(any_rt, tenant, "task.updated", "alert.raised")
    clock.advance(hours=1)
    switch(any_rt, tenant, hook, True)
    assert redeliver(any_rt, tenant, hook, since=start, everything=True) == 2
    send(any_rt, hook)
    assert [(each.type, each.state) for each in messages(any_rt, hook)] == [
        ("task.created", "delivered"),
        ("task.updated", "delivered"),
    ]
    assert len(receiver.seen) == 3


def test_nothing_is_queued_again_for_a_disabled_endpoint(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    switch(rt, tenant, hook, False)
    with pytest.raises(Conflict, match="Enable it first"):
        redeliver(rt, tenant, hook)


def test_a_message_of_another_endpoint_is_not_found(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    hook, other = listen(rt, tenant, receiver.url), listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    spread(rt)
    [message] = messages(rt, other)
    with pytest.raises(NotFound), rt.db.write() as session:
        again.redeliver_one(session, rt, hook, message.id, by=By(tenant.ann_id))
