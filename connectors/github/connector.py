"""The GitHub connector: what happened in repositories, read and heard; their issues as tasks, where that is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import ClassVar

from pydantic import SecretStr

from connectors import contract as c
from connectors.github import mapping, webhook
from connectors.github import shapes as s
from connectors.github.client import GitHubClient, Listing, every
from connectors.github.hooks import Hooks, missed
from connectors.github.issues import Issues
from connectors.github.manifest import MANIFEST
from connectors.github.reading import Reader

NEEDED = {
    c.CodeKind.PUSH: "contents",
    c.CodeKind.PULL_REQUEST: "pull_requests",
    c.CodeKind.DEPLOYMENT: "deployments",
    c.CodeKind.PIPELINE: "actions",
    c.CodeKind.RELEASE: "contents",
}
"""The App's permission (to read) without which a kind can't be followed."""

MOST_PUSHED = 10
"""Pages of commits read for one push; more only come with the import of a whole history, which a poll reads."""


class GitHubConnector(Issues):
    """GitHub, for one integration. What it knows of issues is its base's."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        super().__init__(GitHubClient(context), context.config)
        self._hooks = Hooks(self._client, self._config)

    def check(self) -> c.Account:
        """The organization, and what may be done there. Raises AuthFailed, Forbidden, RateLimited, Transient;
        ConsentPending until the App is set up and GitHub knows the installation."""
        if self._client.app is not None:
            return self._installation()
        owner, headers = self._client.owner(self._config.organization)
        scopes = tuple(scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",") if scope.strip())
        lacking = () if not scopes or {"repo", "public_repo"} & set(scopes) else ("repo",)
        return c.Account(str(owner.id), owner.login, scopes, lacking)

    def _installation(self) -> c.Account:
        assert self._client.app is not None
        found = self._client.app.installation()
        if found.account.login.casefold() != self._config.organization.casefold():
            raise c.Forbidden(
                f"The App's installation {found.id} is in {found.account.login or 'an enterprise'}, and the "
                f"integration is for {self._config.organization}: correct one of the two."
            )
        scopes = tuple(f"{name}:{level}" for name, level in sorted(found.permissions.items()))
        lacking = {NEEDED[kind] for kind in self._config.kinds()} - set(found.permissions)
        learned = {"installation_id": str(found.id)}
        missing = tuple(f"{name}:read" for name in sorted(lacking))
        if self._config.sync_issues and found.permissions.get("issues") != "write":
            missing = (*missing, "issues:write")
        return c.Account(str(found.account.id), found.account.login, scopes, missing, learned)

    # --- CodeSource ---------------------------------------------------------------------------------

    def repositories(self) -> Iterator[Sequence[c.RemoteRepository]]:
        """Those of the organization the config names, or all that can be seen."""
        named = {name.casefold() for name in self._config.repositories}
        if named and self._client.app is None:
            yield [mapping.repository(found) for name in self._config.repositories for found in self._named(name)]
            return
        for rows in self._seen():
            ours = [row for row in rows if row.owner.login.casefold() == self._config.organization.casefold()]
            yield [mapping.repository(row) for row in ours if not named or row.name.casefold() in named]

    def _named(self, name: str) -> list[s.Repository]:
        try:
            return [self._client.repository(self._config.organization, name)]
        except c.NotFound:
            return []

    def _seen(self) -> Iterator[list[s.Repository]]:
        if self._client.app is not None:
            yield from every(self._client.installed)
            return
        try:
            yield from every(lambda page: self._client.of_organization(self._config.organization, page))
        except c.NotFound:  # a person's repositories
            yield from every(self._client.ours)

    def code_events(self, repository: c.RemoteRepository, cursor: c.Cursor | None) -> Iterator[c.CodePage]:
        """Kind by kind, each from its own part of the cursor on."""
        cursor, kinds = dict(cursor or {}), self._config.kinds()
        now = self._client.http.vendor_now()
        days = self._config.history_days
        reader = Reader(self._client, repository, now - timedelta(days=days) if days else None, now)
        for kind, (name, read) in reader.parts().items():
            if kind in kinds:
                for part in read(cursor.get(name, {})):
                    cursor = {**cursor, name: part.state}
                    yield c.CodePage(part.events, cursor, part.done, part.total)

    def fetch_code(self, refs: Sequence[c.CodeRef]) -> Sequence[c.CodeEvent]:
        """All that happened to these now; nothing for what is not there."""
        events: list[c.CodeEvent] = []
        for ref in refs:
            try:
                events += self._fetched(ref)
            except c.NotFound:
                continue
        return events

    def _fetched(self, ref: c.CodeRef) -> Iterable[c.CodeEvent]:
        repo, client = ref.repository, self._client
        match ref.kind:
            case c.RefKind.CHANGE:
                pull = client.one(s.Pull, repo, ref.id)
                return list(mapping.change(repo, pull, client.timeline(repo, ref.id)))
            case c.RefKind.DEPLOYMENT:
                made = mapping.deployed(repo, client.one(s.Deployment, repo, ref.id))
                return [made, *mapping.moved(repo, ref.id, client.statuses(repo, ref.id))]
            case c.RefKind.RUN:
                return [mapping.run(repo, client.one(s.Run, repo, ref.id))]
            case c.RefKind.RELEASE:
                return list(mapping.release(repo, client.one(s.Release, repo, ref.id)))
            case c.RefKind.PUSH:
                return self._pushed(repo, ref.id)

    def _pushed(self, repo: str, range_: str) -> list[c.CodeEvent]:
        """The commits a push brought to the default branch (`before...after`)."""
        before, _, after = range_.partition("...")

        def ask(page: int) -> Listing[s.Commit]:
            if before:
                return self._client.compare(repo, before, after, page)
            return self._client.listed(s.Commit, repo, page, sha=after)

        return [mapping.commit(repo, row) for rows in islice(every(ask), MOST_PUSHED) for row in rows]

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)
    account = staticmethod(webhook.account)

    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """A hook in each repository. An installation is told of everything by the App's own: nothing to register."""
        if self._client.app is not None:
            return c.Subscription(())
        return self._hooks.subscribe(self._followed(), url, secret)

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Hooks do not end. Repositories that came since get theirs; None when one of ours is gone or turned off."""
        if self._client.app is not None:
            return subscription
        return self._hooks.renew(self._followed(), subscription, url)

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove them; one already gone is success."""
        self._hooks.unsubscribe(subscription)

    def _followed(self) -> list[c.RemoteRepository]:
        """Repositories in which something happens."""
        return [one for some in self.repositories() for one in some if not one.archived]

    # --- DeliveryLog --------------------------------------------------------------------------------

    def missed(self, since: datetime) -> Iterator[Sequence[c.Missed]]:
        """What the App's hook, or those of the repositories, did not get since then."""
        if self._client.app is not None:
            yield from missed(self._client, "/app/hook", since, self._client.app.id)
            return
        for log in self._hooks.logs(self._followed()):
            yield from missed(self._client, log, since, None)

    def redeliver(self, missed: c.Missed) -> None:
        """Have one sent again. Raises NotFound after three days."""
        self._client.redeliver(missed.ref)
