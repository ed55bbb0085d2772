"""What the API's tests run in: the engine's fixtures (database, clock, toy vendor, bell) and callers with tokens.

`api` is Ann's client with a token of the whole organization; `caller` makes clients with other tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from api.app import create_app
from api.meters import Meters
from connectors.github import GitHubConnector
from core import access, events, tasks, workspaces
from core.clock import epoch_ms
from core.db import Base
from core.deliveries import new_row
from core.events import Fact
from core.ledger import Dispute, Ledger, TaskRef
from core.models import (
    Agent,
    AgentPolicy,
    Delivery,
    FieldConflict,
    Incident,
    Integration,
    NotificationMessage,
    WebhookMessage,
)
from sync.notifications import fanout as notification_fanout
from sync.notifications import routes
from sync.runtime import Runtime
from tests.sync.conftest import (
    ManualClock,
    Tenant,
    _empty_sqlite,
    any_runtime,
    any_url,
    clock,
    connect,
    integration,
    make_tenant,
    rings,
    runtime,
    runtime_on,
    sqlite_url,
    tenant,
    toy_config,
    vendor,
)
from tests.sync.notifications.conftest import connect as connect_notifier
from tests.sync.notifications.megaphone import Megaphone
from tests.sync.watching.conftest import Watch
from tests.sync.watching.conftest import connect as connect_tower
from tests.sync.watching.tower import Tower, heard
from webhooks.outbound import endpoints
from webhooks.outbound.endpoints import By
from webhooks.outbound.fanout import fan_out

__all__ = [
    "Tenant",
    "_empty_sqlite",
    "any_runtime",
    "any_url",
    "clock",
    "connect",
    "integration",
    "make_tenant",
    "rings",
    "runtime",
    "runtime_on",
    "sqlite_url",
    "tenant",
    "toy_config",
    "vendor",
]

Caller = Callable[..., TestClient]


@pytest.fixture
def rt(runtime: Runtime) -> Runtime:
    runtime.registry.register(GitHubConnector, "built-in")
    return runtime


@pytest.fixture
def megaphone(rt: Runtime, clock: ManualClock) -> Megaphone:
    """A vendor that says things, for tests that ask for it."""
    made = Megaphone(clock)
    rt.registry.register(made.connector())
    return made


@pytest.fixture
def tower(rt: Runtime, clock: ManualClock) -> Tower:
    """A vendor that watches, for tests that ask for it."""
    made = Tower(clock)
    rt.registry.register(made.connector())
    return made


@pytest.fixture(scope="session")
def _apps() -> list[FastAPI]:
    return []


@pytest.fixture
def app(rt: Runtime, _apps: list[FastAPI]) -> FastAPI:
    """Made once, as its routes take longer to build than most tests to run; each test puts in its own runtime."""
    if not _apps:
        _apps.append(create_app(rt))
    [app] = _apps
    app.state.rt, app.state.meters = rt, Meters(rt)
    return app


@pytest.fixture
def caller(rt: Runtime, app: FastAPI, tenant: Tenant) -> Caller:
    """Makes a client with a token of its own; keyword arguments replace those of `access.issue_token`."""

    def make(**changed: Any) -> TestClient:
        usual = {"organization_id": tenant.organization_id, "user_id": tenant.ann_id, "name": "test"}
        return client(app, token(rt, **(usual | changed)))

    return make


@pytest.fixture
def api(caller: Caller) -> TestClient:
    return caller()


@pytest.fixture
def anyone(app: FastAPI) -> TestClient:
    """A client without a token."""
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def stranger(rt: Runtime) -> Tenant:
    """Another organization."""
    return make_tenant(rt)


def client(app: FastAPI, plain: str) -> TestClient:
    """A client that sends this token."""
    return TestClient(app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {plain}"})


def token(rt: Runtime, **arguments: Any) -> str:
    """The text of a new token."""
    with rt.db.write() as session:
        _row, plain = access.issue_token(session, now=rt.clock(), **arguments)
        return plain


def make_agent(rt: Runtime, tenant: Tenant, *, permitted: list[str], granted: list[str]) -> str:
    """An agent of the tenant's workspace and its policy; returns the agent's id."""
    now, workspace_id = rt.clock(), tenant.workspace.id
    with rt.db.write() as session:
        policy = AgentPolicy(
            id="POL-26-000004",
            workspace_id=workspace_id,
            name="Standard",
            status="active",
            permitted_tools=permitted,
            rate_limit={},
            require_approval_for=[],
            output_filtering={},
            data_access={},
            created_at=now,
        )
        session.add(policy)
        session.flush()
        session.add(
            Agent(
                id="AGT-26-000012",
                workspace_id=workspace_id,
                service_line_id=None,
                policy_id=policy.id,
                name="Analyst",
                description="",
                model="claude-opus-4-6",
                status="active",
                tools=granted,
                created_at=now,
            )
        )
    return "AGT-26-000012"


def second_workspace(rt: Runtime, tenant: Tenant) -> str:
    """Another workspace of the tenant's organization."""
    with rt.db.write() as session:
        return workspaces.create_workspace(session, tenant.organization_id, "Growth", rt.clock()).id


