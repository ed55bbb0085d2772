"""A fake vendor that tells what is wrong or what was measured, as the conformance kit's vendor.

There are no items to edit: that something is "created" there means that something happens of which a webhook tells. A
new vendor's side subclasses `MonitorSide`, says in `deeds` what can be done there, and what is true there: what goes
wrong, what was measured, how gates stand.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from connectors.contract import Config, Measured, RawDelivery
from connectors.kit.watchpeople import WATCH_DEEDS, Stands, Wrong
from simulation.sandboxside import SandboxSide


class MonitorSide(SandboxSide):
    """What goes on at a vendor without items. A subclass says in `happen` what is told there.

    only_live, pause   as `connectors.kit.watchpeople.WatchPeople` says
    """

    status_names: ClassVar[Mapping[str, str]] = {}
    priority_names: ClassVar[Mapping[str, str]] = {}
    delivery_header = ""
    only_live: ClassVar[frozenset[str]] = frozenset()
    pause: ClassVar[int] = 300

    @abstractmethod
    def happen(self) -> None:
        """Let something happen there of which a webhook tells."""

    @abstractmethod
    def deeds(self) -> Mapping[str, Callable[[int], object]]:
        """Deed of WATCH_DEEDS -> how it is done to what has the slot; those that can't be done there are left out."""

    # --- what goes on there -------------------------------------------------------------------------

    def do(self, deed: str, slot: int = 0) -> bool:
        """Do something; False: the vendor has no such thing."""
        assert deed in WATCH_DEEDS
        found = self.deeds().get(deed)
        if found is not None:
            with self.sandbox.tracker.lock:
                found(slot)
        return found is not None

    def wrongs(self) -> Sequence[Wrong]:
        """Every going wrong; none where there are no monitors."""
        return ()

    def measured(self) -> Sequence[Measured]:
        """All points; none where nothing is measured."""
        return ()

    def gates(self) -> Sequence[Stands]:
        """How branches stand; none where there are no gates."""
        return ()

    def grow(self, count: int) -> Mapping[str, Any]:
        """Something more that was measured; nothing, where nothing is."""
        return {}

    def named(self) -> Mapping[str, Any]:
        """A config that names each subject; nothing, where they are not named."""
        return {}

    def too_much(self) -> Mapping[str, Any] | None:
        """A config that leaves something out; none, where nothing ever is."""
        return None

    # --- as a side ----------------------------------------------------------------------------------

    def create(self, title: str, slot: int) -> str | None:
        """Something happens; there is no item."""
        self.happen()
        return None

    def made_config(self, **config: Any) -> Config:
        """The config with what is given."""
        return self.connector_class.manifest.config.model_validate({**self.config(), **config})

    def tells_of_absence(self, delivery: RawDelivery) -> bool:
        """No item can be gone."""
        return False


def watch_side(side: object) -> MonitorSide:
    """A side as one of what watches. Raises TypeError."""
    if not isinstance(side, MonitorSide):
        raise TypeError(f"{type(side).__name__} is no MonitorSide: a connector that watches needs one")
    return side
