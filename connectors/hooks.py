"""What connectors share about deliveries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from connectors.contract import BadPayload, Forbidden, Hint, Ignored, RawDelivery, Reply, Secrets, Signal

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


def shaped(value: object, shape: type[T], vendor: str) -> T:
    """A part of a decoded body in this shape, as `read` gives the whole. Raises BadPayload."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise BadPayload(f"{vendor}'s webhook has an unexpected shape: {error}") from None


def hinted(
    vendor: str,
    event: str,
    item: str | int | None,
    known: Collection[str],
    ignored: Mapping[str, tuple[str, str]] | None = None,
) -> Sequence[Signal]:
    """What a delivery means that only says what happened to which item: the item is to be read again.

    known    events about items, those of deletions included: being told is no proof
    ignored  event -> code and text of why it is nothing for us; any other event is "unsupported"

    Raises BadPayload where a known event names no item.
    """
    if ignored and event in ignored:
        return [Ignored(*ignored[event])]
    if event not in known:
        return [Ignored("unsupported", event)]
    if not item:
        raise BadPayload(f"{vendor}'s {event} names no item")
    return [Hint(str(item))]


@contextmanager
def advising(hint: str, vendor: str) -> Iterator[None]:
    """Forbidden tells first what an operator can do, then the vendor's words. Also decorates a method."""
    try:
        yield
    except Forbidden as error:
        raise Forbidden(f"{hint} {vendor} said: {error.text}") from None
