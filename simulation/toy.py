"""Toy: a vendor made of plain Python state, and a connector with every capability for it.

`ToyVendor` is the other side: tests and the simulator edit its items as people would, tell it to fail, and take the webhook deliveries it
sent. `vendor.connector()` is a connector class tied to it; every operation first goes over `vendor.transport` as one
HTTP request, so that budgets, errors, redaction and the vendor's clock are the real ones, and then works on the state.
Everything is deterministic: ids and versions count, time is what `vendor.clock` says.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar, TypeVar

import httpx
from pydantic import SecretStr

from connectors import signing
from connectors.contract import (
    Account,
    BadPayload,
    Category,
    Conflict,
    ConsentPending,
    Context,
    Credentials,
    Cursor,
    Expected,
    Gone,
    GoneReason,
    Hint,
    Ignored,
    Manifest,
    NotFound,
    OAuthFacts,
    Priority,
    RateFacts,
    RawDelivery,
    Refusal,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    Reply,
    Secrets,
    Signal,
    Snapshot,
    Status,
    Subscription,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskSyncConfig,
    TaskWritten,
    Transient,
    Verified,
    WebhookFacts,
)
from connectors.http import Transport, WireRequest, WireResponse
from simulation.toy_auth import ToyAuth

T = TypeVar("T")

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


# --- the vendor ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyItem:
    """An item as the vendor keeps it. `version` and `changed_at` move with every change."""

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
    `snapshots` False makes deliveries name the item only; `hook_lifetime` makes subscriptions expire; `secret_of_hook`
    makes the vendor choose the secret; `index_lag` keeps new items from being found by their marker for a while, and
    `listing_lag` changes from being listed. `journal` is every change ever asked for, `took_effect` is called when an
    operation has worked and its answer is still to come.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.skew = timedelta(0)
        self.clock = lambda: clock() + self.skew
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
        self.installed = True
        self.password = BASIC["password"]
        self.missing_scopes: tuple[str, ...] = ()
        self.auth = ToyAuth(self.clock)
        self.transport: Transport = httpx.MockTransport(self._answer)
        self._failures: dict[str, list[Failure]] = {}
        self._count = 0

    def connector(self) -> type[ToyConnector]:
        """A connector class for this vendor, to be registered."""
        return type("ToyConnector", (ToyConnector,), {"vendor": self})

    # --- what people do there ---

    def add(self, container: str = "TOY", **fields: Any) -> ToyItem:
        """A new item."""
        number = self._next()
        item = ToyItem(id=f"t{number}", key=f"{container}-{number}", container=container, **{"title": "", **fields})
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
        return {**asdict(item), "changed_at": item.changed_at.isoformat(), "assignee": person and asdict(person)}

    def _tell(self, message: dict[str, Any]) -> None:
        """Send a delivery to every live hook."""
        body = json.dumps(message).encode()
        for hook in self.hooks.values():
            if hook.expires_at is None or hook.expires_at > self.clock():
                self.outbox.append((hook.url, deliver(body, hook.secret, f"d{self._next()}", self.clock())))


def deliver(body: bytes, secret: str, key: str, at: datetime) -> RawDelivery:
    """A signed delivery."""
    return RawDelivery({"x-toy-signature": signing.hmac_hex_sign(body, secret), "x-toy-delivery": key}, body, at)


# --- the connector ------------------------------------------------------------------------------------


class ToyConfig(TaskSyncConfig):
    """Nothing of its own."""


class ToyBasic(Credentials):
    """A login and a password."""

    login: str
    password: SecretStr


class ToyOAuth(Credentials):
    """An OAuth app (the operator's where none is named) and, after the consent, its tokens."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    expires_at: datetime | None = None
    site: str | None = None


class ToyConnector:
    """The connector of a toy vendor; made by `ToyVendor.connector()`."""

    vendor: ClassVar[ToyVendor]
    manifest: ClassVar[Manifest] = Manifest(
        type="toy",
        name="Toy",
        category=Category.PROJECT_MANAGEMENT,
        description="A vendor for tests.",
        config=ToyConfig,
        credentials={"oauth2": ToyOAuth, "basic": ToyBasic},
        endpoints={"api": API, "auth": "https://auth.toy.test"},
        oauth=OAuthFacts(
            authorize_url="{auth}/authorize",
            token_url="{auth}/token",
            scopes=("items:read", "items:write"),
            params={"audience": "toy"},
            revoke_url="{auth}/revoke",
        ),
        webhooks=WebhookFacts(headers_kept=("x-toy-delivery",)),
        rates=RateFacts(per_second=1000, burst=1000),
        refetch_batch=20,
        create_settle=timedelta(seconds=60),
    )

    def __init__(self, context: Context) -> None:
        self.context = context

    def check(self) -> Account:
        if not self.vendor.installed:
            raise ConsentPending("The app is not installed in Toy yet.")
        learned = {"site": "toy-1"} if isinstance(self.context.credentials, ToyOAuth) else {}
        account = Account("acc-1", "Toy account", missing_scopes=self.vendor.missing_scopes, learned=learned)
        return self._call("check", lambda: account)

    # --- TaskSource ---

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        after = cursor["version"] if cursor else 0
        while True:
            # The cursor's own item comes again: overlapping is safe, missing is not.
            seen = self.vendor.clock() - self.vendor.listing_lag
            listed = (i for i in self._visible() if i.version >= after and i.changed_at <= seen)
            changed = sorted(listed, key=lambda i: i.version)
            page = self._call("changed_tasks", lambda c=changed: c[: self.vendor.page_size])
            last = page[-1].version if page else after
            yield TaskPage([self._remote(item) for item in page], {"version": last}, total=len(self.vendor.items))
            if len(page) == len(changed):
                return
            after = last + 1

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        assert len(ids) <= self.manifest.refetch_batch
        return self._call("fetch_tasks", lambda: {id_: self._state(id_) for id_ in ids})

    def all_ids(self) -> Iterator[Sequence[str]]:
        ids = self._call("all_ids", lambda: [item.id for item in self._visible()])
        for start in range(0, len(ids), self.vendor.page_size):
            yield ids[start : start + self.vendor.page_size]

    # --- TaskSink ---

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        fields = self._there(
            {
                "title": draft.title,
                "description": draft.description,
                "status": draft.status,
                "priority": draft.priority,
                "assignee": draft.assignee,
            }
        )
        taken, refused = self._taken(fields)
        item = self._call("create_task", lambda: self.vendor.add(draft.container, create_key=create_key, **taken))
        return TaskWritten(self._remote(item), self._sent(taken), refused)

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        settled = self.vendor.clock() - self.vendor.index_lag
        marked = [i for i in self.vendor.items.values() if i.create_key == create_key and i.changed_at <= settled]
        return self._call("find_created", lambda: [self._remote(item) for item in marked])

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        taken, refused = self._taken(self._there(changes))
        seen = self._call("update_task.look", lambda: self.vendor.items.get(external_id))
        if seen is None:
            raise NotFound(f"There is no item {external_id}.")
        before, item = self._call("update_task", lambda: self._edit(external_id, taken, expected))
        held = self._remote(before).values
        overwrote = {
            name: held[name]
            for name in changes
            if name in held and name not in refused and held[name].there != expected.there.get(name)
        }
        return TaskWritten(self._remote(item), self._sent(taken), refused, overwrote)

    def _edit(self, id_: str, fields: dict[str, Any], expected: Expected) -> tuple[ToyItem, ToyItem]:
        """The item before and after. The vendor looks and sets at once: what it replaced is what it tells."""
        before = self.vendor.items.get(id_)
        if before is None:
            raise NotFound(f"There is no item {id_}.")
        if self.vendor.checks_versions and before.version != expected.version:
            raise Conflict(f"{before.key} has changed meanwhile.")
        return before, self.vendor.edit(id_, **fields)

    # --- UserDirectory ---

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        found = [person for person in self.vendor.people.values() if person.email == email]
        return self._call("find_user", lambda: found[0] if len(found) == 1 else None)

    # --- WebhookReceiver ---

    @staticmethod
    def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
        signing.hmac_hex(delivery.body, delivery.headers.get("x-toy-signature"), secrets["signing"])
        return Verified(delivery.headers.get("x-toy-delivery"), str(_body(delivery).get("event", "")))

    @staticmethod
    def parse(delivery: RawDelivery, config: Any) -> Sequence[Signal]:
        body = _body(delivery)
        if body.get("event") != "item.changed":
            return [Ignored("unsupported", str(body.get("event")))]
        if "item" not in body:
            return [Hint(body["id"])]
        return [Snapshot(to_remote(body["item"], config))]

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        if b'"challenge"' not in delivery.body:
            return None
        ToyConnector.verify(delivery, secrets)
        return Reply(str(_body(delivery)["challenge"]).encode())

    # --- WebhookSubscriber ---

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        return self._call("subscribe", lambda: self._register(url, secret))

    def _register(self, url: str, secret: SecretStr) -> Subscription:
        known = next((hook.id for hook in self.vendor.hooks.values() if hook.url == url), None)
        chosen = self.vendor.secret_of_hook or secret.get_secret_value()
        hook = ToyHook(known or f"h{len(self.vendor.hooks) + 1}", url, chosen, self._hook_expiry())
        self.vendor.hooks[hook.id] = hook
        told = SecretStr(chosen) if self.vendor.secret_of_hook else None
        return Subscription((hook.id,), hook.expires_at, told)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        hooks = [self.vendor.hooks.get(id_) for id_ in subscription.external_ids]
        return self._call("renew", lambda: self._extend([h for h in hooks if h], subscription))

    def _extend(self, hooks: list[ToyHook], subscription: Subscription) -> Subscription | None:
        for hook in hooks:
            hook.expires_at = self._hook_expiry()
        return replace(subscription, expires_at=self._hook_expiry()) if hooks else None

    def unsubscribe(self, subscription: Subscription) -> None:
        self._call("unsubscribe", lambda: [self.vendor.hooks.pop(id_, None) for id_ in subscription.external_ids])

    # --- shared ---

    def _call(self, operation: str, work: Callable[[], T]) -> T:
        """Ask the vendor over HTTP, do the work on its state, and perhaps never hear the answer."""
        self.context.http.request("POST", f"{self.context.endpoints['api']}/{operation}", headers=self._authorization())
        self.vendor.api_call = True
        try:
            result = work()
        finally:
            self.vendor.api_call = False
        self.vendor.took_effect(operation)
        self.vendor.lose_answer(operation)
        return result

    def _authorization(self) -> dict[str, str]:
        credentials = self.context.credentials
        if isinstance(credentials, ToyBasic):
            pair = f"{credentials.login}:{credentials.password.get_secret_value()}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        token = credentials.access_token
        return {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}

    def _hook_expiry(self) -> datetime | None:
        return self.vendor.clock() + self.vendor.hook_lifetime if self.vendor.hook_lifetime else None

    def _visible(self) -> list[ToyItem]:
        mapped = {project.external for project in self.context.config.projects}
        return [i for i in self.vendor.items.values() if i.container in mapped and i.id not in self.vendor.hidden]

    def _state(self, id_: str) -> RemoteTask | Gone:
        if id_ in self.vendor.items and id_ not in self.vendor.hidden:
            return self._remote(self.vendor.items[id_])
        proof = GoneReason.DELETED if id_ in self.vendor.deleted else GoneReason.UNREACHABLE
        return Gone(id_, proof, f"{id_} can't be read")

    def _remote(self, item: ToyItem) -> RemoteTask:
        return to_remote(self.vendor.wire(item), self.context.config)

    def _there(self, changes: TaskChanges) -> dict[str, Any]:
        """Our fields and words in the vendor's."""
        there: dict[str, Any] = {}
        for name, value in changes.items():
            if name == "status":
                there["state"] = self._out(self.context.config.status_out, STATES, value)
            elif name == "priority":
                there["priority"] = self._out(self.context.config.priority_out, PRIORITIES, value)
            elif name == "assignee":
                there["assignee"] = value.id if isinstance(value, RemoteUser) else None
            else:
                there[name] = str(value).strip()
        return there

    def _out(self, mapped: Mapping[Any, str], table: Mapping[str, Any], value: Any) -> str:
        return mapped.get(value) or next(there for there, here in table.items() if here == value)

    def _taken(self, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Refusal]]:
        refused = {_ours(n): self.vendor.refuses[_ours(n)] for n in fields if _ours(n) in self.vendor.refuses}
        return {name: value for name, value in fields.items() if _ours(name) not in refused}, refused

    def _sent(self, taken: Mapping[str, Any]) -> dict[str, str | None]:
        return {_ours(name): value for name, value in taken.items()}


def to_remote(item: Mapping[str, Any], config: TaskSyncConfig) -> RemoteTask:
    """An item's JSON as the contract's value."""
    status = config.status_map.get(item["state"]) or STATES[item["state"]]
    priority = config.priority_map.get(item["priority"]) or PRIORITIES[item["priority"]]
    return RemoteTask(
        external_id=item["id"],
        key=item["key"],
        url=f"https://toy.test/{item['key']}",
        container=item["container"],
        version=item["version"],
        updated_at=datetime.fromisoformat(item["changed_at"]),
        values={
            "title": RemoteValue(item["title"], item["title"]),
            "description": RemoteValue(item["description"], item["description"]),
            "status": RemoteValue(status, item["state"]),
            "priority": RemoteValue(priority, item["priority"]),
        },
        assignee=RemoteUser(**item["assignee"]) if item["assignee"] else None,
        create_key=item["create_key"],
    )


def _ours(name: str) -> str:
    return "status" if name == "state" else name


def _body(delivery: RawDelivery) -> dict[str, Any]:
    try:
        body = json.loads(delivery.body)
    except ValueError:
        raise BadPayload("The delivery is not JSON.") from None
    if not isinstance(body, dict):
        raise BadPayload("The delivery is not a JSON object.")
    return body
