"""Jira's webhooks: dynamic ones of OAuth apps (JWT, expiring) and an admin's (signed body)."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import jwt

from sandbox.clock import Clock
from sandbox.jira.jql import parse
from sandbox.jira.jql_fields import Searcher, Test, compile_where
from sandbox.jira.model import JiraError, Json, Settings, SiteEvent
from sandbox.jira.render import Chosen, Renderer, change_items
from sandbox.jira.site import JiraSite
from sandbox.jira.times import millis
from sandbox.oauth import OAuthApp
from sandbox.webhooks import Delivery, Dispatcher, RetryRule

# Jira Cloud: at most five retries, 5 to 15 minutes apart, on these and on anything without an answer;
# after half an hour of failures single attempts until one succeeds.
RETRIED_STATUSES = frozenset({408, 409, 425, 429})
RETRY_RULE = RetryRule(
    delays=((300.0, 900.0),) * 5,
    retries_status=lambda status: status in RETRIED_STATUSES or status >= 500,
    patience=1800.0,
)
# Jira Cloud REST v3: a dynamic webhook expires 30 days after it was made or refreshed.
DYNAMIC_LIFE = timedelta(days=30)
DYNAMIC_LIMIT = 5
# Long enough for a slow connection, short enough to make replays useless.
JWT_LIFE = timedelta(minutes=3)
# Jira Cloud: larger bodies are never sent.
BODY_LIMIT = 25 * 1024 * 1024

DYNAMIC_EVENTS = frozenset(
    {
        "jira:issue_created",
        "jira:issue_updated",
        "jira:issue_deleted",
        "comment_created",
        "comment_updated",
        "comment_deleted",
        "issue_property_set",
        "issue_property_deleted",
        "sprint_created",
        "sprint_updated",
        "sprint_closed",
        "sprint_deleted",
        "sprint_started",
        "jira:version_released",
        "jira:version_unreleased",
        "jira:version_created",
        "jira:version_moved",
        "jira:version_updated",
        "jira:version_merged",
        "jira:version_deleted",
    }
)
_FILTER_FIELDS = frozenset({"issuekey", "project", "issuetype", "status", "assignee", "reporter"})
_FILTER_OPERATORS = frozenset({"=", "!=", "in", "not in"})
_WEBHOOK_FIELDS = Chosen.of([], "*navigable")


@dataclass(frozen=True)
class DynamicWebhook:
    """A webhook an OAuth app registered on behalf of a user."""

    id: int
    app: OAuthApp
    account_id: str
    url: str
    events: frozenset[str]
    jql: str
    test: Test
    field_ids: frozenset[str]
    property_keys: frozenset[str]
    expires: datetime


@dataclass(frozen=True)
class AdminWebhook:
    """A webhook an administrator made; without `secret` its bodies are not signed."""

    id: int
    name: str
    url: str
    events: frozenset[str]
    jql: str
    test: Test
    secret: str | None
    owner: str
    enabled: bool = True
    exclude_body: bool = False


@dataclass
class WebhookHub:
    """The webhooks of one site. Hand `on_event` to the site's listeners."""

    site: JiraSite
    clock: Clock
    rng: Random
    settings: Settings
    dispatcher: Dispatcher
    dynamic: dict[int, DynamicWebhook] = field(default_factory=dict)
    admin: dict[int, AdminWebhook] = field(default_factory=dict)

    # Dynamic webhooks

    def register(self, app: OAuthApp, account_id: str, url: str, specs: Sequence[Any]) -> list[Json]:
        """Register several; each gets an id or its errors."""
        return [self._register(app, account_id, url, spec) for spec in specs]

    def _register(self, app: OAuthApp, account_id: str, url: str, spec: Any) -> Json:
        errors = self._refusals(app, account_id, url, spec)
        if errors:
            return {"errors": errors}
        webhook_id = self.site.next_id("webhook")
        self.dynamic[webhook_id] = DynamicWebhook(
            id=webhook_id,
            app=app,
            account_id=account_id,
            url=url,
            events=frozenset(spec["events"]),
            jql=spec["jqlFilter"],
            test=self._filter(account_id, spec["jqlFilter"]),
            field_ids=frozenset(spec.get("fieldIdsFilter") or ()),
            property_keys=frozenset(spec.get("issuePropertyKeysFilter") or ()),
            expires=self.clock.now() + DYNAMIC_LIFE,
        )
        return {"createdWebhookId": webhook_id}

    def _refusals(self, app: OAuthApp, account_id: str, url: str, spec: Any) -> list[str]:
        if not isinstance(spec, dict) or not isinstance(spec.get("events"), list) or not spec["events"]:
            return ["At least one event must be given."]
        errors = [f"Event '{e}' is not supported." for e in spec["events"] if e not in DYNAMIC_EVENTS]
        live = [w for w in self.live() if w.app == app]
        used = next((w.url for w in live if w.url != url), None)
        if used:
            errors.append(f"Only a single URL per app is allowed. Currently used URL is: {used}")
        if sum(w.account_id == account_id for w in live) >= DYNAMIC_LIMIT:
            errors.append(f"No more than {DYNAMIC_LIMIT} webhooks per app and user can be registered.")
        if self.settings.require_https_webhooks and not url.startswith("https://"):
            errors.append("The URL must use HTTPS.")
        try:
            self._filter(account_id, spec.get("jqlFilter"))
        except JiraError as bad:
            errors += bad.messages
        return errors

    def _filter(self, account_id: str, jql: Any) -> Test:
        """A dynamic webhook's filter: only some fields and operators. Raises JiraError."""
        if not isinstance(jql, str) or not jql.strip():
            raise JiraError(400, "The jqlFilter is required.")
        query = parse(jql)
        for clause in query.clauses():
            if clause.field not in _FILTER_FIELDS:
                raise JiraError(400, f"The field '{clause.field}' is not supported in a webhook's jqlFilter.")
            if clause.operator not in _FILTER_OPERATORS:
                raise JiraError(400, f"The operator '{clause.operator}' is not supported in a jqlFilter.")
        return compile_where(self.site, self._searcher(account_id), query)

    def _searcher(self, account_id: str) -> Searcher:
        return Searcher(account_id, self.site.zone, self.clock.now())

    def live(self) -> list[DynamicWebhook]:
        """The dynamic webhooks that have not expired; expired ones are forgotten."""
        now = self.clock.now()
        self.dynamic = {key: hook for key, hook in self.dynamic.items() if hook.expires > now}
        return list(self.dynamic.values())

    def owned(self, app: OAuthApp, account_id: str) -> list[DynamicWebhook]:
        """One app's and user's live webhooks."""
        return [w for w in self.live() if w.app == app and w.account_id == account_id]

    def refresh(self, app: OAuthApp, account_id: str, ids: Iterable[int]) -> datetime:
        """Extend webhooks by 30 days; unknown ids are ignored. Returns the new expiry."""
        expires = self.clock.now() + DYNAMIC_LIFE
        for hook in self.owned(app, account_id):
            if hook.id in ids:
                self.dynamic[hook.id] = replace(hook, expires=expires)
        return expires

    def remove(self, app: OAuthApp, account_id: str, ids: Iterable[int]) -> None:
        """Delete webhooks; unknown ids are ignored."""
        for hook in self.owned(app, account_id):
            if hook.id in ids:
                del self.dynamic[hook.id]

    # Admin webhooks

    def add_admin(
        self,
        owner: str,
        *,
        name: str,
        url: str,
        events: Iterable[str],
        jql: str = "",
        secret: str | None = None,
        enabled: bool = True,
        exclude_body: bool = False,
    ) -> AdminWebhook:
        """Make an admin webhook. Raises JiraError 400 for a bad filter."""
        query = parse(jql, bounded=False)
        test = compile_where(self.site, self._searcher(owner), query)
        hook_id = self.site.next_id("admin_webhook")
        self.admin[hook_id] = AdminWebhook(
            hook_id, name, url, frozenset(events), jql, test, secret, owner, enabled, exclude_body
        )
        return self.admin[hook_id]

    # Sending

    def on_event(self, event: SiteEvent) -> None:
        """Queue the deliveries an event causes."""
        for hooks in self._matched(event).values():
            first = hooks[0]
            body = self._body(event) | {"matchedWebhookIds": [hook.id for hook in hooks]}
            self._send(event, first.url, body, _JwtSigner(first.app, first.account_id, self.rng))
        for hook in self.admin.values():
            if hook.enabled and event.kind in hook.events and hook.test(event.issue):
                body = {} if hook.exclude_body else self._body(event)
                self._send(event, hook.url, body, _BodySigner(hook.secret))

    def _matched(self, event: SiteEvent) -> dict[tuple[str, str], list[DynamicWebhook]]:
        """The webhooks an event matches, by app and user: each of those gets one delivery."""
        matched: dict[tuple[str, str], list[DynamicWebhook]] = {}
        if self.dynamic:
            for hook in self.live():
                if event.kind in hook.events and self._wants(hook, event):
                    matched.setdefault((hook.app.client_id, hook.account_id), []).append(hook)
        return matched

    def _wants(self, hook: DynamicWebhook, event: SiteEvent) -> bool:
        if not self.site.visible(event.issue, hook.account_id) or not hook.test(event.issue):
            return False
        if hook.field_ids and event.kind == "jira:issue_updated":
            items = event.change.items if event.change else ()
            return any(item.field_id in hook.field_ids for item in items)
        if hook.property_keys and event.property is not None:
            return event.property[0] in hook.property_keys
        return True

    def _body(self, event: SiteEvent) -> Json:
        """The body: v2 links, wiki text, no emails; comment events without a top-level user."""
        render = Renderer(self.site, self.site.url, "2")
        body: Json = {"timestamp": millis(event.at), "webhookEvent": event.kind}
        if event.type_name:
            body["issue_event_type_name"] = event.type_name
        if event.kind.startswith("jira:"):
            body["user"] = render.user(event.actor)
            body["issue"] = render.issue(event.issue, _WEBHOOK_FIELDS)
        elif event.comment is not None:
            body["issue"] = render.stub(event.issue)
        else:
            body["issue"] = {"id": str(event.issue.id), "key": event.issue.key}
        if event.change is not None:
            body["changelog"] = {"id": str(event.change.id), "items": change_items(event.change)}
        if event.comment is not None:
            body["comment"] = render.comment(event.issue, event.comment)
        if event.property is not None:
            body["property"] = {"key": event.property[0], "value": event.property[1]}
        return body

    def _send(self, event: SiteEvent, url: str, body: Json, signer: "_JwtSigner | _BodySigner") -> None:
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        if len(raw) > BODY_LIMIT:
            return
        identifier = f"{self.rng.getrandbits(128):032x}"

        def sign(attempt: int, now: datetime) -> dict[str, str]:
            headers = {
                "Content-Type": "application/json; charset=UTF-8",
                "User-Agent": "Atlassian Webhook HTTP Client",
                "X-Atlassian-Webhook-Identifier": identifier,
                "X-Atlassian-Webhook-Flow": "Primary",
            }
            if attempt:
                headers["X-Atlassian-Webhook-Retry"] = str(attempt)
            return headers | signer.headers(raw, now)

        due = self.clock.now() + timedelta(seconds=self.settings.webhook_latency_seconds)
        self.dispatcher.enqueue(Delivery(identifier, event.kind, url, raw, sign, due))


@dataclass(frozen=True)
class _JwtSigner:
    """Dynamic webhooks: a JWT with the app's client secret, which does not cover the body."""

    app: OAuthApp
    account_id: str
    rng: Random

    def headers(self, _: bytes, now: datetime) -> dict[str, str]:
        claims = {
            "iss": self.app.client_id,
            "sub": self.account_id,
            "iat": int(now.timestamp()),
            "exp": int((now + JWT_LIFE).timestamp()),
            "jti": f"{self.rng.getrandbits(64):016x}",
            "context": {},
        }
        return {"Authorization": "Bearer " + jwt.encode(claims, self.app.client_secret, algorithm="HS256")}


@dataclass(frozen=True)
class _BodySigner:
    """Admin webhooks: HMAC-SHA256 over the raw body, if there is a secret."""

    secret: str | None

    def headers(self, raw: bytes, _: datetime) -> dict[str, str]:
        if self.secret is None:
            return {}
        digest = hmac.new(self.secret.encode(), raw, hashlib.sha256).hexdigest()
        return {"X-Hub-Signature": f"sha256={digest}"}
