"""Plank's deliveries: is one to be believed, and what does it mean. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors.contract import BadPayload, Hint, Ignored, RawDelivery, Secrets, Signal, Snapshot, Verified
from connectors.signing import hmac_hex
from turnbuckle_plank import mapping
from turnbuckle_plank.client import Card
from turnbuckle_plank.config import PlankConfig


class _Id(msgspec.Struct):
    id: str


class _Deleted(msgspec.Struct):
    card: _Id


class _Changed(msgspec.Struct):
    card: Card


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the body's signature. Raises BadSignature."""
    hmac_hex(delivery.body, delivery.headers.get("x-plank-signature"), secrets.get("signing", ()), prefix="sha256=")
    return Verified(delivery.headers.get("x-plank-delivery"), delivery.headers.get("x-plank-event", "unknown"))


def parse(delivery: RawDelivery, config: PlankConfig) -> Sequence[Signal]:
    """The card as it was when the delivery was made; of a deleted one only that it has to be looked at."""
    event = delivery.headers.get("x-plank-event", "")
    try:
        if event == "card.deleted":
            return [Hint(msgspec.json.decode(delivery.body, type=_Deleted).card.id)]
        if event in ("card.created", "card.changed"):
            return [Snapshot(mapping.task(msgspec.json.decode(delivery.body, type=_Changed).card, config))]
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadPayload(f"Plank's {event} has an unexpected shape: {error}") from None
    return [Ignored("unsupported", event)]
