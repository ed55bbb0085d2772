"""The Azure DevOps connector: repositories, webhooks, and what a delivery asks to be read again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from pydantic import SecretStr

from connectors.azure_devops import mapping, webhook
from connectors.azure_devops.client import ReposClient, Repository
from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.azure_devops.manifest import MANIFEST
from connectors.azure_devops.reading import Reader, is_of
from connectors.azure_subscriptions import ServiceHooks
from connectors.contract import (
    Account,
    CodeEvent,
    CodeKind,
    CodePage,
    CodeRef,
    Context,
    Cursor,
    Manifest,
    Missed,
    NotFound,
    RawDelivery,
    RefKind,
    RemoteRepository,
    Reply,
    Secrets,
    Signal,
    Subscription,
    Verified,
)


class AzureDevOpsConnector:
    """Azure DevOps, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: AzureDevOpsConfig = context.config
        self._now = context.now
        self._client = ReposClient(context, self._config.organization)
        web = f"{context.endpoints['api'].rstrip('/')}/{self._config.organization}"
        self._reader = Reader(self._client, self._config, web, context.http.vendor_now)
        self._repositories: dict[str, Repository] | None = None
        self._hooks = [
            ServiceHooks(self._client, self._config.projects, events, publisher)
            for publisher, events in _subscribed(self._config).items()
        ]

    def check(self) -> Account:
        """Whose credentials they are. Raises AuthFailed, ConsentPending, Forbidden, RateLimited, Transient."""
        me = self._client.me()
        return Account(f"{self._config.organization.lower()}/{me.id}", me.provider_display_name or me.id)

    # --- CodeSource ---------------------------------------------------------------------------------

    def repositories(self) -> Iterator[Sequence[RemoteRepository]]:
        """Those of each project. A disabled one answers no call: it counts as archived."""
        self._repositories = None
        yield [mapping.repository(repo) for repo in self._known().values()]

    def _known(self) -> dict[str, Repository]:
        """The repositories that are followed, listed once in a session."""
        if self._repositories is None:
            found = [repo for project in self._config.projects for repo in self._client.repositories(project)]
            followed = [repo for repo in found if self._config.names(repo.project.name, repo.name)]
            self._repositories = {repo.id: repo for repo in followed}
        return self._repositories

    def _repository(self, id_: str) -> Repository:
        if id_ not in self._known():
            raise NotFound("The repository is in none of the projects any more, or hidden from the account.")
        return self._known()[id_]

    def code_events(self, repository: RemoteRepository, cursor: Cursor | None) -> Iterator[CodePage]:
        """By one reader after the other; see `reading`. The cursor holds a part for each."""
        repo, state = self._repository(repository.external_id), dict(cursor or {})
        if repo.is_disabled:
            return  # Azure answers as if it were not there; what was read of it stays
        for name, read in self._reader.readers().items():
            for events, part, done in read(repo, state.get(name, {})):
                state = {**state, name: part}
                yield CodePage(events, state, done)

    def fetch_code(self, refs: Sequence[CodeRef]) -> Sequence[CodeEvent]:
        """Freshly read, each in a call or three; what is gone says nothing."""
        events: list[CodeEvent] = []
        kinds = self._config.kinds()
        for ref in dict.fromkeys(refs):
            if not TOLD_OF[ref.kind] & kinds:
                continue
            try:
                events += _FETCHED[ref.kind](self, ref)
            except NotFound:
                continue
        return events

    def _fetch_change(self, ref: CodeRef) -> Sequence[CodeEvent]:
        repo = self._repository(ref.repository)
        return list(self._reader.change(repo, self._client.pull(repo, ref.id)))

    def _fetch_push(self, ref: CodeRef) -> Sequence[CodeEvent]:
        """What was moved, and the commits that came to the default branch by it."""
        repo = self._repository(ref.repository)
        push = self._client.push(repo, ref.id)
        events = list(mapping.push_events(repo, push))
        if any(moved.name == repo.default_branch for moved in push.ref_updates):
            events += [mapping.commit_event(repo, one) for one in self._client.push_commits(repo, push.push_id)]
        return events

    def _fetch_run(self, ref: CodeRef) -> Sequence[CodeEvent]:
        """A run of one of the repositories, and what it deployed."""
        project, _, number = ref.id.partition("/")
        build = self._client.build(project, number)
        repo = next((repo for repo in self._known().values() if is_of(build, repo)), None)
        if repo is None:
            return []
        events = self._reader.runs(repo, [build])
        if "deployments" in self._reader.readers():
            events += self._reader.deployed_by(repo, build)
        return events

    # --- webhooks -----------------------------------------------------------------------------------

    @staticmethod
    def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
        """See `azure_hooks.verify`."""
        return webhook.verify(delivery, secrets)

    @staticmethod
    def parse(delivery: RawDelivery, config: Any) -> Sequence[Signal]:
        """See `webhook.parse`."""
        return webhook.parse(delivery, config)

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        """Azure has none."""
        return webhook.handshake(delivery, secrets)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """One for each event of each project; what is registered for the address is adopted."""
        made = [hooks.subscribe(url, secret) for hooks in self._hooks]
        return Subscription(tuple(id_ for one in made for id_ in one.external_ids))

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """None when Azure lost or disabled one of them."""
        return subscription if all(hooks.renew(subscription, url) for hooks in self._hooks) else None

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them."""
        self._hooks[0].unsubscribe(subscription)

    def missed(self, since: datetime) -> Iterator[Sequence[Missed]]:
        """What Azure could not deliver since then."""
        for hooks in self._hooks:
            yield from hooks.missed(since, self._now())

    def redeliver(self, missed: Missed) -> None:
        """Azure's log holds all it can tell, and sends nothing again."""
        raise NotFound(f"Azure does not have the delivery {missed.ref} any more.")


_FETCHED = {
    RefKind.CHANGE: AzureDevOpsConnector._fetch_change,
    RefKind.PUSH: AzureDevOpsConnector._fetch_push,
    RefKind.RUN: AzureDevOpsConnector._fetch_run,
}


TOLD_OF = {
    RefKind.CHANGE: {CodeKind.PULL_REQUEST},
    RefKind.PUSH: {CodeKind.PUSH},
    RefKind.RUN: {CodeKind.PIPELINE, CodeKind.DEPLOYMENT},
}
"""What can be asked for -> what that would tell of."""


def _subscribed(config: AzureDevOpsConfig) -> dict[str, list[str]]:
    """Publisher -> the events that tell of what is followed."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for kind, publishers in webhook.EVENTS.items():
        for publisher, events in publishers.items():
            if kind in config.kinds():
                wanted[publisher] += [event for event in events if event not in wanted[publisher]]
    return dict(wanted) or {"tfs": ["git.push"]}
