"""The demo's world: Turnbuckle in one process, fake vendors beside it over real HTTP, and a connection to each."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from cli.demo.boards import BoardsTool
from cli.demo.clickup import ClickUpTool
from cli.demo.client import ApiClient
from cli.demo.host import CodeHostTool
from cli.demo.jira import JiraTool
from cli.demo.linear import LinearTool
from cli.demo.tool import Tool
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

HOST = "127.0.0.1"
PORT = 8800
"""Where Turnbuckle listens, if nothing else does; the tools take the next ones."""

TOOLS: tuple[type[Tool], ...] = (JiraTool, LinearTool, ClickUpTool, BoardsTool)
"""All fake vendors; the demo shows the first two unless everything is asked for."""

HISTORY = 6
"""Pull requests the code host had before: their reading leaves most of GitHub's first sixty calls to what comes."""

HOST_POLL_SECONDS = 30
"""Two repositories cost ten calls a poll, of 1.3 a second that GitHub allows."""

POLL_SECONDS = 5
"""The shortest the API allows, so that a lost webhook is healed while one watches."""

TICK_SECONDS = 1.0
FIRST_SYNC_SECONDS = 30.0
LOOK_AGAIN = 0.05
"""Seconds between two looks at a first sync: each is a request, and a person waits."""


@dataclass(frozen=True)
class Connected:
    """A tool, the integration that ties it, and the service line its items belong to."""

    tool: Tool
    integration_id: str
    service_line_id: str


@dataclass(frozen=True)
class ConnectedHost:
    """A code host, and the integration that follows it."""

    tool: CodeHostTool
    integration_id: str


@dataclass(frozen=True)
class World:
    """What the demo's people and watchers need. `apis` are the people's clients and `user_ids` their ids, by email."""

    runtime: Runtime
    apis: dict[str, ApiClient]
    user_ids: dict[str, str]
    token: str
    workspace_id: str
    connected: tuple[Connected, ...]
    host: ConnectedHost

    @property
    def vendors(self) -> list[Tool | CodeHostTool]:
        """All that are faked."""
        return [*self.tools, self.host.tool]

    @property
    def api(self) -> ApiClient:
        """Anybody's client."""
        return next(iter(self.apis.values()))

    @property
    def tools(self) -> list[Tool]:
        """The fake vendors."""
        return [one.tool for one in self.connected]

    def of(self, integration_id: str) -> Connected:
        """The tool of an integration."""
        return next(one for one in self.connected if one.integration_id == integration_id)


@dataclass(frozen=True)
class _Tenant:
    """The platform's side before anything is connected. `lines` is a service line for each tool."""

    apis: dict[str, ApiClient]
    user_ids: dict[str, str]
    token: str
    workspace_id: str
    lines: list[str]


@contextmanager
def world(seed: int, items: int, makes: Sequence[type[Tool]]) -> Iterator[World]:
    """A world that is connected and has finished its first syncs; all of it is gone after the block."""
    with ExitStack() as running:
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="turnbuckle-demo-"))
        tools = [make(seed, items) for make in makes]
        host = CodeHostTool(seed, HISTORY)
        served: list[Tool | CodeHostTool] = [*tools, host]
        for number, tool in enumerate(served, 1):
            running.enter_context(_serve(tool, PORT + number))
        listening = running.enter_context(_listen())
        settings = _settings(Path(directory), listening.getsockname()[1], served)
        runtime = running.enter_context(embedded(settings, listening))
        tenant = _populate(runtime, tools)
        connected = tuple(_connect(tenant, tool, line) for tool, line in zip(tools, tenant.lines, strict=True))
        follows = _connect_host(tenant, host)
        made = World(runtime, tenant.apis, tenant.user_ids, tenant.token, tenant.workspace_id, connected, follows)
        for one in connected:
            _wait_for_first_sync(made, one)
        _wait_for_history(made, follows)
        yield made


