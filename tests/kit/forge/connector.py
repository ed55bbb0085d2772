"""Forge, for one integration: what its feed says in our words. One file, so that it can be read in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, ClassVar

import msgspec
from pydantic import Field, SecretStr

from connectors import contract as c
from connectors.signing import hmac_hex


class ForgeConfig(c.CodeSyncConfig):
    """Nothing of its own."""


class ForgeCredentials(c.Credentials):
    """A token."""

    api_token: SecretStr = Field(min_length=1)


MANIFEST = c.Manifest(
    type="forge",
    name="Forge",
    category=c.Category.SOURCE_CONTROL,
    description="Changes, deployments, pipelines and releases",
    config=ForgeConfig,
    credentials={"token": ForgeCredentials},
    endpoints={"api": "https://api.forge.example"},
    webhooks=c.WebhookFacts(headers_kept=("x-forge-id", "x-forge-event")),
    # Forge allows 600 calls a minute; a quarter is left for the account's other programs.
    rates=c.RateFacts(per_second=7.5, burst=30),
)


class Repository(msgspec.Struct):
    """A repository."""

    id: str
    name: str
    url: str
    main: str
    archived: bool


class Named(msgspec.Struct):
    """Somebody, or a webhook."""

    id: str
    name: str = ""


class Entry(msgspec.Struct):
    """One line of the feed: it happened `at`, and came into the feed when it `moved`."""

    kind: str
    at: datetime
    moved: datetime
    told: dict[str, Any]


class Feed(msgspec.Struct):
    """Entries in the feed's order; `changes` counts the repository's."""

    entries: list[Entry]
    more: bool = False
    changes: int = 0


class Told(msgspec.Struct):
    """A delivery."""

    repository: str
    entries: list[Entry] = msgspec.field(default_factory=list)
    change: str | None = None


# --- Forge's words in ours ------------------------------------------------------------------------------


def _person(who: dict[str, Any]) -> c.Person:
    return c.Person(who["id"], who["name"], who.get("email"))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _merged(t: dict[str, Any], _at: datetime) -> c.Happening:
    size = (t["additions"], t["deletions"], t["files"], t["commits"])
    return c.ChangeMerged(t["number"], t["sha"], t["head"], t["target"], _person(t["by"]), _time(t["begun"]), *size)


def _ran(t: dict[str, Any], at: datetime) -> c.Happening:
    """When it began to run is told by another entry, so it is left out of all."""
    state = c.RunState(t["state"])
    times = (_time(t["created"]), None, at if state in c.FINAL else None)
    return c.PipelineRan(t["id"], t["attempt"], t["name"], state, t["sha"], t["branch"], t["trigger"], *times, t["url"])


def _committed(t: dict[str, Any], _at: datetime) -> c.Happening:
    return c.Committed(t["sha"], t["message"].partition("\n")[0], _person(t["author"]), _time(t["authored"]))


def _opened(t: dict[str, Any], _at: datetime) -> c.Happening:
    return c.ChangeOpened(t["number"], t["title"], t["url"], _person(t["author"]), t["branch"])


CHANGE, DEPLOYMENT = c.CodeKind.PULL_REQUEST, c.CodeKind.DEPLOYMENT
WHAT: Mapping[str, tuple[c.CodeKind, Callable[[dict[str, Any], datetime], c.Happening]]] = {
    "commit": (c.CodeKind.PUSH, _committed),
    "opened": (CHANGE, _opened),
    "ready": (CHANGE, lambda t, _: c.ChangeReady(t["number"])),
    "closed": (CHANGE, lambda t, at: c.ChangeClosed(t["number"], at)),
    "reopened": (CHANGE, lambda t, at: c.ChangeReopened(t["number"], at)),
    "merged": (CHANGE, _merged),
    "review": (CHANGE, lambda t, _: c.Reviewed(t["number"], t["id"], _person(t["author"]), c.ReviewState(t["state"]))),
    "deployment": (
        DEPLOYMENT,
        lambda t, _: c.Deployed(t["id"], t["sha"], t["ref"], t["environment"], _person(t["by"])),
    ),
    "deployment_state": (DEPLOYMENT, lambda t, _: c.DeploymentMoved(t["id"], c.RunState(t["state"]))),
    "run": (c.CodeKind.PIPELINE, _ran),
    "release": (c.CodeKind.RELEASE, lambda t, _: c.Released(t["id"], t["tag"], t["name"], t["url"])),
}
"""An entry's kind -> what an integration follows it as, and what it says."""


def _events(repository: str, entries: Iterable[Entry], config: ForgeConfig) -> list[c.CodeEvent]:
    """What entries say, of what is followed. Raises BadPayload."""
    followed = config.kinds()
    wanted = [(entry, *WHAT[entry.kind]) for entry in entries if entry.kind in WHAT]
    try:
        return [c.CodeEvent(repository, e.at, what(e.told, e.at)) for e, kind, what in wanted if kind in followed]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise c.BadPayload(f"Forge's entry has an unexpected shape: {error!r}") from None


