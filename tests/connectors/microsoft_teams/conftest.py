"""The connector against the Teams sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import Button, Context, Credentials, Line, Link, Notification, NotificationKind, Severity
from connectors.http import HttpClient, Transport, Unlimited
from connectors.microsoft_teams import TeamsConnector
from connectors.microsoft_teams.config import Bot, Flows, TeamsConfig
from sandbox.clock import Clock, ManualClock
from sandbox.microsoft_teams import TeamsSandbox
from sandbox.microsoft_teams.sandbox import APP_ID, APP_PASSWORD, CHANNELS, TENANT
from tests.connectors.bench import in_process, over_http

AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
DELIVERY, INCIDENTS = CHANNELS["delivery"], CHANNELS["incidents"]


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: TeamsSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox, self.url, self.transport, self.clock = sandbox, url, transport, clock
        self.host = url.partition("//")[2].partition(":")[0]

    def flows(self, **config: Any) -> TeamsConnector:
        """By flows: the default channel, and one called incidents."""
        credentials = Flows(
            url=SecretStr(self.sandbox.flow_url("delivery")),
            urls={"incidents": SecretStr(self.sandbox.flow_url("incidents", "direct"))},
        )
        return self._connector(TeamsConfig(**{"hosts": [self.host], **config}), credentials)

    def bot(
        self, password: str = APP_PASSWORD, tenant: str = TENANT, keys: SecretStr | None = None, **config: Any
    ) -> TeamsConnector:
        """By the bot; with `keys` it was connected before."""
        settings = {"default_channel": "delivery", "channels": {"delivery": DELIVERY, "incidents": INCIDENTS}}
        credentials = Bot(app_id=APP_ID, app_password=SecretStr(password), tenant_id=tenant, bot_keys=keys)
        return self._connector(TeamsConfig(**{**settings, **config}), credentials)

    def _connector(self, config: TeamsConfig, credentials: Credentials) -> TeamsConnector:
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[APP_PASSWORD])
        endpoints = dict.fromkeys(TeamsConnector.manifest.endpoints, self.url)
        return TeamsConnector(Context(config, credentials, http, endpoints, self.clock.now))

    def act(self, action: str, **arguments: Any) -> None:
        self.sandbox.act("Ann Archer", action, arguments)

    def said(self, channel: str = DELIVERY) -> list[str]:
        """The first line of each message."""
        return [post.texts()[0] for post in self.sandbox.said(channel)]


def notification(number: int = 1, **more: Any) -> Notification:
    """Something to say."""
    usual: dict[str, Any] = {
        "id": f"NTF-26-{number:06d}",
        "kind": NotificationKind.INCIDENT,
        "severity": Severity.HIGH,
        "title": f"Payments are slow {number}",
        "text": "p95 is above 2 s.",
        "at": AT,
        "facts": [Line("Service", "payments"), Line("Since", "10:00")],
        "link": Link("Open the incident", "https://platform.example/incidents/INC-26-000001"),
        "buttons": [Button("acknowledge", "Acknowledge", "INC-26-000001", style="primary")],
    }
    return Notification(**{**usual, **more})


@pytest.fixture
def teams() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock = ManualClock(AT)
    sandbox = TeamsSandbox(clock=clock)
    sandbox.url = "http://teams.sandbox"
    with in_process(sandbox) as transport:
        yield Bench(sandbox, sandbox.url, transport, clock)


@pytest.fixture
def real() -> Iterator[Bench]:
    """Real HTTP, real time."""
    sandbox = TeamsSandbox(webhook_time_scale=0.01)
    with over_http(sandbox) as (url, transport):
        yield Bench(sandbox, url, transport, sandbox.clock)
