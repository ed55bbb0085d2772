"""The demo's world: Turnbuckle in one process, a fake Jira beside it over real HTTP, and a connection between them."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cli.demo.client import ApiClient
from cli.embedded import embedded
from cli.errors import Refused
from cli.web import listen
from connectors.http import default_transport
from core.access import issue_token
from core.settings import Settings
from core.vault import new_key
from core.workspaces import create_organization, create_service_line, create_user, create_workspace
from sandbox.jira import JiraSandbox, User
from sandbox.server import ServerDidNotStart, ServerHandle
from sync.runtime import Runtime

HOST = "127.0.0.1"
PORTS = (8800, 8801)
"""Where Turnbuckle and the sandbox listen, if nothing else does."""

PROJECT = "APEX"
POLL_SECONDS = 5
"""The shortest the API allows, so that a lost webhook is healed while one watches."""

TICK_SECONDS = 1.0
FIRST_SYNC_SECONDS = 30.0


@dataclass(frozen=True)
class World:
    """What the demo's people and watchers need. `apis` are the people's clients and `user_ids` their ids, by email."""

    runtime: Runtime
    jira: JiraSandbox
    apis: dict[str, ApiClient]
    user_ids: dict[str, str]
    token: str
    workspace_id: str
    service_line_id: str
    integration_id: str

    @property
    def api(self) -> ApiClient:
        """Anybody's client."""
        return next(iter(self.apis.values()))

    def service_account(self) -> str:
        """Whom the sandbox sees when we write."""
        email, _ = self.jira.basic_auth
        return self.jira.person(email).account_id


@contextmanager
def world(seed: int, issues: int) -> Iterator[World]:
    """A world that is connected and has finished its first sync; all of it is gone after the block."""
    with ExitStack() as running:
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="turnbuckle-demo-"))
        jira = _sandbox(seed, issues)
        running.enter_context(_serve_sandbox(jira))
        listening = running.enter_context(_listen())
        settings = _settings(Path(directory), listening.getsockname()[1], jira.site.url)
        runtime = running.enter_context(embedded(settings, listening))
        made = _connect(_populate(runtime, jira))
        _wait_for_first_sync(made)
        yield made


def _sandbox(seed: int, issues: int) -> JiraSandbox:
    """A Jira whose service account may register webhooks."""
    jira = JiraSandbox(seed=seed, seed_issues=issues)
    email, _ = jira.basic_auth
    jira.add_user(replace(jira.site.user(email), admin=True))
    return jira


def _serve_sandbox(jira: JiraSandbox) -> ServerHandle:
    """On its usual port, or any other if that is taken."""
    try:
        listen(HOST, PORTS[1]).close()
        return jira.serve(PORTS[1], HOST)
    except (Refused, ServerDidNotStart):
        return jira.serve(0, HOST)


def _listen() -> socket.socket:
    """On our usual port, or any other if that is taken."""
    try:
        return listen(HOST, PORTS[0])
    except Refused:
        return listen(HOST, 0)


def _settings(directory: Path, port: int, jira_url: str) -> Settings:
    """Nothing but what the demo needs: the environment has no say in where it writes and whom it calls."""
    return Settings(
        database_url=f"sqlite:///{directory / 'demo.db'}",
        broker_url="memory://",
        public_url=f"http://{HOST}:{port}",
        secrets_keys=SecretStr(new_key("demo")),
        vendor_endpoints={"jira": {"api": jira_url, "auth": jira_url}},
        egress_allow=[f"{HOST}/32"],
        tick_seconds=TICK_SECONDS,
    )


def people_of(jira: JiraSandbox) -> list[User]:
    """Those who work on both sides: active, with an address the platform can know them by."""
    service_email, _ = jira.basic_auth
    everybody = jira.site.assignable(jira.site.project(PROJECT))
    return [user for user in everybody if user.email_visible and user.email != service_email]


def _populate(runtime: Runtime, jira: JiraSandbox) -> World:
    """An organization with a workspace, a service line, the sandbox's people, and a token for each of them."""
    now = runtime.clock()
    with runtime.db.write() as session:
        organization = create_organization(session, "Apex Digital", now)
        workspace = create_workspace(session, organization.id, "Payments", now)
        line = create_service_line(session, workspace.id, "Backend Engineering", now)
        tokens, user_ids = {}, {}
        for person in people_of(jira):
            user = create_user(session, organization.id, person.display_name, person.email, now)
            user_ids[user.email] = user.id
            _, tokens[person.email] = issue_token(
                session, now=now, organization_id=organization.id, name="demo", user_id=user.id
            )
    # The demo's own requests go to this machine, as a person's at this terminal would.
    transport = default_transport([f"{HOST}/32"])
    apis = {email: ApiClient(runtime.settings.public_url, token, transport) for email, token in tokens.items()}
    token = next(iter(tokens.values()))
    return World(runtime, jira, apis, user_ids, token, workspace.id, line.id, integration_id="")


def _connect(unconnected: World) -> World:
    """Connect the workspace to the sandbox, as anybody would: with one request."""
    email, api_token = unconnected.jira.basic_auth
    body: dict[str, Any] = {
        "workspace_id": unconnected.workspace_id,
        "type": "jira",
        "name": "Apex on Jira",
        "config": {
            "site_url": unconnected.jira.site.url,
            "projects": [{"external": PROJECT, "service_line_id": unconnected.service_line_id}],
            "poll_seconds": POLL_SECONDS,
        },
        "credentials": {"email": email, "api_token": api_token},
    }
    made = unconnected.api.post("/v1/integrations", body)
    return replace(unconnected, integration_id=made["id"])


def _wait_for_first_sync(made: World) -> None:
    """Until every issue is a task, and the sandbox knows where to send its webhooks."""
    deadline = time.monotonic() + FIRST_SYNC_SECONDS
    path = f"/v1/integrations/{made.integration_id}"
    while time.monotonic() < deadline:
        integration = made.api.get(path)["data"]
        history = integration["sync_history"]
        if history and history[0]["status"] != "success":
            break
        if history and made.jira.hub.admin:
            return
        time.sleep(0.05)
    reasons = [integration[name] for name in ("status_reason", "sync_reason") if integration[name]]
    raise Refused(f"The first sync did not finish: {integration['status']}, {integration['sync_status']} {reasons}.")
