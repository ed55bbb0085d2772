"""Believing and reading service hooks, registering them, and healing those Azure gave up."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.azure_boards import AzureBoardsConnector
from connectors.azure_boards.webhook import SUBSCRIBED
from connectors.contract import BadPayload, BadSignature, Forbidden, Hint, Ignored, Missed, NotFound, RawDelivery
from sandbox.azure_boards import AzureBoardsSandbox
from sandbox.clock import ManualClock
from sandbox.inprocess import InProcessTransport
from tests.connectors.azure_boards.conftest import Bench
from tests.sandbox.callers import Inbox

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
URL = "https://turnbuckle.example/webhooks/azure_boards/abc"
SECRET = SecretStr("a-secret-of-ours")
SECRETS = {"signing": ["new-secret", "old-secret"]}


def basic(secret: str, user: str = "turnbuckle") -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def delivery(body: Any, **headers: str) -> RawDelivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawDelivery({name.replace("_", "-"): value for name, value in headers.items()}, raw, NOON)


EVENT = {
    "subscriptionId": "s",
    "notificationId": 12,
    "id": "e",
    "eventType": "workitem.updated",
    "resource": {"id": 2, "workItemId": 4711},
}


@pytest.mark.parametrize("secret", SECRETS["signing"])
def test_a_delivery_is_believed_by_its_password(secret):
    verified = AzureBoardsConnector.verify(delivery(EVENT, authorization=basic(secret)), SECRETS)
    assert (verified.key, verified.event) == ("s/12", "workitem.updated")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic "},
        {"authorization": "Basic ünot-base64"},
        {"authorization": basic("new-secret", user="somebody")},
        {"authorization": basic("wrong")},
        {"authorization": "Bearer new-secret"},
        {"x_turnbuckle_token": "wrong", "authorization": basic("new-secret")},
    ],
)
def test_anything_else_is_not(headers):
    with pytest.raises(BadSignature):
        AzureBoardsConnector.verify(delivery(EVENT, **headers), SECRETS)


def test_a_refused_or_unstored_delivery_is_never_answered_in_a_way_that_disables_the_subscription():
    facts = AzureBoardsConnector.manifest.webhooks
    assert facts is not None
    assert (facts.accepted, facts.rejection) == (200, 401)  # and the front door answers 503 where it can't store
    assert facts.max_body > 2 * 1024 * 1024  # Azure's own limit: no 413


def parse(body: Any) -> list[Any]:
    return list(AzureBoardsConnector.parse(delivery(body), None))


def test_an_update_names_its_work_item_apart_from_its_own_number():
    assert parse(EVENT) == [Hint("4711")]


@pytest.mark.parametrize("event", ["workitem.created", "workitem.deleted", "workitem.restored"])
def test_other_events_name_it_as_their_id(event):
    assert parse({"eventType": event, "resource": {"id": 4711, "rev": 1}}) == [Hint("4711")]


def test_a_comment_is_handled_by_the_update_that_comes_with_it():
    assert isinstance(parse({"eventType": "workitem.commented", "resource": {"id": 1}})[0], Ignored)


def test_what_is_not_known_is_unsupported_whatever_is_in_it():
    assert parse({"eventType": "git.push", "resource": {"id": "text"}}) == [Ignored("unsupported", "git.push")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        {"resource": {"id": 1}},
        {"eventType": 7},
        {"eventType": "workitem.updated", "resource": {"id": 2}},
        {"eventType": "workitem.created"},
        {"eventType": "workitem.created", "resource": {"id": "4711"}},
    ],
)
def test_a_body_of_another_shape_is_a_bad_payload(body):
    with pytest.raises(BadPayload):
        parse(body)


def test_there_is_no_handshake():
    assert AzureBoardsConnector.handshake(delivery(EVENT), SECRETS) is None


# --- registering ----------------------------------------------------------------------------------------


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def hooked(inbox: Inbox) -> Bench:
    """In-process, with a receiver of webhooks."""
    sandbox = AzureBoardsSandbox(clock=ManualClock(), sender=inbox)
    return Bench(sandbox, InProcessTransport(sandbox.app))


def told(bench: Bench, inbox: Inbox) -> list[RawDelivery]:
    bench.sandbox.deliver()
    received, inbox.received = inbox.received, []
    return [RawDelivery({k.lower(): v for k, v in headers.items()}, raw, NOON) for _, headers, raw in received]


def test_one_subscription_for_each_event_of_each_project(hooked: Bench):
    made = hooked.connector().subscribe(URL, SECRET)
    hooks = hooked.sandbox.hooks.live()
    assert len(made.external_ids) == len(hooks) == 2 * len(SUBSCRIBED)
    assert {event for hook in hooks for event in hook.events} == set(SUBSCRIBED)
    assert made.expires_at is None


def test_what_it_sends_is_believed_and_read_as_the_work_item(hooked: Bench, inbox: Inbox):
    hooked.connector().subscribe(URL, SECRET)
    item = hooked.ann.create("Web", "Told")
    hooked.ann.edit(item.id, title="Told again")
    hooked.ann.delete(item.id)
    hooked.ann.restore(item.id)
    hooked.ann.create("Lab", "Of no interest")
    deliveries = told(hooked, inbox)
    verified = [AzureBoardsConnector.verify(one, {"signing": [SECRET.get_secret_value()]}) for one in deliveries]
    assert {one.event for one in verified} == set(SUBSCRIBED)
    assert len({one.key for one in verified}) == 4
    assert [hint for one in deliveries for hint in AzureBoardsConnector.parse(one, None)] == [Hint(item.id)] * 4


def test_what_is_registered_for_the_address_is_adopted_without_a_write(hooked: Bench):
    connector = hooked.connector()
    first = connector.subscribe(URL, SECRET)
    hooked.counts()
    assert set(connector.subscribe(URL, SECRET).external_ids) == set(first.external_ids)
    assert hooked.counts() == {"listSubscriptions": 1}


def test_a_new_secret_is_given_to_those_there_are(hooked: Bench, inbox: Inbox):
    first = hooked.connector().subscribe(URL, SECRET)
    assert hooked.connector().subscribe(URL, SecretStr("another")).external_ids == first.external_ids
    hooked.ann.create("Web", "Told")
    [one] = told(hooked, inbox)
    assert AzureBoardsConnector.verify(one, {"signing": ["another"]}).event == "workitem.created"


def test_a_half_made_registration_is_completed_and_what_is_too_much_removed(hooked: Bench):
    hooked.sandbox.faults.add("error", operation="createSubscription", skip=3, status=500)
    with pytest.raises(Exception, match="500"):
        hooked.connector().subscribe(URL, SECRET)
    assert len(hooked.sandbox.hooks.live()) == 3
    hooked.connector().subscribe(URL, SECRET)
    assert len(hooked.sandbox.hooks.live()) == 8
    hooked.connector(projects=[{"external": "Ops"}]).subscribe(URL, SECRET)
    assert len(hooked.sandbox.hooks.live()) == 4


def test_an_account_that_may_not_is_told_which_permission_it_lacks(hooked: Bench):
    hooked.sandbox.faults.add("error", operation="listSubscriptions", status=403)
    with pytest.raises(Forbidden, match="edit subscriptions"):
        hooked.connector().subscribe(URL, SECRET)


def test_others_subscriptions_are_left_alone(hooked: Bench):
    other = hooked.connector().subscribe("https://elsewhere.example/hook", SECRET)
    mine = hooked.connector().subscribe(URL, SECRET)
    hooked.connector().unsubscribe(mine)
    assert {hook.id for hook in hooked.sandbox.hooks.live()} == set(other.external_ids)


def test_unsubscribing_twice_is_fine(hooked: Bench):
    connector = hooked.connector()
    made = connector.subscribe(URL, SECRET)
    connector.unsubscribe(made)
    connector.unsubscribe(made)
    assert hooked.sandbox.hooks.live() == []


def test_a_well_subscription_is_renewed_as_it_is(hooked: Bench):
    connector = hooked.connector()
    made = connector.subscribe(URL, SECRET)
    assert connector.renew(made, URL) == made


def test_one_that_lost_a_part_has_to_be_made_again(hooked: Bench):
    connector = hooked.connector()
    made = connector.subscribe(URL, SECRET)
    hooked.sandbox.hooks.remove(made.external_ids[2])
    assert connector.renew(made, URL) is None


def test_one_for_fewer_projects_than_are_configured_has_to_be_made_again(hooked: Bench):
    made = hooked.connector(projects=[{"external": "Web"}]).subscribe(URL, SECRET)
    assert hooked.connector().renew(made, URL) is None


@pytest.mark.parametrize(("answer", "status"), [(500, "onProbation"), (404, "onProbation"), (410, "disabledBySystem")])
def test_a_subscription_azure_gave_up_is_reported_as_lost_and_enabled_again(hooked, inbox, answer, status):
    connector = hooked.connector()
    made = connector.subscribe(URL, SECRET)
    inbox.answers = [answer]
    hooked.ann.create("Web", "Refused")
    hooked.sandbox.deliver()
    assert status in {hook.extra["status"] for hook in hooked.sandbox.hooks.live()}
    hooked.ann.create("Web", "Not even sent")
    assert len(told(hooked, inbox)) == 1
    assert connector.renew(made, URL) is None
    assert set(connector.subscribe(URL, SECRET).external_ids) == set(made.external_ids)
    assert {hook.extra["status"] for hook in hooked.sandbox.hooks.live()} == {"enabled"}
    hooked.ann.create("Web", "Sent again")
    assert len(told(hooked, inbox)) == 1


def test_an_outage_of_ours_costs_no_subscription(hooked: Bench, inbox: Inbox):
    connector = hooked.connector()
    made = connector.subscribe(URL, SECRET)
    inbox.answers = [503] * 9
    hooked.ann.create("Web", "Tried nine times")
    for _ in range(9):
        hooked.sandbox.deliver()
        hooked.clock.advance(60)
    assert len(inbox.received) == 9
    assert connector.renew(made, URL) == made


# --- the log of what failed -----------------------------------------------------------------------------


def missed(bench: Bench, since: datetime) -> list[Missed]:
    return [one for batch in bench.connector().missed(since) for one in batch]


def test_what_could_not_be_delivered_is_read_from_azures_log_as_it_would_have_come(hooked: Bench, inbox: Inbox):
    hooked.connector().subscribe(URL, SECRET)
    start = hooked.clock.now()
    inbox.answers = [400]
    item = hooked.ann.create("Web", "Lost")
    hooked.ann.create("Ops", "Arrived")
    lost, _ = told(hooked, inbox)
    [found] = missed(hooked, start)
    key = AzureBoardsConnector.verify(lost, {"signing": [SECRET.get_secret_value()]}).key
    assert (found.key, found.event) == (key, "workitem.created")
    assert found.delivery is not None
    assert AzureBoardsConnector.parse(found.delivery, None) == [Hint(item.id)]


def test_a_log_longer_than_one_answer_is_read_in_parts(hooked: Bench, inbox: Inbox, monkeypatch):
    monkeypatch.setattr("connectors.azure_subscriptions.MOST_NOTIFICATIONS", 4)
    hooked.connector().subscribe(URL, SECRET)
    start = hooked.clock.now()
    hooked.sandbox.service_hooks.disable = lambda hook_id, status: None  # type: ignore[method-assign]
    inbox.answers = [400] * 11
    for number in range(11):
        hooked.ann.create("Web", f"Lost {number}")
        hooked.sandbox.deliver()
        hooked.clock.advance(60)
    keys = [one.key for one in missed(hooked, start)]
    assert list(dict.fromkeys(keys)) == [f"{keys[0].split('/')[0]}/{number}" for number in range(1, 12)]
    assert [one.key for one in missed(hooked, hooked.clock.now() - timedelta(seconds=30))] == keys[-1:]


def test_without_subscriptions_nothing_was_missed(hooked: Bench):
    assert missed(hooked, hooked.clock.now()) == []


def test_what_the_log_does_not_hold_can_not_be_sent_again(hooked: Bench):
    with pytest.raises(NotFound):
        hooked.connector().redeliver(Missed("s/1", "s/1", "workitem.created"))
