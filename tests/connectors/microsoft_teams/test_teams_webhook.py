"""What Teams sends: activities of a bot, believed under the keys that were learnt, and mentions under a signature."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

import connectors.microsoft_teams
from connectors.contract import (
    AccessEnded,
    BadPayload,
    BadSignature,
    ButtonPressed,
    Ignored,
    MessageRef,
    Pressed,
    RawDelivery,
    Signal,
)
from connectors.microsoft_teams import TeamsConnector
from connectors.microsoft_teams.config import TeamsConfig
from sandbox.microsoft_teams.sandbox import APP_ID
from sandbox.microsoft_teams.speaker import OUTGOING_TOKEN
from tests.connectors.microsoft_teams.conftest import AT, DELIVERY, Bench, notification

CONFIG = TeamsConfig()
FIXTURES = {path.stem: path for path in (Path(connectors.microsoft_teams.__file__).parent / "fixtures").glob("*.json")}
MEANINGS: dict[type, str] = {AccessEnded: "access_ended", ButtonPressed: "pressed"}
URL = "https://turnbuckle.example/webhooks/microsoft_teams/h"


def body_of(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(FIXTURES[name].read_text())["body"]
    return body


def parse(body: Any) -> list[Signal]:
    return list(TeamsConnector.parse(RawDelivery({}, json.dumps(body).encode(), AT), CONFIG))


class Kept:
    """Takes what is sent, instead of HTTP."""

    def __init__(self) -> None:
        self.arrived: list[RawDelivery] = []

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.arrived.append(RawDelivery({name.lower(): value for name, value in headers.items()}, body, AT))
        return 200


def listening(teams: Bench) -> Kept:
    """Where the bot's activities arrive."""
    kept = Kept()
    teams.sandbox.deliveries.sender = kept
    teams.sandbox.bot_hook(URL)
    return kept


def pressed(teams: Bench) -> tuple[MessageRef, RawDelivery, dict[str, list[str]]]:
    """A message, the press of its button, and what verifies that."""
    kept, connector = listening(teams), teams.bot()
    ref = connector.send(notification(), "")
    teams.act("press", channel=DELIVERY, message=ref.id, button="acknowledge")
    teams.sandbox.deliver()
    [delivery] = kept.arrived
    return ref, delivery, {"app_id": [APP_ID], "bot_keys": [connector.check().learned["bot_keys"]]}


# --- what it means --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_each_recording_means_what_it_says(name: str) -> None:
    [signal] = parse(body_of(name))
    meant = f"ignored:{signal.code}" if isinstance(signal, Ignored) else MEANINGS[type(signal)]
    assert meant == json.loads(FIXTURES[name].read_text())["expect"]


def test_a_press_says_who_pressed_what_where_and_when() -> None:
    assert parse(body_of("button_pressed")) == [
        ButtonPressed(
            Pressed(
                button="acknowledge",
                value="INC-26-000001",
                by="c0000000-0000-4000-8000-000000000001",
                by_name="Ann Archer",
                message=MessageRef("19:incidents@thread.tacv2;messageid=1776247100000", "1776247100000"),
                at=datetime(2026, 4, 15, 10, 0, 0, 500000, UTC),
            )
        )
    ]


def test_who_is_no_person_of_entra_is_known_by_teams_own_id_and_a_time_without_zone_is_our_own() -> None:
    body = body_of("button_pressed")
    body["from"] = {"id": "29:1ann"}
    body["timestamp"] = "2026-04-15T09:00:00"
    [signal] = parse(body)
    assert isinstance(signal, ButtonPressed)
    assert (signal.pressed.by, signal.pressed.by_name, signal.pressed.at) == ("29:1ann", "", AT)


def test_a_removed_app_says_where_and_an_upgrade_ends_nothing() -> None:
    [ended] = parse(body_of("app_removed"))
    assert isinstance(ended, AccessEnded)
    assert "removed from Acme" in ended.text
    [upgrade] = parse({**body_of("app_removed"), "action": "remove-upgrade"})
    assert isinstance(upgrade, Ignored)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        {"type": 7.5},
        {"type": "invoke", "name": "adaptiveCard/action"},
        {**body_of("button_pressed"), "replyToId": None},
        {**body_of("button_pressed"), "value": {"action": {"verb": 1}}},
        {**body_of("button_pressed"), "value": {"action": {"verb": "a", "data": "x"}}},
        {**body_of("button_pressed"), "from": {}},
        {**body_of("button_pressed"), "timestamp": "soon"},
    ],
)
def test_what_has_no_shape_is_a_bad_payload(body: Any) -> None:
    with pytest.raises(BadPayload):
        parse(body)


# --- may it be believed? --------------------------------------------------------------------------------


def test_a_press_that_teams_signed_is_believed_and_leads_back_to_its_message(teams: Bench) -> None:
    ref, delivery, secrets = pressed(teams)
    verified = TeamsConnector.verify(delivery, secrets)
    assert verified.event == "adaptiveCard/action"
    assert verified.key is not None
    [signal] = TeamsConnector.parse(delivery, CONFIG)
    assert isinstance(signal, ButtonPressed)
    assert (signal.pressed.message, signal.pressed.button, signal.pressed.value) == (
        ref,
        "acknowledge",
        "INC-26-000001",
    )
    assert signal.pressed.by_name == "Ann Archer"


