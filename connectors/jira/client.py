"""Jira Cloud REST v3, one method for each call we make; no decisions.

Reads and creates go straight through our HTTP client. Transitions go through the `jira` library, whose session sends
through the same client: its own retries would post twice after a cut connection, and are off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from jira import JIRA, JIRAError

from connectors import contract as c
from connectors.http import Response
from connectors.jira.config import BasicCredentials, JiraConfig, OAuthCredentials
from connectors.jira.mapping import FIELDS, PROPERTY, Issue, Named, Transition, User, VendorStatus
from connectors.reading import counted
from connectors.requests_adapter import lend
from connectors.rest import Endpoint, RestClient
from connectors.writes import FieldsRefused

T = TypeVar("T")

ACCOUNT_HEADER = "x-aaccountid"
"""On every answer Jira gave to somebody; an answer without it was given to nobody in particular."""

SEARCHES = ("/search/jql", "/search/approximate-count", "/issue/bulkfetch")
"""What answers nobody in particular, too: with nothing."""

_REST = "/rest/"
_API = "/rest/api/3"
_ADMIN = "/rest/webhooks/1.0/webhook"

PER_ISSUE_LIMIT = "jira-per-issue-on-write"
"""The `RateLimit-Reason` of the only limit that stops one issue and not the account."""


class ErrorBody(msgspec.Struct, rename="camel"):
    """How Jira words what is wrong: sentences, and a sentence for each field."""

    error_messages: list[str] = []
    errors: dict[str, str] = {}

    def words(self) -> str:
        """All of it in one line."""
        return " ".join([*self.error_messages, *(f"{name}: {text}" for name, text in self.errors.items())])


class Myself(msgspec.Struct, rename="camel"):
    """`GET /myself`."""

    account_id: str
    display_name: str = ""
    time_zone: str = "UTC"


class Site(msgspec.Struct):
    """One site a consent covers; `id` is its cloud id."""

    id: str
    url: str
    name: str = ""
    scopes: list[str] = []


class Id(msgspec.Struct):
    """An issue of which only the id was asked for, or a created one."""

    id: str


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """A page of search results; without a token it is the last."""

    issues: list[T]
    next_page_token: str | None = None

    def after(self, token: str | None) -> str | None:
        """The token of the page behind this one; None where there is none."""
        return self.next_page_token


class Webhook(msgspec.Struct, rename="camel"):
    """A registered webhook; `expiration_date` is epoch milliseconds, as a number or as text."""

    id: int
    url: str
    jql_filter: str = ""
    events: list[str] = []
    expiration_date: int | str | None = None


class AdminWebhook(msgspec.Struct):
    """A webhook an administrator registered. Jira gives no id, only the address."""

    url: str
    link: str = msgspec.field(name="self")

    @property
    def id(self) -> str:
        """The last part of its address."""
        return self.link.rstrip("/").rpartition("/")[2]


class _KindStatuses(msgspec.Struct):
    """The statuses of one issue type."""

    statuses: list[VendorStatus]


class _Priorities(msgspec.Struct, rename="camel"):
    values: list[Named]
    is_last: bool = True


class _Registered(msgspec.Struct, rename="camel"):
    created_webhook_id: int | None = None
    errors: list[str] = []


def errors_text(response: Response) -> str:
    """Jira's words in an error answer."""
    return error_body(response.content).words() or response.content.decode("utf-8", "replace")


def error_body(content: bytes) -> ErrorBody:
    """The error answer; empty when it has another form (a proxy's page)."""
    try:
        return msgspec.json.decode(content, type=ErrorBody)
    except msgspec.DecodeError:
        return ErrorBody()


def limit_scope(response: Response) -> str:
    """What a 429 stops: too many writes to one issue, or the account."""
    return "item" if response.headers.get("ratelimit-reason") == PER_ISSUE_LIMIT else "account"


