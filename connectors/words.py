"""A vendor's words for status and priority <-> ours, under what an integration's config says. Pure.

What a map of the config says comes first; then what we write for a value, which must read back as that value; then
the vendor's usual words; then a default, so that every word means something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from connectors.contract import (
    Priority,
    Rejected,
    RemoteUser,
    RemoteValue,
    Status,
    TaskChanges,
    TaskSyncConfig,
    VendorValue,
)

T = TypeVar("T", Status, Priority)


def folded(name: str) -> str:
    """A vendor's name as names are compared: any case, either apostrophe."""
    return name.strip().casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


class Words(Generic[T]):
    """The words of one field. A thing of the vendor's is named by one word or several (its id and its name).

    usual       the vendor's word -> ours where nothing else is said; the first word for a value is the one written
    default     what a word means that nobody knows
    read        `status_map` or `priority_map` of the config, `written` its `status_out` or `priority_out`
    told_apart  of these, written as one word, the first is read back from it; the connector tells the others by
                something else
    """

    def __init__(
        self,
        usual: Mapping[str, T],
        default: T,
        read: Mapping[str, T],
        written: Mapping[T, str],
        told_apart: Sequence[T] = (),
    ) -> None:
        self._default: T = default
        self._written: dict[str, str] = {value.value: word for value, word in written.items()}
        self._words = tuple(usual)
        self._usual: dict[str, T] = {folded(word): value for word, value in usual.items()}
        self._read: dict[str, T] = {folded(word): value for word, value in read.items()}
        first_last = sorted(written, key=lambda value: -told_apart.index(value) if value in told_apart else 0)
        self._back: dict[str, T] = {folded(written[value]): value for value in first_last}

    def told(self, *words: str) -> T | None:
        """What the config says a thing means: its map, else what we write for it."""
        return _first(self._read, words) or _first(self._back, words)

    def mapped(self, *words: str) -> T | None:
        """What the config's map says it means."""
        return _first(self._read, words)

    def known(self, *words: str) -> T | None:
        """What a thing means by its words alone: by the config, or usually."""
        return self.told(*words) or _first(self._usual, words)

    def here(self, *words: str) -> T:
        """What a thing means."""
        return self.known(*words) or self._default

    def there(self, value: str) -> str | None:
        """The vendor's word to write for a value of ours; None when no word means it."""
        return self._written.get(value) or next((word for word in self._words if self.here(word) == value), None)

    def read(self, *words: str) -> RemoteValue:
        """A thing as a field of an item: `there` is `word:ours`, so that it changes whenever its meaning does."""
        here = self.here(*words)
        return RemoteValue(here.value, f"{words[0]}:{here.value}")

    def values(self) -> list[VendorValue]:
        """The usual words and what each means, for the `Vocabulary` of a vendor that has the same ones everywhere."""
        return [VendorValue(word, word, self.here(word).value) for word in self._words]

    def choose(self, value: str, choices: Sequence[VendorValue]) -> VendorValue | None:
        """Of the things an item can have, in their order, the one to write: the configured one if it is among them,
        else the first that means the value; None where none does."""
        word = self._written.get(value)
        configured = (one for one in choices if word is not None and names(word, one.name, one.id))
        meant = (one for one in choices if one.here == value)
        return next(configured, None) or next(meant, None)


def _first(known: Mapping[str, T], words: Sequence[str]) -> T | None:
    return next((known[folded(word)] for word in words if folded(word) in known), None)


def names(word: str, *words: str) -> bool:
    """Whether a word of the config means the thing with these words."""
    return folded(word) in map(folded, words)


FieldWords = Mapping[str, "Words[Status] | Words[Priority]"]
"""Field -> its words: `status`, `priority`, or both."""


def written(changes: TaskChanges, words: FieldWords) -> dict[str, str | None]:
    """Field -> what to write there: the vendor's word, a person's id, or the text as it is.

    Raises Rejected, naming the field, where no word means the value.
    """
    return {name: _written(name, value, words.get(name)) for name, value in changes.items()}


def sent(changes: TaskChanges, words: FieldWords) -> dict[str, str | None]:
    """Field -> its `there` once the item holds what was written, for `TaskWritten.sent`."""
    there = written(changes, words)
    return {name: words[name].read(str(word)).there if name in words else word for name, word in there.items()}


def _written(name: str, value: str | RemoteUser | None, words: Words[Status] | Words[Priority] | None) -> str | None:
    if words is None:
        return value.id if isinstance(value, RemoteUser) else value
    word = words.there(str(value))
    if word is None:
        raise Rejected(f"No {name} there means {value}: name the one to write in {name}_out.", name)
    return word


IN_A_NAME: Mapping[Status, Mapping[Status, Sequence[str]]] = {
    Status.IN_PROGRESS: {
        Status.IN_REVIEW: ("review", "testing", "qa"),
        Status.BACKLOG: ("backlog", "todo", "to do"),
    },
    Status.DONE: {Status.CANCELLED: ("cancel", "won't", "duplicate")},
}
"""What a kind of status means -> what one of it means instead with such a word in its name."""


class StatusWords(Words[Status]):
    """The statuses of vendors that sort them into kinds, such as open, started, closed.

    kinds      the vendor's kind -> ours
    usual      names that mean something whatever their kind
    default    what is of any other kind
    in_a_name  see IN_A_NAME
    """

    def __init__(
        self,
        kinds: Mapping[str, Status],
        config: TaskSyncConfig,
        *,
        usual: Mapping[str, Status] | None = None,
        default: Status = Status.IN_PROGRESS,
        in_a_name: Mapping[Status, Mapping[Status, Sequence[str]]] = IN_A_NAME,
    ) -> None:
        super().__init__(usual or {}, default, config.status_map, config.status_out, config.told_apart)
        self._kinds, self._in_a_name = kinds, in_a_name

    def value(self, id_: str, name: str, kind: str) -> VendorValue:
        """A status and what it means."""
        return VendorValue(id_, name, (self.known(name, id_) or self.by_kind(name, kind)).value)

    def by_kind(self, name: str, kind: str) -> Status:
        """What a status means where nothing else says it: its kind, or a word in its name."""
        here = self._kinds.get(kind, self._default)
        others = self._in_a_name.get(here, {}).items()
        return next((other for other, words in others if any(word in folded(name) for word in words)), here)


class PriorityWords(Words[Priority]):
    """The priorities of vendors that have the same ones everywhere; one nobody knows is medium.

    rows  (id, name, ours) of each; of several that mean the same the first is written
    """

    def __init__(self, rows: Sequence[tuple[str, str, Priority]], config: TaskSyncConfig) -> None:
        usual = {id_: here for id_, _, here in rows}
        super().__init__(usual, Priority.MEDIUM, config.priority_map, config.priority_out)
        self._names = {id_: name for id_, name, _ in rows}

    def value(self, id_: str) -> VendorValue:
        """A priority and what it means."""
        name = self._names.get(id_, id_)
        return VendorValue(id_, name, self.here(id_, name).value)

    def values(self) -> list[VendorValue]:
        """All there are, in their order."""
        return [self.value(id_) for id_ in self._names]


def as_field(value: VendorValue) -> RemoteValue:
    """A status or priority as a field of an item: `there` is `id:ours`: it changes whenever its meaning does."""
    return RemoteValue(value.here, f"{value.id}:{value.here}")
