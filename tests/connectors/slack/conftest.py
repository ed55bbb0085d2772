"""The connector against the Slack sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import Button, Context, Line, Link, Notification, NotificationKind, RawDelivery, Severity
from connectors.http import HttpClient, Transport, Unlimited
from connectors.slack import SlackConnector
from connectors.slack.config import BotToken, SlackConfig
from sandbox.clock import Clock, ManualClock
from sandbox.slack import SlackSandbox
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process, over_http

URL = "https://turnbuckle.example/webhooks/slack"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
DELIVERY, INCIDENTS = "C08DELIVERY", "C08INCIDENTS"


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: SlackSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox, self.url, self.transport, self.clock = sandbox, url, transport, clock

    def connector(self, token: str = API_TOKEN, **config: Any) -> SlackConnector:
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[token])
        settings = SlackConfig(**{"default_channel": DELIVERY, "channels": {"incidents": INCIDENTS}, **config})
        credentials = BotToken(bot_token=SecretStr(token))
        return SlackConnector(Context(settings, credentials, http, {"api": self.url}, self.clock.now))

    def act(self, action: str, **arguments: Any) -> None:
        self.sandbox.act("Ann Archer", action, arguments)

    def said(self, channel: str = DELIVERY) -> list[str]:
        return [said.text for said in self.sandbox.said(channel)]


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
def slack() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock = ManualClock(AT)
    sandbox = SlackSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, "http://slack.sandbox", transport, clock)


@pytest.fixture
def real() -> Iterator[Bench]:
    """Real HTTP, real time."""
    sandbox = SlackSandbox(webhook_time_scale=0.01)
    with over_http(sandbox) as (url, transport):
        yield Bench(sandbox, url, transport, sandbox.clock)


def raw(headers: dict[str, str], body: bytes, at: datetime = AT) -> RawDelivery:
    return RawDelivery({name.lower(): value for name, value in headers.items()}, body, at)
