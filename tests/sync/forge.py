"""A source control vendor in memory, and the connector for it: what the engine's tests of code run against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import select

from connectors.contract import (
    Account,
    Category,
    ChangeOpened,
    CodeEvent,
    CodePage,
    CodeRef,
    CodeSyncConfig,
    Context,
    Credentials,
    Cursor,
    Happening,
    Manifest,
    NotFound,
    Person,
    RateFacts,
    RawDelivery,
    RemoteRepository,
    Reply,
    Secrets,
    Signal,
    Verified,
    WebhookFacts,
)
from core.models import Delivery, Event, Integration, Repository, SyncRun
from sync import integrations, scheduler
from sync.backfill import backfill
from sync.inbound import drain
from sync.pull import Pulled, pull
from sync.runtime import Lane, Runtime

if TYPE_CHECKING:
    from tests.sync.conftest import Tenant

TOKEN = {"token": "forge-token-canary"}

ANN = Person("u1", "Ann", "ann@apex.test")


class ForgeConfig(CodeSyncConfig):
    """The owner, and whether a key only the connector knows the meaning of is set."""

    owner: str = "apex"
    deployments_from: str | None = None


class ForgeToken(Credentials):
    token: SecretStr


@dataclass
class Repo:
    """A repository there. `events` in the order in which the vendor lists them."""

    external_id: str
    name: str
    events: list[CodeEvent] = field(default_factory=list)
    archived: bool = False
    hidden: bool = False


class Forge:
    """The vendor. What is in `failures` of an operation is raised, in order, by its next calls (None: not that one)."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.repos: dict[str, Repo] = {}
        self.page_size = 10
        self.failures: dict[str, list[Exception | None]] = {}
        self.broken: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.asked_for: list[int] = []
        self.signals: list[list[Signal]] = []
        self.counts = True
        self.before_page: Callable[[], None] = lambda: None

    def repo(self, external_id: str, name: str | None = None, events: int = 0, **more: Any) -> Repo:
        """A new repository whose history has that many changes, one an hour until now."""
        made = Repo(external_id, name or f"apex/{external_id}", **more)
        self.repos[external_id] = made
        for number in range(1, events + 1):
            self.opens(external_id, number, self.clock() - timedelta(hours=events - number + 1))
        return made

    def happens(self, external_id: str, what: Happening, at: datetime | None = None) -> CodeEvent:
        """Something happens there."""
        event = CodeEvent(external_id, at or self.clock(), what)
        self.repos[external_id].events.append(event)
        return event

    def opens(self, external_id: str, number: int, at: datetime | None = None) -> CodeEvent:
        """Somebody opens a change."""
        url = f"https://forge.test/{external_id}/{number}"
        return self.happens(external_id, ChangeOpened(str(number), f"Change {number}", url, ANN, "topic"), at)

    def fails(self, operation: str, *errors: Exception | None) -> None:
        """What the next calls of an operation (`repositories`, `page`, `fetch`) raise."""
        self.failures.setdefault(operation, []).extend(errors)

    def called(self, operation: str) -> None:
        self.calls.append(operation)
        queue = self.failures.get(operation)
        error = queue.pop(0) if queue else None
        if error is not None:
            raise error

    def connector(self, type_: str = "forge") -> type:
        """The connector class for this vendor."""
        forge = self

        class ForgeConnector(_Connector):
            vendor = forge
            manifest = _manifest(type_)

            @staticmethod
            def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
                return Verified(None, "told")

            @staticmethod
            def parse(delivery: RawDelivery, config: Any) -> Sequence[Signal]:
                signals = [forge.signals[number] for number in json.loads(delivery.body)]
                return [signal for each in signals for signal in each]

            @staticmethod
            def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
                return None

        return ForgeConnector


def _manifest(type_: str) -> Manifest:
    return Manifest(
        type=type_,
        name="Forge",
        category=Category.SOURCE_CONTROL,
        description="A vendor for tests.",
        config=ForgeConfig,
        credentials={"token": ForgeToken},
        webhooks=WebhookFacts(),
        rates=RateFacts(per_second=1000, burst=1000),
    )


