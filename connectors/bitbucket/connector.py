"""The Bitbucket Cloud connector: it decides which calls to make, and leaves words to `mapping` and deliveries to
`webhook`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from pydantic import SecretStr

from connectors import contract as c
from connectors.bitbucket import client as api
from connectors.bitbucket import mapping, webhook
from connectors.bitbucket.config import BitbucketConfig
from connectors.bitbucket.manifest import MANIFEST
from connectors.bitbucket.reading import Part, Reader
from connectors.bitbucket.shapes import Home

BELIEVED = timedelta(hours=3)
"""How long a webhook is believed to work without a look: one that fails for long may be turned off without a word. The
engine looks in good time before, which is every two hours."""

ADMIN_HINT = (
    "Only an administrator of the workspace, or of each repository, may register webhooks, and the credentials need "
    "the scope webhook. Polling finds every change but pushes; lower poll_seconds if that is too late."
)

T = TypeVar("T")

Stream = Callable[[c.RemoteRepository, c.JsonObject], Iterator[Part]]


class BitbucketConnector:
    """Bitbucket Cloud, for one integration."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: BitbucketConfig = context.config
        self._http = context.http
        self._client = api.BitbucketClient(context)
        self._reader = Reader(context, self._client)
        self._default: dict[str, str | None] = {}

    def check(self) -> c.Account:
        """Which workspace the credentials are for, by a look at one of its repositories: it is all they must be able
        to see. Raises AuthFailed, Forbidden, RateLimited, Transient."""
        try:
            home = self._any_repository()
        except c.NotFound:
            text = f"There is no workspace {self._config.workspace} at Bitbucket, or the credentials can't see it."
            raise c.Forbidden(text) from None
        workspace = home.workspace if home else None
        if workspace is None or workspace.uuid is None:
            return c.Account(self._config.workspace.lower(), self._config.workspace)
        return c.Account(workspace.uuid, self._config.workspace)

    def _any_repository(self) -> Home | None:
        """The first that is named: a repository's own token may see no other. Without one there, the first of all."""
        for name in self._config.repositories[:1]:
            with suppress(c.NotFound):
                return self._client.one(api.HOME, name)
        return next(iter(next(self._client.repositories(size=1)).values), None)

    # --- CodeSource ---------------------------------------------------------------------------------

    def repositories(self) -> Iterator[Sequence[c.RemoteRepository]]:
        """Those that are named, one call each; else all that can be seen. Bitbucket has no archives."""
        if not self._config.repositories:
            for page in self._client.repositories():
                yield [mapping.repository(home) for home in page.values]
            return
        found = []
        for name in self._config.repositories:
            with suppress(c.NotFound):
                found.append(mapping.repository(self._client.one(api.HOME, name)))
        yield found

    def code_events(self, repository: c.RemoteRepository, cursor: c.Cursor | None) -> Iterator[c.CodePage]:
        """Commits, changes (which landed by some of them), runs and deployments. The cursor holds the mark of each."""
        marks: c.JsonObject = dict(cursor or {})
        pages = 0
        for name, stream in self._streams():
            for part in self._read(stream, repository, marks.get(name, {})):
                marks, pages = {**marks, name: part.mark}, pages + 1
                yield c.CodePage(part.events, marks, part.done, part.total)
        if not pages:
            yield c.CodePage([], marks)

    def _streams(self) -> list[tuple[str, Stream]]:
        reader = self._reader
        table: list[tuple[c.CodeKind, str, Stream]] = [
            (c.CodeKind.PUSH, "commits", reader.commits),
            (c.CodeKind.PULL_REQUEST, "changes", reader.changes),
            (c.CodeKind.PIPELINE, "runs", reader.runs),
            (c.CodeKind.DEPLOYMENT, "deployments", reader.deployments),
        ]
        return [(name, stream) for kind, name, stream in table if kind in self._config.kinds()]

    def _read(self, stream: Stream, repository: c.RemoteRepository, mark: c.JsonObject) -> Iterator[Part]:
        """A place that is not there any more (a commit after a force push, a page) is given up, and the stream read
        from its beginning the next time; so is a stream there is nothing of. Raises NotFound where the repository
        itself is gone."""
        try:
            yield from stream(repository, mark)
        except (c.NotFound, c.Rejected) as error:
            if isinstance(error, c.Rejected) and not mark.get("next"):
                raise
            self._client.one(api.HOME, repository.external_id)
            yield Part([], {})

    def fetch_code(self, refs: Sequence[c.CodeRef]) -> Sequence[c.CodeEvent]:
        """All that happened to these; of what is gone nothing."""
        events: list[c.CodeEvent] = []
        for home in dict.fromkeys(ref.repository for ref in refs):
            for kind, fetch in _FETCHED.items():
                ids = [ref.id for ref in refs if (ref.repository, ref.kind) == (home, kind)]
                with suppress(c.NotFound):
                    events += fetch(self, home, ids) if ids else []
        return events

    def _fetch_pushes(self, home: str, ids: Sequence[str]) -> list[c.CodeEvent]:
        """What they brought to the default branch; those that follow each other are one question."""
        branch = f"{self._default_branch(home) or ''}:"
        chains = mapping.chained([id_.removeprefix(branch) for id_ in ids if id_.startswith(branch)])
        return _each(chains, lambda ends: self._reader.pushed(home, ends[0] or None, ends[1]))

    def _fetch_changes(self, home: str, ids: Sequence[str]) -> list[c.CodeEvent]:
        """What is heard of was just updated: it is looked for among the last that were, and then by itself."""
        last = {str(change.id): change for change in self._client.last_changes(home)}
        return _each(
            ids, lambda id_: self._reader.change(home, last.get(id_) or self._client.one(api.CHANGE, home, id_))
        )

    def _fetch_runs(self, home: str, ids: Sequence[str]) -> list[c.CodeEvent]:
        return _each(ids, lambda id_: self._reader.run(home, self._client.one(api.PIPELINE, home, id_)))

    def _fetch_deployments(self, home: str, ids: Sequence[str]) -> list[c.CodeEvent]:
        """Those of runs, among the last changed."""
        runs = {f"#{id_}" for id_ in ids}
        rows = self._client.page(api.DEPLOYMENTS, home).values
        return _each([row for row in rows if row.release.name in runs], lambda row: self._reader.deployment(home, row))

    def _default_branch(self, repository: str) -> str | None:
        if repository not in self._default:
            branch = self._client.one(api.HOME, repository).mainbranch
            self._default[repository] = branch.name if branch else None
        return self._default[repository]

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)

    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """One webhook of the workspace; where the credentials may not make one, one of each repository. What is already
        registered for this address is taken over. A webhook is known by its path."""
        try:
            ids = [self._hook(api.workspace_path(self._config.workspace), "workspace", url, secret)]
        except (c.Forbidden, c.NotFound):
            ids = self._repository_hooks(url, secret)
        return self._believed(ids)

    def _repository_hooks(self, url: str, secret: SecretStr) -> list[str]:
        """A webhook for each repository that lets us have one."""
        ids, refusal = [], "there is no repository to have one"
        for place in self._places():
            try:
                ids.append(self._hook(place, "repository", url, secret))
            except c.Forbidden as error:
                refusal = error.text
        if not ids:
            raise c.Forbidden(f"{ADMIN_HINT} Bitbucket said: {refusal}")
        return ids

    def _places(self) -> list[str]:
        workspace = self._config.workspace
        return [api.home_of(workspace, repository.external_id) for batch in self.repositories() for repository in batch]

    def _hook(self, place: str, subject: str, url: str, secret: SecretStr) -> str:
        known = [hook for hook in self._client.hooks(place) if hook.url == url]
        offered = self._client.hook_events(subject)
        fields: dict[str, Any] = {
            "description": "Turnbuckle",
            "url": url,
            "active": True,
            "secret": secret.get_secret_value(),
            "events": [event for event in webhook.wanted(self._config) if event in offered],
        }
        for double in known[1:]:
            self._client.delete_hook(api.hook_path(place, double))
        return self._client.put_hook(place, known[0] if known else None, fields)

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Looks whether all are there and on; of repositories that are gone they are forgotten. None where one is not,
        and where a repository was added that may have one: then they are registered, and a poll follows."""
        known = set(subscription.external_ids)
        workspace = api.workspace_path(self._config.workspace)
        ours = any(id_.startswith(f"{workspace}/") for id_ in known)
        kept: list[str] = []
        for place in [workspace] if ours else self._places():
            try:
                hooks = self._client.hooks(place)
            except c.Forbidden:
                continue
            well = [api.hook_path(place, hook) for hook in hooks if hook.url == url and hook.active]
            if not known & set(well):
                return None
            kept += sorted(known & set(well))
        return self._believed(kept) if kept else None

    def _believed(self, ids: Sequence[str]) -> c.Subscription:
        return c.Subscription(tuple(ids), self._http.vendor_now() + BELIEVED)

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove them; one already gone is success."""
        for path in subscription.external_ids:
            self._client.delete_hook(path)


def _each(things: Iterable[T], fetch: Callable[[T], Sequence[c.CodeEvent]]) -> list[c.CodeEvent]:
    """What is fetched of each that is still there."""
    events: list[c.CodeEvent] = []
    for thing in things:
        with suppress(c.NotFound):
            events += fetch(thing)
    return events


_FETCHED = {
    c.RefKind.PUSH: BitbucketConnector._fetch_pushes,
    c.RefKind.CHANGE: BitbucketConnector._fetch_changes,
    c.RefKind.RUN: BitbucketConnector._fetch_runs,
    c.RefKind.DEPLOYMENT: BitbucketConnector._fetch_deployments,
}
"""What can be asked for, and how. Pushes first: the commits they brought need not be asked for when changes landed by
them. There are no releases."""
