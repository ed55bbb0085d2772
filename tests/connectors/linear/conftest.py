"""The connector against the Linear sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.contract import Context, Priority, RemoteTask, Status, TaskDraft
from connectors.http import HttpClient, Transport, Unlimited
from connectors.linear import LinearConnector
from connectors.linear.config import ApiKeyCredentials, LinearConfig, OAuthCredentials
from sandbox.clock import Clock, ManualClock
from sandbox.linear import LinearSandbox
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.connectors.bench import in_process, over_http

KEY = "scrums-tsk-26-018841-3f9ac2"
URL = "https://turnbuckle.example/webhooks/linear/x"


class Parked(Unlimited):
    """A budget that remembers until when it was parked."""

    def __init__(self) -> None:
        self.until: list[Any] = []

    def park(self, until: Any, text: str) -> None:
        self.until.append(until)


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: LinearSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox = sandbox
        self.url = url
        self.transport = transport
        self.clock = clock
        self.budget = Parked()
        self.ann = sandbox.person("Ann Archer")

    def connector(self, credentials: Any = None, **config: Any) -> LinearConnector:
        http = HttpClient(transport=self.transport, budget=self.budget, now=self.clock.now, secrets=[API_TOKEN])
        settings = LinearConfig(**{"projects": [{"external": "ENG"}, {"external": "OPS"}], **config})
        chosen = credentials or ApiKeyCredentials(api_key=API_TOKEN)
        endpoints = {"api": self.url, "auth": self.url}
        return LinearConnector(Context(settings, chosen, http, endpoints, self.clock.now))

    def oauth(self, **granted: Any) -> OAuthCredentials:
        tokens = self.sandbox.grant(**granted)
        return OAuthCredentials(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            access_token=tokens["access_token"],
            refresh_token=tokens["refresh_token"],
        )

    def read(self, issue_id: str) -> RemoteTask:
        task = self.connector().fetch_tasks([issue_id])[issue_id]
        assert isinstance(task, RemoteTask)
        return task

    def calls(self) -> dict[str, int]:
        return self.sandbox.calls.counts()

    def issues(self) -> int:
        return len(self.sandbox.tracker.items)


@pytest.fixture
def linear() -> Iterator[Bench]:
    """Real HTTP, real time."""
    sandbox = LinearSandbox()
    with over_http(sandbox) as (url, transport):
        yield Bench(sandbox, url, transport, sandbox.clock)


@pytest.fixture
def still() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock = ManualClock()
    sandbox = LinearSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, "http://linear.sandbox", transport, clock)


def draft(**more: Any) -> TaskDraft:
    fields = {"container": "ENG", "title": "Rotate keys", "description": "All of **them**.", "status": Status.BACKLOG}
    return TaskDraft(**{**fields, "priority": Priority.HIGH, **more})
