"""What connectors share about deliveries."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from connectors.contract import BadPayload, RawDelivery, Reply, Secrets

T = TypeVar("T")


def no_handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """For vendors that have none."""
    return None


def read(delivery: RawDelivery, shape: type[T], vendor: str) -> T:
    """The body in this shape; what the shape does not name is skipped unread. Raises BadPayload."""
    try:
        return msgspec.json.decode(delivery.body, type=shape)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadPayload(f"{vendor}'s webhook has an unexpected shape: {error}") from None
