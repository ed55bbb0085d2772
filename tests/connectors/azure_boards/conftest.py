"""The connector against the fake organization: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.azure import OAuthCredentials, PatCredentials
from connectors.azure_boards import AzureBoardsConnector
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.contract import Context, RemoteTask, Status, TaskDraft
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.azure_boards import API_TOKEN, CLIENT_ID, CLIENT_SECRET, ORGANIZATION, AzureBoardsSandbox
from sandbox.clock import ManualClock
from tests.connectors.bench import in_process, over_http

KEY = "scrums-tsk-26-018841-3f9ac2"


class Bench:
    """A fake organization, and connectors to it."""

    def __init__(self, sandbox: AzureBoardsSandbox, transport: Transport) -> None:
        self.sandbox, self.transport, self.clock = sandbox, transport, sandbox.clock
        self.ann = sandbox.person("Ann Archer")
        self.budget: Any = Unlimited()

    def connector(self, credentials: Any = None, **config: Any) -> AzureBoardsConnector:
        given = {"organization": ORGANIZATION, "work_item_type": "User Story", **config}
        given.setdefault("projects", [{"external": "Web"}, {"external": "Ops"}])
        http = HttpClient(transport=self.transport, budget=self.budget, now=self.clock.now, secrets=[API_TOKEN])
        credentials = credentials or PatCredentials(personal_access_token=API_TOKEN)
        endpoints = {"api": self.sandbox.url, "login": f"{self.sandbox.url}/organizations"}
        return AzureBoardsConnector(Context(AzureBoardsConfig(**given), credentials, http, endpoints, self.clock.now))

    def oauth(self, **grant: Any) -> OAuthCredentials:
        tokens = self.sandbox.grant(**grant)
        given = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "access_token": tokens["access_token"]}
        return OAuthCredentials(**given, refresh_token=tokens.get("refresh_token"))

    def read(self, item_id: str, **config: Any) -> RemoteTask:
        found = self.connector(**config).fetch_tasks([item_id])[item_id]
        assert isinstance(found, RemoteTask)
        return found

    def count(self, operation: str) -> int:
        return self.sandbox.calls.count(operation)

    def counts(self) -> dict[str, int]:
        """The calls since this was last asked."""
        counts = self.sandbox.calls.counts()
        self.sandbox.calls.reset()
        return counts


@pytest.fixture
def boards() -> Iterator[Bench]:
    """Real HTTP, real time."""
    sandbox = AzureBoardsSandbox()
    with over_http(sandbox) as (_, transport):
        yield Bench(sandbox, transport)


@pytest.fixture
def still() -> Iterator[Bench]:
    """In-process, time moves when told."""
    sandbox = AzureBoardsSandbox(clock=ManualClock())
    with in_process(sandbox) as transport:
        yield Bench(sandbox, transport)


def draft(**more: Any) -> TaskDraft:
    fields = {"container": "Web", "title": "Rotate keys", "description": "All of **them**.", "status": Status.BACKLOG}
    return TaskDraft(**{**fields, "priority": "critical", **more})
