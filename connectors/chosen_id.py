"""An item's id made of our marker, for vendors that let the client choose it.

The id is the marker itself in the form of a UUID (version 4 to look at): creating twice with it can't make two items,
and an item that is read, whoever tells of it, says by its id which task it was created for. Nothing else is left in it.

Of a UUID's 122 free bits the marker's last part takes 104, as a number in base 37; four count generations (an id whose
item somebody put into the trash is taken, and the next generation is used); the rest is a check, so that other
people's ids are not read as markers.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol, TypeVar

from connectors.contract import NotFound, Rejected, Transient

PREFIX = "scrums-tsk-"
"""How every marker of the platform begins."""

GENERATIONS = 16


class Item(Protocol):
    """Something that may be in the vendor's trash, where it keeps its id. `identifier` is what people call it."""

    identifier: str
    trashed: bool | None


T = TypeVar("T", bound=Item)

_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz-"
_NUMBER_BITS, _GENERATION_BITS, _CHECK_BITS = 104, 4, 14
_VERSION_AND_VARIANT = 0x4 << 76 | 0x2 << 62
_LOW, _MIDDLE = (1 << 62) - 1, (1 << 12) - 1
"""Around version and variant a UUID has 48, 12 and 62 bits that are free."""


def id_of(create_key: str, generation: int = 0) -> str:
    """The id to create an item with. Raises ValueError for a key that is no marker, or does not fit."""
    own = create_key.removeprefix(PREFIX)
    number = 1  # in front, so that leading zeros count
    for sign in own:
        number = number * len(_SIGNS) + _SIGNS.find(sign)
    if own == create_key or not set(own) <= set(_SIGNS) or number >= 1 << _NUMBER_BITS:
        raise ValueError(f"{create_key!r} can't be made an id")
    payload = number << _GENERATION_BITS | generation
    return _spelt(payload << _CHECK_BITS | _check(payload))


def create(vendor: str, create_key: str, make: Callable[[str], T], read: Callable[[str], T]) -> T:
    """Make an item whose id is the key: that it is there already only shows when it is made again, and then it is left
    to be found. One that somebody put into the trash keeps its id, and the next generation is made.

    make  an item with an id; Rejected where that can't be, also because there is one
    read  an item; NotFound where there is none
    """
    for generation in range(GENERATIONS):
        item_id = id_of(create_key, generation)
        try:
            return make(item_id)
        except Rejected as refusal:
            held = _held(item_id, read)
            if held is None:
                raise
            if not held.trashed:
                raise Transient(f"{held.identifier} was created before: {refusal.text}") from None
    raise Rejected(f"{GENERATIONS} items of this task are in {vendor}'s trash; empty it, or make a new task.")


def find(create_key: str, read: Callable[[str], T]) -> T | None:
    """The item whose id is the key, in the generation that is not in the trash."""
    for generation in range(GENERATIONS):
        item = _held(id_of(create_key, generation), read)
        if item is None or not item.trashed:
            return item
    return None


def _held(item_id: str, read: Callable[[str], T]) -> T | None:
    try:
        return read(item_id)
    except NotFound:
        return None


def key_of(item_id: str) -> str | None:
    """The marker in an id; None for an id that is not of our making."""
    bits = _bits(item_id)
    if bits is None:
        return None
    payload, check = bits >> _CHECK_BITS, bits & (1 << _CHECK_BITS) - 1
    number = payload >> _GENERATION_BITS
    if number == 0 or check != _check(payload):
        return None
    own = ""
    while number > 1:
        number, sign = divmod(number, len(_SIGNS))
        own = _SIGNS[sign] + own
    return PREFIX + own if own and number == 1 else None


def _check(payload: int) -> int:
    digest = blake2b(payload.to_bytes(16, "big"), digest_size=2, person=b"marker").digest()
    return int.from_bytes(digest, "big") >> 16 - _CHECK_BITS


def _spelt(bits: int) -> str:
    """122 bits as a UUID of version 4."""
    whole = (bits >> 74) << 80 | (bits >> 62 & _MIDDLE) << 64 | bits & _LOW | _VERSION_AND_VARIANT
    text = f"{whole:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _bits(item_id: str) -> int | None:
    """The free bits of a UUID of version 4; None for anything else."""
    text = item_id.replace("-", "")
    if len(text) != 32 or text.strip("0123456789abcdef"):
        return None
    whole = int(text, 16)
    if whole & (0xF << 76 | 0x3 << 62) != _VERSION_AND_VARIANT:
        return None
    return (whole >> 80) << 74 | (whole >> 64 & _MIDDLE) << 62 | whole & _LOW