class ForgeConnector:
    """Forge."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: ForgeConfig = context.config
        self._http, self._api = context.http, context.endpoints["api"].rstrip("/") + "/api"
        self._headers = {"Authorization": f"Bearer {context.credentials.api_token.get_secret_value()}"}

    def _call(self, method: str, path: str, type_: Any = None, **more: Any) -> Any:
        response = self._http.request(method, self._api + path, headers=self._headers, **more)
        return response.decode(type_) if type_ else None

    def check(self) -> c.Account:
        """Whose token it is."""
        me = self._call("GET", "/me", Named)
        return c.Account(me.id, me.name)

    # --- reading ------------------------------------------------------------------------------------

    def repositories(self) -> Iterable[Sequence[c.RemoteRepository]]:
        """All of them come in one answer."""
        wanted, listed = self._config.repositories, self._call("GET", "/repositories", list[Repository])
        chosen = [one for one in listed if not wanted or one.name in wanted]
        yield [c.RemoteRepository(one.id, one.name, one.url, one.main, one.archived) for one in chosen]

    def code_events(self, repository: c.RemoteRepository, cursor: c.Cursor | None) -> Iterator[c.CodePage]:
        """The feed from a moment on; a page begins with the moment the one before ended with."""
        since, done, more = str(dict(cursor or {}).get("since", "")), 0, True
        while more:
            path, params = f"/repositories/{repository.external_id}/feed", {"since": since}
            feed: Feed = self._call("GET", path, Feed, params=params)
            since, more = feed.entries[-1].moved.isoformat() if feed.entries else since, feed.more
            done += sum(entry.kind == "opened" for entry in feed.entries)
            events = _events(repository.external_id, feed.entries, self._config)
            yield c.CodePage(events, {"since": since}, done, feed.changes)

    def fetch_code(self, refs: Sequence[c.CodeRef]) -> Sequence[c.CodeEvent]:
        """The changes of a repository are asked for in one call."""
        found: list[c.CodeEvent] = []
        for repository, group in groupby(sorted(refs, key=lambda ref: ref.repository), lambda ref: ref.repository):
            params = {"changes": ",".join(ref.id for ref in group)}
            try:
                feed = self._call("GET", f"/repositories/{repository}/feed", Feed, params=params)
            except c.NotFound:
                continue  # gone with its repository
            found += _events(repository, feed.entries, self._config)
        return found

    # --- webhooks -----------------------------------------------------------------------------------

    @staticmethod
    def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
        """Check the body's signature. Raises BadSignature."""
        hmac_hex(delivery.body, delivery.headers.get("x-forge-signature"), secrets.get("signing", ()))
        return c.Verified(delivery.headers.get("x-forge-id"), delivery.headers.get("x-forge-event", "unknown"))

    @staticmethod
    def parse(delivery: c.RawDelivery, config: ForgeConfig) -> Sequence[c.Signal]:
        """The entries told; of a merge the change to be asked for."""
        event = delivery.headers.get("x-forge-event", "")
        if event not in EVENTS and not event.startswith("repository_"):
            return [c.Ignored("unsupported", event)]
        try:
            told = msgspec.json.decode(delivery.body, type=Told)
        except (msgspec.DecodeError, RecursionError) as error:
            raise c.BadPayload(f"Forge's {event} has an unexpected shape: {error}") from None
        if event.startswith("repository_"):
            return [c.LookAgain(f"Forge says that a {event.replace('_', ' was ')}.")]
        if event == "merged":
            return [c.CodeHint(c.CodeRef(told.repository, c.RefKind.CHANGE, told.change or ""))]
        heard = [c.CodeHeard(event) for event in _events(told.repository, told.entries, config)]
        return heard or [c.Ignored("nothing_followed", event)]

    @staticmethod
    def handshake(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Reply | None:
        """Forge has none."""
        return None

    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """Register, or give the one there is for this address the new secret."""
        body = {"url": url, "secret": secret.get_secret_value()}
        return c.Subscription((self._call("PUT", "/hooks", Named, json=body).id,))

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Webhooks do not expire; None when somebody removed ours."""
        known = {hook.id for hook in self._call("GET", "/hooks", list[Named])}
        return subscription if known & set(subscription.external_ids) else None

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove it."""
        for hook_id in subscription.external_ids:
            self._call("DELETE", f"/hooks/{hook_id}", allow=(404,))


EVENTS = frozenset(
    (
        *("pushed", "opened", "edited", "drafted", "ready", "closed", "reopened", "merged", "reviewed", "dismissed"),
        *("deployed", "deployment_moved", "run_moved", "released"),
    )
)
"""What Forge tells, besides what happens to repositories."""