def test_who_presses_is_answered_at_once_in_the_form_of_an_invoke(teams: Bench) -> None:
    _, delivery, secrets = pressed(teams)
    reply = TeamsConnector.verify(delivery, secrets).reply
    assert reply is not None
    assert (reply.status, reply.content_type) == (200, "application/json")
    answer = {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Noted."}
    assert json.loads(reply.body) == answer
    other = {**json.loads(delivery.body), "name": "composeExtension/query"}
    refused = TeamsConnector.verify(RawDelivery(delivery.headers, json.dumps(other).encode(), AT), secrets).reply
    assert refused is not None
    assert refused.status == 501
    message = {**other, "type": "message"}
    told = TeamsConnector.verify(RawDelivery(delivery.headers, json.dumps(message).encode(), AT), secrets)
    assert told.reply is None


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-app"},
        {"aud": [APP_ID]},
        {"aud": None},
        {"exp": int((AT - timedelta(minutes=2)).timestamp())},
        {"exp": None},
        {"iat": int((AT + timedelta(minutes=2)).timestamp())},
        {"iat": None},
        {"nbf": int((AT + timedelta(minutes=2)).timestamp())},
        {"serviceurl": "https://evil.example/"},
        {"serviceurl": None},
    ],
)
def test_a_token_with_any_claim_wrong_is_refused(teams: Bench, changed: dict[str, Any]) -> None:
    _, delivery, secrets = pressed(teams)
    key = teams.sandbox.speaker._key
    claims = jwt.decode(delivery.headers["authorization"][7:], options={"verify_signature": False})
    wrong = {name: value for name, value in (claims | changed).items() if value is not None}

    def bearing(said: dict[str, Any]) -> RawDelivery:
        token = jwt.encode(said, key, "RS256", headers={"kid": "sandbox-key"})
        return RawDelivery({"authorization": f"Bearer {token}"}, delivery.body, AT)

    TeamsConnector.verify(bearing(claims), secrets)
    with pytest.raises(BadSignature):
        TeamsConnector.verify(bearing(wrong), secrets)


@pytest.mark.parametrize("form", [f"api://{APP_ID}", f"api://botid-{APP_ID}"])
def test_the_app_is_named_in_any_of_its_three_forms(teams: Bench, form: str) -> None:
    _, delivery, secrets = pressed(teams)
    claims = jwt.decode(delivery.headers["authorization"][7:], options={"verify_signature": False})
    token = jwt.encode(claims | {"aud": form}, teams.sandbox.speaker._key, "RS256", headers={"kid": "sandbox-key"})
    TeamsConnector.verify(RawDelivery({"authorization": f"Bearer {token}"}, delivery.body, AT), secrets)


def test_keys_that_are_not_the_issuers_and_another_kid_prove_nothing(teams: Bench) -> None:
    _, delivery, secrets = pressed(teams)
    keys = json.loads(secrets["bot_keys"][0])
    renamed = {"keys": [{**keys["keys"][0], "kid": "another"}]}
    for other in ([], [json.dumps(renamed)], ['{"keys": []}']):
        with pytest.raises(BadSignature):
            TeamsConnector.verify(delivery, {**secrets, "bot_keys": other})


def test_an_app_that_is_removed_is_told_once(teams: Bench) -> None:
    kept, connector = listening(teams), teams.bot()
    secrets = {"app_id": [APP_ID], "bot_keys": [connector.check().learned["bot_keys"]]}
    teams.act("remove_bot", channel=DELIVERY)
    teams.act("add_bot", channel=DELIVERY)
    teams.sandbox.deliver()
    believed = [TeamsConnector.verify(one, secrets) for one in kept.arrived]
    assert [one.event for one in believed] == ["installationUpdate", "conversationUpdate", "installationUpdate"]
    assert len({one.key for one in believed}) == 3
    signals = [signal for one in kept.arrived for signal in TeamsConnector.parse(one, CONFIG)]
    assert [type(signal) for signal in signals] == [AccessEnded, Ignored, Ignored]


def test_a_mention_is_believed_by_its_signature_for_five_minutes_and_a_changed_byte_is_not(teams: Bench) -> None:
    kept = Kept()
    teams.sandbox.deliveries.sender = kept
    teams.sandbox.outgoing_hook(URL)
    teams.act("mention", channel=DELIVERY, text="status")
    teams.sandbox.deliver()
    [mention] = kept.arrived
    secrets = {"outgoing_token": [OUTGOING_TOKEN]}
    assert TeamsConnector.verify(mention, secrets).event == "message"
    late = RawDelivery(mention.headers, mention.body, AT + timedelta(minutes=6))
    for bad in (RawDelivery(mention.headers, mention.body + b" ", AT), late):
        with pytest.raises(BadSignature):
            TeamsConnector.verify(bad, secrets)
