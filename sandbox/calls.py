"""A log of the API calls a fake vendor received, counted by operation."""

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

# Enough for a long demo; the counts go on when old records fall off.
KEPT_RECORDS = 50_000


@dataclass(frozen=True)
class CallRecord:
    """One API call. `status` is None when the client got no answer (cut or frozen)."""

    at: datetime
    operation: str
    method: str
    path: str
    query: str
    status: int | None
    faults: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The record with its time as ISO 8601 text."""
        return asdict(self) | {"at": self.at.isoformat()}


class CallLog:
    """What was called, in order, and how often."""

    def __init__(self) -> None:
        self._records: deque[CallRecord] = deque(maxlen=KEPT_RECORDS)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, record: CallRecord) -> None:
        """Remember one call."""
        with self._lock:
            self._records.append(record)
            self._counts[record.operation] += 1

    def count(self, operation: str) -> int:
        """How often one operation was called since the last reset."""
        with self._lock:
            return self._counts[operation]

    def counts(self) -> dict[str, int]:
        """Calls per operation since the last reset."""
        with self._lock:
            return dict(self._counts)

    def records(self, operation: str | None = None) -> list[CallRecord]:
        """The calls in order, optionally of one operation."""
        with self._lock:
            return [r for r in self._records if operation in (None, r.operation)]

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._records.clear()
            self._counts.clear()
