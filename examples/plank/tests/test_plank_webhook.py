"""Deliveries: recorded ones, real ones of the fake Plank, and forged ones."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from turnbuckle_plank import PlankConnector
from turnbuckle_plank.side import PlankSide

from connectors.contract import BadPayload, BadSignature, Hint, Ignored, RawDelivery, Signal, Snapshot

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("*.json"))
SECRETS = {"signing": ["new", "old"]}


def outcome(signal: Signal) -> str:
    if isinstance(signal, Ignored):
        return f"ignored:{signal.code}"
    return "snapshot" if isinstance(signal, Snapshot) else "hint"


@pytest.fixture
def delivery(side: PlankSide, plank: PlankConnector) -> RawDelivery:
    """One that the fake Plank sent."""
    plank.subscribe("https://here.test/hook", SecretStr("old"))
    side.create("Saw", 0)
    [sent] = side.sent()
    return sent


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_recorded_delivery_means_what_is_noted_with_it(path: Path, side: PlankSide) -> None:
    recorded = json.loads(path.read_text())
    raw = RawDelivery(recorded["headers"], json.dumps(recorded["body"]).encode(), datetime(2026, 5, 4, tzinfo=UTC))
    assert [outcome(signal) for signal in PlankConnector.parse(raw, side.made_config())] == [recorded["expect"]]


def test_there_are_recorded_deliveries() -> None:
    assert {path.stem for path in FIXTURES} >= {"card-created", "card-changed", "card-deleted", "board-archived"}


def test_a_delivery_tells_what_reading_the_card_tells(
    side: PlankSide, plank: PlankConnector, delivery: RawDelivery
) -> None:
    [signal] = PlankConnector.parse(delivery, side.made_config())
    assert isinstance(signal, Snapshot)
    assert plank.fetch_tasks([signal.task.external_id]) == {signal.task.external_id: signal.task}


def test_a_deleted_card_is_only_a_hint(side: PlankSide, delivery: RawDelivery) -> None:
    deleted = side.delete(0)
    [sent] = side.sent()
    assert PlankConnector.parse(sent, side.made_config()) == [Hint(deleted or "")]


def test_a_delivery_is_believed_with_either_secret_of_a_rotation(delivery: RawDelivery) -> None:
    verified = PlankConnector.verify(delivery, SECRETS)
    assert verified.event == "card.created"
    assert verified.key == delivery.headers["x-plank-delivery"]


@pytest.mark.parametrize("signature", [None, "", "sha256=", "sha256=00", "sha1=00", "sha256=" + "zz" * 32])
def test_a_forged_signature_is_not_believed(delivery: RawDelivery, signature: str | None) -> None:
    headers = {name: value for name, value in delivery.headers.items() if name != "x-plank-signature"}
    forged = replace(delivery, headers=headers | ({} if signature is None else {"x-plank-signature": signature}))
    with pytest.raises(BadSignature):
        PlankConnector.verify(forged, SECRETS)


def test_a_changed_body_or_another_secret_is_not_believed(delivery: RawDelivery) -> None:
    with pytest.raises(BadSignature):
        PlankConnector.verify(replace(delivery, body=delivery.body + b" "), SECRETS)
    with pytest.raises(BadSignature):
        PlankConnector.verify(delivery, {"signing": ["other"]})


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"card": {"id": 1}}', b"\xff"])
def test_a_garbled_body_is_told(side: PlankSide, delivery: RawDelivery, body: bytes) -> None:
    with pytest.raises(BadPayload):
        PlankConnector.parse(replace(delivery, body=body), side.made_config())