def stored(rt: Runtime) -> dict[str, int]:
    """How many rows every table has."""
    with rt.db.read() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }


def rows(rt: Runtime, model: Any, *where: Any) -> list[Any]:
    """All rows of a model."""
    with rt.db.read() as session:
        return list(session.scalars(select(model).where(*where).order_by(model.id)))


@pytest.fixture
def nothing_stored(rt: Runtime, tenant: Tenant, api: TestClient) -> Iterator[None]:
    """Fails when the test left a row behind."""
    before = stored(rt)
    yield
    assert stored(rt) == before


def new_task(api: TestClient, tenant: Tenant, **fields: Any) -> dict[str, Any]:
    """A task created through the API."""
    body = {"service_line_id": tenant.line_id, "title": "Fix the leak"} | fields
    response = api.post("/v1/tasks", json=body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


def owed_to_webhook(rt: Runtime, tenant: Tenant) -> tuple[str, str]:
    """A webhook endpoint of the tenant's workspace, and an event that is owed to it; the ids of both."""
    with rt.db.write() as session:
        made, _secret = endpoints.create(
            session,
            rt,
            by=By(tenant.ann_id),
            organization_id=tenant.organization_id,
            workspace_id=tenant.workspace.id,
            url="https://example.com/hook",
            description="",
            names=["task.*"],
        )
        fact = Fact(tenant.organization_id, tenant.workspace.id, "task.updated", "TSK-26-000009", tenant.ann_id, {})
        events.append(session, [fact], rt.clock())
    fan_out(rt)
    [message] = rows(rt, WebhookMessage, WebhookMessage.endpoint_id == made.id)
    return made.id, message.id


def owed_to_channel(rt: Runtime, tenant: Tenant) -> tuple[str, str]:
    """A notification route of the tenant's workspace, and a notification that is owed to its channel; both ids. Needs
    the fixture `megaphone`."""
    integration_id = connect_notifier(rt, tenant)
    with rt.db.write() as session:
        new = routes.NewRoute("", "ops", ["incident.*"], "info", 0, enabled=True)
        made = routes.create(session, rt, integration_id, new, by=routes.By(tenant.ann_id))
        fact = Fact(
            tenant.organization_id,
            tenant.workspace.id,
            "incident.opened",
            "INC-26-000009",
            tenant.ann_id,
            {"title": "x"},
        )
        events.append(session, [fact], rt.clock())
    notification_fanout.fan_out(rt)
    [message] = rows(rt, NotificationMessage, NotificationMessage.route_id == made.id)
    return made.id, message.id


def alerted(rt: Runtime, tenant: Tenant) -> str:
    """An incident of the tenant's workspace; its id. Needs the fixture `tower`."""
    watch = Watch(rt, tower_of(rt), tenant, connect_tower(rt, tenant))
    watch.hear(*heard(watch.tower.fires()))
    [incident] = rows(rt, Incident, Incident.integration_id == watch.id)
    return str(incident.id)


def tower_of(rt: Runtime) -> Tower:
    """The vendor that watches."""
    return rt.registry.get("tower").vendor  # type: ignore[attr-defined]  # what `Tower.connector` makes has it


def disputed(rt: Runtime, tenant: Tenant, integration: Integration, winner: str = "external") -> str:
    """A task whose title both sides changed, "Ours" and "Theirs"; returns the conflict's id."""
    theirs_won = winner == "external"
    with rt.db.write() as session:
        new = tasks.NewTask(tenant.workspace.id, "Theirs" if theirs_won else "Ours", service_line_id=tenant.line_id)
        task = tasks.create(session, new, actor=tenant.ann_id, now=rt.clock()).task
        ref = TaskRef(task.id, tenant.workspace.id, tenant.organization_id, tenant.line_id)
        dispute = Dispute(
            integration_id=integration.id,
            field="title",
            rule="conflict_latest",
            winner=winner,
            here="Ours",
            there="Theirs",
            here_at=epoch_ms(rt.clock()),
            there_at=rt.clock(),
            created_by=tenant.ann_id,
        )
        ledger = Ledger(rt.clock(), integration.id, "SYNC-26-000001", integration.id)
        ledger.lost(ref, dispute)
        ledger.write(session)
        return session.scalars(select(FieldConflict.id).order_by(FieldConflict.id.desc())).first() or ""


def delivered(rt: Runtime, integration_id: str, **changed: Any) -> int:
    """A delivery in the integration's inbox; returns its number. Keyword arguments replace columns."""
    now = rt.clock()
    usual = new_row(integration_id, f"{integration_id}:k{time.monotonic_ns()}", "item.changed", {}, b"{}", now)
    with rt.db.write() as session:
        row = Delivery(**(usual | changed))
        session.add(row)
        session.flush()
        return row.id


def mapped(tenant: Tenant) -> dict[str, str]:
    """Fields that put a task into what the toy integration maps."""
    return {"service_line_id": tenant.line_id, "project_id": tenant.project_id}


def error_of(response: Any) -> dict[str, Any]:
    """The error of an answer, whose envelope must be the platform's."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "status"}
    assert body["error"]["status"] == response.status_code
    error: dict[str, Any] = body["error"]
    return error
