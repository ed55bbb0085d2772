"""A fake vendor that tells what is wrong or what was measured, as the conformance kit's vendor.

There are no items to edit: that something is "created" there means that something happens of which a webhook tells.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.contract import Config, RawDelivery
from simulation.sandboxside import SandboxSide


class MonitorSide(SandboxSide):
    """People at a vendor without items. A subclass says in `happen` what is told there."""

    status_names: ClassVar[Mapping[str, str]] = {}
    priority_names: ClassVar[Mapping[str, str]] = {}
    delivery_header = ""

    @abstractmethod
    def happen(self) -> None:
        """Let something happen there of which a webhook tells."""

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
