"""The bench for what watches: what goes wrong at a monitoring vendor, and what is measured there.

What is done is named by words, so that one story can be played at every vendor. Things to do it to are picked by slots:
of alerts a slot is a monitor or a group of one, of measures a subject. A vendor that has no such thing lets it be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors.contract import GateStatus, Measured

OF_ALERTS: Mapping[str, str] = {
    "fire": "it goes wrong, and could be worse",
    "worsen": "it is worse now",
    "repeat": "it is said once more that it is wrong",
    "recover": "it is well again",
    "call": "the monitor has another title",
    "mute": "nobody is to be told of it",
    "remove": "the monitor is gone",
}

OF_MEASURES: Mapping[str, str] = {
    "measure": "it is measured; where there is a gate, it is passed",
    "spoil": "it is measured, and the gate is failed",
    "accept": "somebody lets it pass the gate, without a measuring",
    "fail": "a measuring fails, which says nothing of what was to be measured",
    "drop": "the subject is gone",
}

WATCH_DEEDS: Mapping[str, str] = {**OF_ALERTS, **OF_MEASURES}
"""Every deed -> what it is."""

WATCH_STORY: Sequence[tuple[str, int]] = (
    *(("measure", 0), ("fire", 0), ("worsen", 0), ("repeat", 0), ("spoil", 0), ("recover", 0)),
    *(("fire", 1), ("fire", 0), ("recover", 0), ("accept", 0), ("measure", 1), ("fail", 0), ("spoil", 1)),
    *(("measure", 0), ("fail", 1), ("measure", 1), ("fire", 0)),
)
"""Two things that go wrong: one gets worse, ends, flaps, and goes wrong anew after a while; the other does not end. Two
that are measured, whose gates fail and pass."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A going wrong at the vendor, in the contract's terms: what it is to be here. `resolved_at` None: it goes on."""

    monitor: str
    scope: str
    title: str
    severity: str
    url: str
    opened_at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stands:
    """How a branch stands with its gate at the vendor."""

    subject: str
    branch: str
    status: GateStatus


class WatchPeople(Protocol):
    """What goes on at a vendor that watches. Two slots at first."""

    @property
    def pause(self) -> int:
        """Seconds a 429 there asks for, when it is told to; less than a minute where it can't say."""
        ...

    @property
    def only_live(self) -> AbstractSet[str]:
        """Metrics (our names) that the vendor tells when they are measured, and keeps no history of."""
        ...

    def do(self, deed: str, slot: int = 0) -> bool:
        """One of WATCH_DEEDS; False where the vendor has no such thing."""
        ...

    def wrongs(self) -> Sequence[Wrong]:
        """Every going wrong there ever was."""
        ...

    def measured(self) -> Sequence[Measured]:
        """All that there is to be read of what was measured, as far back as the config asks for, up to what is settled;
        in the contract's words and units. There are no others between the first and the last point of a series."""
        ...

    def gates(self) -> Sequence[Stands]:
        """How branches stand now."""
        ...

    def grow(self, count: int) -> Mapping[str, Any]:
        """There is something more that was measured, so often at least; nobody is told. What the config has to say for
        it to be read, if anything."""
        ...

    def named(self) -> Mapping[str, Any]:
        """What the config has to say for each subject to be named in it; empty where subjects are not named."""
        ...

    def too_much(self) -> Mapping[str, Any] | None:
        """A config with which something that is there is left out; None where nothing ever is."""
        ...
