"""Any fake vendor of messages, and the connector that is shipped for it, as the conformance kit's vendor.

A new vendor's side subclasses `NotifierSide`: it names its classes, fixtures, channels and limits, and says how people
read a channel and what they can do there (see `connectors.kit.notifypeople.NotifyPeople`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.contract import Config, RawDelivery
from connectors.kit.notifypeople import Message
from simulation.sandboxside import SandboxSide

PLATFORM = "https://app.apex.test"
"""Where the platform's own pages are, that messages lead to."""

WHO = "Ann Archer"
"""Who does what people do there."""

HOOK = "https://turnbuckle.test/webhooks"
"""Where a vendor believes that it sends its requests: the world's network takes them from whatever address."""


class NotifierSide(SandboxSide):
    """People in a vendor's channels.

    channels      two, as a route names them; the first is the config's default one
    limited       `item` and `account` -> the operation whose 429 limits it
    signs_bodies  the vendor's proof of a delivery covers its body
    """

    status_names: ClassVar[Mapping[str, str]] = {}
    priority_names: ClassVar[Mapping[str, str]] = {}
    delivery_header = ""
    channels: ClassVar[tuple[str, str]]
    limited: ClassVar[Mapping[str, str]] = {}
    signs_bodies: ClassVar[bool] = True

    # --- what a vendor says -------------------------------------------------------------------------

    @abstractmethod
    def said(self, channel: str) -> list[Message]:
        """What is in a channel."""

    @abstractmethod
    def erase(self, channel: str, message: str) -> None:
        """Delete a message."""

    @abstractmethod
    def close(self, channel: str) -> None:
        """Nothing can be said there any more."""

    @abstractmethod
    def reopen(self, channel: str) -> None:
        """Something can be said there again."""

    @abstractmethod
    def end_access(self) -> None:
        """Nothing can be said anywhere any more."""

    @abstractmethod
    def give_access(self) -> None:
        """The same credentials are good again."""

    @abstractmethod
    def press(self, channel: str, message: str, button: str) -> None:
        """Press a button."""

    # --- for sides ----------------------------------------------------------------------------------

    def act(self, action: str, **arguments: Any) -> None:
        """Somebody does what the sandbox's people can do."""
        self.sandbox.act(WHO, action, arguments)

    # --- the rest of the simulator's vendor ---------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """The platform has pages."""
        return super().settings() | {"platform_url": PLATFORM}

    def create(self, title: str, slot: int) -> str | None:
        """There are no items."""
        return None

    def made_config(self, **config: Any) -> Config:
        """The config with what is given."""
        return self.connector_class.manifest.config.model_validate({**self.config(), **config})

    def tells_of_absence(self, delivery: RawDelivery) -> bool:
        """No item can be gone."""
        return False


def notifier_side(side: object) -> NotifierSide:
    """A side as one with channels. Raises TypeError."""
    if not isinstance(side, NotifierSide):
        raise TypeError(f"{type(side).__name__} is no NotifierSide: a connector with notifier needs one")
    return side
