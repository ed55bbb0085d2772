"""A vendor's words for statuses and priorities <-> ours, with what an integration's config says otherwise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from connectors.contract import Priority, RemoteUser, RemoteValue, Status, TaskChanges

T = TypeVar("T", Status, Priority)


def folded(name: str) -> str:
    """A vendor's name as names are compared: any case, either apostrophe."""
    return name.strip().casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


class Words(Generic[T]):
    """The words of one field.

    usual    the vendor's word -> ours, by name or id, where nothing else is said; the first word for a value is the
             one that is written
    default  what a word means that nobody knows
    read     `status_map` or `priority_map` of the config, `written` its `status_out` or `priority_out`
    """

    def __init__(self, usual: Mapping[str, T], default: T, read: Mapping[str, T], written: Mapping[T, str]) -> None:
        self._default: T = default
        self._written: dict[str, str] = {value.value: word for value, word in written.items()}
        self._words = tuple(usual)
        self._known: dict[str, T] = {folded(word): value for word, value in usual.items()}
        self._known |= {folded(word): value for value, word in written.items()}
        self._known |= {folded(word): value for word, value in read.items()}

    def here(self, *words: str) -> T:
        """What a word means; several are one thing's id and name, of which the first that is known counts."""
        return next((self._known[folded(word)] for word in words if folded(word) in self._known), self._default)

    def there(self, value: str) -> str | None:
        """The vendor's word to write for a value of ours; None when no word means it."""
        return self._written.get(value) or next((word for word in self._words if self.here(word) == value), None)

    def read(self, *words: str) -> RemoteValue:
        """A word as a field of an item: `there` is `word:ours`, so that it changes whenever its meaning does."""
        here = self.here(*words)
        return RemoteValue(here.value, f"{words[0]}:{here.value}")

    def prove(self, field: str) -> None:
        """Every value of ours can be written, and what is written reads back as that value. Raises ValueError, for a
        config's validator."""
        for value in type(self._default):
            word = self.there(value)
            if word is None:
                raise ValueError(f"nothing is written for {value.value}: name the vendor's word in {field}_out")
            if self.here(word) is not value:
                read = f"{field}_map reads it as {self.here(word).value}"
                raise ValueError(f"{field}_out writes {value.value} as {word!r}, but {read}; make them agree")


FieldWords = Mapping[str, "Words[Status] | Words[Priority]"]
"""Field -> its words: `status`, `priority`, or both."""


def written(changes: TaskChanges, words: FieldWords) -> dict[str, str | None]:
    """Field -> what to write there: the vendor's word, a person's id, or the text as it is."""
    return {name: _written(value, words.get(name)) for name, value in changes.items()}


def sent(changes: TaskChanges, words: FieldWords) -> dict[str, str | None]:
    """Field -> its `there` once the item holds what was written, for `TaskWritten.sent`."""
    there = written(changes, words)
    return {name: words[name].read(str(word)).there if name in words else word for name, word in there.items()}


def _written(value: str | RemoteUser | None, words: Words[Status] | Words[Priority] | None) -> str | None:
    if words is not None:
        return words.there(str(value))
    return value.id if isinstance(value, RemoteUser) else value
