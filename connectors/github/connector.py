"""The GitHub connector: what happened in repositories, read and heard; their issues as tasks, where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import SecretStr

from connectors.contract import (
    Account,
    CodeEvent,
    CodeKind,
    CodePage,
    CodeRef,
    Context,
    Cursor,
    Expected,
    Forbidden,
    Gone,
    Manifest,
    Missed,
    NotFound,
    RefKind,
    RemoteRepository,
    RemoteTask,
    Subscription,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskWritten,
    Vocabulary,
)
from connectors.github import mapping, webhook
from connectors.github.client import GitHubClient, Listing
from connectors.github.config import GitHubConfig
from connectors.github.hooks import Hooks, missed
from connectors.github.issues import Issues
from connectors.github.manifest import MANIFEST
from connectors.github.reading import Reader
from connectors.github.shapes import Repository

NEEDED = {
    CodeKind.PUSH: "contents",
    CodeKind.PULL_REQUEST: "pull_requests",
    CodeKind.DEPLOYMENT: "deployments",
    CodeKind.PIPELINE: "actions",
    CodeKind.RELEASE: "contents",
}
"""The App's permission (to read) without which a kind can't be followed."""

MOST_PUSHED = 10
"""Pages of commits read for one push; more only come with the import of a whole history, which a poll reads."""


class GitHubConnector:
    """GitHub, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: GitHubConfig = context.config
        self._http = context.http
        self._client = GitHubClient(context)
        self._hooks = Hooks(self._client, self._config)
        self._issues = Issues(self._client, self._config)

    def check(self) -> Account:
        """The organization, and what may be done there. Raises AuthFailed, Forbidden, RateLimited, Transient;
        ConsentPending until the App is set up and GitHub knows the installation."""
        if self._client.app is not None:
            return self._installation()
        owner, headers = self._client.owner(self._config.organization)
        scopes = tuple(scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",") if scope.strip())
        lacking = () if not scopes or {"repo", "public_repo"} & set(scopes) else ("repo",)
        return Account(str(owner.id), owner.login, scopes, lacking)

    def _installation(self) -> Account:
        assert self._client.app is not None
        found = self._client.app.installation()
        if found.account.login.casefold() != self._config.organization.casefold():
            raise Forbidden(
                f"The App's installation {found.id} is in {found.account.login or 'an enterprise'}, and the "
                f"integration is for {self._config.organization}: correct one of the two."
            )
        scopes = tuple(f"{name}:{level}" for name, level in sorted(found.permissions.items()))
        lacking = {NEEDED[kind] for kind in self._config.kinds()} - set(found.permissions)
        learned = {"installation_id": str(found.id)}
        missing = tuple(f"{name}:read" for name in sorted(lacking))
        if self._config.sync_issues and found.permissions.get("issues") != "write":
            missing = (*missing, "issues:write")
        return Account(str(found.account.id), found.account.login, scopes, missing, learned)

    # --- CodeSource ---------------------------------------------------------------------------------

    def repositories(self) -> Iterator[Sequence[RemoteRepository]]:
        """Those of the organization the config names, or all that can be seen."""
        named = {name.casefold() for name in self._config.repositories}
        if named and self._client.app is None:
            yield [mapping.repository(found) for name in self._config.repositories for found in self._named(name)]
            return
        for rows in self._seen():
            ours = [row for row in rows if row.owner.login.casefold() == self._config.organization.casefold()]
            yield [mapping.repository(row) for row in ours if not named or row.name.casefold() in named]

    def _named(self, name: str) -> list[Repository]:
        try:
            return [self._client.repository(self._config.organization, name)]
        except NotFound:
            return []

    def _seen(self) -> Iterator[list[Repository]]:
        if self._client.app is not None:
            yield from _all(self._client.installed)
            return
        try:
            yield from _all(lambda page: self._client.of_organization(self._config.organization, page))
        except NotFound:  # a person's repositories
            yield from _all(self._client.ours)

    def code_events(self, repository: RemoteRepository, cursor: Cursor | None) -> Iterator[CodePage]:
        """Kind by kind, each from its own part of the cursor on."""
        cursor, kinds = dict(cursor or {}), self._config.kinds()
        now = self._http.vendor_now()
        days = self._config.history_days
        reader = Reader(self._client, repository, now - timedelta(days=days) if days else None, now)
        for kind, (name, read) in reader.parts().items():
            if kind in kinds:
                for part in read(cursor.get(name, {})):
                    cursor = {**cursor, name: part.state}
                    yield CodePage(part.events, cursor, part.done, part.total)

    def fetch_code(self, refs: Sequence[CodeRef]) -> Sequence[CodeEvent]:
        """All that happened to these now; nothing for what is not there."""
        events: list[CodeEvent] = []
        for ref in refs:
            try:
                events += self._fetched(ref)
            except NotFound:
                continue
        return events

    def _fetched(self, ref: CodeRef) -> Iterable[CodeEvent]:
        repo, client = ref.repository, self._client
        match ref.kind:
            case RefKind.CHANGE:
                return list(mapping.change(repo, client.pull(repo, ref.id), client.timeline(repo, ref.id)))
            case RefKind.DEPLOYMENT:
                made = mapping.deployed(repo, client.deployment(repo, ref.id))
                return [made, *mapping.moved(repo, ref.id, client.statuses(repo, ref.id))]
            case RefKind.RUN:
                return [mapping.run(repo, client.run(repo, ref.id))]
            case RefKind.RELEASE:
                return list(mapping.release(repo, client.release(repo, ref.id)))
            case RefKind.PUSH:
                return self._pushed(repo, ref.id)

    def _pushed(self, repo: str, range_: str) -> list[CodeEvent]:
        """The commits a push brought to the default branch (`before...after`)."""
        before, _, after = range_.partition("...")
        events: list[CodeEvent] = []
        for page in range(1, MOST_PUSHED + 1):
            listing = (
                self._client.compare(repo, before, after, page) if before else self._client.commits(repo, after, page)
            )
            events += [mapping.commit(repo, row) for row in listing.rows]
            if listing.next is None:
                break
        return events

    # --- issues: see issues -------------------------------------------------------------------------

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Issues by the time of their last change, repository by repository."""
        return self._issues.changed(cursor)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """Issues now, a call each."""
        return self._issues.fetch(ids)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all issues in the mapped repositories."""
        return self._issues.all_ids()

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """One POST that leaves the key unseen in the text."""
        return self._issues.create(draft, create_key)

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """The issues that carry the key, the oldest first."""
        return self._issues.find_created(create_key)

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """A look, and one PATCH. Raises Conflict when somebody else has set one of the fields meanwhile."""
        return self._issues.update(external_id, changes, expected)

    def vocabularies(self) -> Iterator[Vocabulary]:
        """What issues can be, and the labels that mean something, for each mapped repository."""
        return self._issues.vocabularies()

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)
    account = staticmethod(webhook.account)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """A hook in each repository. An installation is told of everything by the App's own: nothing to register."""
        if self._client.app is not None:
            return Subscription(())
        return self._hooks.subscribe(self._followed(), url, secret)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Hooks do not end. Repositories that came since get theirs; None when one of ours is gone or turned off."""
        if self._client.app is not None:
            return subscription
        return self._hooks.renew(self._followed(), subscription, url)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them; one already gone is success."""
        self._hooks.unsubscribe(subscription)

    def _followed(self) -> list[RemoteRepository]:
        """Repositories in which something happens."""
        return [one for some in self.repositories() for one in some if not one.archived]

    # --- DeliveryLog --------------------------------------------------------------------------------

    def missed(self, since: datetime) -> Iterator[Sequence[Missed]]:
        """What the App's hook, or those of the repositories, did not get since then."""
        if self._client.app is not None:
            yield from missed(self._client, "/app/hook", since, self._client.app.id)
            return
        for log in self._hooks.logs(self._followed()):
            yield from missed(self._client, log, since, None)

    def redeliver(self, missed: Missed) -> None:
        """Have one sent again. Raises NotFound after three days."""
        self._client.redeliver(missed.ref)


def _all(ask: Callable[[int], Listing[Repository]]) -> Iterator[list[Repository]]:
    """Every page of a numbered list."""
    page: int | None = 1
    while page is not None:
        listing = ask(page)
        yield listing.rows
        page = page + 1 if listing.next else None
