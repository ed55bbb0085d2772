"""The connector against the Bitbucket sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.bitbucket import BitbucketConnector
from connectors.bitbucket.config import AccessTokenCredentials, BitbucketConfig
from connectors.contract import CodeEvent, CodeHeard, CodeHint, Context, RawDelivery, RemoteRepository, Signal
from connectors.credentials import OAuthTokens
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.bitbucket import WORKSPACE, BitbucketSandbox
from sandbox.clock import Clock, ManualClock
from sandbox.code import REPOSITORIES
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.connectors.bench import in_process
from tests.sandbox.callers import Inbox

API, WORKER = REPOSITORIES
URL = "https://turnbuckle.example/webhooks/bitbucket/x"
SECRET = "s3cret-s3cret-s3cret"


class Parked(Unlimited):
    """A budget that remembers until when it was parked."""

    def __init__(self) -> None:
        self.until: list[Any] = []

    def park(self, until: Any, text: str) -> None:
        self.until.append(until)


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: BitbucketSandbox, url: str, transport: Transport, clock: Clock) -> None:
        self.sandbox, self.url, self.transport, self.clock = sandbox, url, transport, clock
        self.budget, self.inbox = Parked(), Inbox()
        self.sandbox.deliveries.sender = self.inbox
        self.host = sandbox.host
        self.ann, self.bob = (sandbox.tracker.user(name).id for name in ("Ann Archer", "Bob Baker"))

    def connector(self, credentials: Any = None, **config: Any) -> BitbucketConnector:
        http = HttpClient(transport=self.transport, budget=self.budget, now=self.clock.now, secrets=[API_TOKEN])
        settings = BitbucketConfig(**{"workspace": WORKSPACE, **config})
        chosen = credentials or AccessTokenCredentials(token=API_TOKEN)
        endpoints = {"api": self.url, "web": "https://bitbucket.org"}
        return BitbucketConnector(Context(settings, chosen, http, endpoints, self.clock.now))

    def oauth(self, **granted: Any) -> OAuthTokens:
        tokens = self.sandbox.grant(**granted)
        app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return OAuthTokens(**app, access_token=tokens["access_token"], refresh_token=tokens["refresh_token"])

    def repository(self, name: str = API, **config: Any) -> RemoteRepository:
        [batch] = self.connector(**config).repositories()
        return next(found for found in batch if found.name == f"{WORKSPACE}/{name}")

    def read(self, cursor: Any = None, name: str = API, **config: Any) -> tuple[list[CodeEvent], Any]:
        """All that a reading brings, and its last cursor."""
        events: list[CodeEvent] = []
        for page in self.connector(**config).code_events(self.repository(name), cursor):
            events += page.events
            cursor = page.cursor
        return events, cursor

    def calls(self) -> dict[str, int]:
        return self.sandbox.calls.counts()

    def subscribe(self) -> None:
        self.connector().subscribe(URL, SecretStr(SECRET))

    def heard(self, **config: Any) -> list[Signal]:
        """What all deliveries since the last time mean."""
        self.sandbox.deliver()
        signals: list[Signal] = []
        settings = BitbucketConfig(**{"workspace": WORKSPACE, **config})
        for _, headers, body in self.inbox.received:
            delivery = RawDelivery({name.lower(): value for name, value in headers.items()}, body, self.clock.now())
            BitbucketConnector.verify(delivery, {"signing": [SECRET]})
            signals += BitbucketConnector.parse(delivery, settings)
        self.inbox.received.clear()
        return signals

    def told(self) -> list[CodeEvent]:
        """The events all deliveries since the last time tell, the hints asked for at once."""
        signals = self.heard()
        events = [signal.event for signal in signals if isinstance(signal, CodeHeard)]
        hints = [signal.ref for signal in signals if isinstance(signal, CodeHint)]
        return events + list(self.connector().fetch_code(hints))


def keyed(events: Sequence[CodeEvent]) -> dict[str, CodeEvent]:
    """By their keys; one happening told in two ways must be told the same."""
    found: dict[str, CodeEvent] = {}
    for event in events:
        assert found.setdefault(event.key, event) == event
    return found


def kinds(events: Sequence[CodeEvent]) -> list[str]:
    return [event.what.type.removeprefix("code.") for event in events]


@pytest.fixture
def still() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock = ManualClock()
    sandbox = BitbucketSandbox(clock=clock)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, sandbox.url, transport, clock)
