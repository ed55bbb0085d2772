"""What arrives at an endpoint, and what its answers lead to. Real HTTP; only time is made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from connectors.egress import GuardedTransport
from connectors.signing import standard_webhooks
from core.clock import utc_now
from sync.runtime import Runtime
from tests.connectors.server import CUT, Seen, raw_answer
from tests.services.process import free_port
from tests.sync.conftest import ManualClock, Tenant, make_tenant
from tests.webhooks.outbound.conftest import (
    Receiver,
    attempts,
    deliver,
    endpoint,
    listen,
    made,
    messages,
    send,
    spread,
    tell,
    told_of,
)
from webhooks.outbound import endpoints
from webhooks.outbound.endpoints import By
from webhooks.outbound.payload import MAX_BODY
from webhooks.outbound.schedule import PATIENCE, SCHEDULE, WAVE

Receiving = Callable[..., Receiver]


# --- what is sent ---------------------------------------------------------------------------------------


def test_the_official_library_verifies_what_we_send(
    outward: Callable[..., Runtime], any_url: str, receiver: Receiver
) -> None:
    rt = outward(any_url, clock=utc_now)  # the library has its own clock
    tenant = make_tenant(rt)
    hook, secret = made(rt, tenant, receiver.url)
    tell(rt, tenant, "task.status_changed", data={"from": "in_review", "to": "done ✓"})
    deliver(rt, hook)
    [seen] = receiver.seen
    payload = Webhook(secret).verify(seen.body, dict(seen.headers))
    [message] = messages(rt, hook)
    assert payload == {
        "type": "task.status_changed",
        "timestamp": payload["timestamp"],
        "data": {
            "id": message.event_id,
            "workspace_id": tenant.workspace.id,
            "subject_id": "TSK-26-000001",
            "actor": tenant.ann_id,
            "data": {"from": "in_review", "to": "done ✓"},
        },
    }
    assert (seen.method, seen.target, seen.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert seen.headers["webhook-id"] == message.id == f"{message.event_id}-{hook}"
    assert seen.body == message.body, "stored as it was sent"
    assert b": " not in seen.body.replace(b"done ", b"")
    assert (message.state, message.status, message.attempts) == ("delivered", 204, 1)


def test_the_id_and_the_bytes_stay_and_the_time_does_not(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answer(500, 200)
    hook, secret = made(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    clock.advance(seconds=10)
    send(rt, hook)
    first, second = receiver.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 10
    standard_webhooks(*_signed(second), secrets=[secret], now=clock())
    log = attempts(rt, messages(rt, hook)[0].id)
    assert [(each.number, each.outcome, each.status) for each in log] == [(1, "refused", 500), (2, "delivered", 200)]
    assert all(each.latency_ms is not None for each in log)


def _signed(seen: Seen) -> tuple[str, str, str, bytes]:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    message_id, timestamp, signature = (seen.headers[name] for name in names)
    return message_id, timestamp, signature, seen.body


def test_for_a_day_after_a_rotation_both_secrets_verify(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    hook, old = made(rt, tenant, receiver.url)
    with rt.db.write() as session:
        _, new = endpoints.rotate_secret(session, rt, hook, by=By(tenant.ann_id))
    for wait, valid in ((0, [old, new]), (23, [old, new]), (2, [new])):
        clock.advance(hours=wait)
        tell(rt, tenant, "task.updated")
        deliver(rt, hook)
        seen = receiver.seen[-1]
        assert len(seen.headers["webhook-signature"].split(" ")) == len(valid)
        for secret in valid:
            standard_webhooks(*_signed(seen), secrets=[secret], now=clock())


def test_data_too_large_to_send_is_left_out_and_said_to_be(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.updated", data={"text": "ä" * MAX_BODY})
    deliver(rt, hook)
    [seen] = receiver.seen
    assert len(seen.body) < MAX_BODY
    told = json.loads(seen.body)["data"]
    assert (told["data"], told["omitted"], told["subject_id"]) == (None, ["data"], "TSK-26-000001")


# --- what an answer means -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 500])
def test_only_a_2xx_is_success_and_nothing_is_followed(
    status: int, rt: Runtime, tenant: Tenant, receiving: Receiving, receiver: Receiver
) -> None:
    wrong = receiving(raw_answer(status, headers={"Location": receiver.url}))
    hook = listen(rt, tenant, wrong.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    [message] = messages(rt, hook)
    assert (message.state, message.status, message.error_code) == ("pending", status, "refused")
    assert len(wrong.seen) == 1
    assert receiver.seen == []
    assert endpoint(rt, hook).paused_until is None, "it may be about this message alone"


def test_the_waits_are_the_published_ones_within_a_fifth(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answer(500)
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    spread(rt)
    waits = []
    for _ in SCHEDULE:
        before = clock()
        clock.now = max(clock(), messages(rt, hook)[0].next_attempt_at)
        waits.append(clock() - before)
        send(rt, hook)
    [message] = messages(rt, hook)
    assert (message.state, message.attempts, len(receiver.seen)) == ("failed", 10, 10)
    assert message.finished_at == clock()
    assert len(set(receiver.ids)) == 1
    for wait, meant in zip(waits, SCHEDULE, strict=True):
        assert meant * 0.8 <= wait <= meant * 1.2
    assert waits != list(SCHEDULE), "there is jitter"


def test_410_disables_the_endpoint(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    receiver.answer(410)
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    now = endpoint(rt, hook)
    assert (now.enabled, now.disabled_code) == (False, "gone")
    assert messages(rt, hook)[0].state == "failed"
    assert told_of(rt, hook) == ["gone"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_endpoint_is_left_alone_for_as_long_as_it_asks(
    status: int, rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answers = [raw_answer(status, headers={"Retry-After": "120"}), raw_answer(200)]
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    tell(rt, tenant, "task.updated")
    deliver(rt, hook)
    assert endpoint(rt, hook).paused_until == clock() + timedelta(seconds=120)
    clock.advance(seconds=119)
    send(rt, hook)
    assert len(receiver.seen) == 1, "not even the other message"
    clock.advance(seconds=1)
    send(rt, hook)
    assert {each.state for each in messages(rt, hook)} == {"delivered"}
    now = endpoint(rt, hook)
    assert (now.failures, now.paused_until, now.failing_since) == (0, None, None)


def test_an_endpoint_that_does_not_answer_is_knocked_at_with_one_message(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answers = [CUT]
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, *["task.created"] * 30)
    deliver(rt, hook)
    assert len(receiver.seen) == WAVE
    for failures in (2, 3, 4):
        clock.now = endpoint(rt, hook).paused_until or clock()
        send(rt, hook)
        assert (len(receiver.seen), endpoint(rt, hook).failures) == (WAVE + failures - 1, failures)
    receiver.answer(200)
    clock.advance(hours=1)
    send(rt, hook)
    assert {each.state for each in messages(rt, hook)} == {"delivered"}, "once it answers, all of it goes out"


def test_nobody_listening_is_told_without_details(rt: Runtime, tenant: Tenant) -> None:
    hook = listen(rt, tenant, f"http://127.0.0.1:{free_port()}/hook")
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    [message] = messages(rt, hook)
    [attempt] = attempts(rt, message.id)
    assert (message.error_code, attempt.outcome, attempt.status, attempt.answer) == (
        "unreachable",
        "unreachable",
        None,
        None,
    )
    assert "refused" not in (attempt.text or "")
    assert "127.0.0.1" not in (attempt.text or "")


def test_five_days_of_nothing_but_failures_disable_an_endpoint_and_enabling_it_goes_on(
    any_rt: Runtime, receiver: Receiver, clock: ManualClock
) -> None:
    tenant = make_tenant(any_rt)
    receiver.answer(500)
    hook = listen(any_rt, tenant, receiver.url)
    start = clock()
    while endpoint(any_rt, hook).enabled:
        tell(any_rt, tenant, "task.updated")
        deliver(any_rt, hook)
        clock.advance(hours=6)
        assert clock() - start < PATIENCE * 2
    assert PATIENCE <= (endpoint(any_rt, hook).disabled_at or start) - start < PATIENCE + timedelta(hours=6)
    assert told_of(any_rt, hook) == ["failing"]

    asked = len(receiver.seen)
    tell(any_rt, tenant, "task.updated")
    deliver(any_rt, hook)
    assert len(receiver.seen) == asked, "nothing goes to a disabled endpoint"
    owed = {each.id for each in messages(any_rt, hook) if each.state == "pending"}
    assert owed

    receiver.answer(200)
    with any_rt.db.write() as session:
        endpoints.update(session, any_rt, hook, {"enabled": True}, by=By(tenant.ann_id))
    clock.advance(days=2)
    send(any_rt, hook)
    assert {each.state for each in messages(any_rt, hook) if each.id in owed} == {"delivered"}
    now = endpoint(any_rt, hook)
    assert (now.enabled, now.disabled_code, now.failing_since) == (True, None, None)


def test_one_success_in_five_days_is_enough(
    rt: Runtime, tenant: Tenant, receiver: Receiver, clock: ManualClock
) -> None:
    hook = listen(rt, tenant, receiver.url)
    for day in range(12):
        receiver.answer(200 if day % 4 == 3 else 500)
        tell(rt, tenant, "task.updated")
        deliver(rt, hook)
        clock.advance(days=1)
    assert endpoint(rt, hook).enabled


# --- what is kept of an answer --------------------------------------------------------------------------


def test_a_private_address_is_counted_and_not_read(rt: Runtime, tenant: Tenant, receiver: Receiver) -> None:
    receiver.answers = [raw_answer(500, b"the database password is hunter2")]
    hook = listen(rt, tenant, receiver.url)
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    [attempt] = attempts(rt, messages(rt, hook)[0].id)
    assert (attempt.status, attempt.answer) == (500, None)
    assert "hunter2" not in (attempt.text or "")


def test_a_name_that_came_to_lead_inside_is_refused_at_the_next_call(
    outward: Callable[..., Runtime], sqlite_url: str, clock: ManualClock
) -> None:
    leads_to = ["93.184.216.34"]
    transport = GuardedTransport([], resolve=lambda _host: leads_to)
    rt = outward(sqlite_url, transport=transport)
    tenant = make_tenant(rt)
    hook = listen(rt, tenant, "https://hooks.example/in")
    leads_to[:] = ["169.254.169.254"]
    tell(rt, tenant, "task.created")
    deliver(rt, hook)
    [message] = messages(rt, hook)
    assert (message.state, message.error_code, message.status) == ("pending", "forbidden_address", None)
    assert "169.254" not in (message.error_text or "")
    assert endpoint(rt, hook).failures == 1
    transport.close()
