"""The projects' webhooks: registered, looked after, and what their logs hold.

A subscription's `external_ids` are `project/hook`. Hooks need the role of a maintainer: a project where the account is
none has no hook, and is only polled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import structlog
from pydantic import SecretStr

from connectors.contract import Forbidden, Missed, NotFound, RawDelivery, Rejected, Subscription
from connectors.gitlab import webhook
from connectors.gitlab.client import GitLabClient
from connectors.gitlab.shapes import Hook, Logged

log = structlog.get_logger(__name__)

NAME = "Turnbuckle"
"""What our hooks are called; it is how their logs are found."""

BELIEVED = 2 * webhook.WEBHOOKS.renew_before
"""GitLab pauses a hook without a word: that it works is believed for so long, and looked at after half of it."""

WORKING = "executable"

LOG_PAGES = 20
"""Pages of a hook's log (2,000 deliveries) that are looked through where it tells no times: what is missing is among
the newest, and what is older has been polled long since."""

SAMPLES = ("merge_requests_events", "push_events")
"""What a test delivers. A merge request is only asked for anew; a project without one has its last push told again."""


class Hooks:
    """The hooks of one integration. `events` are the names of what they tell."""

    def __init__(self, client: GitLabClient, events: Sequence[str], now: Callable[[], datetime]) -> None:
        self._client, self._now = client, now
        every = {name for names in webhook.SUBSCRIBED.values() for name in names}
        self._told = {name: name in events for name in sorted({*every, *webhook.ISSUES_TOLD})}

    # --- registering --------------------------------------------------------------------------------

    def subscribe(self, projects: Sequence[str], url: str, secret: SecretStr) -> Subscription:
        """Make a hook in each project, or adopt the one with this address. Raises Forbidden where none may be made."""
        return self._ensure(projects, url, secret, ())

    def renew(self, projects: Sequence[str], subscription: Subscription, url: str) -> Subscription | None:
        """Look at each hook; make those of new projects; forget those of projects that are gone."""
        kept = [id_ for id_ in subscription.external_ids if _project(id_) in projects]
        if not all(self._works(id_) for id_ in kept):
            return None
        hooked = {_project(id_) for id_ in kept}
        new = [project for project in projects if project not in hooked]
        if not new or subscription.secret is None:
            return self._subscription(kept, subscription.secret)
        return self._ensure(new, url, subscription.secret, kept)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove each."""
        for id_ in subscription.external_ids:
            project, _, hook = id_.partition("/")
            self._client.drop_hook(project, hook)

    def _subscription(self, ids: Sequence[str], secret: SecretStr | None) -> Subscription:
        return Subscription(tuple(ids), self._now() + BELIEVED, secret)

    def _works(self, id_: str) -> bool:
        project, _, hook = id_.partition("/")
        try:
            return self._client.hook(project, hook).alert_status in (None, WORKING)
        except NotFound:
            return False

    def _ensure(self, projects: Sequence[str], url: str, secret: SecretStr, kept: Sequence[str]) -> Subscription:
        token = webhook.signing_token(secret.get_secret_value())
        ids, refused = list(kept), None
        for project in projects:
            try:
                ids.append(f"{project}/{self._one(project, url, token)}")
            except Forbidden as error:
                log.warning("gitlab.no_hook", project=project, text=error.text)
                refused = error
        if refused is not None and not ids:
            raise Forbidden(f"{refused.text}. Webhooks need the scope api and the role of a maintainer.")
        return self._subscription(ids, SecretStr(token))

    def _one(self, project: str, url: str, token: str) -> int:
        """A project's hook, with this secret and in order."""
        held = next((hook for hook in self._client.hooks(project) if hook.url == url), None)
        signed = {"url": url, **self._told, "enable_ssl_verification": url.startswith("https:"), "signing_token": token}
        made = self._client.set_hook(project, str(held.id) if held else None, {"name": NAME, **signed})
        if not made.signing_token_present:  # a server that can't sign sends the secret itself
            self._client.set_hook(project, str(made.id), {**signed, "token": token})
        if held is not None and held.alert_status not in (None, WORKING):
            self._revive(project, made)
        return made.id

    def _revive(self, project: str, hook: Hook) -> None:
        """A sample that is answered well ends the pause."""
        for sample in SAMPLES:
            try:
                return self._client.test_hook(project, str(hook.id), sample)
            except Rejected as error:  # there is nothing of the kind in the project
                log.info("gitlab.no_sample", project=project, sample=sample, text=error.text)

    # --- the log ------------------------------------------------------------------------------------

    def missed(self, projects: Sequence[str], since: datetime) -> Iterator[Sequence[Missed]]:
        """What our hooks could not hand over, oldest first in each project."""
        for project in projects:
            try:
                for hook in [hook for hook in self._client.hooks(project) if hook.name == NAME]:
                    failed = [entry for entry in self._logged(project, hook, since) if not _delivered(entry)]
                    yield [self._told_of(project, hook, entry) for entry in reversed(failed)]
            except (Forbidden, NotFound) as error:  # no maintainer, or a server that keeps no log
                log.info("gitlab.no_log", project=project, text=error.text)

    def _logged(self, project: str, hook: Hook, since: datetime) -> Iterator[Logged]:
        """A hook's deliveries, newest first, back to `since` where they were signed: only signatures have a time."""
        for number in range(1, LOG_PAGES + 1):
            page = self._client.logged(project, str(hook.id), number)
            for entry in page.rows:
                signed_at = str(entry.request_headers.get("webhook-timestamp", ""))
                if signed_at.isdecimal() and int(signed_at) < since.timestamp():
                    return
                yield entry
            if page.last:
                return

    def _told_of(self, project: str, hook: Hook, entry: Logged) -> Missed:
        headers = {name.lower(): str(value) for name, value in entry.request_headers.items()}
        delivery = RawDelivery(headers, bytes(entry.request_data), self._now())
        event = headers.get("x-gitlab-event") or "unknown"
        ref = f"{project}/{hook.id}/{entry.id}"
        return Missed(webhook.delivery_key(delivery) or ref, ref, event, delivery)

    def redeliver(self, missed: Missed) -> None:
        """GitLab still holds it: it is sent once more."""
        project, hook, event = missed.ref.split("/")
        self._client.resend(project, hook, event)


def _delivered(entry: Logged) -> bool:
    return str(entry.response_status).startswith("2")


def _project(id_: str) -> str:
    return id_.partition("/")[0]
