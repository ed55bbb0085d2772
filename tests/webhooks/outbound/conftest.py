"""What the tests of webhooks out run in: the engine's runtime over real HTTP, receivers on this machine, and events.

`rt` is on SQLite; `any_rt` runs a test on SQLite and again on PostgreSQL. The clock moves when a test moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import select

from cli.worker import notify
from connectors.http import default_transport
from core import events
from core.events import Fact
from core.models import AuditRecord, Event, WebhookAttempt, WebhookEndpoint, WebhookMessage
from sync.runtime import NEWS, Lane, Runtime
from tests.connectors.server import LocalServer, Seen, raw_answer, serving
from tests.sync.conftest import (
    Tenant,
    _empty_sqlite,
    any_url,
    clock,
    make_tenant,
    rings,
    runtime_on,
    sqlite_url,
    vendor,
)
from webhooks.outbound import endpoints
from webhooks.outbound.endpoints import By

__all__ = ["_empty_sqlite", "any_url", "clock", "rings", "runtime_on", "sqlite_url", "vendor"]

Reply = Callable[[Seen], bytes]


@dataclass
class Receiver:
    """Somebody's endpoint: answers in turn, the last answer again and again."""

    server: LocalServer
    answers: list[bytes]
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.server.url}/hook"

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of everything that came, in its order."""
        return [each.headers["webhook-id"] for each in self.seen]

    def answer(self, *statuses: int) -> None:
        """Answer with these from now on."""
        self.answers = [raw_answer(status) for status in statuses]


@pytest.fixture
def receiving() -> Iterator[Callable[..., Receiver]]:
    """Makes receivers. `reply`, where given, makes each answer from the request."""
    with ExitStack() as running:

        def make(*answers: bytes | int, reply: Reply | None = None) -> Receiver:
            made: Receiver

            def react(seen: Seen) -> bytes:
                made.seen.append(seen)
                if reply is not None:
                    return reply(seen)
                return made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]

            given = [raw_answer(each) if isinstance(each, int) else each for each in answers]
            made = Receiver(running.enter_context(serving(react)), given or [raw_answer(204, b"")])
            return made

        yield make


@pytest.fixture
def receiver(receiving: Callable[..., Receiver]) -> Receiver:
    return receiving()


@pytest.fixture
def outward(runtime_on: Callable[..., Runtime]) -> Iterator[Callable[..., Runtime]]:
    """Makes a runtime that may reach this machine over HTTP."""
    with ExitStack() as closing:

        def make(url: str, **parts: Any) -> Runtime:
            transport = default_transport(["127.0.0.1"])
            closing.callback(transport.close)
            rt = runtime_on(url, **{"transport": transport, **parts})
            return replace(rt, settings=rt.settings.model_copy(update={"egress_allow": ["127.0.0.1"]}))

        yield make


@pytest.fixture
def rt(outward: Callable[..., Runtime], sqlite_url: str) -> Runtime:
    return outward(sqlite_url)


@pytest.fixture
def any_rt(outward: Callable[..., Runtime], any_url: str) -> Runtime:
    return outward(any_url)


@pytest.fixture
def tenant(rt: Runtime) -> Tenant:
    return make_tenant(rt)


def listen(rt: Runtime, tenant: Tenant, url: str, *names: str, **changed: Any) -> str:
    """An endpoint for these events (all where none is named); its id."""
    return made(rt, tenant, url, *names, **changed)[0]


def made(rt: Runtime, tenant: Tenant, url: str, *names: str, **changed: Any) -> tuple[str, str]:
    """The same with its secret."""
    usual: dict[str, Any] = {
        "by": By(tenant.ann_id),
        "organization_id": tenant.organization_id,
        "workspace_id": None,
        "url": url,
        "description": "",
        "names": list(names) or ["*"],
    }
    with rt.db.write() as session:
        endpoint, secret = endpoints.create(session, rt, **(usual | changed))
    return endpoint.id, secret


def tell(rt: Runtime, tenant: Tenant, *types: str, **changed: Any) -> None:
    """Append events of these types, in one transaction."""
    usual = {
        "organization_id": tenant.organization_id,
        "workspace_id": tenant.workspace.id,
        "subject_id": "TSK-26-000001",
        "actor": tenant.ann_id,
        "data": {"from": "backlog", "to": "done"},
    }
    facts = [Fact(**(usual | {"type": type_} | changed)) for type_ in types]
    with rt.db.write() as session:
        events.append(session, facts, rt.clock())


def spread(rt: Runtime) -> None:
    """What a worker does when there are new events."""
    notify(rt, NEWS)


def send(rt: Runtime, *endpoint_ids: str) -> None:
    """What a worker does for each endpoint with something due."""
    for endpoint_id in endpoint_ids:
        notify(rt, endpoint_id)


def deliver(rt: Runtime, *endpoint_ids: str) -> None:
    """New events, as far as they come without time going on."""
    spread(rt)
    send(rt, *endpoint_ids)


def endpoint(rt: Runtime, endpoint_id: str) -> WebhookEndpoint:
    with rt.db.read() as session:
        return session.get_one(WebhookEndpoint, endpoint_id)


def messages(rt: Runtime, endpoint_id: str) -> list[WebhookMessage]:
    with rt.db.read() as session:
        wanted = select(WebhookMessage).where(WebhookMessage.endpoint_id == endpoint_id)
        return list(session.scalars(wanted.order_by(WebhookMessage.id)))


def attempts(rt: Runtime, message_id: str) -> list[WebhookAttempt]:
    with rt.db.read() as session:
        wanted = select(WebhookAttempt).where(WebhookAttempt.message_id == message_id)
        return list(session.scalars(wanted.order_by(WebhookAttempt.number)))


def rung_for(rings: list[tuple[Lane, str]]) -> set[str]:
    """What the notify lane was rung with."""
    return {subject for lane, subject in rings if lane is Lane.NOTIFY}


def told_of(rt: Runtime, hook: str) -> list[str]:
    """Why the endpoint was disabled, as told by events, which must be what the audit trail has."""
    with rt.db.read() as session:
        told = session.scalars(select(Event).where(Event.type == "webhook.disabled", Event.subject_id == hook)).all()
        audited = session.scalars(select(AuditRecord).where(AuditRecord.action == "webhook.disabled")).all()
    assert [each.data["code"] for each in audited] == [each.data["code"] for each in told]
    return [each.data["code"] for each in told]
