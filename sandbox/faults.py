"""What goes wrong, when, and how often: the fault plan of a fake vendor.

A fault waits in the plan until something matches it (an API call by operation, method and path; a
webhook by event and URL), is used up after `count` hits, and never fires by unseeded chance.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Any


class FaultKind(StrEnum):
    """Every way a fake vendor can misbehave."""

    LATENCY = "latency"  # answer `seconds` later
    RATE_LIMIT = "rate_limit"  # 429 with `reason` and `retry_after`
    ERROR = "error"  # answer `status` (5xx, or a vendor's 409)
    CUT = "cut"  # close the connection without a byte of answer
    FREEZE = "freeze"  # hang until lifted, at most `seconds`
    EMPTY_PAGE = "empty_page"  # a listing answers no items but a token to go on
    SHORT_PAGE = "short_page"  # a listing answers fewer items than asked
    WEBHOOK_DROP = "webhook_drop"
    WEBHOOK_DOUBLE = "webhook_double"
    WEBHOOK_DELAY = "webhook_delay"  # by `seconds`
    WEBHOOK_REORDER = "webhook_reorder"  # after the next delivery to the same URL


CALL_FAULTS = frozenset({FaultKind.LATENCY, FaultKind.RATE_LIMIT, FaultKind.ERROR, FaultKind.CUT, FaultKind.FREEZE})
PAGE_FAULTS = frozenset({FaultKind.EMPTY_PAGE, FaultKind.SHORT_PAGE})
WEBHOOK_FAULTS = frozenset(
    {FaultKind.WEBHOOK_DROP, FaultKind.WEBHOOK_DOUBLE, FaultKind.WEBHOOK_DELAY, FaultKind.WEBHOOK_REORDER}
)

# A frozen call is let go after this long even if nobody lifts it: longer than any client's read timeout.
FREEZE_LIMIT_SECONDS = 60.0


class BadFault(ValueError):
    """A fault description that makes no sense; the text says what to change."""


@dataclass(kw_only=True)
class Fault:
    """One planned misbehaviour.

    `count` None means until cleared. `skip` lets that many matching calls pass first. `operation`,
    `method` and `path` are shell patterns. `when` is "before" (the vendor did nothing) or "after"
    (the write took effect and the client cannot know). Times are in seconds.
    """

    kind: FaultKind
    count: int | None = 1
    skip: int = 0
    operation: str = "*"
    method: str = "*"
    path: str = "*"
    probability: float = 1.0
    when: str = "before"
    seconds: float = 0.0
    status: int = 503
    reason: str | None = None
    retry_after: int | None = None
    id: int = 0
    hits: int = 0
    lifted: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def matches(self, operation: str, method: str, path: str) -> bool:
        """Whether the patterns fit; says nothing about count and chance."""
        return (
            fnmatchcase(operation, self.operation) and fnmatchcase(method, self.method) and fnmatchcase(path, self.path)
        )

    @property
    def spent(self) -> bool:
        """True once it has hit as often as it may."""
        return self.count is not None and self.hits >= self.count

    def to_json(self) -> dict[str, Any]:
        """The fault as the control endpoint shows it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "lifted"}


class FaultPlan:
    """The faults in force, in the order they were added. Safe to use from several threads."""

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng or Random(0)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._next_id = 1

    def add(self, kind: FaultKind | str, **settings: Any) -> Fault:
        """Plan a fault. Raises BadFault for an unknown kind or setting."""
        fault = _checked(kind, settings)
        with self._lock:
            fault.id = self._next_id
            self._next_id += 1
            self._faults.append(fault)
        return fault

    def from_json(self, spec: Mapping[str, Any]) -> Fault:
        """Plan a fault given as `{"kind": …, …settings}`."""
        settings = dict(spec)
        return self.add(settings.pop("kind", ""), **settings)

    def take(self, kinds: frozenset[FaultKind], operation: str, method: str, path: str) -> list[Fault]:
        """The faults that strike now; each one returned has been counted."""
        with self._lock:
            return [f for f in self._faults if f.kind in kinds and self._strikes(f, operation, method, path)]

    def _strikes(self, fault: Fault, operation: str, method: str, path: str) -> bool:
        if fault.spent or not fault.matches(operation, method, path):
            return False
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.probability < 1.0 and self._rng.random() >= fault.probability:
            return False
        fault.hits += 1
        return True

    def clear(self, fault_id: int | None = None) -> int:
        """Remove one fault or all; frozen calls go on. Returns how many were removed."""
        with self._lock:
            gone = [f for f in self._faults if fault_id in (None, f.id)]
            self._faults = [f for f in self._faults if f not in gone]
        for fault in gone:
            fault.lifted.set()
        return len(gone)

    def lift(self) -> None:
        """Let every frozen call go on; the plan stays."""
        for fault in self.all():
            fault.lifted.set()

    def all(self) -> list[Fault]:
        """Every fault in the plan, spent ones included."""
        with self._lock:
            return list(self._faults)


_SETTINGS = frozenset(f.name for f in fields(Fault)) - {"kind", "id", "hits", "lifted"}


def _checked(kind: FaultKind | str, settings: Mapping[str, Any]) -> Fault:
    if kind not in list(FaultKind):
        raise BadFault(f"unknown fault kind {kind!r}; use one of {', '.join(FaultKind)}")
    unknown = sorted(set(settings) - _SETTINGS)
    if unknown:
        raise BadFault(f"unknown fault settings {unknown}; use any of {sorted(_SETTINGS)}")
    if settings.get("when", "before") not in ("before", "after"):
        raise BadFault('"when" is "before" or "after"')
    return Fault(kind=FaultKind(kind), **settings)


def describe(faults: list[Fault]) -> list[str]:
    """Short names for the call log, such as `cut/after`."""
    return [f"{f.kind}/{f.when}" if f.kind in CALL_FAULTS else str(f.kind) for f in faults]


__all__ = [
    "CALL_FAULTS",
    "FREEZE_LIMIT_SECONDS",
    "PAGE_FAULTS",
    "WEBHOOK_FAULTS",
    "BadFault",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "describe",
]
