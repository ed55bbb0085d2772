"""The Jira connector: reading, people, webhooks. What it writes is in `writing`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from connectors.contract import (
    Account,
    Context,
    Cursor,
    Expected,
    Forbidden,
    Gone,
    GoneReason,
    Manifest,
    NotFound,
    RawDelivery,
    Rejected,
    RemoteTask,
    RemoteUser,
    Reply,
    Secrets,
    Signal,
    Subscription,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskWritten,
    VendorValue,
    Verified,
    Vocabulary,
)
from connectors.jira import jql, webhook
from connectors.jira.client import JiraClient, Page, Webhook
from connectors.jira.config import BasicCredentials, JiraConfig, OAuthCredentials
from connectors.jira.manifest import MANIFEST, SCOPES
from connectors.jira.mapping import Issue, Reader
from connectors.jira.writing import Writer

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


class JiraConnector:
    """Jira Cloud, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: JiraConfig = context.config
        self._credentials: OAuthCredentials | BasicCredentials = context.credentials
        self._http = context.http
        self._client = JiraClient(context)
        self._reader = Reader(context.config)
        self._projects = sorted({project.external for project in self._config.projects})
        self._mine = jql.in_projects(self._projects)
        self._writer = Writer(self._config, self._client, self._reader, self._mine)

    def check(self) -> Account:
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
        return Account(me.account_id, me.display_name, scopes, missing, learned | {"account_id": me.account_id})

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Issues by the time of their last change. The cursor holds

        since     vendor time (ISO) up to which everything is known; null: nothing is
        projects  the projects that is true for
        token, jql, size   within a run: the next page, and the search it belongs to
        high      within a run: the latest change seen
        """
        me = self._client.myself()  # proves that we are somebody, and teaches the vendor's clock and zone
        state: dict[str, Any] = {"since": None, "token": None, "high": None, "projects": []} | (cursor or {})
        if not set(self._projects) <= set(state["projects"]):
            state = {"since": None, "token": None, "high": None, "projects": self._projects}
        resumed = bool(state.get("token"))
        if not resumed:
            state |= self._new_search(state["since"], me.time_zone)
        total = self._client.count(state["jql"]) if state["since"] is None and not resumed else None
        page = self._first_page(state, me.time_zone)
        while True:
            tasks = self._tasks(page.issues)
            latest = max((task.updated_at for task in tasks), default=None)
            if latest is not None:
                state["high"] = max(state["high"] or "", latest.isoformat(timespec="milliseconds"))
            state["token"] = page.next_page_token
            if page.next_page_token is None:
                since = state["high"] or state["since"]
                yield TaskPage(tasks, {"since": since, "projects": self._projects, "high": since}, total)
                return
            yield TaskPage(tasks, dict(state), total)
            page = self._client.search(state["jql"], state["size"], state["token"])

    def _new_search(self, since: str | None, zone: str) -> dict[str, Any]:
        return {"jql": self._search_since(since, zone), "size": self._config.page_size, "token": None}

    def _search_since(self, since: str | None, zone: str) -> str:
        if since is None:
            return jql.all_of(self._mine)
        start = datetime.fromisoformat(since) - timedelta(minutes=self._config.overlap_minutes)
        if self._config.jql_time == "relative":
            return jql.changed_since_minutes(self._mine, start, self._http.vendor_now())
        try:
            return jql.changed_since_time(self._mine, start, ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            raise Rejected(f"The account's time zone {zone!r} is not known here; set jql_time to relative.") from None

    def _first_page(self, state: dict[str, Any], zone: str) -> Page:
        """The page the state names; where an earlier run's token has expired, that run's first one again."""
        try:
            return self._client.search(state["jql"], state["size"], state["token"])
        except Rejected:
            if state["token"] is None:
                raise
        state |= self._new_search(state["since"], zone)
        return self._client.search(state["jql"], state["size"])

    def _tasks(self, issues: Sequence[Issue]) -> list[RemoteTask]:
        self._writer.seen(issues)
        return [self._reader.task(issue) for issue in issues]

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """The issues now. What can't be read any more is proven deleted, or unreachable."""
        found: dict[str, RemoteTask | Gone] = {}
        for start in range(0, len(ids), BULK):
            for task in self._tasks(self._client.bulk_fetch(ids[start : start + BULK])):
                found[task.external_id] = task
        browsable: dict[str, bool] = {}
        for issue_id in ids:
            if issue_id not in found:
                found[issue_id] = self._reread(issue_id, browsable)
        return {issue_id: found[issue_id] for issue_id in ids}

    def _reread(self, issue_id: str, browsable: dict[str, bool]) -> RemoteTask | Gone:
        """A missing issue, asked for twice more. 404 is also Jira's word for "not for you", so it proves a deletion
        only while the project itself can be seen."""
        for _ in range(2):
            try:
                return self._tasks([self._client.issue(issue_id)])[0]
            except NotFound as error:
                text = error.text
        place = self._writer.place(issue_id)
        for project in [place.project] if place else self._projects:
            if project not in browsable:
                browsable[project] = self._client.browsable(project)
            if not browsable[project]:
                return Gone(issue_id, GoneReason.UNREACHABLE, f"The account can't see the project {project} any more.")
        return Gone(issue_id, GoneReason.DELETED, text)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all issues in the mapped projects."""
        search, token = jql.ids_of(self._mine), None
        while True:
            page = self._client.search_ids(search, ID_PAGE, token)
            yield [issue.id for issue in page.issues]
            token = page.next_page_token
            if token is None:
                return

    # --- TaskSink: see writing ----------------------------------------------------------------------

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """One POST that leaves the key as a label and as an issue property."""
        return self._writer.create(draft, create_key)

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """The issues that carry the key, the oldest first."""
        return self._tasks(self._writer.find_created(create_key))

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """A transition for the status, one PUT for the rest."""
        return self._writer.update(external_id, changes, expected)

    # --- TaskVocabulary -----------------------------------------------------------------------------

    def vocabularies(self) -> Iterator[Vocabulary]:
        """The statuses of each mapped project, whatever the issue type, and the site's priorities."""
        reader = self._reader
        priorities = [
            VendorValue(one.id, one.name, str(reader.priority(one).here)) for one in self._client.priorities()
        ]
        for project in self._projects:
            found = self._client.statuses(project)
            statuses = [VendorValue(one.id, one.name, str(reader.status(one).here)) for one in found]
            yield Vocabulary(project, statuses, priorities)

    # --- UserDirectory ------------------------------------------------------------------------------

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """The person with this address; where addresses are hidden, the only one Jira finds by it."""
        people = [user for user in self._client.assignable(container, email) if user.active]
        exact = [user for user in people if (user.email_address or "").casefold() == email.casefold()]
        hidden = [user for user in people if not user.email_address]
        chosen = exact or (hidden if len(people) == 1 else [])
        if len(chosen) != 1:
            return None
        return RemoteUser(chosen[0].account_id, chosen[0].display_name, chosen[0].email_address or None)

    # --- webhooks -----------------------------------------------------------------------------------

    @staticmethod
    def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
        """See `webhook.verify`."""
        return webhook.verify(delivery, secrets)

    @staticmethod
    def parse(delivery: RawDelivery, config: Any) -> Sequence[Signal]:
        """See `webhook.parse`."""
        return webhook.parse(delivery)

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        """Jira has none."""
        return None

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
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
        return Subscription((str(created),), self._http.vendor_now() + WEBHOOK_LIFE)

    def _subscribe_as_admin(self, url: str, secret: SecretStr) -> Subscription:
        body = {
            "name": "Turnbuckle",
            "url": url,
            "events": list(webhook.SUBSCRIBED),
            "filters": {"issue-related-events-section": self._mine},
            "secret": secret.get_secret_value(),
        }
        try:
            # One registered before may be signed with another secret, which Jira does not tell.
            for hook in self._client.admin_webhooks():
                if hook.url == url:
                    self._client.delete_admin_webhook(hook.id)
            return Subscription((self._client.register_admin_webhook(body).id,))
        except Forbidden as error:
            raise Forbidden(f"{ADMIN_HINT} Jira said: {error.text}") from None

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Another 30 days. None when Jira does not have it any more, or has it for other projects."""
        if isinstance(self._credentials, BasicCredentials):
            known = {hook.id for hook in self._client.admin_webhooks() if hook.url == url}
            return subscription if known & set(subscription.external_ids) else None
        for hook in self._client.webhooks():
            if str(hook.id) in subscription.external_ids and hook.url == url and hook.jql_filter == self._mine:
                expires = self._client.refresh_webhook(hook.id)
                return Subscription((str(hook.id),), datetime.fromtimestamp(expires / 1000, UTC))
        return None

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove it; one already gone is success."""
        if isinstance(self._credentials, BasicCredentials):
            for hook_id in subscription.external_ids:
                self._client.delete_admin_webhook(hook_id)
        else:
            self._client.delete_webhooks([int(hook_id) for hook_id in subscription.external_ids])


def _subscription(hook: Webhook) -> Subscription:
    expires = None if hook.expiration_date is None else datetime.fromtimestamp(int(hook.expiration_date) / 1000, UTC)
    return Subscription((str(hook.id),), expires)
