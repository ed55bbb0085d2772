"""The connector against the ClickUp sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.clickup import ClickUpConnector
from connectors.clickup.config import ClickUpConfig
from connectors.contract import Context, RemoteTask, Status, TaskDraft
from connectors.credentials import ApiToken, OAuthTokens
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.clickup import LISTS, WORKSPACE, ClickUpSandbox
from sandbox.clock import Clock, ManualClock
from sandbox.tracker import Item
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process, over_http

KEY = "scrums-tsk-26-018841-0a1b"
PLATFORM, MOBILE, OPERATIONS = (home.id for home in LISTS)


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: ClickUpSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox, self.url, self.transport, self.clock = sandbox, url, transport, clock
        self.ann = sandbox.person("Ann Archer")
        self.bob = sandbox.person("Bob Baker")

    def config(self, **more: Any) -> ClickUpConfig:
        projects = [{"external": PLATFORM}, {"external": OPERATIONS}]
        return ClickUpConfig(**{"workspace_id": WORKSPACE, "projects": projects, **more})

    def connector(self, credentials: Any = None, **config: Any) -> ClickUpConnector:
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[API_TOKEN])
        credentials = credentials or ApiToken(api_token=API_TOKEN)
        endpoints = {"api": self.url, "app": self.url}
        return ClickUpConnector(Context(self.config(**config), credentials, http, endpoints, self.clock.now))

    def oauth(self) -> OAuthTokens:
        return OAuthTokens(access_token=self.sandbox.grant()["access_token"])

    def read(self, task_id: str, **config: Any) -> RemoteTask:
        found = self.connector(**config).fetch_tasks([task_id])[task_id]
        assert isinstance(found, RemoteTask)
        return found

    def item(self, task_id: str) -> Item:
        return self.sandbox.tracker.items[task_id]

    def called(self) -> dict[str, int]:
        """What was called since the last time."""
        counts = self.sandbox.calls.counts()
        self.sandbox.calls.reset()
        return counts

    def hide(self, list_id: str) -> None:
        """From now on only Ann sees the List."""
        containers = self.sandbox.tracker.containers
        containers[list_id] = replace(containers[list_id], members=frozenset({self.ann.id}))


@pytest.fixture
def clickup() -> Iterator[Bench]:
    """Real HTTP, real time."""
    sandbox = ClickUpSandbox()
    with over_http(sandbox) as (url, transport):
        yield Bench(sandbox, url, transport, sandbox.clock)


@pytest.fixture
def still() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock = ManualClock()
    sandbox = ClickUpSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, "http://clickup", transport, clock)


def draft(**more: Any) -> TaskDraft:
    fields = {"container": PLATFORM, "title": "Rotate keys", "description": "All of **them**."}
    return TaskDraft(**{**fields, "status": Status.BACKLOG, "priority": "high", **more})
