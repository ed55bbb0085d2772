"""The connector against the GitLab sandbox: over real HTTP, or in-process with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from connectors.contract import CodeEvent, CodePage, Context, RawDelivery, RemoteRepository
from connectors.credentials import OAuthTokens
from connectors.gitlab import GitLabConnector
from connectors.gitlab.config import AccessToken, GitLabConfig
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.clock import Clock, ManualClock
from sandbox.code import OWNER, REPOSITORIES, Repo
from sandbox.gitlab import GitLabSandbox
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process, over_http

URL = "https://turnbuckle.example.com/webhooks/gitlab/int-1"
API, WORKER = REPOSITORIES


class Ear:
    """Where webhooks arrive: it answers `status`, and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.heard: list[tuple[dict[str, str], bytes]] = []

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.heard.append((headers, body))
        return self.status


class Bench:
    """A sandbox, and connectors to it."""

    def __init__(self, sandbox: GitLabSandbox, url: str, transport: Transport, clock: Clock, ear: Ear) -> None:
        self.sandbox, self.url, self.transport, self.clock, self.ear = sandbox, url, transport, clock, ear
        self.host = sandbox.host
        self.ann, self.bob, self.cleo, self.robot = list(sandbox.tracker.users)

    def config(self, **more: Any) -> GitLabConfig:
        return GitLabConfig(**{"group": OWNER, "repositories": [API, WORKER], **more})

    def connector(self, credentials: Any = None, **config: Any) -> GitLabConnector:
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[API_TOKEN])
        credentials = credentials or AccessToken(token=API_TOKEN)
        return GitLabConnector(Context(self.config(**config), credentials, http, {"api": self.url}, self.clock.now))

    def oauth(self, *scopes: str) -> OAuthTokens:
        return OAuthTokens(access_token=self.sandbox.grant(scopes=scopes or None)["access_token"])

    def repo(self, name: str = API) -> Repo:
        return self.host.repo(name)

    def project(self, name: str = API, **config: Any) -> RemoteRepository:
        """A repository as the connector lists it."""
        full = f"{OWNER}/{name}"
        return next(one for batch in self.connector(**config).repositories() for one in batch if one.name == full)

    def called(self) -> dict[str, int]:
        """What was called since the last time."""
        counts = self.sandbox.calls.counts()
        self.sandbox.calls.reset()
        return counts

    def deliveries(self) -> list[RawDelivery]:
        """The webhooks that arrived since the last time."""
        self.sandbox.deliver()
        heard, self.ear.heard = self.ear.heard, []
        return [
            RawDelivery({name.lower(): value for name, value in headers.items()}, body, self.clock.now())
            for headers, body in heard
        ]


@pytest.fixture
def gitlab() -> Iterator[Bench]:
    """Real HTTP, real time."""
    ear = Ear()
    sandbox = GitLabSandbox(sender=ear)
    with over_http(sandbox) as (url, transport):
        yield Bench(sandbox, url, transport, sandbox.clock, ear)


@pytest.fixture
def still() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock, ear = ManualClock(), Ear()
    sandbox = GitLabSandbox(clock=clock, sender=ear)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, "http://gitlab", transport, clock, ear)


def events_of(pages: Sequence[CodePage]) -> dict[str, CodeEvent]:
    """What pages hold, by key."""
    return {event.key: event for page in pages for event in page.events}


def read(connector: GitLabConnector, repository: RemoteRepository, cursor: Any = None) -> list[CodePage]:
    """A whole reading."""
    return list(connector.code_events(repository, cursor))
