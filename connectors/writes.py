"""What connectors share about a write: what differs, what was sent, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.contract import Conflict, Expected, Refusal, RemoteTask, RemoteUser, TaskChanges, TaskWritten


@dataclass
class Write:
    """One write: the vendor's fields so far, our fields as they will read back, and what can't be written."""

    body: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)

    def send(self, name: str, there: str | None, fields: Mapping[str, Any]) -> None:
        """Write one of our fields as these of the vendor's; `there` is what it then reads as."""
        self.body.update(fields)
        self.sent[name] = there

    def refuse(self, name: str, code: str, text: str) -> None:
        """One of our fields can't be written: why, and what an operator can do."""
        self.sent.pop(name, None)
        self.refused[name] = Refusal(code, text)

    def done(self, remote: RemoteTask) -> TaskWritten:
        """What came of it, given the item as it is now."""
        return TaskWritten(remote, self.sent, self.refused)


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
