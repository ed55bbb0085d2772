"""The Jira connector: reading, people, webhooks. What it writes is in `writing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from connectors import contract as c
from connectors.hooks import advising, no_handshake
from connectors.jira import jql, webhook
from connectors.jira.client import Page, Webhook
from connectors.jira.config import BasicCredentials, OAuthCredentials
from connectors.jira.manifest import MANIFEST, SCOPES
from connectors.jira.writing import Writer
from connectors.reading import Listed, Sight, batches, changed, fetched, pages, with_email
from connectors.times import at_ms

BULK = 100
"""Most issues of one bulk fetch."""

ID_PAGE = 1000
"""Ids asked for at once; Jira gives up to 5,000 of them."""

WEBHOOK_LIFE = timedelta(days=30)
"""How long a dynamic webhook lives from its registration."""

ADMIN_HINT = (
    "With an API token only a Jira administrator may register webhooks. Use an administrator's token, connect by "
    "OAuth, or add the webhook by hand (see the connector's README). Until then polling finds every change."
)


class JiraConnector(Writer):
    """Jira Cloud, for one integration."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        super().__init__(context)
        self._credentials: OAuthCredentials | BasicCredentials = context.credentials
        self._http = context.http

    def check(self) -> c.Account:
        """Who the credentials speak for. Raises AuthFailed, ConsentPending, Forbidden, RateLimited, Transient."""
        scopes: tuple[str, ...] = ()
        missing: tuple[str, ...] = ()
        learned: dict[str, str] = {}
        if isinstance(self._credentials, OAuthCredentials) and self._credentials.cloud_id is None:
            site = self._client.site
            scopes, learned = tuple(site.scopes), {"cloud_id": site.id, "site_url": site.url}
            # Jira does not list offline_access; the refresh token shows whether it was granted.
            unlisted = ("offline_access",) if self._credentials.refresh_token else ()
            missing = tuple(scope for scope in SCOPES if scope not in scopes + unlisted)
        me = self._client.myself()
        return c.Account(me.account_id, me.display_name, scopes, missing, learned | {"account_id": me.account_id})

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: c.Cursor | None) -> Iterator[c.TaskPage]:
        """Issues by the time of their last change."""
        me = self._client.myself()  # proves that we are somebody, and teaches the vendor's clock and zone
        yield from changed(cursor, self._projects, partial(self._search, me.time_zone), self._ask)

    def _search(self, zone: str, since: datetime | None) -> c.JsonObject:
        """The size of a page belongs to the token of the next."""
        size = self._config.page_size
        if since is None:
            everything = jql.all_of(self._mine)
            return {"jql": everything, "size": size, "total": self._client.count(everything)}
        start = since - timedelta(minutes=self._config.overlap_minutes)
        if self._config.jql_time == "relative":
            return {"jql": jql.changed_since_minutes(self._mine, start, self._http.vendor_now()), "size": size}
        try:
            return {"jql": jql.changed_since_time(self._mine, start, ZoneInfo(zone)), "size": size}
        except (ZoneInfoNotFoundError, ValueError):
            raise c.Rejected(f"The account's time zone {zone!r} is not known here; set jql_time to relative.") from None

    def _ask(self, search: c.JsonObject, token: str | None) -> Listed:
        page = self._client.search(search["jql"], search["size"], token)
        tasks = self._tasks(page.issues)
        return Listed(tasks, max((task.updated_at for task in tasks), default=None), page.next_page_token)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, c.RemoteTask | c.Gone]:
        """The issues now. What can't be read any more is proven deleted, or unreachable."""
        sight = Sight("project", self._client.browsable, self._projects)

        def gone(issue_id: str, text: str) -> c.Gone:
            place = self._steps.places.get(issue_id)
            return sight.gone(issue_id, text, [place.project] if place else None)

        known = [task for batch in batches(ids, BULK) for task in self._tasks(self._client.bulk_fetch(batch))]
        return fetched(ids, self._reread, gone, known)

    def _reread(self, issue_id: str) -> c.RemoteTask:
        """A missing issue, asked for twice more before it is believed to be gone."""
        try:
            issue = self._client.issue(issue_id)
        except c.NotFound:
            issue = self._client.issue(issue_id)
        return self._tasks([issue])[0]

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all issues in the mapped projects."""
        ask = partial(self._client.search_ids, jql.ids_of(self._mine), ID_PAGE)
        for page in pages(ask, None, Page.after):
            yield [issue.id for issue in page.issues]

    # --- TaskVocabulary -----------------------------------------------------------------------------

    def vocabularies(self) -> Iterator[c.Vocabulary]:
        """The statuses of each mapped project, whatever the issue type, and the site's priorities."""
        reader = self._reader
        priorities = [
            c.VendorValue(one.id, one.name, str(reader.priority(one).here)) for one in self._client.priorities()
        ]
        for project in self._projects:
            found = self._client.statuses(project)
            statuses = [c.VendorValue(one.id, one.name, str(reader.status(one).here)) for one in found]
            yield c.Vocabulary(project, statuses, priorities)

    # --- UserDirectory ------------------------------------------------------------------------------

    def find_user(self, email: str, container: str) -> c.RemoteUser | None:
        """The person with this address; where addresses are hidden, the only one Jira finds by it."""
        people = [user.remote for user in self._client.assignable(container, email) if user.active]
        return with_email(people, email, hidden=True)

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(no_handshake)

    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """OAuth: one dynamic webhook for all mapped projects. API token: an administrator's webhook."""
        if isinstance(self._credentials, BasicCredentials):
            return self._subscribe_as_admin(url, secret)
        ours = [hook for hook in self._client.webhooks() if hook.url == url]
        for hook in ours:
            if hook.jql_filter == self._mine and set(hook.events) == set(webhook.SUBSCRIBED):
                return _subscription(hook)
        if ours:
            self._client.delete_webhooks([hook.id for hook in ours])
        created = self._client.register_webhook(url, self._mine, webhook.SUBSCRIBED)
        return c.Subscription((str(created),), self._http.vendor_now() + WEBHOOK_LIFE)

    @advising(ADMIN_HINT, "Jira")
    def _subscribe_as_admin(self, url: str, secret: SecretStr) -> c.Subscription:
        body = {
            "name": "Turnbuckle",
            "url": url,
            "events": list(webhook.SUBSCRIBED),
            "filters": {"issue-related-events-section": self._mine},
            "secret": secret.get_secret_value(),
        }
        # One registered before may be signed with another secret, which Jira does not tell.
        for hook in self._client.admin_webhooks():
            if hook.url == url:
                self._client.delete_admin_webhook(hook.id)
        return c.Subscription((self._client.register_admin_webhook(body).id,))

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Another 30 days. None when Jira does not have it any more, or has it for other projects."""
        if isinstance(self._credentials, BasicCredentials):
            known = {hook.id for hook in self._client.admin_webhooks() if hook.url == url}
            return subscription if known & set(subscription.external_ids) else None
        for hook in self._client.webhooks():
            if str(hook.id) in subscription.external_ids and hook.url == url and hook.jql_filter == self._mine:
                expires = self._client.refresh_webhook(hook.id)
                return c.Subscription((str(hook.id),), at_ms(expires))
        return None

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove it; one already gone is success."""
        if isinstance(self._credentials, BasicCredentials):
            for hook_id in subscription.external_ids:
                self._client.delete_admin_webhook(hook_id)
        else:
            self._client.delete_webhooks([int(hook_id) for hook_id in subscription.external_ids])


def _subscription(hook: Webhook) -> c.Subscription:
    return c.Subscription((str(hook.id),), None if hook.expiration_date is None else at_ms(hook.expiration_date))
