"""The toy as the simulator's vendor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import httpx
from pydantic import SecretStr

import simulation.toy
from connectors.contract import Connector, RawDelivery, Refusal, Transient
from connectors.http import Transport, WireRequest, WireResponse
from core.settings import OAuthApp
from sandbox.calls import CallLog, CallRecord
from sandbox.faults import CALL_FAULTS, Fault, FaultKind, FaultPlan, describe
from simulation.machine import Machine, VirtualClock
from simulation.schedule import Conditions
from simulation.toy import BASIC, PRIORITIES, STATES, ToyItem, ToyVendor
from simulation.toy.auth import CLIENT_ID, CLIENT_SECRET
from simulation.vendor import PEOPLE, Change, Item

ASSIGNEES = (None, "ann", "bob", "eve")
REFUSED = Refusal("rule_there", "The vendor's rules do not allow it.")


class Troubled(Transport):
    """The toy's API with a log of its calls and a plan of faults. A fault `after` strikes when the toy says that the
    operation took effect."""

    def __init__(self, side: ToySide, inner: Transport) -> None:
        self._side, self._inner = side, inner
        self._after: list[Fault] = []

    def handle_request(self, request: WireRequest) -> WireResponse:
        """Answer one request, or fail as planned."""
        operation, path = request.url.path.strip("/"), request.url.path
        faults = self._side.faults.take(CALL_FAULTS, operation, request.method, path)
        self._after = [fault for fault in faults if fault.when == "after"]
        status: int | None = None
        try:
            response = self._failed(request, faults) or self._inner.handle_request(request)
            status = response.status_code
            return response
        finally:
            at = self._side.now()
            self._side.calls.add(CallRecord(at, operation, request.method, path, "", status, describe(faults)))

    def took_effect(self, operation: str) -> None:
        """The operation is done; its answer may be lost. Raises Transient."""
        if any(fault.kind in (FaultKind.CUT, FaultKind.ERROR) for fault in self._after):
            self._side.cut(operation)

    def _failed(self, request: WireRequest, faults: Sequence[Fault]) -> WireResponse | None:
        for fault in faults:
            if fault.when == "after" or fault.kind is FaultKind.LATENCY:
                continue
            if fault.kind is FaultKind.RATE_LIMIT:
                headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                return WireResponse(429, headers=headers, text="slow down")
            if fault.kind is FaultKind.ERROR:
                return WireResponse(fault.status, text="told to fail")
            raise httpx.ReadError(f"told to {fault.kind}", request=request)
        return None


class ToySide:
    """People at a toy vendor, and what the simulator may do to it."""

    name = "toy"
    containers = ("TOY", "TWO")
    calls_of_a_write = 1
    begins_skewed = False
    tells_deletions = True
    fixtures: Path | None = Path(simulation.toy.__file__).with_name("fixtures")

    def __init__(self, clock: VirtualClock, machine: Machine) -> None:
        self._clock, self._machine = clock, machine
        self._born: list[str] = []
        self._removed: list[ToyItem] = []
        self.toy = self._fresh()

    def _fresh(self) -> ToyVendor:
        toy = ToyVendor(self._clock)
        for name, address in PEOPLE.items():
            toy.person(name, address)
        toy.person("eve")
        toy.took_effect = self._took_effect
        self.faults = FaultPlan()
        self.calls = CallLog()
        self._troubled = Troubled(self, toy.transport)
        self.transport: Transport = self._troubled
        return toy

    def _took_effect(self, operation: str) -> None:
        self._machine.moment("after_call", operation)
        self._troubled.took_effect(operation)

    # --- the integration ---

    def connector(self) -> type[Connector]:
        """One class for all worlds of this process."""
        self._class = self.toy.connector()
        return self._class

    def own_effects(self, host: str) -> bool:
        """Only the authorization server works inside the transport."""
        return host == "auth.toy.test"

    def credentials(self, conditions: Conditions) -> dict[str, Any]:
        """A password, or tokens."""
        return self.consent() if conditions.oauth else dict(BASIC)

    def consent(self) -> dict[str, Any]:
        """Tokens as after a consent."""
        tokens = self.toy.auth.issue()
        ends = self._clock() + self.toy.auth.lifetime
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "expires_at": ends.isoformat(),
        }

    def wrong_credentials(self) -> dict[str, Any]:
        """A password the toy does not know."""
        return {**BASIC, "password": "no-such-password"}

    def statuses(self) -> list[str]:
        """The toy's states."""
        return list(STATES)

    def priorities(self) -> list[str]:
        """The toy's priorities."""
        return list(PRIORITIES)

    def config(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {"poll_seconds": 60}

    # --- worlds ---

    def settings(self) -> dict[str, Any]:
        """Our app there."""
        app = OAuthApp(client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET))
        return {"oauth_apps": {"toy": app}}

    def dump(self) -> Any:
        """The vendor's state, to begin other worlds with."""
        toy = self.toy
        return deepcopy((toy.items, toy.hooks, toy._count, toy.auth.families, toy.auth._count)), list(self._born)

    def load(self, dumped: Any) -> None:
        """Begin a world with a dumped state."""
        state, born = dumped
        self.toy = self._class.vendor = self._fresh()  # type: ignore[attr-defined]  # the toy's class is tied to it
        toy = self.toy
        toy.items, toy.hooks, toy._count, toy.auth.families, toy.auth._count = deepcopy(state)
        self._born, self._removed = list(born), []

    def plant(self, count: int) -> None:
        """Ready-made items, without webhooks."""
        for number in range(count):
            self._born.append(self.toy.add(self.containers[0], title=f"Planted {number}").id)
        self.toy.outbox.clear()

    def make_difficult(self, conditions: Conditions) -> None:
        """Bring about the conditions."""
        toy = self.toy
        toy.snapshots, toy.checks_versions, toy.page_size = conditions.snapshots, conditions.checks, conditions.page
        toy.skew = timedelta(seconds=conditions.skew)
        toy.index_lag = toy.listing_lag = timedelta(seconds=conditions.lag)
        toy.overlaps = False
        if conditions.refuses:
            toy.refuses[conditions.refuses] = REFUSED

    def calm(self) -> None:
        """Its listing has caught up; what is new it still finds late."""
        self.toy.listing_lag = timedelta(0)

    def now(self) -> datetime:
        """The vendor's clock."""
        return self.toy.clock()

    def tells_of_absence(self, delivery: RawDelivery) -> bool:
        """Whether a delivery is about an item that is not there (any more)."""
        return json.loads(delivery.body)["id"] not in self.toy.items

    def ends_a_write(self, operation: str) -> bool:
        """Creating is one call, updating a look and a call."""
        return operation in ("create_task", "update_task")

    def writes_blindly(self, where: str, operation: str) -> bool:
        """The answer tells what was replaced."""
        return False

    def cut(self, operation: str) -> NoReturn:
        """The answer to an operation that took effect is lost."""
        raise Transient(f"The connection was cut during {operation}.", maybe_done=True)

    # --- people ---

    def create(self, title: str, slot: int) -> str | None:
        """Make an item."""
        item = self.toy.add(self.containers[slot % 2], title=title)
        self._born.append(item.id)
        return item.id

    def edit(self, slot: int, field: str, value: str | int) -> str | None:
        """Set a field."""
        item = self._pick(slot)
        if item is None:
            return None
        name, there = _there(field, value)
        self.toy.edit(item.id, **{name: there})
        return item.id

    def move(self, slot: int, to: int) -> str | None:
        """Move an item to the other container."""
        item = self._pick(slot)
        if item is None:
            return None
        self.toy.move(item.id, self.containers[1 - self.containers.index(item.container)])
        return item.id

    def delete(self, slot: int) -> str | None:
        """Delete an item."""
        item = self._pick(slot)
        if item is None:
            return None
        self._removed.append(self.toy.delete(item.id))
        return item.id

    def restore(self) -> str | None:
        """Bring back the item deleted last."""
        if not self._removed:
            return None
        return self.toy.restore(self._removed.pop()).id

    def _pick(self, slot: int) -> ToyItem | None:
        items = list(self.toy.items.values())
        return items[slot % len(items)] if items else None

    def expire(self) -> None:
        """Access tokens end now."""
        self.toy.auth.kill_access()

    def sent(self) -> list[RawDelivery]:
        """What was sent since the last time."""
        deliveries = [delivery for _url, delivery in self.toy.outbox]
        self.toy.outbox.clear()
        return deliveries

    def delivery_key(self, delivery: RawDelivery) -> str:
        """The vendor's id of a delivery."""
        return delivery.headers["x-toy-delivery"]

    # --- looking ---

    def items(self) -> dict[str, Item]:
        """The items that are there."""
        return {id_: _item(item) for id_, item in self.toy.items.items()}

    def happened(self) -> int:
        """How many lines the journal has."""
        return len(self.toy.journal)

    def journal(self) -> Sequence[Change]:
        """All that happened since the world began."""
        return [
            Change(
                line.id,
                _item(line.before) if line.before else None,
                _item(line.after) if line.after else None,
                frozenset("status" if name == "state" else name for name in line.asked),
                line.by_people,
            )
            for line in self.toy.journal
        ]


def _there(field: str, value: str | int) -> tuple[str, str | None]:
    match field:
        case "status":
            return "state", list(STATES)[int(value) % len(STATES)]
        case "priority":
            return "priority", list(PRIORITIES)[int(value) % len(PRIORITIES)]
        case "assignee":
            return "assignee", ASSIGNEES[int(value) % len(ASSIGNEES)]
    return field, str(value)


def _item(item: ToyItem) -> Item:
    values: dict[str, str | None] = {
        "title": item.title,
        "description": item.description,
        "status": STATES[item.state].value,
        "priority": PRIORITIES[item.priority].value,
        "assignee": item.assignee,
    }
    return Item(item.id, item.key, item.container, values, item.create_key)
