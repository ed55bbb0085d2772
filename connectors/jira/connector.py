"""The Jira connector: it decides which calls to make, and leaves words to `mapping`, the steps of a change of status to
`workflow` and deliveries to `webhook`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from pydantic import SecretStr

from connectors import contract as c
from connectors.changelog import overwritten
from connectors.hooks import advising, no_handshake
from connectors.jira import jql, webhook
from connectors.jira.client import JiraClient, Page, Webhook
from connectors.jira.config import BasicCredentials, JiraConfig, OAuthCredentials
from connectors.jira.manifest import MANIFEST, SCOPES
from connectors.jira.mapping import PRIORITY_NAMES, PROPERTY, SUMMARY_LIMIT, Issue, Named, Reader, named
from connectors.jira.workflow import Steps
from connectors.markup.adf import from_markdown
from connectors.markup.markdown import canonical
from connectors.reading import Listed, Sight, batches, changed, fetched, pages, with_email
from connectors.texts import is_lossy, one_line, rich
from connectors.times import at_ms
from connectors.transitions import Mover
from connectors.words import names
from connectors.writes import FieldsRefused, Write, created, drafted, taken

log = structlog.get_logger(__name__)

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

MAX_HOPS = 3
"""Transitions taken at most to reach one status, where that is allowed at all."""

SEARCH_PAGE = 100
"""Issues asked for at once when looking for what we created: there is one, or there are few."""

HINTS = {
    "title": "Shorten the title, or make the field editable in Jira.",
    "description": "Shorten the text, or put the field on the project's screens in Jira.",
    "priority": "Put the field on the project's screens in Jira, or name this site's priorities in priority_out.",
    "assignee": "The person must be assignable in the project, and the field on its screens.",
}
"""Our field -> what an operator can do when Jira refuses it."""

LABELS_HINT = "Put labels on the project's create screen: without one a create whose answer is lost is harder to find."
NO_PATH_HINT = "Add one to the workflow, name a reachable status in status_out, or set allow_multi_hop."


class JiraConnector:
    """Jira Cloud, for one integration."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: JiraConfig = context.config
        self._client, self._reader = JiraClient(context), Reader(context.config)
        self._projects = self._config.containers
        self._mine = jql.in_projects(self._projects)
        self._steps = Steps(self._client, self._reader, self._config)
        self._mover = Mover("Jira", self._steps, MAX_HOPS if self._config.allow_multi_hop else 0)
        self._credentials: OAuthCredentials | BasicCredentials = context.credentials
        self._http = context.http

    def _tasks(self, issues: Sequence[Issue]) -> list[c.RemoteTask]:
        self._steps.see(issues)
        return [self._reader.task(issue) for issue in issues]

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

    # --- TaskSink -----------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST that leaves the key as a label and as an issue property; then the issue is read back, and brought to
        the draft's status."""
        fixed = {"project": {"key": draft.container}, "issuetype": named(self._config.issue_type)}
        write = Write({**fixed, "labels": [create_key]})
        self._put(drafted(draft), write)
        issue_id = created(lambda body: self._post(body, create_key), write, HINTS)
        try:
            issue = self._client.issue(issue_id)
            self._steps.see([issue])
            if self._reader.status_of(issue).here != draft.status:
                self._move_new(issue, draft.status, write)
                issue = self._client.issue(issue_id)
            else:
                write.sent["status"] = self._reader.status_of(issue).there
        except c.ConnectorError as error:
            raise c.Transient(f"Jira created the issue {issue_id}, but reading it back failed: {error.text}") from None
        self._note_priority(draft.priority, issue, write)
        return write.done(self._reader.task(issue))

    def _post(self, fields: dict[str, Any], create_key: str) -> str:
        """The id of the created issue. Labels that Jira refuses are no field of a task: nobody but the operator can be
        told, and the property is left."""
        body = {"fields": fields, "properties": [{"key": PROPERTY, "value": {"create_key": create_key}}]}
        try:
            return self._client.create(body)
        except FieldsRefused as error:
            if "labels" not in error.fields or fields.pop("labels", None) is None:
                raise
            said = {"project": fields["project"]["key"], "answer": error.fields["labels"], "hint": LABELS_HINT}
            log.warning("jira.weak_marker", **said)
            if len(error.fields) > 1:
                raise
        return self._client.create(body)

    def _move_new(self, issue: Issue, target: c.Status, write: Write) -> None:
        """The issue exists, whatever happens here: what stops this now will show when the status is written again."""
        try:
            self._move(issue.id, target, self._reader.status_of(issue).there, write)
        except c.ConnectorError:
            write.sent.pop("status", None)

    def find_created(self, create_key: str) -> Sequence[c.RemoteTask]:
        """The issues that carry the key, the oldest first: by label, or else by property among what we made lately
        (properties can't be searched for)."""
        found = self._all(jql.labelled(create_key))
        if not found:
            wanted = {"create_key": create_key}
            lately = self._all(jql.made_lately(self._mine))
            found = [issue for issue in lately if (issue.properties or {}).get(PROPERTY) == wanted]
        return self._tasks(sorted(found, key=lambda issue: int(issue.id)))

    def _all(self, search: str) -> list[Issue]:
        ask = partial(self._client.search, search, SEARCH_PAGE)
        return [issue for page in pages(ask, None, Page.after) for issue in page.issues]

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """A transition for the status, and one PUT for the rest, whose answer is the issue."""
        write = Write()
        passed: Sequence[str] = ()
        if "status" in changes:
            passed = self._move(external_id, c.Status(str(changes["status"])), expected.there.get("status"), write)
        kept = {name for name, value in changes.items() if self._kept(external_id, name, value, expected, write)}
        self._put({name: value for name, value in changes.items() if name not in kept}, write)
        issue = taken(partial(self._client.edit, external_id), write, HINTS)
        issue = issue or self._client.issue(external_id, expand="changelog")
        self._steps.see([issue])
        self._note_priority(changes.get("priority"), issue, write)
        log = self._reader.log(issue, expected.version, self._steps.statuses)
        return write.done(self._reader.task(issue), overwritten(log, _made(write, passed), expected))

    def _kept(self, issue_id: str, name: str, value: Any, expected: c.Expected, write: Write) -> bool:
        """Whether the vendor's value says it already and says more: Lowest is low, a panel is text."""
        there = expected.there.get(name)
        if name == "priority":
            return write.keep(name, value, there)
        if name == "description" and is_lossy(there):
            held = self._reader.task(self._client.issue(issue_id)).values[name]
            if held.here == canonical(value).text:
                write.sent[name] = held.there
                return True
        return False

    def _put(self, changes: c.TaskChanges, write: Write) -> None:
        """Jira's fields for these changes but the status. What a priority reads back as is noted later."""
        for name, value in changes.items():
            if name == "title":
                title = one_line(str(value), SUMMARY_LIMIT)
                write.send(name, title, {"summary": title})
            elif name == "description":
                there = rich(canonical(str(value))).there
                write.send(name, there, {name: from_markdown(str(value)) if there else None})
            elif name == "priority":
                write.send(name, None, {name: named(self._priority_name(c.Priority(str(value))))})
            elif name == "assignee":
                person = value.id if isinstance(value, c.RemoteUser) else None
                write.send(name, person, {name: {"accountId": person} if person else None})

    def _priority_name(self, priority: c.Priority) -> str:
        return self._config.priority_out.get(priority, PRIORITY_NAMES[priority])

    def _note_priority(self, value: Any, issue: Issue, write: Write) -> None:
        """What a sent priority reads back as. It may have been sent by name: its id shows in the issue."""
        if "priority" in write.body:
            name = self._priority_name(c.Priority(str(value)))
            held = issue.fields.priority
            same = held is not None and names(name, held.id, held.name)
            write.sent["priority"] = self._reader.priority(held if same else Named(name, name)).there

    def _move(self, issue_id: str, target: c.Status, there: str | None, write: Write) -> Sequence[str]:
        """Bring an issue to a status; the ids of those it was put in, in order."""
        moved = self._mover.move(issue_id, self._steps.places.get(issue_id), target, there)
        if moved.no_way:
            write.refuse("status", "no_path", f"{moved.no_way} {NO_PATH_HINT}")
        elif moved.blocked:
            write.refuse("status", "needs_human", moved.blocked)
        else:
            write.sent["status"] = moved.there
        return moved.passed

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


def _made(write: Write, passed: Sequence[str]) -> dict[str, Sequence[str | None] | None]:
    """What we changed, in the words of the changelog: `passed` are the statuses we put the issue in."""
    made: dict[str, Sequence[str | None] | None] = {name: [there] for name, there in write.sent.items()}
    priority = write.sent.get("priority")
    ours = {"description": None, "status": passed, "priority": [priority and priority.partition(":")[0]]}
    return made | {name: values for name, values in ours.items() if name in made}
