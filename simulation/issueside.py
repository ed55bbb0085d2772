"""A source control vendor whose issues are tasks, too: they are open or closed, and labels say all that is finer.

A side of such a vendor names its words; what people do to a status or a priority is then done to state and labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from sandbox.tracker import Change as Told
from sandbox.tracker import Item as TrackerItem
from simulation.codeside import CodeSide
from simulation.sandboxside import NAMES
from simulation.vendor import Item

CLOSED, OPEN = "closed", "open"
"""The states, by the fake vendors' ids."""

TOLD_BY_EXTRA = ("status", "priority", "assignee")
"""Fields that are kept, in whole or in part, in what else an item has."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a status is called there.

    here    ours
    closed  whether the issue is closed
    label   whether it is a label of this name
    reason  why it is closed, where the vendor asks
    """

    here: str
    closed: bool = False
    label: bool = True
    reason: str | None = None


class IssueSide(CodeSide):
    """People who also have issues.

    status_words     every word for a status there
    priority_labels  every label for a priority there -> ours
    usual_priority   what the connector calls it that there is none, and what it means
    people           people there -> the simulator's names; where the vendor shows nobody's address, all are strangers
    """

    status_words: ClassVar[Mapping[str, Word]]
    priority_labels: ClassVar[Mapping[str, str]]
    usual_priority: ClassVar[tuple[str, str]] = ("none", "medium")
    people: ClassVar[Mapping[str, str]] = NAMES

    def config(self) -> dict[str, Any]:
        """Issues are synced."""
        return {**super().config(), "sync_issues": True}

    # --- people ---

    def move(self, slot: int, to: int) -> str | None:
        """An issue that goes to another repository is another one there: nothing keeps its id."""
        return None

    def restore(self) -> str | None:
        """What is deleted is gone for ever."""
        return None

    def writes_blindly(self, where: str, operation: str) -> bool:
        """Between the look at an issue and its change: versions are not checked, and what was replaced is not told."""
        method, _, path = operation.partition(" ")
        one = fnmatchcase(path, "*/issues/*")
        looked = where == "after_call" and method == "GET"
        return one and (looked or (where == "before_call" and method in ("PATCH", "PUT")))

    def _set(self, item: TrackerItem, field: str, value: str | int) -> None:
        if field == "status":
            self._set_status(item, _chosen(list(self.status_words), value))
        elif field == "priority":
            label = _chosen(self.priorities(), value)
            new = () if label == self.usual_priority[0] else (label,)
            self._person.edit(item.id, extra={"labels": (*_without(item, self.priority_labels), *new)})
        else:
            super()._set(item, field, value)

    def _set_status(self, item: TrackerItem, name: str) -> None:
        word = self.status_words[name]
        labels = (*_without(item, self.status_words), *([name] if word.label else []))
        state = CLOSED if word.closed else OPEN
        self._person.edit(item.id, status=state, extra={"labels": labels, "reason": word.reason})

    def statuses(self) -> list[str]:
        """The words."""
        return list(self.status_words)

    def priorities(self) -> list[str]:
        """The labels, and the word for there being none."""
        return [self.usual_priority[0], *self.priority_labels]

    # --- looking ---

    def key(self, item: TrackerItem) -> str:
        """The repository, and the number there."""
        return f"{self.sandbox.tracker.containers[item.container].key}#{self.number(item)}"

    def number(self, item: TrackerItem) -> str:
        """What people call an issue of the repository."""
        return item.key

    def _asked(self, told: Told, before: Item | None, after: Item | None) -> frozenset[str]:
        """What is kept elsewhere was asked for where it differs."""
        asked = super()._asked(told, before, after) - {"status"}
        if before is None or after is None:
            return asked
        return asked | {name for name in TOLD_BY_EXTRA if before.values[name] != after.values[name]}

    def _status(self, item: TrackerItem) -> str:
        """Of several labels the one named first."""
        closed, labels = item.status == CLOSED, _labels(item)
        fitting = [(name, word) for name, word in self.status_words.items() if word.closed == closed]
        for name, word in fitting:
            if word.label and name in labels:
                return word.here
        reason = item.extra.get("reason") if closed else None
        plain = [word for _, word in fitting if not word.label]
        return next((word.here for word in plain if word.reason == reason), plain[0].here)

    def _priority(self, item: TrackerItem) -> str | None:
        labels = _labels(item)
        return next((here for name, here in self.priority_labels.items() if name in labels), self.usual_priority[1])

    def _assignee(self, item: TrackerItem) -> str | None:
        """Of several the one who comes first."""
        users = self.sandbox.tracker.users
        people = sorted(self.assignees(item), key=int)
        return self.people.get(users[people[0]].name) if people else None

    def assignees(self, item: TrackerItem) -> Iterable[str]:
        """The ids of all who have an issue."""
        return [item.assignee] if item.assignee else []


def _chosen(choices: Sequence[str], value: str | int) -> str:
    """A drawn number chooses among what there is."""
    return choices[int(value) % len(choices)]


def _labels(item: TrackerItem) -> tuple[str, ...]:
    labels: tuple[str, ...] = item.extra.get("labels", ())
    return labels


def _without(item: TrackerItem, names: Iterable[str]) -> list[str]:
    """Its labels but these."""
    return [label for label in _labels(item) if label not in names]
