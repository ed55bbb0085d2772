"""The connector against the Datadog sandbox, in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import (
    Alert,
    AlertHeard,
    Context,
    MeasurePage,
    Point,
    RawDelivery,
    Series,
    Signal,
    Subscription,
)
from connectors.datadog import DatadogConnector
from connectors.datadog.config import SITES, DatadogConfig, DatadogKeys
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.clock import Clock, ManualClock
from sandbox.datadog import APPLICATION_KEY, DatadogSandbox
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process
from tests.sandbox.callers import Inbox

URL = "https://turnbuckle.example/webhooks/datadog/x"
SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret"
AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
SLOW, CPU = 1001, 1002
"""The monitors there are at first: one by service and zone, one without groups."""

CPU_METRIC = {"name": "cpu", "query": "avg:system.cpu.user{*} by {env}"}


class Parked(Unlimited):
    """A budget that remembers until when it was parked."""

    def __init__(self) -> None:
        self.until: list[datetime] = []

    def park(self, until: datetime, text: str) -> None:
        self.until.append(until)


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: DatadogSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox, self.url, self.transport, self.clock = sandbox, url, transport, clock
        self.budget, self.inbox = Parked(), Inbox()
        self.sandbox.deliveries.sender = self.inbox

    def connector(self, keys: dict[str, Any] | None = None, **config: Any) -> DatadogConnector:
        http = HttpClient(transport=self.transport, budget=self.budget, now=self.clock.now, secrets=[API_TOKEN])
        given = {"api_key": API_TOKEN, "application_key": APPLICATION_KEY} if keys is None else keys
        endpoints = dict.fromkeys(SITES, self.url)
        settings = DatadogConfig.model_validate({"monitors": ["*"], **config})
        return DatadogConnector(Context(settings, DatadogKeys.model_validate(given), http, endpoints, self.clock.now))

    def act(self, action: str, **arguments: Any) -> None:
        self.sandbox.act("Ann Archer", action, arguments)

    def firing(self, **config: Any) -> list[Alert]:
        """All that is wrong."""
        return [alert for batch in self.connector(**config).alerts() for alert in batch]

    def subscribe(self, **config: Any) -> Subscription:
        return self.connector(route="team:payments", **config).subscribe(URL, SecretStr(SECRET))

    def heard(self) -> list[Signal]:
        """What all deliveries since the last time mean."""
        self.sandbox.deliver()
        signals: list[Signal] = []
        for _, headers, body in self.inbox.received:
            delivery = raw(headers, body)
            DatadogConnector.verify(delivery, {"signing": [SECRET]})
            signals += DatadogConnector.parse(delivery, DatadogConfig())
        self.inbox.received.clear()
        return signals

    def told(self) -> list[Alert]:
        """The alerts among them."""
        return [signal.alert for signal in self.heard() if isinstance(signal, AlertHeard)]

    def calls(self) -> dict[str, int]:
        return self.sandbox.calls.counts()


def raw(headers: dict[str, str], body: bytes, at: datetime = AT) -> RawDelivery:
    return RawDelivery({name.lower(): value for name, value in headers.items()}, body, at)


def points(pages: list[MeasurePage]) -> dict[tuple[str, str], dict[datetime, float | None]]:
    """(metric, dimensions) -> time -> value, the last one told."""
    found: dict[tuple[str, str], dict[datetime, float | None]] = {}
    for page in pages:
        for one in page.measured:
            found.setdefault(named(one.series), {}).update(by_time(one.points))
    return found


def named(series: Series) -> tuple[str, str]:
    return series.metric, ",".join(f"{key}:{value}" for key, value in sorted(series.dimensions.items()))


def by_time(told: Any) -> dict[datetime, float | None]:
    listed: list[Point] = list(told)
    assert [point.at for point in listed] == sorted(point.at for point in listed)
    return {point.at: point.value for point in listed}


@pytest.fixture
def datadog() -> Iterator[Bench]:
    clock = ManualClock(AT)
    sandbox = DatadogSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, sandbox.url, transport, clock)
