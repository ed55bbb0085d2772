"""What Slack sends: events and clicks, believed when they are signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import connectors.slack
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
from connectors.slack import SlackConnector
from connectors.slack.config import SlackConfig
from tests.connectors.slack.conftest import AT, DELIVERY, SECRET, URL, Bench, notification, raw

CONFIG = SlackConfig(default_channel=DELIVERY)
FIXTURES = sorted((Path(connectors.slack.__file__).parent / "fixtures").glob("*.json"))
MEANINGS: dict[type, str] = {AccessEnded: "access_ended", ButtonPressed: "pressed"}


def parse(body: Any) -> list[Signal]:
    told = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return list(SlackConnector.parse(RawDelivery({}, told, AT), CONFIG))


class Kept:
    """Takes what is sent, instead of HTTP."""

    def __init__(self) -> None:
        self.arrived: list[RawDelivery] = []

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.arrived.append(raw(headers, body))
        return 200


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_each_recording_means_what_it_says(fixture: Path) -> None:
    recording = json.loads(fixture.read_text())
    [signal] = parse(recording["body"])
    meant = f"ignored:{signal.code}" if isinstance(signal, Ignored) else MEANINGS[type(signal)]
    assert meant == recording["expect"]


def test_a_click_says_who_pressed_what_where_and_when() -> None:
    [recording] = [json.loads(path.read_text()) for path in FIXTURES if path.stem == "button_pressed"]
    assert parse(recording["body"]) == [
        ButtonPressed(
            Pressed(
                button="acknowledge",
                value="INC-26-000001",
                by="U0ANN",
                by_name="ann",
                message=MessageRef("C08INCIDENTS", "1776247100.000100"),
                at=datetime(2026, 4, 15, 10, 0, 0, 500000, UTC),
                reply="https://hooks.slack.com/actions/T0ACME/1/2",
            )
        )
    ]


def test_an_address_that_is_not_slacks_is_not_called_back() -> None:
    click = {"type": "block_actions", "user": {"id": "U1"}, "container": {}, "response_url": "https://evil.example/"}
    [signal] = parse(click | {"actions": [{"action_id": "a", "action_ts": "1.0"}]})
    assert isinstance(signal, ButtonPressed)
    assert signal.pressed.reply is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        "[]",
        "x=1",
        {"type": "event_callback"},
        {"type": "block_actions"},
        {"type": "block_actions", "user": {"id": "U1"}, "container": {}, "actions": [{"action_id": 1}]},
        {
            "type": "block_actions",
            "user": {"id": "U1"},
            "container": {},
            "actions": [{"action_id": "a", "action_ts": "soon"}],
        },
        {
            "type": "block_actions",
            "user": {"id": "U1"},
            "container": {},
            "actions": [{"action_id": "a", "action_ts": "1e300"}],
        },
    ],
)
def test_what_has_no_shape_is_a_bad_payload(body: Any) -> None:
    with pytest.raises(BadPayload):
        parse(body)


def test_a_kind_nobody_knows_is_ignored() -> None:
    assert parse({"type": "view_submission"}) == [Ignored("unsupported", "view_submission")]


def test_what_the_sandbox_signs_is_believed_and_a_changed_byte_is_not(slack: Bench) -> None:
    kept = Kept()
    slack.sandbox.deliveries.sender = kept
    slack.sandbox.app_hook(URL, SECRET)
    ref = slack.connector().send(notification(), "")
    slack.act("press", channel=ref.channel, ts=ref.id, button="acknowledge")
    slack.act("uninstall")
    slack.sandbox.deliver()
    secrets = {"signing_secret": [SECRET]}
    events = [SlackConnector.verify(one, secrets).event for one in kept.arrived]
    assert events == ["block_actions", "app_uninstalled", "tokens_revoked"]
    keys = {SlackConnector.verify(one, secrets).key for one in kept.arrived}
    assert len(keys) == 3
    assert {SlackConnector.account(one) for one in kept.arrived} == {"T0SANDBOX"}
    [pressed] = SlackConnector.parse(kept.arrived[0], CONFIG)
    assert isinstance(pressed, ButtonPressed)
    assert (pressed.pressed.message, pressed.pressed.value) == (ref, "INC-26-000001")
    changed = RawDelivery(kept.arrived[0].headers, kept.arrived[0].body + b" ", AT)
    with pytest.raises(BadSignature):
        SlackConnector.verify(changed, secrets)
