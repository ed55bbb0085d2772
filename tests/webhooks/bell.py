"""Bell: the smallest vendor that sends webhooks, and a front door for it that tests can knock at."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import func, select, update

from connectors.contract import (
    Account,
    Category,
    Config,
    Context,
    Credentials,
    Manifest,
    RawDelivery,
    Reply,
    Secrets,
    Verified,
    WebhookFacts,
)
from connectors.registry import Registry
from connectors.signing import hmac_hex, hmac_hex_sign
from core.db import Base, Database
from core.models import Credential, Delivery, Integration, Organization, Subscription, Workspace
from core.settings import OAuthApp, Settings
from core.vault import Vault
from webhooks.bodies import Bodies
from webhooks.hooks import Hooks
from webhooks.inbox import Inbox
from webhooks.metrics import Metrics
from webhooks.receive import Receiver

NOW = datetime(2026, 4, 15, 10, tzinfo=UTC)
VAULT = Vault({"test": b"0" * 32})
SECRET = "bell-secret"
HOOK = "h" * 32
PATH = f"/webhooks/bell/{HOOK}"
MAX_BODY = 512 * 1024
FACTS = WebhookFacts(max_body=MAX_BODY, headers_kept=("X-Bell-Event", "Authorization"))


class BellCredentials(Credentials):
    token: SecretStr = SecretStr("")
    client_secret: SecretStr | None = None


class Bell:
    """Signs the body. What begins with `hello ` is a handshake; the header `x-bell-fault` makes the plugin fail,
    `x-bell-exit` makes it try to end the process, and `x-bell-reply` is what it replies."""

    manifest: ClassVar[Manifest] = Manifest(
        type="bell",
        name="Bell",
        category=Category.MONITORING,
        description="Rings.",
        config=Config,
        credentials={"token": BellCredentials},
        webhooks=FACTS,
    )

    def __init__(self, context: Context) -> None: ...

    def check(self) -> Account:
        return Account("1", "Bell")

    @staticmethod
    def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
        if "x-bell-fault" in delivery.headers:
            raise KeyError("an author's mistake")
        if "x-bell-exit" in delivery.headers:
            raise SystemExit(1)
        keys = [value for values in secrets.values() for value in values]
        hmac_hex(delivery.body, delivery.headers.get("x-bell-signature"), keys, prefix="sha256=")
        reply = Reply(delivery.headers["x-bell-reply"].encode()) if "x-bell-reply" in delivery.headers else None
        return Verified(delivery.headers.get("x-bell-delivery"), delivery.headers.get("x-bell-event", ""), reply)

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        if "validation" in delivery.query:
            return Reply(delivery.query["validation"].encode())
        if not delivery.body.startswith(b"hello "):
            return None
        Bell.verify(delivery, secrets)
        return Reply(delivery.body.removeprefix(b"hello "))

    @staticmethod
    def parse(delivery: RawDelivery, config: Any) -> list[Any]:
        return []


class Chime(Bell):
    """Punishes refusals, insists on 200, and signs with its app's secret."""

    manifest: ClassVar[Manifest] = Manifest(
        type="chime",
        name="Chime",
        category=Category.MONITORING,
        description="Rings politely.",
        config=Config,
        credentials={"token": BellCredentials},
        webhooks=WebhookFacts(secrets=("client_secret",), rejection=204, accepted=200),
    )


class Mute(Bell):
    """Says things that are no sound HTTP."""

    manifest: ClassVar[Manifest] = Manifest(
        type="mute",
        name="Mute",
        category=Category.MONITORING,
        description="",
        config=Config,
        credentials={"token": BellCredentials},
        webhooks=WebhookFacts(),
    )

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        return Reply(b"", content_type="text/plain\r\nset-cookie: a=b")


def registry() -> Registry:
    known = Registry()
    for connector in (Bell, Chime, Mute):
        known.register(connector)
    return known


def settings() -> Settings:
    app = OAuthApp(client_id="app", client_secret=SecretStr("app-secret"))
    return Settings(oauth_apps={"chime": app})


# --- the database -------------------------------------------------------------------------------------


def create(url: str) -> None:
    """Our tables, and one bell integration."""
    db = Database(url)
    Base.metadata.create_all(db.engine)
    with db.write() as session:
        session.add(Organization(id="ORG-1", name="Apex", created_at=NOW))
        session.flush()
        session.add(Workspace(id="WS-1", organization_id="ORG-1", name="Payments", settings={}, created_at=NOW))
    add_integration(db)
    db.close()


def add_integration(db: Database, id_: str = "INT-1", *, type_: str = "bell", hook_id: str = HOOK) -> None:
    with db.write() as session:
        session.add(
            Integration(
                id=id_,
                organization_id="ORG-1",
                workspace_id="WS-1",
                type=type_,
                name=id_,
                status="active",
                config={},
                capabilities=[],
                routes=[],
                hook_id=hook_id,
                created_by="USR-1",
                created_at=NOW,
                updated_at=NOW,
            )
        )
        session.flush()
        session.add(Subscription(integration_id=id_, state="active", external_ids=[], sealed="", updated_at=NOW))
    set_secrets(db, id_, SECRET)