class _Connector:
    vendor: Forge

    def __init__(self, context: Context) -> None:
        self.config: ForgeConfig = context.config

    def check(self) -> Account:
        self.vendor.called("check")
        return Account("acc-1", "Forge account")

    def repositories(self) -> Iterator[list[RemoteRepository]]:
        self.vendor.called("repositories")
        named = {f"{self.config.owner}/{name}" for name in self.config.repositories}
        listed = [repo for repo in self.vendor.repos.values() if not repo.hidden]
        yield [
            RemoteRepository(repo.external_id, repo.name, f"https://forge.test/{repo.name}", "main", repo.archived)
            for repo in listed
            if not named or repo.name in named
        ]

    def code_events(self, repository: RemoteRepository, cursor: Cursor | None) -> Iterator[CodePage]:
        broken = self.vendor.broken.get(repository.external_id)
        if broken is not None:
            raise broken
        repo = self.vendor.repos.get(repository.external_id)
        if repo is None or repo.hidden:
            raise NotFound(f"There is no repository {repository.name}.")
        at = cursor["after"] if cursor else 0
        while True:
            self.vendor.before_page()
            self.vendor.called("page")
            events = repo.events[at : at + self.vendor.page_size]
            at += len(events)
            progress = (at, len(repo.events)) if self.vendor.counts else (None, None)
            yield CodePage(events, {"after": at}, *progress)
            if at >= len(repo.events):
                return

    def fetch_code(self, refs: Sequence[CodeRef]) -> list[CodeEvent]:
        self.vendor.called("fetch")
        self.vendor.asked_for.append(len(refs))
        wanted = {(ref.repository, ref.id) for ref in refs}
        return [
            event
            for repo in self.vendor.repos.values()
            for event in repo.events
            if (repo.external_id, getattr(event.what, "number", None)) in wanted
        ]


class Following:
    """An integration with the forge, and what the platform has of it."""

    def __init__(
        self, rt: Runtime, forge: Forge, tenant: Tenant, *, credentials: dict[str, str] = TOKEN, **config: Any
    ) -> None:
        self.rt, self.forge, self.tenant = rt, forge, tenant
        self.id = integrations.create(
            rt,
            workspace=tenant.workspace,
            actor=tenant.ann_id,
            token_id=None,
            type="forge",
            name="Forge",
            config=config,
            credentials=credentials,
        ).id

    def poll(self) -> Pulled | None:
        """A pull that is due now."""
        with self.rt.db.write() as session:
            session.get_one(Integration, self.id).next_pull_at = self.rt.clock()
        return pull(self.rt, self.id)

    def backfill(self) -> None:
        """Turns of the backfill lane until there is nothing more to be read now."""
        while backfill(self.rt, self.id):
            pass

    def follow(self) -> None:
        """All of it: the repositories listed, and their histories read."""
        self.poll()
        self.backfill()

    def configure(self, **config: Any) -> None:
        """Change config keys."""
        integrations.update(self.rt, self.integration(), actor=self.tenant.ann_id, token_id=None, config=config)

    def tell(self, *signals: Signal, event: str = "told") -> None:
        """A delivery that says this comes to the inbox."""
        self.forge.signals.append(list(signals))
        number = len(self.forge.signals) - 1
        now = self.rt.clock()
        with self.rt.db.write() as session:
            session.add(
                Delivery(
                    integration_id=self.id,
                    dedupe_key=f"{self.id}:{number}",
                    event=event,
                    headers={},
                    body=json.dumps([number]).encode(),
                    received_at=now,
                    state="pending",
                    attempts=0,
                    next_attempt_at=now,
                )
            )

    def hear(self, *signals: Signal) -> Delivery:
        """A delivery that says this, worked off."""
        self.tell(*signals)
        drain(self.rt, self.id)
        return self.rows(Delivery)[-1]

    def rows(self, model: Any, *where: Any) -> list[Any]:
        """All rows of a model."""
        with self.rt.db.read() as session:
            return list(session.scalars(select(model).where(*where).order_by(*model.__table__.primary_key)))

    def integration(self) -> Integration:
        return self.rows(Integration, Integration.id == self.id)[0]

    def events(self) -> list[Event]:
        """The code events, in order."""
        return self.rows(Event, Event.key.is_not(None))

    def keys(self) -> list[str]:
        """What the code events are known by in the integration."""
        return sorted(event.key.removeprefix(f"{self.id}:") for event in self.events())

    def repository(self, external_id: str) -> Repository:
        return self.rows(Repository, Repository.external_id == external_id)[0]

    def runs(self, kind: str) -> list[SyncRun]:
        return self.rows(SyncRun, SyncRun.kind == kind)

    def assert_complete(self) -> None:
        """Every event of the visible repositories is in the stream, each once."""
        there = sorted(event.key for repo in self.forge.repos.values() for event in repo.events)
        assert self.keys() == there


def rung(rt: Runtime) -> list[tuple[Lane, str]]:
    """What a tick rings for now."""
    found: list[tuple[Lane, str]] = []
    scheduler.tick(replace(rt, ring=lambda lane, subject: found.append((lane, subject))))
    return found
