"""The toy vendor: plain Python state, edited by people and through its API, and the webhooks it sends."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx

from connectors import signing
from connectors.contract import (
    Priority,
    RawDelivery,
    Refusal,
    RemoteUser,
    Status,
    Transient,
)
from connectors.http import Transport, WireRequest, WireResponse
from simulation.toy.auth import ToyAuth

if TYPE_CHECKING:
    from simulation.toy.connector import ToyConnector

STATES = {
    "todo": Status.BACKLOG,
    "doing": Status.IN_PROGRESS,
    "review": Status.IN_REVIEW,
    "qa": Status.IN_REVIEW,  # a second state of the same meaning: it must survive a sync
    "closed": Status.DONE,
    "dropped": Status.CANCELLED,
}
PRIORITIES = {"p4": Priority.LOW, "p3": Priority.MEDIUM, "p2": Priority.HIGH, "p1": Priority.CRITICAL}
API = "https://api.toy.test"
BASIC = {"login": "ann", "password": "toy-password-canary"}


@dataclass(frozen=True)
class ToyItem:
    """An item as the vendor keeps it. `version` and `changed_at` move with every change; from `born_at` on its search
    may lag, which then finds it whatever becomes of it."""

    id: str
    key: str
    container: str
    title: str
    description: str = ""
    state: str = "todo"
    priority: str = "p3"
    assignee: str | None = None
    create_key: str | None = None
    version: int = 0
    changed_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    born_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ToyChange:
    """One line of the vendor's journal: the item before and after, None where it was not there. `asked` are the fields
    somebody set, changed or not; `by_people` is False for what came through the API."""

    id: str
    before: ToyItem | None
    after: ToyItem | None
    asked: Mapping[str, Any]
    by_people: bool


@dataclass
class ToyHook:
    """A registered webhook."""

    id: str
    url: str
    secret: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Failure:
    """What an operation comes to. `status` is answered instead of working; None: it works, but the answer is lost."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)


