"""The Azure DevOps connector: repositories, webhooks, and what a delivery asks to be read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

from connectors import contract as c
from connectors.azure_devops import mapping, webhook
from connectors.azure_devops.client import ReposClient, Repository
from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.azure_devops.manifest import MANIFEST
from connectors.azure_devops.reading import Reader, is_of
from connectors.azure_subscriptions import ServiceHooks, Subscribed


class AzureDevOpsConnector(Subscribed):
    """Azure DevOps, for one integration."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: AzureDevOpsConfig = context.config
        self.now = context.now
        self._client = ReposClient(context, self._config.organization)
        web = f"{context.endpoints['api'].rstrip('/')}/{self._config.organization}"
        self._reader = Reader(self._client, self._config, web, context.http.vendor_now)
        self._repositories: dict[str, Repository] | None = None
        self.hooks = ServiceHooks(self._client, self._config.projects, webhook.wanted(self._config))

    def check(self) -> c.Account:
        """Whose credentials they are. Raises AuthFailed, ConsentPending, Forbidden, RateLimited, Transient."""
        me = self._client.me()
        return c.Account(f"{self._config.organization.lower()}/{me.id}", me.provider_display_name or me.id)

    # --- CodeSource ---------------------------------------------------------------------------------

    def repositories(self) -> Iterator[Sequence[c.RemoteRepository]]:
        """Those of each project. A disabled one answers no call: it counts as archived."""
        self._repositories = None
        self._reader.shared.clear()
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
            raise c.NotFound("The repository is in none of the projects any more, or hidden from the account.")
        return self._known()[id_]

    def code_events(self, repository: c.RemoteRepository, cursor: c.Cursor | None) -> Iterator[c.CodePage]:
        """By one reader after the other; see `reading`. The cursor holds a part for each."""
        repo, state = self._repository(repository.external_id), dict(cursor or {})
        if repo.is_disabled:
            return  # Azure answers as if it were not there; what was read of it stays
        for name, read in self._reader.readers().items():
            for events, part, done in read(repo, state.get(name, {})):
                state = {**state, name: part}
                yield c.CodePage(events, state, done)

    def fetch_code(self, refs: Sequence[c.CodeRef]) -> Sequence[c.CodeEvent]:
        """Freshly read, each in a call or three; what is gone says nothing."""
        self._reader.shared.clear()
        events: list[c.CodeEvent] = []
        kinds = self._config.kinds()
        for ref in dict.fromkeys(refs):
            may_tell, fetch = _FETCHED[ref.kind]
            if may_tell & kinds:
                with suppress(c.NotFound):
                    events += fetch(self, ref)
        return events

    def _fetch_change(self, ref: c.CodeRef) -> Sequence[c.CodeEvent]:
        repo = self._repository(ref.repository)
        return list(self._reader.change(repo, self._client.pull(repo, ref.id)))

    def _fetch_push(self, ref: c.CodeRef) -> Sequence[c.CodeEvent]:
        """What was moved, and the commits that came to the default branch by it."""
        repo = self._repository(ref.repository)
        push = self._client.push(repo, ref.id)
        events = list(mapping.push_events(repo, push))
        if any(moved.name == repo.default_branch for moved in push.ref_updates):
            events += [mapping.commit_event(repo, one) for one in self._client.push_commits(repo, push.push_id)]
        return events

    def _fetch_run(self, ref: c.CodeRef) -> Sequence[c.CodeEvent]:
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

    parse = staticmethod(webhook.parse)


_FETCHED = {
    c.RefKind.CHANGE: ({c.CodeKind.PULL_REQUEST}, AzureDevOpsConnector._fetch_change),
    c.RefKind.PUSH: ({c.CodeKind.PUSH}, AzureDevOpsConnector._fetch_push),
    c.RefKind.RUN: ({c.CodeKind.PIPELINE, c.CodeKind.DEPLOYMENT}, AzureDevOpsConnector._fetch_run),
}
"""What can be asked for -> what that may tell of, and how it is asked for."""
