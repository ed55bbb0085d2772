"""Webhooks of ours: of single repositories with a token, the App's own with an installation. And what GitHub could not
hand over: it never sends again by itself, and keeps its log for three days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.contract import Forbidden, Missed, NotFound, RemoteRepository, Subscription
from connectors.github.client import Delivery, GitHubClient, Hook
from connectors.github.config import KINDS, GitHubConfig
from connectors.times import moment

OURS = "/webhooks/github/"
"""What the path of every hook has that this program registers."""

ALWAYS = ("repository",)
"""Renamed, archived, deleted: told to hooks of a repository as to an App's."""

BATCH = 100


class Hooks:
    """The hooks of a token's repositories. The id of one here is `repository:hook`."""

    def __init__(self, client: GitHubClient, config: GitHubConfig) -> None:
        self._client = client
        told = {event.value for event, kind in KINDS.items() if kind in config.kinds()}
        self._events = sorted({*ALWAYS, *told, *(("issues",) if config.sync_issues else ())})

    def subscribe(self, repositories: Iterable[RemoteRepository], url: str, secret: SecretStr) -> Subscription:
        """A hook in each; one there is already is set right."""
        ids = []
        for repository in repositories:
            repo = repository.external_id
            found = next((hook for hook in self._of(repository) if hook.config.get("url") == url), None)
            if found is None:
                found = self._client.register(repo, self._body(url, secret))
            else:
                self._client.change_hook(repo, found.id, self._body(url, secret))
            ids.append(f"{repo}:{found.id}")
        return Subscription(tuple(ids))

    def renew(self, repositories: Iterable[RemoteRepository], known: Subscription, url: str) -> Subscription | None:
        """The hooks there are, with one in each repository that is new; None where somebody removed one, turned it off
        or changed it."""
        before = {id_.partition(":")[0]: id_ for id_ in known.external_ids}
        kept, new = [], []
        for repository in repositories:
            id_ = before.get(repository.external_id)
            if id_ is None:
                new.append(repository)
            elif any(id_.endswith(f":{hook.id}") and self._works(hook, url) for hook in self._of(repository)):
                kept.append(id_)
            else:
                return None
        if new and known.secret is None:
            return None  # nothing to sign the new ones with
        made = self.subscribe(new, url, known.secret).external_ids if known.secret is not None else ()
        return Subscription((*kept, *made), secret=known.secret)

    def unsubscribe(self, known: Subscription) -> None:
        """Remove them; what is gone is gone."""
        for id_ in known.external_ids:
            repo, _, hook = id_.partition(":")
            self._client.unregister(repo, hook)

    def logs(self, repositories: Iterable[RemoteRepository]) -> Iterator[str]:
        """Where the logs of our hooks are. A log does not say whose integration a hook is: what another one missed has
        the same id here, and was received, or is missed here as well."""
        for repository in repositories:
            for hook in self._of(repository):
                if OURS in urlsplit(str(hook.config.get("url", ""))).path:
                    yield f"/repositories/{repository.external_id}/hooks/{hook.id}"

    def _of(self, repository: RemoteRepository) -> list[Hook]:
        """A repository's hooks. GitHub says that there is nothing where the token may not see them."""
        try:
            return self._client.listed(Hook, repository.external_id).rows
        except NotFound as error:
            raise Forbidden(
                f"{error.text} The token may not manage webhooks of {repository.name}: it needs the scope "
                "admin:repo_hook, or as a fine-grained token the permission Webhooks (read and write)."
            ) from None

    def _body(self, url: str, secret: SecretStr) -> dict[str, Any]:
        config = {"url": url, "content_type": "json", "secret": secret.get_secret_value(), "insecure_ssl": "0"}
        return {"active": True, "events": self._events, "config": config}

    def _works(self, hook: Hook, url: str) -> bool:
        right = hook.config.get("url") == url and hook.config.get("content_type") == "json"
        return right and hook.active and set(self._events) <= set(hook.events)


def missed(client: GitHubClient, log: str, since: datetime, installation: str | None) -> Iterator[Sequence[Missed]]:
    """What a hook never got since then, oldest first: events no attempt of which went well. An App's log has those of
    all its installations. The attempts of three days are held at most, by their ids."""
    well, failed = set[str](), dict[str, Delivery]()
    for page in client.deliveries(log):
        young = [row for row in page if moment(row.delivered_at) >= since]
        for row in young:
            if row.status == "OK":
                well.add(row.guid)
            elif installation in (None, str(row.installation_id)):
                failed[row.guid] = row
        if len(young) < len(page):
            break
    lost = [row for row in reversed(failed.values()) if row.guid not in well]
    for start in range(0, len(lost), BATCH):
        yield [Missed(row.guid, f"{log}/deliveries/{row.id}", row.event) for row in lost[start : start + BATCH]]
