"""The whole product as users run it, against fake vendors over real HTTP: one embedded process, or web, worker and beat
as processes of their own on PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import httpx

from core import access, workspaces
from core.clock import utc_now
from core.db import Database
from core.migrations import upgrade
from core.vault import new_key
from sandbox.jira import ApiToken, JiraSandbox
from tests.services.process import ServiceProcess, free_port

BIN = Path(sys.executable).parent
PROJECT = "APEX"
ADMIN_TOKEN = "token-of-an-administrator"


class Turnbuckle:
    """A running Turnbuckle with one workspace, and a person's token for it."""

    def __init__(self, url: str, database_url: str, token: str, ids: dict[str, str]) -> None:
        self.url, self.database_url, self.ids = url, database_url, ids
        self.api = httpx.Client(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        self.processes: dict[str, ServiceProcess] = {}

    # --- the API ---

    def get(self, path: str, **params: Any) -> Any:
        """The answer's data. Anything but 200 fails the test with the answer's words."""
        answer = self.api.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The same for a request that changes something."""
        answer = self.api.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def tasks(self) -> list[dict[str, Any]]:
        """Every task of the workspace."""
        found, cursor = [], None
        while True:
            params: dict[str, Any] = {"workspace_id": self.ids["workspace"], "limit": 100}
            params |= {"cursor": cursor} if cursor else {}
            answer = self.api.get("/tasks", params=params).json()
            found += answer["data"]
            cursor = answer["meta"]["cursor"]
            if not answer["meta"]["has_more"]:
                return found

    def task_of(self, key: str) -> dict[str, Any] | None:
        """The task bound to an issue."""
        return next((task for task in self.tasks() if task["external_id"] == key), None)

    def create(self, title: str, **fields: Any) -> dict[str, Any]:
        """A new task."""
        body = {"workspace_id": self.ids["workspace"], "service_line_id": self.ids["line"], "title": title, **fields}
        return dict(self.send("POST", "/tasks", body))

    def sync(self, integration_id: str) -> dict[str, Any]:
        """A manual sync, to its end."""
        run = self.send("POST", f"/integrations/{integration_id}/sync")
        path = f"/integrations/{integration_id}/syncs/{run['sync_id']}"
        eventually(lambda: self.get(path)["status"] != "running", "the sync")
        return dict(self.get(path))


class Stack(Turnbuckle):
    """A running Turnbuckle, a fake Jira, and one integration between them."""

    sandbox: JiraSandbox
    integration_id = ""

    def connect(self, **config: Any) -> None:
        """Connect the integration through the public API, and wait for its first sync."""
        # Only an administrator's token may register webhooks.
        admin = next(user for user in self.sandbox.site.users.values() if user.admin)
        self.sandbox.site.tokens.append(ApiToken(admin.account_id, ADMIN_TOKEN))
        mapping = {"external": PROJECT, "service_line_id": self.ids["line"]}
        body = {
            "workspace_id": self.ids["workspace"],
            "type": "jira",
            "name": "APEX",
            "config": {"site_url": self.sandbox.site.url, "projects": [mapping], **config},
            "credentials": {"email": admin.email, "api_token": ADMIN_TOKEN},
        }
        self.integration_id = self.send("POST", "/integrations", body)["id"]
        eventually(lambda: self.integration()["last_synced_at"], "the first sync", timeout=30)

    def integration(self) -> dict[str, Any]:
        """The integration in full."""
        return dict(self.get(f"/integrations/{self.integration_id}"))

    # --- the vendor ---

    def issue(self, key: str) -> dict[str, Any]:
        """The issue's fields as Jira's API gives them."""
        answer = httpx.get(f"{self.sandbox.site.url}/rest/api/3/issue/{key}", auth=self.sandbox.basic_auth)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["fields"])

    def calls(self, *operations: str) -> int:
        """Calls made by Turnbuckle (the test's own reads of an issue are `getIssue`)."""
        counts = self.sandbox.calls.counts()
        return sum(counts.get(name, 0) for name in operations)


def eventually(holds: Callable[[], Any], what: str, *, timeout: float = 15) -> float:
    """Wait until it holds; returns the seconds it took."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < timeout, f"{what} did not come within {timeout} s"
        time.sleep(0.01)
    return time.monotonic() - start


Made = TypeVar("Made", bound=Turnbuckle)


@contextmanager
def running(
    kind: str, database_url: str, broker_url: str | None, seed_issues: int = 0, lease_seconds: float = 60
) -> Iterator[Stack]:
    """A stack with a fake Jira; see `started`."""
    sandbox = JiraSandbox(seed=1, seed_issues=seed_issues, webhook_time_scale=0.001)
    with sandbox.serve(), started(Stack, kind, database_url, broker_url, lease_seconds) as stack:
        stack.sandbox = sandbox
        yield stack


@contextmanager
def started(
    make: type[Made],
    kind: str,
    database_url: str,
    broker_url: str | None,
    lease_seconds: float = 60,
    vendor_endpoints: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Made]:
    """Turnbuckle of this kind: `embedded`, or `services` (which needs a broker)."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    upgrade(database_url)
    token, ids = _seed(database_url)
    env = {
        "TURNBUCKLE_DATABASE_URL": database_url,
        "TURNBUCKLE_PUBLIC_URL": url,
        "TURNBUCKLE_SECRETS_KEYS": new_key("test"),
        "TURNBUCKLE_EGRESS_ALLOW": json.dumps(["127.0.0.1"]),
        "TURNBUCKLE_TICK_SECONDS": "1",
        "TURNBUCKLE_LEASE_SECONDS": str(lease_seconds),
        "TURNBUCKLE_BROKER_URL": broker_url,
        "TURNBUCKLE_VENDOR_ENDPOINTS": json.dumps(vendor_endpoints or {}),
        "PYTHONUNBUFFERED": "1",
    }
    with ExitStack() as cleanup:
        stack = make(url, database_url, token, ids)
        cleanup.callback(stack.api.close)
        folder = cleanup.enter_context(TemporaryDirectory(prefix="turnbuckle-beat-"))
        for name, arguments, ready in _commands(kind, port, url, folder):
            process = ServiceProcess(arguments, env=os.environ | env, ready=ready, timeout=40, name=name)
            stack.processes[name] = cleanup.enter_context(process)
        yield stack


def _commands(kind: str, port: int, url: str, folder: str) -> list[tuple[str, list[str], str | None]]:
    turnbuckle, celery = str(BIN / "turnbuckle"), str(BIN / "celery")
    if kind == "embedded":
        return [("up", [turnbuckle, "up", "--port", str(port)], f"{url}/readyz")]
    lanes = "push,inbox,pull,backfill,facts,agents"
    worker = [celery, "-A", "cli.worker", "worker", "--queues", lanes, "--concurrency", "2", "--loglevel", "INFO"]
    notifier = [celery, "-A", "cli.worker", "worker", "--queues", "messages,notify", "--pool", "threads"]
    notifier += ["--concurrency", "12", "--hostname", f"notifier-{port}@%h", "--loglevel", "INFO"]
    beat = [celery, "-A", "cli.worker", "beat", "--schedule", f"{folder}/schedule", "--loglevel", "INFO"]
    return [
        ("web", [turnbuckle, "serve", "--port", str(port)], f"{url}/readyz"),
        ("worker", worker, r"ready\."),
        ("notifier", notifier, r"ready\."),
        ("beat", beat, None),
    ]


def _seed(database_url: str) -> tuple[str, dict[str, str]]:
    """A tenant whose people have the addresses of people at the fake vendors."""
    database, now = Database(database_url), utc_now()
    with database.write() as session:
        organization = workspaces.create_organization(session, "Apex", now)
        workspace = workspaces.create_workspace(session, organization.id, "Payments", now)
        line = workspaces.create_service_line(session, workspace.id, "Backend", now)
        ann = workspaces.create_user(session, organization.id, "Ann", "ann@example.com", now)
        bob = workspaces.create_user(session, organization.id, "Bob", "bob@example.com", now)
        _, plain = access.issue_token(
            session, now=now, organization_id=organization.id, name="test", workspace_id=workspace.id, user_id=ann.id
        )
        ids = {"workspace": workspace.id, "line": line.id, "ann": ann.id, "bob": bob.id}
    database.close()
    return plain, ids
