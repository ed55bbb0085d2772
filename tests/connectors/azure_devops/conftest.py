"""The connector against the fake organization, in-process with a clock that stands still, and a story played there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.azure import PatCredentials
from connectors.azure_devops import AzureDevOpsConnector
from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.contract import CodeEvent, CodeHint, CodeRef, Context, Cursor, RawDelivery, RemoteRepository
from connectors.http import HttpClient, Transport, Unlimited
from sandbox.azure_devops import APEX, ORGANIZATION, AzureDevOpsSandbox
from sandbox.clock import ManualClock
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import in_process

API = "payments-api"
URL = "https://turnbuckle.example/webhooks/azure_devops/h"
SECRET = SecretStr("a secret of ours")


class Bench:
    """A fake organization, and connectors to it."""

    def __init__(self, sandbox: AzureDevOpsSandbox, transport: Transport) -> None:
        self.sandbox, self.transport, self.clock, self.host = sandbox, transport, sandbox.clock, sandbox.host
        self.ann, self.bob = (sandbox.tracker.user(name).id for name in ("Ann Archer", "Bob Baker"))

    def config(self, **config: Any) -> AzureDevOpsConfig:
        return AzureDevOpsConfig(**{"organization": ORGANIZATION, "projects": [APEX], **config})

    def connector(self, credentials: Any = None, **config: Any) -> AzureDevOpsConnector:
        http = HttpClient(transport=self.transport, budget=Unlimited(), now=self.clock.now, secrets=[API_TOKEN])
        credentials = credentials or PatCredentials(personal_access_token=API_TOKEN)
        endpoints = {"api": self.sandbox.url, "login": f"{self.sandbox.url}/organizations"}
        return AzureDevOpsConnector(Context(self.config(**config), credentials, http, endpoints, self.clock.now))

    def repository(self, name: str = API, **config: Any) -> RemoteRepository:
        (listed,) = self.connector(**config).repositories()
        return next(repo for repo in listed if repo.name == f"{APEX}/{name}")

    def read(self, cursor: Cursor | None = None, **config: Any) -> tuple[set[CodeEvent], Cursor]:
        """All that a reading brings, and its last cursor."""
        found: set[CodeEvent] = set()
        for page in self.connector(**config).code_events(self.repository(), cursor):
            found |= set(page.events)
            cursor = page.cursor
        assert cursor is not None
        return found, cursor

    def told(self) -> list[RawDelivery]:
        """The deliveries that are on their way."""
        return [RawDelivery({}, delivery.body, self.clock.now()) for delivery in self.sandbox.deliveries.log()]

    def heard(self, deliveries: Sequence[RawDelivery]) -> set[CodeEvent]:
        """What deliveries lead to."""
        refs: list[CodeRef] = []
        for delivery in deliveries:
            for signal in AzureDevOpsConnector.parse(delivery, self.config()):
                assert isinstance(signal, CodeHint)
                refs.append(signal.ref)
        return set(self.connector().fetch_code(refs))

    def story(self) -> None:
        """Some of everything that can happen."""
        host, ann, bob = self.host, self.ann, self.bob
        host.push(ann, API, "cart", "Add the cart", "Test the cart")
        cart = host.open_pull(ann, API, "cart", "Cart")
        host.review(bob, API, cart.number, "commented", "What is this for?")
        first = host.review(bob, API, cart.number, "changes_requested")
        host.push(ann, API, "cart", "Explain it")
        host.dismiss(bob, API, first.id)
        host.review(bob, API, cart.number, "approved")
        host.merge(bob, API, cart.number)
        host.push(bob, API, "old", "Something old")
        old = host.open_pull(bob, API, "old", "Old", draft=True)
        host.close(bob, API, old.number)
        host.reopen(ann, API, old.number)
        host.close(bob, API, old.number)
        run = host.run(ann, API, "build")
        host.move_run(ann, API, run.id, "running")
        deployment = host.deploy(ann, API, "production", run=run.id)
        host.move_deployment(ann, API, deployment.id, "running")
        host.move_deployment(ann, API, deployment.id, "success")
        host.move_run(ann, API, run.id, "success")
        failed = host.run(bob, API, "build")
        host.move_run(bob, API, failed.id, "failed")
        self.clock.advance(120)  # what happens takes a second each, of the host's own


@pytest.fixture
def azure() -> Iterator[Bench]:
    """In-process, with a clock of its own."""
    sandbox = AzureDevOpsSandbox(clock=ManualClock())
    sandbox.clock.advance(60)
    with in_process(sandbox) as transport:
        yield Bench(sandbox, transport)
