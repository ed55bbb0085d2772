"""Plank's deliveries: is one to be believed, and what does it mean. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors import contract as c
from connectors.hooks import read
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


def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
    """Check the body's signature. Raises BadSignature."""
    hmac_hex(delivery.body, delivery.headers.get("x-plank-signature"), secrets.get("signing", ()), prefix="sha256=")
    return c.Verified(delivery.headers.get("x-plank-delivery"), delivery.headers.get("x-plank-event", "unknown"))


def parse(delivery: c.RawDelivery, config: PlankConfig) -> Sequence[c.Signal]:
    """The card as it was when the delivery was made; of a deleted one only that it has to be looked at."""
    event = delivery.headers.get("x-plank-event", "")
    if event == "card.deleted":
        return [c.Hint(read(delivery, _Deleted, "Plank").card.id)]
    if event in ("card.created", "card.changed"):
        return [c.Snapshot(mapping.task(read(delivery, _Changed, "Plank").card, config))]
    return [c.Ignored("unsupported", event)]
