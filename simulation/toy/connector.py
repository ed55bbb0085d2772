"""A connector with every capability for a toy vendor."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, TypeVar

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
    Subscription,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskSyncConfig,
    TaskWritten,
    VendorValue,
    Verified,
    Vocabulary,
    WebhookFacts,
)
from simulation.toy.vendor import API, PRIORITIES, STATES, ToyHook, ToyItem, ToyVendor

T = TypeVar("T")


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
        # The cursor's own item comes again: overlapping is safe, missing is not.
        after = cursor["version"] + (not self.vendor.overlaps) if cursor else 0
        while True:
            seen = self.vendor.clock() - self.vendor.listing_lag
            listed = (i for i in self._visible() if i.version >= after and i.changed_at <= seen)
            changed = sorted(listed, key=lambda i: i.version)
            page = self._call("changed_tasks", partial(self._first, changed))
            last = page[-1].version if page else cursor["version"] if cursor else 0
            yield TaskPage([self._remote(item) for item in page], {"version": last}, total=len(self.vendor.items))
            if len(page) == len(changed):
                return
            after = last + 1

    def _first(self, items: list[ToyItem]) -> list[ToyItem]:
        return items[: self.vendor.page_size]

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        assert len(ids) <= self.manifest.refetch_batch
        return self._call("fetch_tasks", lambda: {id_: self._state(id_) for id_ in ids})

    def all_ids(self) -> Iterator[Sequence[str]]:
        ids = self._call("all_ids", lambda: [item.id for item in self._visible()])
        for start in range(0, len(ids), self.vendor.page_size):
            yield ids[start : start + self.vendor.page_size]

    # --- TaskSink ---

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        fields = self._there(draft.changes())
        taken, refused = self._taken(fields)
        item = self._call("create_task", lambda: self.vendor.add(draft.container, create_key=create_key, **taken))
        return TaskWritten(self._remote(item), self._sent(taken), refused)

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        settled = self.vendor.clock() - self.vendor.index_lag
        marked = [i for i in self.vendor.items.values() if i.create_key == create_key and i.born_at <= settled]
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

    # --- TaskVocabulary ---

    def vocabularies(self) -> Sequence[Vocabulary]:
        config = self.context.config
        states, urgencies = _values(config.status_map, STATES), _values(config.priority_map, PRIORITIES)
        return self._call(
            "vocabularies", lambda: [Vocabulary(project.external, states, urgencies) for project in config.projects]
        )

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
    status = _meaning(config.status_map, STATES, item["state"])
    priority = _meaning(config.priority_map, PRIORITIES, item["priority"])
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


def _meaning(mapped: Mapping[str, Any], table: Mapping[str, Any], there: str) -> Any:
    return mapped.get(there) or table[there]


def _values(mapped: Mapping[str, Any], table: Mapping[str, Any]) -> list[VendorValue]:
    return [VendorValue(there, there, _meaning(mapped, table, there)) for there in table]


def _ours(name: str) -> str:
    return "status" if name == "state" else name


def _body(delivery: RawDelivery) -> dict[str, Any]:
    try:
        body = json.loads(delivery.body)
    except (ValueError, RecursionError):
        raise BadPayload("The delivery is not JSON.") from None
    if not isinstance(body, dict):
        raise BadPayload("The delivery is not a JSON object.")
    return body
