"""Believing and reading deliveries, and keeping the webhook alive."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.clickup import ClickUpConnector
from connectors.clickup.config import ClickUpConfig
from connectors.clickup.manifest import MANIFEST
from connectors.clickup.webhook import SUBSCRIBED
from connectors.contract import BadPayload, BadSignature, Forbidden, Hint, Ignored, RawDelivery, Subscription
from connectors.signing import hmac_hex_sign
from sandbox.faults import FaultKind
from tests.connectors.clickup.conftest import MOBILE, PLATFORM, Bench

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
URL = "http://127.0.0.1:1/webhooks/clickup/abc"
CONFIG = ClickUpConfig(workspace_id="1", projects=[{"external": PLATFORM}])
RENAMED = {"id": "2800787326392370170", "field": "name", "parent_id": PLATFORM}


def body(event: str = "taskUpdated", *items: dict[str, Any], **more: Any) -> bytes:
    history = {"history_items": list(items)} if items else {}
    fields = {"event": event, "task_id": "86c9w3exf", "webhook_id": "7fa3", **history, **more}
    return json.dumps(fields, ensure_ascii=False).encode()


def signed(raw: bytes, secret: str = "new") -> RawDelivery:
    return RawDelivery({"x-signature": hmac_hex_sign(raw, secret)}, raw, NOON)


def verify(delivery: RawDelivery):
    return ClickUpConnector.verify(delivery, {"signing": ["new", "old"]})


def parse(raw: bytes):
    return ClickUpConnector.parse(signed(raw), CONFIG)


def test_the_vendors_own_example_is_believed():
    raw = b'{"webhook_id":"7689a169-a000-4985-8676-6902b96d6627","event":"taskCreated","task_id":"c0j"}'
    signature = "4830bf524f6e29a3e8da953936c6f21c1fea2b9669b825d3e1be293ef3416c8c"
    found = ClickUpConnector.verify(RawDelivery({"x-signature": signature}, raw, NOON), {"signing": ["secret"]})
    assert found.event == "taskCreated"


def test_the_signature_is_over_the_raw_bytes_also_beyond_ascii():
    raw = body("taskUpdated", {**RENAMED, "after": "Jöhn’s Täsk ✓"})
    assert verify(signed(raw, "old")).event == "taskUpdated"
    for forged in (json.dumps(json.loads(raw)).encode(), raw + b" "):
        with pytest.raises(BadSignature):
            verify(replace(signed(raw), body=forged))


def test_a_delivery_that_is_not_believed_is_never_answered_401_or_410():
    assert MANIFEST.webhooks is not None
    assert MANIFEST.webhooks.rejection not in (401, 410)


def test_a_retry_has_the_same_key_and_the_two_messages_of_one_change_differ():
    first = verify(signed(body("taskUpdated", RENAMED)))
    retried = verify(replace(signed(body("taskUpdated", RENAMED)), received_at=NOON + timedelta(days=1)))
    specific = verify(signed(body("taskStatusUpdated", RENAMED)))
    assert first.key == retried.key != specific.key


def test_a_deletion_without_history_is_the_same_message_for_ten_minutes():
    def key_at(minutes: int) -> str | None:
        return verify(replace(signed(body("taskDeleted")), received_at=NOON + timedelta(minutes=minutes))).key

    assert key_at(0) == key_at(9) != key_at(10)


@pytest.mark.parametrize("event", ["taskCreated", "taskUpdated", "taskStatusUpdated", "taskDeleted", "taskMoved"])
def test_events_of_tasks_say_which_task_to_read(event):
    assert parse(body(event)) == [Hint("86c9w3exf")]


def test_a_task_of_another_list_is_ignored_unless_it_was_moved():
    elsewhere = {**RENAMED, "parent_id": 7}
    [ignored] = parse(body("taskUpdated", elsewhere))
    assert isinstance(ignored, Ignored)
    assert ignored.code == "other_list"
    assert parse(body("taskMoved", elsewhere)) == [Hint("86c9w3exf")]
    assert parse(body("taskUpdated", elsewhere, RENAMED)) == [Hint("86c9w3exf")]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (body("taskCommentPosted"), "other_field"),
        (body("taskUpdated", {**RENAMED, "field": "due_date"}), "other_field"),
        (body("listDeleted", list_id="1"), "unsupported"),
        (body("goalCreated"), "unsupported"),
    ],
)
def test_what_no_task_here_has_costs_no_call(raw, code):
    [ignored] = parse(raw)
    assert isinstance(ignored, Ignored)
    assert ignored.code == code


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"event": 7}', body(task_id=None), body(history_items=3)])
def test_a_body_in_another_form_is_a_bad_payload(raw):
    with pytest.raises(BadPayload):
        parse(raw)


# --- registering ----------------------------------------------------------------------------------------


def subscribe(bench: Bench, **config: Any) -> Subscription:
    return bench.connector(**config).subscribe(URL, SecretStr("ours"))


def test_the_secret_is_clickups_and_signs_what_comes(clickup: Bench):
    made = subscribe(clickup)
    assert made.secret is not None
    [hook] = clickup.sandbox.hooks.live()
    assert (hook.id,) == made.external_ids
    assert hook.events == set(SUBSCRIBED)
    assert made.secret.get_secret_value() == hook.secret != "ours"


def test_a_webhook_that_is_there_is_adopted_with_its_secret(clickup: Bench):
    made = subscribe(clickup)
    assert subscribe(clickup).secret == made.secret
    assert clickup.called() == {"getWebhooks": 2, "createWebhook": 1}


def test_a_single_list_hears_only_of_itself_and_more_hear_of_the_workspace(clickup: Bench):
    subscribe(clickup, projects=[{"external": MOBILE}])
    assert [hook.container for hook in clickup.sandbox.hooks.live()] == [MOBILE]
    subscribe(clickup)
    assert [hook.container for hook in clickup.sandbox.hooks.live()] == [None]


def test_a_webhook_that_works_is_looked_at_again_within_ten_minutes(clickup: Bench):
    made = subscribe(clickup)
    renewed = clickup.connector().renew(made, URL)
    assert renewed is not None
    assert renewed.external_ids == made.external_ids
    assert renewed.expires_at is not None
    assert timedelta(minutes=19) < renewed.expires_at - clickup.clock.now() < timedelta(minutes=21)


@pytest.mark.parametrize(("answers", "health"), [(503, "failing"), (410, "suspended"), (401, "suspended")])
def test_a_webhook_clickup_gave_up_is_reported_lost_and_set_going_again(still: Bench, answers, health):
    class Refusing:
        def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
            return answers

    still.sandbox.deliveries.sender = Refusing()
    made = subscribe(still)
    still.ann.create(PLATFORM, "Told to nobody")
    for _ in range(5):
        still.sandbox.deliver()
        still.clock.advance(60)
    [hook] = still.sandbox.hooks.live()
    assert hook.extra["status"] == health
    assert still.connector().renew(made, URL) is None
    again = subscribe(still)
    [hook] = still.sandbox.hooks.live()
    assert (hook.enabled, hook.extra["status"]) == (True, "active")
    assert again.external_ids == made.external_ids
    assert still.connector().renew(again, URL) is not None


def test_a_webhook_somebody_removed_is_reported_lost(clickup: Bench):
    made = subscribe(clickup)
    connector = clickup.connector()
    connector.unsubscribe(made)
    connector.unsubscribe(made)  # one already gone is success
    assert clickup.sandbox.hooks.live() == []
    assert connector.renew(made, URL) is None


def test_a_fault_while_registering_is_told(clickup: Bench):
    clickup.sandbox.faults.add(FaultKind.ERROR, operation="createWebhook", status=403)
    with pytest.raises(Forbidden, match="told to fail"):
        subscribe(clickup)
