"""Linear's deliveries, pure; and registering webhooks, against the sandbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import connectors.linear
from connectors.contract import BadPayload, BadSignature, Forbidden, Hint, Ignored, RawDelivery, Snapshot
from connectors.linear import LinearConnector
from connectors.linear.config import LinearConfig
from connectors.signing import hmac_hex_sign
from sandbox.webhooks import DeliveryState
from tests.connectors.linear.conftest import URL, Bench
from tests.sandbox.callers import Inbox

FIXTURES = Path(connectors.linear.__file__).with_name("fixtures")
AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
CONFIG = LinearConfig(projects=[{"external": "ENG"}])
SECRETS = {"signing": ["old", "s3cret"]}


def body(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())["body"]
    return found


def delivery(content: dict[str, Any] | bytes, secret: str = "s3cret", late: float = 0, **headers: str) -> RawDelivery:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = {"linear-signature": hmac_hex_sign(raw, secret), "linear-event": "Issue", "linear-delivery": "d-1"}
    return RawDelivery({**signed, **named}, raw, AT + timedelta(seconds=late))


def parse(content: dict[str, Any] | bytes, late: float = 0, config: LinearConfig = CONFIG):
    return LinearConnector.parse(delivery(content, late=late), config)


# --- verify -----------------------------------------------------------------------------------------------


def test_linears_own_example_of_a_signature_is_believed():
    raw = b'{"action":"update","type":"Issue","webhookTimestamp":1767225600000}'
    signature = "b624c97a2b1c9b755337b8f84e5eda842d9b967ab761888d1ce245559da1aab1"
    received = datetime.fromtimestamp(1767225600, UTC)
    verified = LinearConnector.verify(
        RawDelivery({"linear-signature": signature, "linear-delivery": "d"}, raw, received),
        {"signing": ["lin_wh_test"]},
    )
    assert (verified.key, verified.event) == ("d", "Issue")


def test_either_secret_verifies_during_a_rotation_and_no_other():
    for secret in SECRETS["signing"]:
        assert LinearConnector.verify(delivery(body("issue_updated"), secret), SECRETS).key == "d-1"
    with pytest.raises(BadSignature):
        LinearConnector.verify(delivery(body("issue_updated"), "another"), SECRETS)


def test_a_retry_of_seven_hours_ago_is_believed_and_one_of_yesterday_is_not():
    content = body("issue_updated")
    assert LinearConnector.verify(delivery(content, late=7.1 * 3600), SECRETS).event == "Issue"
    for late in (25 * 3600, -61):
        with pytest.raises(BadSignature, match="future, or more than a day old"):
            LinearConnector.verify(delivery(content, late=late), SECRETS)


def test_the_unsigned_time_of_the_header_counts_only_where_the_body_has_none():
    fresh = str(int((AT + timedelta(days=2)).timestamp() * 1000))
    with pytest.raises(BadSignature):
        LinearConnector.verify(delivery(body("issue_updated"), late=2 * 86_400, linear_timestamp=fresh), SECRETS)
    bare = {"type": "Issue", "action": "update", "data": {"id": "i"}}
    assert LinearConnector.verify(delivery(bare, late=2 * 86_400, linear_timestamp=fresh), SECRETS).event == "Issue"


@pytest.mark.parametrize("time", ["", "soon", "-1", "9" * 15, "١٧٧٦٢٤٧٢٠٠٠٠٠"])
def test_a_time_that_is_none_is_not_believed(time):
    bare = {"type": "Issue", "action": "update", "data": {"id": "i"}}
    with pytest.raises(BadSignature, match="no usable time"):
        LinearConnector.verify(delivery(bare, linear_timestamp=time), SECRETS)
    with pytest.raises(BadSignature, match="no usable time"):
        LinearConnector.verify(delivery(bare | {"webhookTimestamp": time}), SECRETS)


def test_linear_shakes_no_hands():
    assert LinearConnector.handshake(delivery(b"{}"), SECRETS) is None


def test_the_apps_webhook_says_whose_it_is():
    assert LinearConnector.account(delivery(body("issue_updated"))) == "b4c1d2e3-f4a5-4b6c-8d7e-9f0a1b2c3d4e"
    assert LinearConnector.account(delivery(b"{}")) is None


# --- parse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_delivery_means_what_it_says(path):
    [signal] = parse(body(path.stem))
    kind = {Snapshot: "snapshot", Hint: "hint"}.get(type(signal)) or f"ignored:{getattr(signal, 'code', '')}"
    assert kind == json.loads(path.read_text())["expect"]


def test_a_change_brings_the_whole_issue():
    [signal] = parse(body("issue_updated"))
    assert isinstance(signal, Snapshot)
    task = signal.task
    assert (task.key, task.container, task.version) == ("ENG-42", "ENG", 1776247198640)
    assert {name: value.here for name, value in task.values.items()} == {
        "title": "Card payments fail without 3-D Secure",
        "description": "Seen since **Monday**.\n\n* Visa\n* Mastercard",
        "status": "in_progress",
        "priority": "high",
    }
    assert task.assignee is not None
    assert task.assignee.email == "ann@example.com"


def test_what_a_delivery_leaves_out_is_empty_and_a_missing_actor_is_nobodys_concern():
    content = body("issue_created_by_an_integration")
    assert content.pop("actor") is None
    [signal] = parse(content)
    assert isinstance(signal, Snapshot)
    assert signal.task.values["description"].there is None
    assert signal.task.values["priority"].there == "0:medium"
    assert signal.task.assignee is None


@pytest.mark.parametrize("late", [61, 7 * 3600, -61])
def test_a_signed_delivery_that_is_late_is_only_a_reason_to_read_the_issue(late):
    content = body("issue_updated")
    assert parse(content, late=late) == [Hint(content["data"]["id"])]


def test_how_late_is_late_is_configured():
    patient = LinearConfig(projects=[{"external": "ENG"}], max_skew_seconds=600)
    assert isinstance(parse(body("issue_updated"), late=599, config=patient)[0], Snapshot)


def test_a_delivery_without_a_signed_time_is_late():
    content = body("issue_updated")
    del content["webhookTimestamp"]
    assert parse(content) == [Hint(content["data"]["id"])]


def test_removal_is_a_hint_although_its_time_is_old():
    content = body("issue_removed")
    assert parse(content) == [Hint(content["data"]["id"])]


def test_the_trash_as_an_update_is_a_hint_too_and_the_archive_is_none():
    content = body("issue_trashed")
    assert parse(content) == [Hint(content["data"]["id"])]
    content["data"]["trashed"] = None
    assert isinstance(parse(content)[0], Snapshot)


def test_an_action_of_tomorrow_is_ignored_by_name():
    content = body("issue_updated") | {"action": "merged"}
    assert parse(content) == [Ignored("unsupported", "Issue merged")]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b'{"type":"Issue","action":"update"}',
        b'{"type":"Issue","action":"remove","data":{"id":7}}',
        b'{"type":"Issue","action":"update","webhookTimestamp":1776247200000,"data":{"id":"x"}}',
    ],
)
def test_a_body_of_another_shape_is_told(wrong):
    with pytest.raises(BadPayload):
        parse(wrong)


# --- registering ------------------------------------------------------------------------------------------


def hooks(bench: Bench) -> list[Any]:
    return bench.sandbox.hooks.live()


def test_each_mapped_team_gets_a_webhook_for_issues_with_our_secret(linear: Bench):
    made = linear.connector().subscribe(URL, SecretStr("s"))
    assert {hook.id for hook in hooks(linear)} == set(made.external_ids)
    assert {(hook.url, hook.secret, hook.events, hook.enabled) for hook in hooks(linear)} == {
        (URL, "s", frozenset({"Issue"}), True)
    }
    assert len({hook.container for hook in hooks(linear)}) == 2


def test_subscribing_again_takes_over_what_is_there_with_the_new_secret(linear: Bench):
    first = linear.connector().subscribe(URL, SecretStr("old"))
    again = linear.connector().subscribe(URL, SecretStr("new"))
    assert again.external_ids == first.external_ids
    assert [hook.secret for hook in hooks(linear)] == ["new", "new"]


def test_the_webhook_of_a_team_that_is_no_longer_mapped_is_removed_and_those_of_others_stay(linear: Bench):
    linear.connector().subscribe("https://elsewhere.example/", SecretStr("x"))
    linear.connector().subscribe(URL, SecretStr("s"))
    made = linear.connector(projects=[{"external": "OPS"}]).subscribe(URL, SecretStr("s"))
    assert [hook.id for hook in hooks(linear) if hook.url == URL] == list(made.external_ids)
    assert len(hooks(linear)) == 3


def test_a_look_at_webhooks_that_are_well_costs_one_call_and_is_due_again_within_two_hours(still: Bench):
    made = still.connector().subscribe(URL, SecretStr("s"))
    still.clock.advance(3600)
    still.sandbox.calls.reset()
    again = still.connector().renew(made, URL)
    assert again is not None
    assert (again.external_ids, again.expires_at) == (made.external_ids, still.clock.now() + timedelta(hours=2))
    assert still.calls() == {"Webhooks": 1}


def test_a_webhook_that_linear_turned_off_is_reported_lost_and_turned_on_again(linear: Bench):
    made = linear.connector().subscribe(URL, SecretStr("s"))
    linear.sandbox.hooks.change(made.external_ids[1], enabled=False)
    assert linear.connector().renew(made, URL) is None
    assert linear.connector().subscribe(URL, SecretStr("s")).external_ids == made.external_ids
    assert all(hook.enabled for hook in hooks(linear))


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_webhook_that_somebody_took_is_reported_lost(linear: Bench, how):
    made = linear.connector().subscribe(URL, SecretStr("s"))
    if how == "removed":
        linear.sandbox.hooks.remove(made.external_ids[0])
    else:
        linear.sandbox.hooks.change(made.external_ids[0], url="https://elsewhere.example/")
    assert linear.connector().renew(made, URL) is None


def test_unsubscribing_removes_ours_and_one_already_gone_is_fine(linear: Bench):
    made = linear.connector().subscribe(URL, SecretStr("s"))
    linear.sandbox.hooks.remove(made.external_ids[0])
    linear.connector().unsubscribe(made)
    assert hooks(linear) == []


def test_an_app_without_the_scope_is_told_of_the_apps_own_webhook(linear: Bench):
    connector = linear.connector(linear.oauth(scopes=("read", "write")))
    with pytest.raises(Forbidden, match="Where the app itself has a webhook nothing is missing"):
        connector.subscribe(URL, SecretStr("s"))
    assert linear.connector(linear.oauth(scopes=("read", "admin"))).subscribe(URL, SecretStr("s")).external_ids


def test_what_the_sandbox_sends_is_believed_and_understood(still: Bench):
    inbox = Inbox()
    still.sandbox.deliveries.sender = inbox
    still.connector().subscribe(URL, SecretStr("s3cret"))
    issue = still.ann.create("ENG", "Told", description="- a")
    still.ann.move(issue.id, "OPS")
    still.ann.delete(issue.id)
    still.sandbox.deliver()
    told = []
    for _, headers, raw in inbox.received:
        heard = RawDelivery({name.lower(): value for name, value in headers.items()}, raw, still.clock.now())
        assert LinearConnector.verify(heard, SECRETS).event == "Issue"
        told += LinearConnector.parse(heard, CONFIG)
    assert [type(signal) for signal in told] == [Snapshot, Snapshot, Hint]
    assert [signal.task.key for signal in told[:2]] == ["ENG-1", "OPS-1"]


def test_a_receiver_that_answers_202_is_turned_off_in_the_end_and_then_healed(still: Bench):
    still.sandbox.deliveries.sender = inbox = Inbox()
    inbox.answers = [202, 500, 202, 202]
    made = still.connector(projects=[{"external": "ENG"}]).subscribe(URL, SecretStr("s"))
    still.ann.create("ENG", "Told in vain")
    for seconds in (0, 60, 3600, 21_600):
        still.clock.advance(seconds)
        still.sandbox.deliver()
    assert [d.state for d in still.sandbox.deliveries.log()] == [DeliveryState.FAILED]
    assert still.connector(projects=[{"external": "ENG"}]).renew(made, URL) is None
