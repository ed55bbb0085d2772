"""A fake vendor as the demo sees it: a tool in which people work, in the words they see there.

What the two sides call things is translated by small tables of the tools, written from what people see and without any
help from the connectors, so that a mistake in a connector's own mapping would show.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from cli.demo.vendor import Vendor
from sandbox.errors import VendorError
from sandbox.faults import FaultKind
from sandbox.jira import JiraError

REFUSALS = (JiraError, VendorError)
"""What a person is told who tries what the tool does not allow."""

POLL_SECONDS = 5
"""The shortest the API allows, so that a lost webhook is healed while one watches."""

Values = Mapping[str, str | None]
"""Field -> value in our words; the assignee is an address."""


@dataclass(frozen=True)
class Worker:
    """Somebody who works on both sides."""

    name: str
    email: str


@dataclass(frozen=True)
class Arrival:
    """A field of an item there that was set to a value in the tool's words, or the item's birth (`field` is `created`
    then, and the value its title). `ours`: it was written by the integration."""

    at: datetime
    item_id: str
    key: str
    field: str
    value: str | None
    ours: bool


class Tool(Vendor):
    """A project management tool.

    container   the project, list or team that is connected
    statuses    the tool's statuses -> ours, `priorities` its priorities -> ours
    """

    kind = "tool"
    container: ClassVar[str]
    statuses: ClassVar[Mapping[str, str]]
    priorities: ClassVar[Mapping[str, str]]
    told_on_change: ClassVar[str]
    """The event of a webhook that tells of a changed item."""
    creates: ClassVar[str]
    """The API's operation that makes an item."""

    def __init__(self, seed: int, items: int) -> None:
        """With `items` items in the container; the same seed makes the same ones."""
        super().__init__(seed, items)
        self._news: deque[Arrival] = deque()
        self._last: dict[str, list[tuple[datetime, bool]]] = {}

    # --- people ---

    @abstractmethod
    def workers(self) -> Sequence[Worker]:
        """Who works here, without the account that integrations use."""

    @abstractmethod
    def create(self, email: str, title: str, description: str, priority: str) -> str:
        """Make an item, the priority in the tool's words; its key. Raises one of REFUSALS."""

    @abstractmethod
    def edit(self, email: str, key: str, field: str, value: str | None) -> datetime:
        """Set a field to a value in our words; when the item was last changed after that."""

    def lose_a_webhook(self) -> None:
        """Nobody will be told of the next change of an item."""
        self.sandbox.faults.add(FaultKind.WEBHOOK_DROP, operation=self.told_on_change, count=1)

    # --- looking ---

    @abstractmethod
    def items(self) -> Mapping[str, Values]:
        """Key -> values of every item in the container. Whoever has no address is nobody."""

    def news(self) -> Iterator[Arrival]:
        """What was written since the last time, oldest first."""
        while self._news:
            yield self._news.popleft()

    def was_ours(self, item_id: str, at: datetime) -> bool:
        """Whether the newest change of an item up to that time was a write of the integration."""
        changes = [ours for moment, ours in self._last.get(item_id, ()) if moment <= at]
        return bool(changes) and changes[-1]

    def there(self, field: str, value: str | None) -> str | None:
        """One of our values in the tool's words."""
        table = {"status": self.statuses, "priority": self.priorities}.get(field)
        return value if table is None else next(theirs for theirs, ours in table.items() if ours == value)

    def _heard(self, item_id: str, at: datetime, ours: bool, arrivals: Iterator[Arrival]) -> None:
        """To be called by the tool's listener for every change."""
        self._last.setdefault(item_id, []).append((at, ours))
        if ours:
            self._news.extend(arrivals)