class JiraClient(RestClient):
    """Speaks for one credential on one site."""

    def __init__(self, context: c.Context) -> None:
        self._config: JiraConfig = context.config
        self._credentials: OAuthCredentials | BasicCredentials = context.credentials
        self._api = context.endpoints["api"].rstrip("/")
        super().__init__(context.http, "", self._credentials.authorization)
        self.http.errors_text = errors_text
        self.http.limit_scope = limit_scope

    # --- who and where ------------------------------------------------------------------------------

    @cached_property
    def site(self) -> Site:
        """The configured site among those the consent covers. Asked for when the cloud id is not known yet."""
        sites = super().call("GET", f"{self._api}/oauth/token/accessible-resources").decode(list[Site])
        for site in sites:
            if site.url.rstrip("/").lower() == self._config.site_url:
                return site
        covered = ", ".join(site.url for site in sites) or "no site"
        raise c.Forbidden(
            f"The consent does not cover {self._config.site_url}; it covers {covered}. "
            "Connect again and choose that site, or correct site_url."
        )

    @cached_property
    def base(self) -> str:
        """Where REST calls go: the site for an API token, Atlassian's gateway for OAuth."""
        if isinstance(self._credentials, BasicCredentials):
            return self._config.site_url
        return f"{self._api}/ex/jira/{self._credentials.cloud_id or self.site.id}"

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
        """One call of the REST API, or of another that the path names. Raises AuthFailed for an answer to nobody in
        particular that would look like an empty site."""
        place = path if path.startswith(_REST) else _API + path
        response = super().call(method, self.base + place, headers=headers, **more)
        if path in SEARCHES and ACCOUNT_HEADER not in response.headers:
            raise c.AuthFailed(
                f"Jira answered {path} as if nobody had signed in, so the answer means nothing. "
                "The API token has probably expired or been revoked: make a new one."
            )
        return response

    myself = Endpoint("GET /myself", Myself)

    # --- reading ------------------------------------------------------------------------------------

    def search(self, jql: str, size: int, token: str | None = None) -> Page[Issue]:
        """One page of issues."""
        body = _search(jql, size, token) | {"fields": FIELDS, "properties": [PROPERTY]}
        return self.send("POST", "/search/jql", body, Page[Issue])

    def search_ids(self, jql: str, size: int, token: str | None = None) -> Page[Id]:
        """One page of ids only."""
        return self.send("POST", "/search/jql", _search(jql, size, token) | {"fields": ["id"]}, Page[Id])

    def count(self, jql: str) -> int:
        """About how many issues match."""
        return self.send("POST", "/search/approximate-count", {"jql": jql}, int, "count")

    def bulk_fetch(self, ids: Sequence[str]) -> list[Issue]:
        """Up to 100 issues; those that can't be read are left out."""
        body = {"issueIdsOrKeys": list(ids), "fields": FIELDS, "properties": [PROPERTY]}
        return self.send("POST", "/issue/bulkfetch", body, list[Issue], "issues")

    def issue(self, issue_id: str, expand: str = "") -> Issue:
        """One issue, freshly read; `expand` may add its changelog or its transitions."""
        params = {"fields": ",".join(FIELDS), "properties": PROPERTY} | ({"expand": expand} if expand else {})
        return self.get(f"/issue/{issue_id}", Issue, params=params)

    def browsable(self, project: str) -> bool:
        """Whether the account can see the project."""
        response = self.call("GET", f"/project/{project}", allow=(404,))
        return response.status == 200 and ACCOUNT_HEADER in response.headers

    def statuses(self, project: str) -> list[VendorStatus]:
        """Every status that issues of the project can have, whatever their type. Raises NotFound."""
        kinds = self.get(f"/project/{project}/statuses", list[_KindStatuses])
        return list({status.id: status for kind in kinds for status in kind.statuses}.values())

    def priorities(self) -> list[Named]:
        """The site's priorities, most urgent first."""

        def ask(start: int) -> tuple[list[Named], bool]:
            page = self.get("/priority/search", _Priorities, params={"startAt": start, "maxResults": 50})
            return page.values, page.is_last

        return list(counted(ask))

    def assignable(self, project: str, query: str) -> list[User]:
        """People who may be given issues of the project, found by the start of name or address."""
        params = {"project": project, "query": query, "maxResults": 20}
        return self.get("/user/assignable/search", list[User], params=params)

    # --- writing ------------------------------------------------------------------------------------

    def create(self, body: dict[str, Any]) -> str:
        """Create an issue; its id. Raises FieldsRefused: nothing was created then."""
        response = self.call("POST", "/issue", json=body, allow=(400,))
        return _unless_refused(response, "create the issue").decode(Id).id

    def edit(self, issue_id: str, fields: dict[str, Any]) -> Issue | None:
        """Set fields and get the issue with its changelog (None when Jira does not give all of it back). Raises
        FieldsRefused: none was set then."""
        params = {"returnIssue": "true", "expand": "changelog"}
        response = self.call("PUT", f"/issue/{issue_id}", params=params, json={"fields": fields}, allow=(400,))
        try:
            issue = _unless_refused(response, "edit the issue").decode(Issue)
        except c.BadPayload:
            return None
        return issue if issue.changelog is not None else None

    def transitions(self, issue_id: str) -> list[Transition]:
        """The ways out of the issue's present status, with their screens."""
        return msgspec.convert(self._library.transitions(issue_id, expand="transitions.fields"), list[Transition])

    def transition(self, issue_id: str, transition: str, fields: dict[str, Any]) -> ErrorBody | None:
        """Take a transition, or learn why it can't be taken now."""
        try:
            self._library.transition_issue(issue_id, transition, fields=fields)
        except JIRAError as error:  # a 400; whatever else may be wrong is an error of ours
            return error_body(getattr(error.response, "content", b""))
        return None

    @cached_property
    def _library(self) -> JIRA:
        """The `jira` library as it must be: REST v3, no calls of its own, no retries, sending through our client."""
        options: dict[str, Any] = {"server": self.base, "rest_api_version": "3"}
        library = JIRA(options=options, max_retries=0, get_server_info=False, logging=False)
        library.deploymentType = "Cloud"
        lend(self.http, library._session, self._authorization(), allow=(400,))
        return library

    # --- webhooks -----------------------------------------------------------------------------------

    webhooks = Endpoint("GET /webhook", list[Webhook], "values", params={"maxResults": 100})
    """Those this app registered for this account (five at most)."""

    admin_webhooks = Endpoint(f"GET {_ADMIN}", list[AdminWebhook])
    register_admin_webhook = Endpoint(f"POST {_ADMIN}", AdminWebhook)
    delete_admin_webhook = Endpoint(f"DELETE {_ADMIN}/{{}}", Response, allow=(404,))

    def register_webhook(self, url: str, jql: str, events: Sequence[str]) -> int:
        """Register one and get its id. Raises Rejected with Jira's reasons."""
        body = {"url": url, "webhooks": [{"events": list(events), "jqlFilter": jql}]}
        (result,) = self.send("POST", "/webhook", body, list[_Registered], "webhookRegistrationResult")
        if result.created_webhook_id is None:
            raise c.Rejected(f"Jira did not register the webhook: {' '.join(result.errors) or 'no reason given'}")
        return result.created_webhook_id

    def refresh_webhook(self, webhook_id: int) -> int:
        """Push the expiry out by 30 days; the new one in epoch milliseconds. An unknown id is no error."""
        answer = self.send("PUT", "/webhook/refresh", {"webhookIds": [webhook_id]}, dict[str, int | str])
        return int(answer["expirationDate"])

    def delete_webhooks(self, ids: Sequence[int]) -> None:
        """Remove; unknown ids are no error."""
        self.call("DELETE", "/webhook", json={"webhookIds": list(ids)})


def _search(jql: str, size: int, token: str | None) -> dict[str, Any]:
    return {"jql": jql, "maxResults": size} | ({"nextPageToken": token} if token else {})


def _unless_refused(response: Response, what: str) -> Response:
    if response.status == 400:
        answer = error_body(response.content)
        raise FieldsRefused(f"Jira did not {what}: {answer.words()}", answer.errors)
    return response
