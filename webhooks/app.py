"""The front door in front of the rest of the application.

app = with_front_door(make_receiver(settings=…, db=…, vault=…, registry=…, ring=…), api)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from connectors.registry import Registry
from core.clock import Clock, utc_now
from core.db import Database
from core.settings import Settings
from core.vault import Vault
from webhooks.hooks import Hooks
from webhooks.inbox import Inbox
from webhooks.metrics import Metrics
from webhooks.receive import Receiver

PREFIX = "/webhooks/"

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
FrontDoor = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


def make_receiver(
    *,
    settings: Settings,
    db: Database,
    vault: Vault,
    registry: Registry,
    ring: Callable[[str], None],
    clock: Clock = utc_now,
    metrics: Metrics | None = None,
) -> Receiver:
    """A receiver with everything it needs. `ring(integration_id)` says that an inbox has something in it; it is called
    from a thread of its own. Without `metrics`, they go to Prometheus's default registry (so: once per process)."""
    metrics = metrics or Metrics()
    return Receiver(
        registry=registry,
        hooks=Hooks(db, vault, settings, clock=clock),
        inbox=Inbox(db, ring, metrics),
        metrics=metrics,
        clock=clock,
    )


def with_front_door(receiver: Receiver, inner: AsgiApp) -> FrontDoor:
    """Requests to `/webhooks/…` go to the receiver, all else to `inner`.

    Not a framework's mount, which answers a path it does not know with a redirect; vendors take that for success. The
    receiver starts and stops with `inner`'s lifespan: before its startup and before its shutdown is complete.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _below_prefix(scope):
            await receiver(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receiver, inner, scope, receive, send)
        else:
            await inner(scope, receive, send)

    return app


def _below_prefix(scope: Any) -> bool:
    path: str = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
    return path.startswith(PREFIX)


async def _lifespan(receiver: Receiver, inner: AsgiApp, scope: Any, receive: Any, send: Any) -> None:
    async def send_after_stopping(message: Any) -> None:
        # A server may end the process as soon as it has heard of the shutdown's end.
        if message["type"].startswith("lifespan.shutdown"):
            await receiver.stop()
        await send(message)

    await receiver.start()
    try:
        await inner(scope, receive, send_after_stopping)
    finally:
        await receiver.stop()
