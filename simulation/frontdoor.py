"""The real front door, knocked at from the simulator's own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from connectors.contract import RawDelivery
from connectors.kit.bench import Answer
from core.models import Integration
from sync.runtime import Runtime
from webhooks.app import make_receiver
from webhooks.metrics import Metrics
from webhooks.receive import Receiver


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """The receiver of one platform. It is made anew for every delivery: nothing is remembered between two, and what it
    does after its answer is done before anybody else uses the one connection there is to a database in memory."""

    rt: Runtime

    def knock(self, integration: Integration, deliveries: Iterable[RawDelivery]) -> list[Answer]:
        """Deliver one after the other."""
        return asyncio.run(self._visit(integration, list(deliveries)))

    async def _visit(self, integration: Integration, deliveries: list[RawDelivery]) -> list[Answer]:
        return [await self._deliver(integration, delivery) for delivery in deliveries]

    async def _deliver(self, integration: Integration, delivery: RawDelivery) -> Answer:
        before = self._stored()
        receiver = self._receiver()
        await receiver.start()
        try:
            status = await _ask(receiver, f"/webhooks/{integration.type}/{integration.hook_id}", delivery)
        finally:
            await receiver.stop()
        return Answer(status, self._stored() - before)

    def _receiver(self) -> Receiver:
        return make_receiver(
            settings=self.rt.settings,
            db=self.rt.db,
            vault=self.rt.vault,
            registry=self.rt.registry,
            ring=lambda _integration_id: None,
            clock=self.rt.clock,
            metrics=Metrics(CollectorRegistry()),
        )

    def _stored(self) -> int:
        with self.rt.db.read() as session:
            return int(session.connection().exec_driver_sql("SELECT count(*) FROM delivery").scalar_one())


async def _ask(receiver: Receiver, path: str, delivery: RawDelivery) -> int:
    """One request, straight into the application; its answer's status (0: none)."""
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": delivery.body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in delivery.headers.items()]
    query = "&".join(f"{name}={value}" for name, value in delivery.query.items()).encode()
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": headers}
    await receiver(scope | {"root_path": ""}, receive, send)
    return status
