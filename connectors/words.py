"""A vendor's words for status and priority under a config's maps: the same for every task vendor.

What a map says comes first; then what we write for a value, which must read back as that value; then what the
connector makes of the vendor's own categories and usual names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from connectors.contract import Priority, Status, TaskSyncConfig

T = TypeVar("T", Status, Priority)


def folded(name: str) -> str:
    """A vendor's name as names are compared: any case, either apostrophe."""
    return name.strip().casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


class Words(Generic[T]):
    """One field's maps: `read` from vendor ids or names to ours, `written` from ours to them.

    Of values of `told_apart` that are written as one word the first is read back from it; the connector tells the
    others by something else.
    """

    def __init__(self, read: Mapping[str, T], written: Mapping[T, str], told_apart: Sequence[T] = ()) -> None:
        self._read: dict[str, T] = {folded(word): value for word, value in read.items()}
        self._written: dict[T, str] = dict(written)
        last_to_first = sorted(written, key=lambda value: value in told_apart and -told_apart.index(value))
        self._back: dict[str, T] = {folded(written[value]): value for value in last_to_first}

    def told(self, id_: str, name: str) -> T | None:
        """What the map says this vendor value means; by its id before its name."""
        return self._read.get(folded(id_)) or self._read.get(folded(name))

    def back(self, id_: str, name: str) -> T | None:
        """What we write as this vendor value."""
        return self._back.get(folded(id_)) or self._back.get(folded(name))

    def word(self, value: T) -> str | None:
        """The vendor's id or name to write for ours, as configured."""
        return self._written.get(value)

    def here(self, id_: str, name: str, otherwise: T) -> T:
        """What a vendor value means: as told, as written, else `otherwise`."""
        return self.told(id_, name) or self.back(id_, name) or otherwise


def statuses(config: TaskSyncConfig) -> Words[Status]:
    """The words for statuses."""
    return Words(config.status_map, config.status_out, config.told_apart)


def priorities(config: TaskSyncConfig) -> Words[Priority]:
    """The words for priorities."""
    return Words(config.priority_map, config.priority_out)


def names(word: str, id_: str, name: str) -> bool:
    """Whether a word of a map means this vendor value."""
    return folded(word) in (folded(id_), folded(name))
