"""How many deliveries came for each integration and were believed: counted here, written down every few seconds.

A request must not cost a write of its own, a refused one least of all. Only known integrations are counted, so whoever
tries URLs makes no rows. A process that is killed loses the counts of its last seconds, never a delivery.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime

from core.delivery_counts import Counted, Counts, period


class Tally:
    """What this process has counted and not yet written down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the event loop counts, the inbox's writer takes
        self._counts: Counter[tuple[str, datetime, Counted]] = Counter()

    def note(self, integration_id: str, what: Counted, at: datetime, number: int = 1) -> None:
        """So many more."""
        with self._lock:
            self._counts[integration_id, period(at), what] += number

    def take(self) -> Counts:
        """All of it, which is forgotten here."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, counts: Counts) -> None:
        """What could not be written down waits for the next time."""
        with self._lock:
            self._counts.update(counts)