def _serve(tool: Tool | CodeHostTool, port: int) -> ServerHandle:
    """On its usual port, or any other if that is taken."""
    try:
        listen(HOST, port).close()
        return tool.serve(port, HOST)
    except (Refused, ServerDidNotStart):
        return tool.serve(0, HOST)


def _listen() -> socket.socket:
    """On our usual port, or any other if that is taken."""
    try:
        return listen(HOST, PORT)
    except Refused:
        return listen(HOST, 0)


def _settings(directory: Path, port: int, tools: Sequence[Tool | CodeHostTool]) -> Settings:
    """Nothing but what the demo needs: the environment has no say in where it writes and whom it calls."""
    return Settings(
        database_url=f"sqlite:///{directory / 'demo.db'}",
        broker_url="memory://",
        public_url=f"http://{HOST}:{port}",
        secrets_keys=SecretStr(new_key("demo")),
        vendor_endpoints={tool.type: dict(tool.endpoints()) for tool in tools},
        egress_allow=[f"{HOST}/32"],
        tick_seconds=TICK_SECONDS,
    )


def _populate(runtime: Runtime, tools: Sequence[Tool]) -> _Tenant:
    """An organization with a workspace, a service line for each tool, the tools' people, and a token for each of
    them."""
    now = runtime.clock()
    people = {worker.email: worker for tool in tools for worker in tool.workers()}
    with runtime.db.write() as session:
        organization = create_organization(session, "Apex Digital", now)
        workspace = create_workspace(session, organization.id, "Payments", now)
        lines = [create_service_line(session, workspace.id, f"Team on {tool.label}", now).id for tool in tools]
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


def _connect(tenant: _Tenant, tool: Tool, service_line_id: str) -> Connected:
    """Connect the workspace to a tool, as anybody would: with one request."""
    connection = tool.connection({"service_line_id": service_line_id})
    connection["config"]["poll_seconds"] = POLL_SECONDS
    body = {"workspace_id": tenant.workspace_id, "type": tool.type, "name": f"Apex on {tool.label}", **connection}
    made = next(iter(tenant.apis.values())).post("/v1/integrations", body)
    return Connected(tool, made["id"], service_line_id)


def _connect_host(tenant: _Tenant, host: CodeHostTool) -> ConnectedHost:
    """Connect the workspace to the code host, with the config of the platform's own example."""
    connection = host.connection()
    connection["config"]["poll_seconds"] = HOST_POLL_SECONDS
    body = {"workspace_id": tenant.workspace_id, "type": host.type, "name": f"Apex on {host.label}", **connection}
    made = next(iter(tenant.apis.values())).post("/v1/integrations", body)
    return ConnectedHost(host, made["id"])


def _looks() -> Iterator[None]:
    """Looks to take for as long as a first sync may last: it is over in a second or two, and nobody is told when."""
    deadline = time.monotonic() + FIRST_SYNC_SECONDS
    while time.monotonic() < deadline:
        yield
        time.sleep(LOOK_AGAIN)


def _wait_for_history(made: World, host: ConnectedHost) -> None:
    """Until all repositories are read and watched."""
    states: list[str] = []
    for _ in _looks():
        listed = made.api.get(f"/v1/integrations/{host.integration_id}/repositories")["data"]
        states = [repository["state"] for repository in listed]
        if states and set(states) == {"live"} and host.tool.listened():
            return
    raise Refused(f"The history of {host.tool.label} was not read in time: its repositories are {states}.")


def _wait_for_first_sync(made: World, one: Connected) -> None:
    """Until every item is a task, and the tool knows where to send its webhooks."""
    for _ in _looks():
        integration = made.api.get(f"/v1/integrations/{one.integration_id}")["data"]
        history = integration["sync_history"]
        if history and history[0]["status"] != "success":
            break
        if history and one.tool.listened():
            return
    reasons = [integration[name] for name in ("status_reason", "sync_reason") if integration[name]]
    raise Refused(
        f"The first sync with {one.tool.label} did not finish: {integration['status']}, {integration['sync_status']} "
        f"{reasons}."
    )
