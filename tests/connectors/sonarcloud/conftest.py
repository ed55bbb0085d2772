"""The connector against the SonarCloud sandbox, in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import (
    Context,
    GateHeard,
    GateSeen,
    MeasureHint,
    MeasurePage,
    Point,
    RawDelivery,
    Signal,
    Subscription,
)
from connectors.http import HttpClient, Transport, Unlimited
from connectors.sonarcloud import SonarCloudConnector
from connectors.sonarcloud.config import SonarCloudConfig, SonarToken
from sandbox.clock import Clock, ManualClock
from sandbox.sonarcloud import ORGANIZATION, SonarCloudSandbox
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process
from tests.sandbox.callers import Inbox

URL = "https://turnbuckle.example/webhooks/sonarcloud/x"
SECRET = "s3cret-s3cret-s3cret"
AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
API, WORKER = "apex_payments-api", "apex_payments-worker"

SeriesName = tuple[str, str | None, str]


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: SonarCloudSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox, self.url, self.transport, self.clock = sandbox, url, transport, clock
        self.inbox = Inbox()
        self.sandbox.deliveries.sender = self.inbox

    def connector(self, token: str = API_TOKEN, **config: Any) -> SonarCloudConnector:
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[token])
        endpoints = {"eu": self.url, "us": "https://sonarqube.us"}
        credentials = SonarToken(api_key=SecretStr(token))
        return SonarCloudConnector(Context(settings(**config), credentials, http, endpoints, self.clock.now))

    def act(self, action: str, **arguments: Any) -> None:
        self.sandbox.act("Ann Archer", action, arguments)

    def read(self, cursor: Any = None, **config: Any) -> list[MeasurePage]:
        return list(self.connector(**config).measures(cursor))

    def subscribe(self, **config: Any) -> Subscription:
        return self.connector(**config).subscribe(URL, SecretStr(SECRET))

    def heard(self, **config: Any) -> list[Signal]:
        """What all deliveries since the last time mean."""
        self.sandbox.deliver()
        signals: list[Signal] = []
        for _, headers, body in self.inbox.received:
            delivery = RawDelivery({name.lower(): value for name, value in headers.items()}, body, self.clock.now())
            SonarCloudConnector.verify(delivery, {"signing": [SECRET]})
            signals += SonarCloudConnector.parse(delivery, settings(**config))
        self.inbox.received.clear()
        return signals

    def told(self, **config: Any) -> list[GateSeen]:
        """The gates among them; all else are hints."""
        signals = self.heard(**config)
        assert all(isinstance(signal, GateHeard | MeasureHint) for signal in signals)
        return [signal.gate for signal in signals if isinstance(signal, GateHeard)]

    def calls(self) -> dict[str, int]:
        return self.sandbox.calls.counts()


def settings(**config: Any) -> SonarCloudConfig:
    return SonarCloudConfig.model_validate({"organization": ORGANIZATION, **config})


def points(pages: Iterable[MeasurePage]) -> dict[SeriesName, dict[datetime, float | None]]:
    """(subject, branch, metric) -> time -> value, the last one told."""
    found: dict[SeriesName, dict[datetime, float | None]] = {}
    for page in pages:
        for one in page.measured:
            name = (one.series.subject, one.series.branch, one.series.metric)
            found.setdefault(name, {}).update(_by_time(list(one.points)))
    return found


def _by_time(told: list[Point]) -> dict[datetime, float | None]:
    assert [point.at for point in told] == sorted(point.at for point in told)
    return {point.at: point.value for point in told}


def gates(pages: Iterable[MeasurePage]) -> list[GateSeen]:
    return [gate for page in pages for gate in page.gates]


@pytest.fixture
def sonar() -> Iterator[Bench]:
    clock = ManualClock(AT)
    sandbox = SonarCloudSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, sandbox.url, transport, clock)
