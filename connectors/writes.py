"""What connectors share about a write: what differs, what was sent, what was refused, and what it replaced."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from connectors.contract import (
    Conflict,
    Expected,
    Refusal,
    Rejected,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    TaskChanges,
    TaskDraft,
    TaskWritten,
    VendorValue,
)
from connectors.words import Words

T = TypeVar("T")


class FieldsRefused(Rejected):
    """The vendor took nothing of a write, for what is in `fields`: its name of a field -> its words about it."""

    def __init__(self, text: str, fields: Mapping[str, str], field: str | None = None) -> None:
        super().__init__(text, field)
        self.fields = fields


@dataclass
class Write:
    """One write: the vendor's fields so far, our fields as they will read back, and what can't be written."""

    body: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    theirs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our field -> the names in the body it is written as."""

    def send(self, name: str, there: str | None, fields: Mapping[str, Any]) -> None:
        """Write one of our fields as these of the vendor's; `there` is what it then reads as."""
        self.body.update(fields)
        self.sent[name] = there
        self.theirs[name] = tuple(fields)

    def keep(self, name: str, value: object, there: str | None) -> bool:
        """Whether what the vendor is believed to hold (`word:ours`) means a value already. Then it is left alone, for
        it may say more (Lowest is low, too), and counts as sent."""
        if there is None or not there.endswith(f":{value}"):
            return False
        self.sent[name] = there
        return True

    def refuse(self, name: str, code: str, text: str) -> None:
        """One of our fields can't be written: why, and what an operator can do."""
        self.sent.pop(name, None)
        for their in self.theirs.pop(name, ()):
            self.body.pop(their, None)
        self.refused[name] = Refusal(code, text)

    def done(self, remote: RemoteTask, overwrote: Mapping[str, RemoteValue] | None = None) -> TaskWritten:
        """What came of it, given the item as it is now."""
        return TaskWritten(remote, self.sent, self.refused, overwrote or {})

    def choose(
        self, name: str, words: Words[Any], value: str, where: str, choices: Sequence[VendorValue] | None = None
    ) -> VendorValue | None:
        """The status or priority to write for a value, of the choices there are, or else of the usual words; None, and
        a refusal, where none of this place means it."""
        choices = words.values() if choices is None else choices
        chosen = words.choose(value, choices)
        if chosen is None:
            there_are = ", ".join(one.name for one in choices) or "none"
            text = f"No {name} of {where} means {value}; there are: {there_are}. Add one, or map one to it: name it in "
            self.refuse(name, "no_path", f"{text}{name}_map or {name}_out.")
        return chosen

    def leave_out(self, error: FieldsRefused, hints: Mapping[str, str], needed: Collection[str] = ()) -> None:
        """Take back what the vendor refuses, for the write to be sent again. Raises Rejected where that is nothing of
        ours, or what is needed."""
        found = {
            ours: [error.fields[name] for name in names if name in error.fields] for ours, names in self.theirs.items()
        }
        refused = {ours: words[0] for ours, words in found.items() if words}
        if not refused or refused.keys() & set(needed):
            raise Rejected(error.text, next(iter(refused), None)) from None
        for ours, words in refused.items():
            code = "needs_human" if ours == "status" else "field_refused"
            self.refuse(ours, code, f"{words} {hints.get(ours, '')}".strip())


Send = Callable[[dict[str, Any]], T]
"""Sends the body of a write."""


def taken(send: Send[T], write: Write, hints: Mapping[str, str], needed: Collection[str] = ()) -> T | None:
    """What `send` brings back. Our fields that it refuses by FieldsRefused are left
    out, and the rest is sent again: a refusal has changed nothing. None when nothing of ours is left to send.

    hints   our field -> what an operator can do about a refusal
    needed  our fields without which the rest makes no sense
    """
    while write.theirs:
        try:
            return send(write.body)
        except FieldsRefused as error:
            write.leave_out(error, hints, needed)
    return None


def created(send: Send[T], write: Write, hints: Mapping[str, str]) -> T:
    """The same for a new item, which is nothing without its title."""
    made = taken(send, write, hints, {"title"})
    assert made is not None  # the title is not left out
    return made


def drafted(draft: TaskDraft, *besides: str) -> dict[str, Any]:
    """What a draft sets: title, priority (what the vendor would choose is not ours) and the fields named besides.
    Nothing for what is empty: the field may not be on the vendor's screen."""
    filled = [name for name in ("description", "assignee") if str(getattr(draft, name) or "").strip()]
    wanted = {"title", "priority", *besides, *filled}
    return {name: value for name, value in draft.changes().items() if name in wanted}


def replaced(before: RemoteTask, sent: Mapping[str, str | None], expected: Expected) -> dict[str, RemoteValue]:
    """Of what an item held before a write that which was replaced unknowingly; for `TaskWritten.overwrote`."""
    person = RemoteValue(None, before.assignee.id if before.assignee else None)
    held, known = {**before.values, "assignee": person}, sent.keys() & expected.there.keys()
    return {name: held[name] for name in known if held[name].there not in (expected.there[name], sent[name])}


def differing(
    held: RemoteTask, changes: TaskChanges, expected: Expected, write: Write
) -> Iterator[tuple[str, str | RemoteUser | None]]:
    """The changes that the item does not say already; what it does is noted as sent. For vendors without a version
    check, who read an item before they write it.

    Raises Conflict where somebody else has set a field to another value than was expected.
    """
    for name, value in changes.items():
        here, there = _value(held, name)
        if here == (value.id if isinstance(value, RemoteUser) else value):
            write.sent[name] = there
        elif there != expected.there.get(name):
            raise Conflict(f"The {name} of {held.key} was changed there meanwhile.")
        else:
            yield name, value


def _value(task: RemoteTask, name: str) -> tuple[str | None, str | None]:
    """A field of an item, here and there."""
    if name == "assignee":
        person = task.assignee.id if task.assignee else None
        return person, person
    return task.values[name]
