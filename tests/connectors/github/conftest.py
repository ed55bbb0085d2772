"""The connector against the GitHub sandbox: in-process with a clock that stands still, or over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import (
    CodeEvent,
    CodeHeard,
    CodeHint,
    Committed,
    Context,
    PipelineRan,
    Pushed,
    RawDelivery,
    RemoteRepository,
    Signal,
)
from connectors.github import GitHubConnector
from connectors.github.config import GitHubConfig, InstallationCredentials, TokenCredentials
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.clock import Clock, ManualClock
from sandbox.code import CodeHost
from sandbox.github import APP_ID, INSTALLATION, GitHubSandbox
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process

URL = "https://turnbuckle.test/webhooks/github/abc"
SECRET = "It's a Secret to Everybody"
REPO = "payments-api"
BOT = "1100"


@dataclass
class Post:
    """Takes what the sandbox sends."""

    got: list[RawDelivery] = field(default_factory=list)
    status: int = 202

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Keep it, as the front door would."""
        named = {name.lower(): value for name, value in headers.items()}
        self.got.append(RawDelivery(named, body, datetime(2026, 4, 15, tzinfo=UTC)))
        return self.status


class Bench:
    """A sandbox, what it sent, and connectors to it."""

    def __init__(self, sandbox: GitHubSandbox, url: str, transport: Transport, clock: Clock, post: Post) -> None:
        self.sandbox, self.url, self.transport, self.clock, self.post = sandbox, url, transport, clock, post
        self.ann, self.bob = (sandbox.tracker.user(name).id for name in ("Ann Archer", "Bob Baker"))

    @property
    def host(self) -> CodeHost:
        return self.sandbox.host

    def config(self, **more: Any) -> GitHubConfig:
        return GitHubConfig(**{"organization": "apex-digital", **more})

    def connector(self, credentials: Any = None, app: dict[str, str] | None = None, **config: Any) -> GitHubConnector:
        """With a token, unless other credentials are given."""
        credentials = credentials or TokenCredentials(token=API_TOKEN)
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[API_TOKEN])
        secrets = {name: SecretStr(value) for name, value in (app or {}).items()}
        endpoints = {"api": self.url}
        context = Context(self.config(**config), credentials, http, endpoints, self.clock.now, secrets)
        return GitHubConnector(context)

    def installed(self, **config: Any) -> GitHubConnector:
        """As the App's installation."""
        app = {"app_id": APP_ID, "private_key": self.sandbox.github_app.private_key}
        return self.connector(InstallationCredentials(installation_id=str(INSTALLATION)), app, **config)

    def repository(self, name: str = REPO) -> RemoteRepository:
        repo = self.host.repo(name)
        return RemoteRepository(str(repo.id), f"apex-digital/{repo.name}", "", repo.default, repo.archived)

    def read(self, connector: GitHubConnector | None = None, cursor: Any = None, name: str = REPO) -> list[CodeEvent]:
        """All that a reading brings."""
        connector = connector or self.connector()
        return [event for page in connector.code_events(self.repository(name), cursor) for event in page.events]

    def heard(self, connector: GitHubConnector | None = None) -> list[CodeEvent]:
        """All that the deliveries so far mean, with what they hint at asked for."""
        connector, found = connector or self.connector(), list[CodeEvent]()
        self.sandbox.deliver()
        for delivery in self.post.got:
            for signal in connector.parse(delivery, self.config()):
                if isinstance(signal, CodeHeard):
                    found.append(signal.event)
                elif isinstance(signal, CodeHint):
                    found += connector.fetch_code([signal.ref])
        self.post.got.clear()
        return found

    def signals(self) -> list[Signal]:
        """What the deliveries so far mean."""
        self.sandbox.deliver()
        config = self.config()
        found = [signal for one in self.post.got for signal in GitHubConnector.parse(one, config)]
        self.post.got.clear()
        return found

    def called(self) -> dict[str, int]:
        """What was called since the last time."""
        counts = self.sandbox.calls.counts()
        self.sandbox.calls.reset()
        return counts


@pytest.fixture
def github() -> Iterator[Bench]:
    """In-process, time moves when told."""
    clock, post = ManualClock(), Post()
    sandbox = GitHubSandbox(clock=clock, sender=post)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, "http://github.sandbox", transport, clock, post)


def story(github: Bench) -> None:
    """Something of everything that can happen in a repository."""
    host, ann, bob = github.host, github.ann, github.bob
    old = github.clock.now().replace(year=2026, month=1)
    host.push(ann, REPO, "feature/one", "Add the cart\n\nAll of it.", authored=old)
    first = host.open_pull(ann, REPO, "feature/one", "Add the cart").number
    rough = host.review(bob, REPO, first, "changes_requested", "A test, please.")
    host.push(ann, REPO, "feature/one", "Add a test")
    host.force_push(ann, REPO, "feature/one", "Add a better test")
    host.dismiss(ann, REPO, rough.id)
    host.review(bob, REPO, first, "approved")
    host.merge(bob, REPO, first)
    host.push(BOT, REPO, "bump", "Bump the library")
    second = host.open_pull(BOT, REPO, "bump", "Bump the library", draft=True).number
    host.set_draft(ann, REPO, second, draft=False)
    host.set_draft(ann, REPO, second, draft=True)
    host.set_draft(ann, REPO, second, draft=False)
    host.review(bob, REPO, second, "commented", "Why?")
    host.close(bob, REPO, second)
    host.reopen(ann, REPO, second)
    host.merge(ann, REPO, second, squash=True)
    host.push(ann, REPO, "third", "Try something")
    third = host.open_pull(ann, REPO, "third", "Try something", draft=True).number
    host.close(ann, REPO, third)
    run = host.run(ann, REPO, "build")
    host.move_run(ann, REPO, run.id, "running")
    host.move_run(ann, REPO, run.id, "failed")
    host.rerun(ann, REPO, run.id)
    host.move_run(ann, REPO, run.id, "running")
    host.move_run(ann, REPO, run.id, "success")
    for environment, end in (("staging", "success"), ("production", "failed"), ("production", "success")):
        deployment = host.deploy(ann, REPO, environment)
        for state in ("queued", "running", "running", end):
            host.move_deployment(ann, REPO, deployment.id, state)
    host.release(ann, REPO, "v1.0")
    host.release(ann, REPO, "v1.1-rc", prerelease=True)
    host.force_push(ann, REPO, "third", "Try something else")
    host.push(ann, REPO, "main", "A hot fix")


def facts(events: list[CodeEvent]) -> dict[str, CodeEvent]:
    """What is known once all was heard: each fact once, however often it was told, and always the same."""
    found: dict[str, CodeEvent] = {}
    for event in events:
        assert found.setdefault(event.key, event) == event
    return found


def only_heard(event: CodeEvent) -> bool:
    """What no reading can know: pushes are in no list; of a run only the last attempt and its state are."""
    what = event.what
    if isinstance(what, PipelineRan):
        return what.finished_at is None or what.attempt < 2
    return isinstance(what, Pushed)


def kinds(events: list[CodeEvent]) -> set[type]:
    return {type(event.what) for event in events}


def commits(events: list[CodeEvent]) -> set[str]:
    return {event.what.sha for event in events if isinstance(event.what, Committed)}