def set_secrets(db: Database, id_: str, *secrets: str) -> None:
    sealed = VAULT.seal({"secrets": list(secrets)}, f"integration:{id_}:subscription")
    with db.write() as session:
        session.execute(update(Subscription).where(Subscription.integration_id == id_).values(sealed=sealed))


def set_credentials(db: Database, id_: str, **values: str) -> None:
    sealed = VAULT.seal(values, f"integration:{id_}:credentials")
    with db.write() as session:
        session.merge(Credential(integration_id=id_, mode="token", sealed=sealed, version=1, updated_at=NOW))


def disconnect(db: Database, id_: str = "INT-1") -> None:
    with db.write() as session:
        session.execute(update(Integration).where(Integration.id == id_).values(status="disconnected"))


def stored_keys(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(select(Delivery.dedupe_key).order_by(Delivery.id)))


def only_delivery(db: Database) -> Delivery:
    with db.read() as session:
        return session.scalars(select(Delivery)).one()


def stored_count(db: Database) -> int:
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


# --- requests -----------------------------------------------------------------------------------------

_numbers = itertools.count(1)


def signed(body: bytes = b"{}", *, key: str | None = "new", secret: str = SECRET, **more: str) -> dict[str, str]:
    """The headers of a good delivery; without a `key`, one that has not been used."""
    headers = {"content-type": "application/json", "x-bell-signature": sign(body, secret), "x-bell-event": "rung"}
    if key is not None:
        headers["x-bell-delivery"] = f"auto-{next(_numbers)}" if key == "new" else key
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac_hex_sign(body, secret, prefix="sha256=")


@dataclass
class Answered:
    """An answer as it left the application."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def ask(
    app: Any,
    *,
    method: str = "POST",
    path: str = PATH,
    headers: Mapping[str, str] | Iterable[tuple[bytes, bytes]] = (),
    body: bytes | list[bytes] = b"",
    query: bytes = b"",
    then: str = "http.disconnect",
    root_path: str = "",
) -> Answered | None:
    """One request, straight into the application; None when it was not answered.

    A list of bytes comes in parts. An empty list: the sender says nothing but `then` ("wait" for nothing at all).
    """
    pairs = [(k.encode(), v.encode()) for k, v in headers.items()] if isinstance(headers, Mapping) else list(headers)
    parts = [body] if isinstance(body, bytes) else list(body)
    waiting = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        if then == "wait":
            await asyncio.Event().wait()
        return {"type": then}

    answered = Answered()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert not answered.status
            answered.status = message["status"]
            answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answered.body += message["body"]

    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": pairs}
    await app(scope | {"root_path": root_path}, receive, send)
    return answered if answered.status else None


# --- the door -----------------------------------------------------------------------------------------


class Door:
    """A receiver on a database, with an event loop of its own that runs while something is asked."""

    def __init__(self, url: str, *, ring: Any = None, bodies: Bodies | None = None, **inbox: Any) -> None:
        self.db = Database(url)
        self.rings: list[str] = []
        self.seconds = 0.0
        self.counted = CollectorRegistry()
        metrics = Metrics(self.counted)
        self.inbox = Inbox(self.db, ring or self.rings.append, metrics, **inbox)
        self.clock = lambda: NOW + timedelta(seconds=self.seconds)
        self.registry = registry()
        self.hooks = Hooks(self.db, VAULT, settings(), clock=self.clock, monotonic=lambda: self.seconds)
        self.receiver = Receiver(
            registry=self.registry,
            hooks=self.hooks,
            inbox=self.inbox,
            metrics=metrics,
            clock=self.clock,
            bodies=bodies,
        )
        self.runner = asyncio.Runner()

    def open(self) -> Door:
        self.runner.run(self.receiver.start())
        return self

    def settle(self) -> None:
        """Wait for all that comes after the answers; nothing is taken any more."""
        self.runner.run(self.receiver.stop())

    def close(self) -> None:
        self.settle()
        self.runner.close()
        self.db.close()

    def post(self, body: bytes | list[bytes] = b"{}", **request: Any) -> Answered:
        """One request; signed unless `headers` are given."""
        whole = body if isinstance(body, bytes) else b"".join(body)
        answered = self.runner.run(ask(self.receiver, **({"headers": signed(whole)} | request), body=body))
        assert answered is not None
        return answered

    def post_all(self, requests: Iterable[dict[str, Any]]) -> list[int]:
        """Many requests at once; their statuses."""

        async def gathered() -> list[Answered | None]:
            return await asyncio.gather(*(ask(self.receiver, **request) for request in requests))

        return [answered.status if answered else 0 for answered in self.runner.run(gathered())]

    def count(self, verdict: str, type_: str = "bell") -> float:
        labels = {"type": type_, "verdict": verdict}
        return self.counted.get_sample_value("turnbuckle_webhook_requests_total", labels) or 0

    def value(self, name: str) -> float:
        return self.counted.get_sample_value(name) or 0
