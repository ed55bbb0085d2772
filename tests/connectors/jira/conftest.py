"""The connector against the Jira sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.contract import Context, Status, TaskDraft
from connectors.http import HttpClient, Transport, Unlimited
from connectors.jira import JiraConnector
from connectors.jira.config import BasicCredentials, JiraConfig, OAuthCredentials
from sandbox.clock import Clock, ManualClock
from sandbox.jira import CLIENT_ID, CLIENT_SECRET, JiraSandbox
from tests.connectors.bench import in_process, over_http

KEY = "scrums-tsk-26-018841"


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: JiraSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox = sandbox
        self.url = url
        self.transport = transport
        self.clock = clock
        self.ann = sandbox.person("Ann Archer")

    def config(self, **more: Any) -> JiraConfig:
        return JiraConfig(**{"site_url": self.url, "projects": [{"external": "APEX"}, {"external": "OPS"}], **more})

    def connector(self, credentials: Any = None, **config: Any) -> JiraConnector:
        email, token = self.sandbox.basic_auth
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[token])
        credentials = credentials or BasicCredentials(email=email, api_token=token)
        endpoints = {"api": self.url, "auth": self.url}
        return JiraConnector(Context(self.config(**config), credentials, http, endpoints, self.clock.now))

    def oauth(self, **fields: Any) -> OAuthCredentials:
        tokens = self.sandbox.grant(**{k: fields.pop(k) for k in ("who", "scopes") if k in fields})
        return OAuthCredentials(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            access_token=tokens["access_token"],
            refresh_token=tokens.get("refresh_token"),
            **{"cloud_id": self.sandbox.site.cloud_id, **fields},
        )

    def count(self, operation: str) -> int:
        return self.sandbox.calls.count(operation)

    def total(self) -> int:
        return sum(self.sandbox.calls.counts().values())


@pytest.fixture
def jira() -> Iterator[Bench]:
    """Real HTTP, real time."""
    sandbox = JiraSandbox(sites=2)
    with over_http(sandbox) as (url, transport):
        yield Bench(sandbox, url, transport, sandbox.clock)


@pytest.fixture
def still() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock = ManualClock()
    sandbox = JiraSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, "http://jira", transport, clock)


def draft(**more: Any) -> TaskDraft:
    fields = {"container": "APEX", "title": "Rotate keys", "description": "All of **them**.", "status": Status.BACKLOG}
    return TaskDraft(**{**fields, "priority": "high", **more})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
