"""The GitLab connector: who and what there is, reading, issues, webhooks and their log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import SecretStr

from connectors.contract import (
    Account,
    CodeEvent,
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
    RemoteRepository,
    RemoteTask,
    RemoteUser,
    Subscription,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskWritten,
    Vocabulary,
)
from connectors.credentials import OAuthTokens
from connectors.gitlab import mapping, webhook
from connectors.gitlab.client import GitLabClient
from connectors.gitlab.config import GitLabConfig
from connectors.gitlab.hooks import Hooks
from connectors.gitlab.issues import Issues
from connectors.gitlab.manifest import MANIFEST
from connectors.gitlab.reading import Reader
from connectors.gitlab.shapes import Project

ENOUGH = frozenset({"api", "read_api"})
"""Scopes with either of which everything can be read."""


class GitLabConnector:
    """GitLab, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: GitLabConfig = context.config
        self._asks_scopes = not isinstance(context.credentials, OAuthTokens)
        self._client = GitLabClient(context)
        self._reader = Reader(self._client, self._config.kinds(), self._config.history_days)
        events = [name for kind in sorted(self._config.kinds()) for name in webhook.SUBSCRIBED[kind]]
        events += webhook.ISSUES_TOLD if self._config.sync_issues else ()
        self._issues = Issues(self._client, self._config)
        self._hooks = Hooks(self._client, events, context.now)

    def check(self) -> Account:
        """The group, and who the token speaks for; an access token tells its scopes. Raises AuthFailed, Forbidden."""
        me = self._client.me()
        scopes = self._client.scopes() if self._asks_scopes else ()
        missing = ("read_api",) if scopes and ENOUGH.isdisjoint(scopes) else ()
        return Account(self._config.group, f"{me.username or me.id} in {self._config.group}", scopes, missing)

    # --- CodeSource ---------------------------------------------------------------------------------

    def repositories(self) -> Iterator[Sequence[RemoteRepository]]:
        """The named projects, found by an old path, too; else all in the group and below. Raises Forbidden for a group
        that can't be seen."""
        for projects in self._projects():
            yield [mapping.repository(project) for project in projects]

    def _projects(self) -> Iterator[list[Project]]:
        if self._config.repositories:
            yield list(self._named())
            return
        try:
            yield from self._client.group_projects(self._config.group)
        except NotFound:
            raise Forbidden(
                f"There is no group {self._config.group}, or the account can't see it. Correct `group`, or add the "
                "account to it; of a user's own projects, name each in `repositories`."
            ) from None

    def _named(self) -> Iterator[Project]:
        seen: set[int] = set()
        for name in self._config.repositories:
            try:
                project = self._client.project(self._config.path(name))
            except NotFound:
                continue
            if project.id not in seen:  # its old name and its new one
                seen.add(project.id)
                yield project

    def code_events(self, repository: RemoteRepository, cursor: Cursor | None) -> Iterator[CodePage]:
        """See `reading`."""
        return self._reader.pages(repository, cursor)

    def fetch_code(self, refs: Sequence[CodeRef]) -> Sequence[CodeEvent]:
        """One thing after the other."""
        return [event for ref in refs for event in self._reader.fetch(ref)]

    # --- tasks: see issues --------------------------------------------------------------------------

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Issues by the time of their last change, project after project."""
        return self._issues.changed(cursor)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """The issues now."""
        return self._issues.fetch(ids)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """Of all issues in the mapped projects."""
        return self._issues.all_ids()

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """An issue with the key in its description, where nobody sees it."""
        return self._issues.create(draft, create_key)

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """Those with the key, the oldest first."""
        return self._issues.find_created(create_key)

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """A look, and one PUT. Raises Conflict when somebody else has set one of the fields meanwhile."""
        return self._issues.update(external_id, changes, expected)

    def vocabularies(self) -> Iterator[Vocabulary]:
        """`opened`, `closed`, and the labels that stand for a status or a priority."""
        return self._issues.vocabularies()

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """The one member of the project whom GitLab finds by this address."""
        return self._issues.find_user(email, container)

    # --- webhooks: see hooks ------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """A hook in each project, by which GitLab signs where it can."""
        return self._hooks.subscribe(self._ids(), url, secret)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Look after the hooks, and make those that are missing in new projects. None where one was paused or is gone:
        then deliveries were lost."""
        return self._hooks.renew(self._ids(), subscription, url)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them."""
        self._hooks.unsubscribe(subscription)

    def missed(self, since: datetime) -> Iterator[Sequence[Missed]]:
        """What the hooks' logs hold of deliveries that failed."""
        return self._hooks.missed(self._ids(), since)

    def redeliver(self, missed: Missed) -> None:
        """Have it sent again. Raises NotFound."""
        self._hooks.redeliver(missed)

    def _ids(self) -> list[str]:
        """The projects that can have something new."""
        return [one.external_id for batch in self.repositories() for one in batch if not one.archived]
