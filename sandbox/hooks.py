"""The webhooks people and apps registered at a fake vendor, and what is sent to them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.switches import Switches
from sandbox.webhooks import Delivery, Dispatcher

EVERYTHING = "*"


@dataclass(frozen=True)
class Hook:
    """A registered webhook. `events` may hold EVERYTHING; `container` (an id) limits it to what is in there."""

    id: str
    url: str
    owner: str
    secret: str = ""
    events: frozenset[str] = frozenset({EVERYTHING})
    container: str | None = None
    expires: datetime | None = None
    enabled: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, event: str, container: str | None) -> bool:
        """Whether an event in a container is for this hook."""
        heard = EVERYTHING in self.events or event in self.events
        return self.enabled and heard and self.container in (None, container)


@dataclass(frozen=True)
class Sending:
    """One attempt to deliver, for the function that signs it. `delivery_id` is the same on each attempt."""

    hook: Hook
    delivery_id: str
    event: str
    body: bytes
    attempt: int
    now: datetime


Sign = Callable[[Sending], dict[str, str]]
"""The headers of an attempt."""

Body = Callable[[Hook, str], dict[str, Any] | str]
"""What is told a hook, given the id of the delivery: JSON, or a form's text."""


def alike(body: dict[str, Any]) -> Body:
    """The same for every hook and delivery."""
    return lambda _hook, _delivery_id: body


class Hooks:
    """The webhooks of one vendor. `new_id` makes a hook's id from its number."""

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        settings: Switches,
        dispatcher: Dispatcher,
        sign: Sign,
        new_id: Callable[[int], str] = str,
    ) -> None:
        self._clock, self._rng, self._settings = clock, rng, settings
        self._dispatcher, self._sign, self._new_id = dispatcher, sign, new_id
        self._hooks: dict[str, Hook] = {}
        self._registered = 0

    def register(self, url: str, owner: str, **more: Any) -> Hook:
        """Add a webhook; `more` are the fields of Hook."""
        if not url.startswith(("http://", "https://")):
            raise VendorError(400, f"{url!r} is no address a webhook can be sent to.", field="url")
        self._registered += 1
        hook = Hook(self._new_id(self._registered), url, owner, **more)
        self._hooks[hook.id] = hook
        return hook

    def live(self, owner: str | None = None) -> list[Hook]:
        """The webhooks that have not expired, of everybody or of one owner. Expired ones are forgotten."""
        now = self._clock.now()
        for hook in list(self._hooks.values()):
            if hook.expires is not None and hook.expires <= now:
                del self._hooks[hook.id]
        return [hook for hook in self._hooks.values() if owner in (None, hook.owner)]

    def get(self, hook_id: str) -> Hook:
        """A live webhook. Raises VendorError 404."""
        for hook in self.live():
            if hook.id == hook_id:
                return hook
        raise VendorError(404, f"There is no webhook {hook_id!r}.")

    def change(self, hook_id: str, **values: Any) -> Hook:
        """Change a webhook's fields. Raises VendorError 404."""
        hook = replace(self.get(hook_id), **values)
        self._hooks[hook_id] = hook
        return hook

    def remove(self, hook_id: str) -> None:
        """Delete a webhook. Raises VendorError 404."""
        hook = self.get(hook_id)  # which forgets expired ones, in a new dict
        del self._hooks[hook.id]

    def tell(self, event: str, body: Body, container: str | None = None) -> None:
        """Queue an event for every hook that wants it."""
        for hook in self.live():
            if hook.wants(event, container):
                self.send(hook, event, body)

    def send(self, hook: Hook, event: str, body: Body) -> None:
        """Queue one delivery."""
        delivery_id = f"{self._rng.getrandbits(128):032x}"
        told = body(hook, delivery_id)
        form = isinstance(told, str)
        raw = (told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, separators=(",", ":"))).encode()

        def sign(attempt: int, now: datetime) -> dict[str, str]:
            sending = Sending(hook, delivery_id, event, raw, attempt, now)
            kind = "application/x-www-form-urlencoded" if form else "application/json"
            return {"Content-Type": kind, **self._sign(sending)}

        due = self._clock.now() + timedelta(seconds=self._settings.webhook_latency_seconds)
        self._dispatcher.enqueue(Delivery(delivery_id, event, hook.url, raw, sign, due))