class ToyVendor:
    """The vendor's state, and the switches of a test.

    `calls` are the operations asked for, in order. `outbox` holds the deliveries sent, as (url, delivery).
    `snapshots` False makes deliveries name the item only; `overlaps` False makes a listing begin after the cursor;
    `hook_lifetime` makes subscriptions expire; `secret_of_hook` makes the vendor choose the secret; `index_lag` keeps
    new items from being found by their marker for a while, and `listing_lag` changes from being listed. `journal` is
    every change ever asked for; `took_effect` is called when an operation has worked and its answer is still to come.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.skew = timedelta(0)
        self.clock: Callable[[], datetime] = lambda: clock() + self.skew
        self.items: dict[str, ToyItem] = {}
        self.deleted: set[str] = set()
        self.hidden: set[str] = set()
        self.people: dict[str, RemoteUser] = {}
        self.hooks: dict[str, ToyHook] = {}
        self.outbox: list[tuple[str, RawDelivery]] = []
        self.journal: list[ToyChange] = []
        self.api_call = False
        self.took_effect: Callable[[str], None] = lambda _operation: None
        self.calls: list[str] = []
        self.refuses: dict[str, Refusal] = {}
        self.page_size = 50
        self.snapshots = True
        self.checks_versions = False
        self.hook_lifetime: timedelta | None = None
        self.secret_of_hook: str | None = None
        self.index_lag = timedelta(0)
        self.listing_lag = timedelta(0)
        self.overlaps = True
        self.installed = True
        self.password = BASIC["password"]
        self.missing_scopes: tuple[str, ...] = ()
        self.auth = ToyAuth(self.clock)
        self.transport: Transport = httpx.MockTransport(self._answer)
        self._failures: dict[str, list[Failure]] = {}
        self._count = 0

    def connector(self) -> type[ToyConnector]:
        """A connector class for this vendor, to be registered."""
        from simulation.toy.connector import ToyConnector  # it is built on this module

        return type("ToyConnector", (ToyConnector,), {"vendor": self})

    # --- what people do there ---

    def add(self, container: str = "TOY", **fields: Any) -> ToyItem:
        """A new item."""
        number = self._next()
        named: dict[str, Any] = {
            "id": f"t{number}",
            "key": f"{container}-{number}",
            "container": container,
            "born_at": self.clock(),
        }
        item = ToyItem(**named, **{"title": "", **fields})
        return self._store(item, fields)

    def edit(self, id_: str, **fields: Any) -> ToyItem:
        """Change fields of an item; what is the same already is no change."""
        item = self.items[id_]
        if replace(item, **fields) == item:
            self.journal.append(ToyChange(id_, item, item, fields, not self.api_call))
            return item
        return self._store(replace(item, **fields), fields)

    def move(self, id_: str, container: str) -> ToyItem:
        """Move an item: it keeps its id, and people call it by another key."""
        return self.edit(id_, container=container, key=f"{container}-{self._next()}")

    def delete(self, id_: str) -> ToyItem:
        """Remove an item."""
        item = self.items.pop(id_)
        self.deleted.add(id_)
        self.journal.append(ToyChange(id_, item, None, {}, not self.api_call))
        self._tell({"event": "item.changed", "id": id_})
        return item

    def restore(self, item: ToyItem) -> ToyItem:
        """Bring a removed item back as it was."""
        self.deleted.discard(item.id)
        return self._store(item, {})

    def person(self, id_: str, email: str | None = None, name: str = "") -> RemoteUser:
        """Make a person known."""
        self.people[id_] = RemoteUser(id_, name or id_, email)
        return self.people[id_]

    # --- what goes wrong ---

    def fail(
        self, operation: str, status: int | None, times: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Let the next `times` calls of a connector method (or `*`) fail; see `Failure`."""
        self._failures.setdefault(operation, []).extend([Failure(status, headers or {})] * times)

    def lose_answer(self, operation: str) -> None:
        """Called when an operation has taken effect. Raises Transient if its answer is to be lost."""
        if self._failure(operation, lost=True):
            raise Transient(f"The connection was cut during {operation}.", maybe_done=True)

    def _failure(self, operation: str, *, lost: bool) -> Failure | None:
        for name in (operation, "*"):
            waiting = self._failures.get(name)
            if waiting and (waiting[0].status is None) is lost:
                return waiting.pop(0)
        return None

    def _answer(self, request: WireRequest) -> WireResponse:
        headers = {"Date": format_datetime(self.clock(), usegmt=True)}
        if request.url.host == "auth.toy.test":
            return self.auth.answer(request, headers)
        operation = request.url.path.strip("/")
        self.calls.append(operation)
        sent = request.headers.get("authorization", "")
        basic = b64encode(f"{BASIC['login']}:{self.password}".encode()).decode()
        failure = self._failure(operation, lost=False)
        if failure is not None:
            assert failure.status is not None
            return WireResponse(failure.status, headers={**headers, **failure.headers}, text="told to fail")
        if sent != f"Basic {basic}" and not self.auth.knows(sent.removeprefix("Bearer ")):
            # It repeats what it was sent, as some vendors do, and in the clear.
            shown = b64decode(sent.removeprefix("Basic ")).decode() if sent.startswith("Basic ") else sent
            return WireResponse(401, headers=headers, text=f"who are you, {shown}?")
        return WireResponse(200, headers=headers)

    # --- state ---

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _store(self, item: ToyItem, asked: Mapping[str, Any]) -> ToyItem:
        stored = replace(item, title=item.title.strip(), version=self._next(), changed_at=self.clock())
        self.journal.append(ToyChange(item.id, self.items.get(item.id), stored, asked, not self.api_call))
        self.items[item.id] = stored
        self._tell({"event": "item.changed", "id": item.id} | ({"item": self.wire(stored)} if self.snapshots else {}))
        return stored

    def wire(self, item: ToyItem) -> dict[str, Any]:
        """The item as JSON, with the assignee spelled out."""
        person = self.people.get(item.assignee or "")
        told = {**asdict(item), "changed_at": item.changed_at.isoformat(), "assignee": person and asdict(person)}
        del told["born_at"]
        return told

    def _tell(self, message: dict[str, Any]) -> None:
        """Send a delivery to every live hook."""
        body = json.dumps(message).encode()
        for hook in self.hooks.values():
            if hook.expires_at is None or hook.expires_at > self.clock():
                self.outbox.append((hook.url, deliver(body, hook.secret, f"d{self._next()}", self.clock())))


def deliver(body: bytes, secret: str, key: str, at: datetime) -> RawDelivery:
    """A signed delivery."""
    return RawDelivery({"x-toy-signature": signing.hmac_hex_sign(body, secret), "x-toy-delivery": key}, body, at)
