"""The demo's world: Turnbuckle in one process, fake vendors beside it over real HTTP, and a connection to each."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import SecretStr

from cli.demo.channel import ChannelTool
from cli.demo.client import ApiClient
from cli.demo.host import CodeHostTool
from cli.demo.tool import Tool
from cli.demo.vendor import Vendor
from cli.embedded import embedded
from cli.errors import Refused
from cli.web import listen
from connectors.http import default_transport
from core.access import issue_token
from core.settings import Settings
from core.vault import new_key
from core.workspaces import create_organization, create_service_line, create_user, create_workspace
from sandbox.server import ServerDidNotStart, ServerHandle
from sync.runtime import Runtime

V_co = TypeVar("V_co", bound=Vendor, covariant=True)

HOST = "127.0.0.1"
PORT = 8800
"""Where Turnbuckle listens, if nothing else does; the vendors take the next ones."""

TICK_SECONDS = 1.0
FIRST_SYNC_SECONDS = 60.0
"""How long the first syncs may take: all at once, two cores are busy with twelve for a while."""

LOOK_AGAIN = 0.05
"""Seconds between two looks at a first sync: each is a request, and a person waits."""


@dataclass(frozen=True)
class Connected(Generic[V_co]):
    """A vendor, the integration that ties it, and the service line that what it brings belongs to."""

    vendor: V_co
    integration_id: str
    service_line_id: str


@dataclass(frozen=True)
class World:
    """What the demo's people and watchers need. `apis` are the people's clients and `user_ids` their ids, by email."""

    runtime: Runtime
    apis: dict[str, ApiClient]
    user_ids: dict[str, str]
    token: str
    workspace_id: str
    connected: tuple[Connected[Vendor], ...]

    @property
    def vendors(self) -> list[Vendor]:
        """All that are faked."""
        return [one.vendor for one in self.connected]

    @property
    def api(self) -> ApiClient:
        """Anybody's client."""
        return next(iter(self.apis.values()))

    @property
    def trackers(self) -> list[Connected[Tool]]:
        """The project management tools."""
        return [
            Connected(one.vendor, one.integration_id, one.service_line_id)
            for one in self.connected
            if isinstance(one.vendor, Tool)
        ]

    @property
    def channels(self) -> list[Connected[ChannelTool]]:
        """The tools in which people talk."""
        return [
            Connected(one.vendor, one.integration_id, one.service_line_id)
            for one in self.connected
            if isinstance(one.vendor, ChannelTool)
        ]

    @property
    def tools(self) -> list[Tool]:
        """The project management tools alone."""
        return [one.vendor for one in self.trackers]

    def labels(self) -> Mapping[str, str]:
        """What the vendor of each integration is called."""
        return {one.integration_id: one.vendor.label for one in self.connected}

    def shown(self, one: Connected[Vendor]) -> Any:
        """An integration as the public API shows it."""
        return self.api.get(f"/v1/integrations/{one.integration_id}")["data"]


@dataclass(frozen=True)
class _Tenant:
    """The platform's side before anything is connected. `lines` is a service line for each vendor."""

    apis: dict[str, ApiClient]
    user_ids: dict[str, str]
    token: str
    workspace_id: str
    lines: list[str]


@contextmanager
def world(seed: int, items: int, makes: Sequence[type[Vendor]]) -> Iterator[World]:
    """A world that is connected and has finished its first syncs; all of it is gone after the block."""
    with ExitStack() as running:
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="turnbuckle-demo-"))
        vendors = [make(seed, items) for make in makes]
        for number, vendor in enumerate(vendors, 1):
            running.enter_context(_serve(vendor, PORT + number))
        listening = running.enter_context(_listen())
        settings = _settings(Path(directory), listening.getsockname()[1], vendors)
        runtime = running.enter_context(embedded(settings, listening))
        tenant = _populate(runtime, vendors)
        connected = tuple(_connect(tenant, vendor, line) for vendor, line in zip(vendors, tenant.lines, strict=True))
        made = World(runtime, tenant.apis, tenant.user_ids, tenant.token, tenant.workspace_id, connected)
        for one in connected:
            _wait_until_ready(made, one)
        yield made


