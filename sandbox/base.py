"""What every fake vendor is besides its API: clock, faults, call log, webhook queue, switches, and being served."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from starlette.types import ASGIApp

from sandbox import switches
from sandbox.calls import CallLog
from sandbox.clock import Clock, SystemClock
from sandbox.control import ControlError, control_routes
from sandbox.faults import FaultPlan
from sandbox.http import Vendor, vendor_app
from sandbox.recording import RecordExchanges
from sandbox.server import DEFAULT_HOST, ServerHandle, serve_in_thread
from sandbox.switches import Switches
from sandbox.webhooks import Dispatcher, HttpSender, RetryRule, Sender


class Sandbox(ABC):
    """A fake vendor as one object: build it, serve it or call it in-process, act, break, look.

    `name` is the vendor's, `retry_rule` how it tries webhooks again; `url` is where links point. `seed` makes ids and
    tokens repeatable. `sender` takes the webhooks instead of HTTP. `webhook_time_scale` shrinks the retry delays.
    """

    name: str
    retry_rule: RetryRule
    app: ASGIApp
    url: str

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 1,
        settings: Switches,
        sender: Sender | None = None,
        webhook_time_scale: float = 1.0,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.settings = settings
        self._seed = seed
        self.calls = CallLog()
        self.faults = FaultPlan(self.rng("faults"))
        rule = replace(self.retry_rule, scale=webhook_time_scale)
        self.deliveries = Dispatcher(self.clock, self.faults, rule, self.rng("retries"), sender or HttpSender())

    def rng(self, purpose: str) -> Random:
        """Each part draws its own chances, so that one more webhook does not change the ids."""
        return Random(f"{self._seed}:{purpose}")

    def open(self, vendor: Vendor, record: Path | None = None) -> ASGIApp:
        """The vendor's API with the control endpoint beside it; `record` writes exchanges to a file."""
        app: ASGIApp = vendor_app(vendor, control_routes(self))
        return app if record is None else RecordExchanges(app, self.name, record)

    # Serving

    def serve(self, port: int = 0, host: str = DEFAULT_HOST) -> ServerHandle:
        """Serve over real HTTP in a thread, with webhooks sent in the background."""
        handle = serve_in_thread(self.app, port, host)
        self.url = handle.url
        self.deliveries.start()
        if isinstance(self.deliveries.sender, HttpSender):
            handle.on_close(self.deliveries.sender.close)
        handle.on_close(self.deliveries.stop)
        handle.on_close(self.faults.lift)
        return handle

    def deliver(self) -> int:
        """Send the webhooks that are due now, on this thread; for in-process use."""
        return self.deliveries.pump()

    # What the control endpoint does

    @abstractmethod
    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person. Raises ControlError."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything the vendor holds, as JSON, without secrets."""

    def read_settings(self) -> dict[str, Any]:
        """The switches and their values."""
        return switches.read(self.settings)

    def change_settings(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Turn switches. Raises ControlError for an unknown name or a value of another type."""
        return switches.change(self.settings, changes)


def perform(
    person: Callable[[], object],
    actions: frozenset[str],
    action: str,
    arguments: dict[str, Any],
    refusal: type[Exception],
) -> Any:
    """Let a person do one of the actions; what came of it. `fields` may hold arguments of their own. Raises
    ControlError, also for what the vendor refuses."""
    if action not in actions:
        raise ControlError(f"unknown action {action!r}; use one of {', '.join(sorted(actions))}")
    given = dict(arguments)
    given |= given.pop("fields", {})
    try:
        return getattr(person(), action)(**given)
    except refusal as error:
        raise ControlError(str(error)) from error
    except TypeError as error:
        raise ControlError(f"{action}: {error}") from error
