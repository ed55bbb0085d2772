"""Recent versions of items, so that a search index can answer from a little while ago."""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# The largest lag that can be simulated; older versions are let go.
KEPT = timedelta(hours=1)


class History(Generic[K, T]):
    """Which item looked how, when. Only items changed lately are kept."""

    def __init__(self) -> None:
        self._versions: dict[K, list[tuple[datetime, T | None]]] = {}

    def record(self, before: T | None, item_id: K, after: T | None, now: datetime) -> None:
        """Remember a change; None stands for "does not exist"."""
        versions = self._versions.setdefault(item_id, [(datetime.min.replace(tzinfo=now.tzinfo), before)])
        versions.append((now, after))
        while len(versions) > 1 and versions[1][0] < now - KEPT:
            versions.pop(0)

    def changed_since(self, instant: datetime) -> dict[K, T | None]:
        """Items that changed after an instant, as they were then."""
        then: dict[K, T | None] = {}
        for item_id, versions in self._versions.items():
            if versions[-1][0] > instant:
                then[item_id] = [item for at, item in versions if at <= instant][-1]
        return then