def _serve(vendor: Vendor, port: int) -> ServerHandle:
    """On its usual port, or any other if that is taken."""
    try:
        listen(HOST, port).close()
        return vendor.serve(port, HOST)
    except (Refused, ServerDidNotStart):
        return vendor.serve(0, HOST)


def _listen() -> socket.socket:
    """On our usual port, or any other if that is taken."""
    try:
        return listen(HOST, PORT)
    except Refused:
        return listen(HOST, 0)


def _settings(directory: Path, port: int, vendors: Sequence[Vendor]) -> Settings:
    """Nothing but what the demo needs: the environment has no say in where it writes and whom it calls."""
    return Settings(
        database_url=f"sqlite:///{directory / 'demo.db'}",
        broker_url="memory://",
        public_url=f"http://{HOST}:{port}",
        secrets_keys=SecretStr(new_key("demo")),
        vendor_endpoints={vendor.type: dict(vendor.endpoints()) for vendor in vendors},
        egress_allow=[f"{HOST}/32"],
        tick_seconds=TICK_SECONDS,
    )


def _populate(runtime: Runtime, vendors: Sequence[Vendor]) -> _Tenant:
    """An organization with a workspace, a service line for each vendor, the tools' people, and a token for each of
    them."""
    now = runtime.clock()
    tools = [vendor for vendor in vendors if isinstance(vendor, Tool)]
    people = {worker.email: worker for tool in tools for worker in tool.workers()}
    with runtime.db.write() as session:
        organization = create_organization(session, "Apex Digital", now)
        workspace = create_workspace(session, organization.id, "Payments", now)
        lines = [create_service_line(session, workspace.id, f"Team on {one.label}", now).id for one in vendors]
        tokens, user_ids = {}, {}
        for person in people.values():
            user = create_user(session, organization.id, person.name, person.email, now)
            user_ids[user.email] = user.id
            _, tokens[person.email] = issue_token(
                session, now=now, organization_id=organization.id, name="demo", user_id=user.id
            )
    # The demo's own requests go to this machine, as a person's at this terminal would.
    transport = default_transport([f"{HOST}/32"])
    apis = {email: ApiClient(runtime.settings.public_url, token, transport) for email, token in tokens.items()}
    return _Tenant(apis, user_ids, next(iter(tokens.values())), workspace.id, lines)


def _connect(tenant: _Tenant, vendor: Vendor, service_line_id: str) -> Connected[Vendor]:
    """Connect the workspace to a vendor, as anybody would: with one request."""
    connection = vendor.connection(service_line_id)
    body = {"workspace_id": tenant.workspace_id, "type": vendor.type, "name": f"Apex on {vendor.label}", **connection}
    made = next(iter(tenant.apis.values())).post("/v1/integrations", body)
    return Connected(vendor, made["id"], service_line_id)


def _wait_until_ready(made: World, one: Connected[Vendor]) -> None:
    """Until its first sync is over and it knows where to send its webhooks. It is over in a second or two, and nobody
    is told when."""
    deadline = time.monotonic() + FIRST_SYNC_SECONDS
    while time.monotonic() < deadline:
        shown = made.shown(one)
        history = shown["sync_history"]
        if history and history[0]["status"] != "success":
            break
        if (history or not one.vendor.polled) and one.vendor.listened() and _is_read(made, one):
            return
        time.sleep(LOOK_AGAIN)
    reasons = [shown[name] for name in ("status_reason", "sync_reason") if shown[name]]
    raise Refused(
        f"The first sync with {one.vendor.label} did not finish: {shown['status']}, {shown['sync_status']} {reasons}."
    )


def _is_read(made: World, one: Connected[Vendor]) -> bool:
    """Whether all repositories of a code host are read and followed."""
    if not isinstance(one.vendor, CodeHostTool):
        return True
    listed = made.api.get(f"/v1/integrations/{one.integration_id}/repositories")["data"]
    return bool(listed) and {repository["state"] for repository in listed} == {"live"}
