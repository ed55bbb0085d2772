"""What the simulator needs of a vendor: people who work there, its journal, and its ways to fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol

from connectors.contract import Connector, RawDelivery
from connectors.http import Transport
from sandbox.calls import CallLog
from sandbox.faults import FaultPlan
from simulation.schedule import Conditions

PEOPLE = {"ann": "ann@apex.test", "bob": "bob@apex.test"}
"""Who is known on both sides; `eve` is only known there, `carl` only here."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item as people there see it, in the platform's words; `assignee` is one of PEOPLE, `eve` or None."""

    id: str
    key: str
    container: str
    values: Mapping[str, str | None]
    create_key: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the vendor's journal: what an item was before and after (None: not there), and which fields somebody
    set, changed or not. `by_people` is False for what the engine wrote."""

    item: str
    before: Item | None
    after: Item | None
    asked: frozenset[str]
    by_people: bool


class SimulatedVendor(Protocol):
    """A fake vendor with one integration's worth of items. Slots pick among the items in the order of their birth."""

    name: str
    transport: Transport
    containers: tuple[str, str]
    calls_of_a_write: int
    """Changes that creating or updating an item may take."""
    begins_skewed: bool
    """Whether its clock is as wrong as the conditions say while the integration is set up already, not only later."""
    tells_deletions: bool
    """Whether a webhook tells of a deleted item."""

    # --- the integration ---

    def connector(self) -> type[Connector]:
        """The connector's class, for all worlds of this process."""
        ...

    def own_effects(self, host: str) -> bool:
        """Whether requests to this host take effect inside `transport`; for the others the vendor tells the machine."""
        ...

    def settings(self) -> dict[str, Any]:
        """What of the settings its connector needs."""
        ...

    def config(self) -> dict[str, Any]:
        """What its config has besides projects and conflict rules."""
        ...

    def credentials(self, conditions: Conditions) -> dict[str, Any]:
        """What the integration is connected with."""
        ...

    def consent(self) -> dict[str, Any]:
        """New credentials, as after a consent."""
        ...

    # --- worlds ---

    def dump(self) -> Any:
        """The state now, to begin worlds with."""
        ...

    def load(self, dumped: Any) -> None:
        """Begin a world with a state."""
        ...

    def make_difficult(self, conditions: Conditions) -> None:
        """Bring about the conditions."""
        ...

    def calm(self) -> None:
        """Its listing has caught up. What it refuses and what its clock says stays."""
        ...

    def now(self) -> datetime:
        """The vendor's clock."""
        ...

    def tells_of_absence(self, delivery: RawDelivery) -> bool:
        """Whether a delivery is about an item that is not there (any more)."""
        ...

    def ends_a_write(self, operation: str) -> bool:
        """Whether this call is the last that a write consists of."""
        ...

    def writes_blindly(self, where: str, operation: str) -> bool:
        """Whether a process at this moment (`Interrupt.where`) has looked at an item and is about to write it, and no
        client of this vendor could notice what somebody else sets meanwhile."""
        ...

    def cut(self, operation: str) -> NoReturn:
        """Raise what the connector meets when the answer to an operation that took effect is lost."""
        ...

    # --- people ---

    def create(self, title: str, slot: int) -> str | None:
        """Make an item; its id."""
        ...

    def edit(self, slot: int, field: str, value: str | int) -> str | None:
        """Set a field; the item's id, None where there is no item or no way."""
        ...

    def move(self, slot: int, to: int) -> str | None:
        """Move an item to another mapped container."""
        ...

    def delete(self, slot: int) -> str | None:
        """Delete an item."""
        ...

    def restore(self) -> str | None:
        """Bring back what was deleted last."""
        ...

    def expire(self) -> None:
        """The access tokens end now."""
        ...

    def sent(self) -> list[RawDelivery]:
        """The webhook deliveries sent since the last time."""
        ...

    def delivery_key(self, delivery: RawDelivery) -> str:
        """The vendor's id of a delivery."""
        ...

    # --- looking ---

    def items(self) -> dict[str, Item]:
        """The items that are there."""
        ...

    def happened(self) -> int:
        """How many lines the journal has."""
        ...

    def journal(self) -> Sequence[Change]:
        """All that happened to items since the world began."""
        ...


class TrialVendor(SimulatedVendor, Protocol):
    """What the conformance kit needs besides: faults on demand, a log of calls, and what its connector must cope with.

    fixtures  a folder of recorded deliveries, one JSON file each:
              `{"headers": {…}, "body": text or JSON, "expect": "snapshot" | "hint" | "pressed" | "ignored:<code>" | …}`
    """

    faults: FaultPlan
    calls: CallLog
    fixtures: Path | None

    def plant(self, count: int) -> None:
        """Put ready-made items into the first container, without webhooks."""
        ...

    def wrong_credentials(self) -> dict[str, Any]:
        """Credentials of the right form that the vendor does not know."""
        ...

    def statuses(self) -> list[str]:
        """Every status an item can have, as a status map of the config names them."""
        ...

    def priorities(self) -> list[str]:
        """Every priority an item can have, as a priority map of the config names them."""
        ...
