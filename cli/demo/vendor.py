"""A fake vendor as the demo runs it: served over real HTTP, and connected as anybody would connect it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from sandbox.base import Sandbox
from sandbox.server import ServerHandle
from sandbox.vendor import TrackerSandbox


class Vendor(ABC):
    """One fake vendor. Each is made with a seed and the number of items it starts with, if it has items.

    kind      which row of the table of kinds it is of
    type      the integration type
    label     what people call it
    polled    whether it is asked for news: then it has a first sync, and a last one before ends are compared
    """

    kind: ClassVar[str]
    type: ClassVar[str]
    label: ClassVar[str]
    polled: ClassVar[bool] = True

    sandbox: Sandbox

    def __init__(self, seed: int, items: int) -> None:
        self.seed, self.size = seed, items

    def serve(self, port: int, host: str) -> ServerHandle:
        """Over real HTTP."""
        return self.sandbox.serve(port, host)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is served."""

    @abstractmethod
    def endpoints(self) -> Mapping[str, str]:
        """The connector's endpoints -> where they are here."""

    @abstractmethod
    def connection(self, service_line_id: str) -> dict[str, Any]:
        """`config` and `credentials` of an integration; what it brings belongs to the service line."""

    @abstractmethod
    def listened(self) -> bool:
        """Whether the integration has registered its webhooks."""

    def pending(self) -> int:
        """Webhooks that are still to be sent."""
        return self.sandbox.deliveries.pending()

    def calls(self) -> int:
        """How often it was called."""
        return sum(self.sandbox.calls.counts().values())


class KitVendor(Vendor):
    """One whose sandbox is made with the kit."""

    endpoint_names: ClassVar[tuple[str, ...]] = ("api",)
    sandbox: TrackerSandbox

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.sandbox.url

    def endpoints(self) -> Mapping[str, str]:
        """All on one host."""
        return dict.fromkeys(self.endpoint_names, self.url)

    def listened(self) -> bool:
        """Whether a hook is registered."""
        return bool(list(self.sandbox.hooks.live()))
