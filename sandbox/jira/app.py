"""Jira Cloud over HTTP: who is asking, for which site, and with what right."""

import base64
import binascii
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from sandbox.calls import CallLog
from sandbox.clock import Clock
from sandbox.consent import oauth_reply
from sandbox.faults import Fault, FaultKind, FaultPlan
from sandbox.http import Call, Operation, Reply
from sandbox.jira.api import comments, hooks, issues, meta, search
from sandbox.jira.api.ask import UNAUTHENTICATED, Access, Ask, Handler, Row, SiteServices
from sandbox.jira.api.consent import JiraConsentPages
from sandbox.jira.limits import Refusal
from sandbox.jira.model import JiraError, Settings
from sandbox.oauth import AuthServer, Grant, OAuthError

REST = "/rest/api/3"
GATEWAY = "/ex/jira/{cloudId}"
# Atlassian's gateway says this, and not 403, when a token lacks a scope.
SCOPE_MISMATCH = "Unauthorized; scope does not match"
# Operations that read although they POST; the others that are not GET are writes.
READING_POSTS = frozenset({"searchJql", "countIssues", "bulkFetchIssues", "getBulkChangelogs"})

_ROWS: tuple[Row, ...] = (*search.ROWS, *issues.ROWS, *comments.ROWS, *meta.ROWS, *hooks.ROWS)


@dataclass(frozen=True)
class _Caller:
    """Who is behind a request; `account_id` None is anonymous."""

    account_id: str | None
    grant: Grant | None = None


@dataclass
class JiraVendor:
    """The HTTP face of the sandbox: `sites` by cloud id, the first one also without the gateway."""

    clock: Clock
    faults: FaultPlan
    calls: CallLog
    settings: Settings
    oauth: AuthServer
    sites: dict[str, SiteServices]
    lock: threading.RLock

    @property
    def home(self) -> SiteServices:
        """The site that answers on its own host."""
        return next(iter(self.sites.values()))

    def operations(self) -> Sequence[Operation]:
        """Every endpoint: on the site's own host, and again through the gateway."""
        table: list[Operation] = []
        for prefix in ("", GATEWAY):
            table.extend(self._operation(row, prefix + REST) for row in _ROWS)
            table.extend(self._operation(row, prefix) for row in hooks.ADMIN_ROWS)
        pages = JiraConsentPages(self.oauth, [s.site for s in self.sites.values()])
        return [*table, *pages.operations()]

    def _operation(self, row: Row, prefix: str) -> Operation:
        name, method, path, access, handler = row
        return Operation(name, method, prefix + path, partial(self._serve, access, handler))

    def handle(self, operation: Operation, call: Call) -> Reply:
        """Run a handler under the lock and give its errors Jira's shape."""
        with self.lock:
            try:
                return operation.handler(call)
            except JiraError as error:
                return error_reply(error)
            except OAuthError as error:
                return oauth_reply(error)

    def fault_reply(self, fault: Fault) -> Reply:
        """A planned 429 or error."""
        if fault.kind is FaultKind.RATE_LIMIT:
            return _too_many(self.home.limits.planned(fault.reason, fault.retry_after))
        reply = error_reply(JiraError(fault.status, fault.reason or "The sandbox was told to fail here."))
        if fault.retry_after is not None:
            reply.headers["Retry-After"] = str(fault.retry_after)
        return reply

    def not_found(self, method_known: bool) -> Reply:
        """Unknown path or method."""
        return error_reply(JiraError(405, "Method Not Allowed") if method_known else JiraError(404, "Not Found"))

    def _serve(self, access: Access, handler: Handler, call: Call) -> Reply:
        """Authenticate, check scopes and limits, answer, charge."""
        on, caller, base = self._route(call)
        if caller.account_id is None and not access.anonymous:
            raise JiraError(401, UNAUTHENTICATED)
        if caller.grant is not None and not set(access.scopes) <= set(caller.grant.scopes):
            raise JiraError(401, SCOPE_MISMATCH)
        refusal = self._refusal(on, caller, call)
        if refusal is not None:
            return _too_many(refusal)
        ask = Ask(call, on, caller.account_id, caller.grant, base)
        try:
            reply = handler(ask)
        except JiraError as error:
            reply = error_reply(error)
        if caller.grant is not None:
            reads = call.method == "GET" or call.operation in READING_POSTS
            on.limits.charge(reads, ask.objects, ask.identities)
            reply.headers |= on.limits.headers()
        if caller.account_id is not None:
            reply.headers["X-AAccountId"] = quote(caller.account_id, safe="")
        return reply

    def _refusal(self, on: SiteServices, caller: _Caller, call: Call) -> Refusal | None:
        named = call.params.get("issueIdOrKey")
        found = on.site.find(named) if named else None
        issue = str(found.id) if found else None
        return on.limits.check(on.site.cloud_id, call.operation, call.method, issue, app=caller.grant is not None)

    # Authentication

    def _route(self, call: Call) -> tuple[SiteServices, _Caller, str]:
        """The site, the caller, and the base of the links in the answer."""
        cloud_id = call.params.get("cloudId")
        scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
        authenticate = _SCHEMES.get(scheme.lower())
        if cloud_id is None:
            caller = authenticate(self, self.home, credentials, False) if authenticate else _Caller(None)
            return self.home, caller, call.base_url
        on = self.sites.get(cloud_id)
        if on is None or authenticate is None:
            raise JiraError(404 if on is None else 401, UNAUTHENTICATED)
        caller = authenticate(self, on, credentials, True)
        if caller.account_id is None:
            raise JiraError(401, UNAUTHENTICATED)
        return on, caller, f"{call.base_url}/ex/jira/{cloud_id}"

    def _bearer(self, on: SiteServices, token: str, gateway: bool) -> _Caller:
        """3LO tokens work through the gateway only, for the sites they were granted."""
        grant = self.oauth.grant_of(token)
        if grant is None or not gateway or on.site.cloud_id not in grant.resources:
            raise JiraError(401, UNAUTHENTICATED)
        return _Caller(grant.account_id, grant)

    def _basic(self, on: SiteServices, credentials: str, gateway: bool) -> _Caller:
        """Email and API token. Wrong ones may read as nobody, as on the real site."""
        try:
            email, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            email = secret = ""
        now = self.clock.now()
        for token in on.site.tokens:
            owner = on.site.users[token.account_id]
            fresh = token.expires_at is None or token.expires_at > now
            if (owner.email, token.token, token.scoped) == (email, secret, gateway) and fresh and owner.active:
                return _Caller(owner.account_id)
        if self.settings.wrong_credentials == "refuse":
            raise JiraError(401, UNAUTHENTICATED)
        return _Caller(None)


_SCHEMES: dict[str, Callable[[JiraVendor, SiteServices, str, bool], _Caller]] = {
    "bearer": JiraVendor._bearer,
    "basic": JiraVendor._basic,
}


def error_reply(error: JiraError) -> Reply:
    """Jira's error shape."""
    body = {"errorMessages": error.messages, "errors": error.errors, "status": error.status}
    return Reply(error.status, body)


def _too_many(refusal: Refusal) -> Reply:
    return Reply(429, {"errorMessages": ["Rate limit exceeded."], "errors": {}, "status": 429}, refusal.headers())
