"""One authenticated request to one site, and the helpers every handler uses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.faults import FaultPlan
from sandbox.http import NO_BODY, Call, Reply
from sandbox.jira.jql_fields import Searcher
from sandbox.jira.limits import RateLimits
from sandbox.jira.model import Issue, JiraError, Json, Settings
from sandbox.jira.render import Renderer
from sandbox.jira.search import SearchIndex
from sandbox.jira.site import JiraSite
from sandbox.jira.webhooks import WebhookHub
from sandbox.oauth import Grant

INVALID_PAYLOAD = "Invalid request payload. Refer to the REST API documentation and try again."
UNAUTHENTICATED = "Client must be authenticated to access this resource."


class Access(Enum):
    """Who may call: the scopes an OAuth token needs, and whether nobody in particular may."""

    PUBLIC = ((), True)
    BROWSE = (("read:jira-work",), True)  # anonymous callers get in and see nothing
    READ = (("read:jira-work",), False)
    WRITE = (("write:jira-work",), False)
    USER = (("read:jira-user",), False)
    WEBHOOK = (("read:jira-work", "manage:jira-webhook"), False)

    def __init__(self, scopes: tuple[str, ...], anonymous: bool) -> None:
        self.scopes = scopes
        self.anonymous = anonymous


@dataclass
class SiteServices:
    """A site and what serves it."""

    site: JiraSite
    index: SearchIndex
    hub: WebhookHub
    limits: RateLimits
    settings: Settings
    faults: FaultPlan


@dataclass
class Ask:
    """A call to a site. `account_id` None is anonymous; `grant` is set for OAuth callers.

    Handlers note in `objects` and `identities` what they returned, for the rate accounting.
    """

    call: Call
    on: SiteServices
    account_id: str | None
    grant: Grant | None
    base: str
    objects: int = 0
    identities: int = 0

    @property
    def site(self) -> JiraSite:
        """The site asked."""
        return self.on.site

    @property
    def actor(self) -> str:
        """Who acts. Raises JiraError 401 for anonymous."""
        if self.account_id is None:
            raise JiraError(401, UNAUTHENTICATED)
        return self.account_id

    @property
    def render(self) -> Renderer:
        """A renderer whose links lead back the way the client came."""
        return Renderer(self.site, self.base)

    def issue(self) -> Issue:
        """The issue in the path. Raises JiraError 404."""
        self.objects += 1
        return self.site.issue(self.call.params["issueIdOrKey"], self.account_id)

    def searcher(self) -> Searcher:
        """The caller as JQL sees them: dates are read in their profile zone."""
        user = self.site.users.get(self.account_id or "")
        zone = ZoneInfo(user.time_zone) if user else self.site.zone
        return Searcher(self.account_id, zone, self.site.clock.now())

    def body(self, kinds: Mapping[str, type | tuple[type, ...]], *, closed: bool = True) -> Json:
        """The JSON body, each known key checked; null counts as absent. Raises JiraError 400."""
        value = self.json()
        if not isinstance(value, dict) or (closed and set(value) - set(kinds)):
            raise JiraError(400, INVALID_PAYLOAD)
        present = {key: part for key, part in value.items() if part is not None}
        for key, part in present.items():
            if key in kinds and (not isinstance(part, kinds[key]) or _is_odd_bool(part, kinds[key])):
                raise JiraError(400, INVALID_PAYLOAD)
        return present

    def json(self) -> Any:
        """The body as any JSON value. Raises JiraError 400."""
        try:
            return self.call.json()
        except ValueError as bad:
            raise JiraError(400, INVALID_PAYLOAD) from bad

    def flag(self, name: str) -> bool:
        """A true/false query parameter, false when absent."""
        return self.call.query.get(name, "").lower() == "true"

    def whole(self, name: str, default: int) -> int:
        """A whole-number query parameter. Raises JiraError 400."""
        return whole(self.call.query.get(name, str(default)), name)


def whole(text: str, name: str) -> int:
    """A whole number from a query. Raises JiraError 400."""
    try:
        return max(int(text), 0)
    except ValueError as bad:
        raise JiraError(400, f"The value of '{name}' must be a number.") from bad


def _is_odd_bool(value: Any, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(value, bool) and kinds is int


def strings(value: Any) -> list[str]:
    """A list of strings. Raises JiraError 400."""
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise JiraError(400, INVALID_PAYLOAD)
    return value


def done(status: int = 204) -> Reply:
    """An answer without a body."""
    return Reply(status, NO_BODY)


def page(ask: Ask, values: list[Any], default_size: int = 50, key: str = "values") -> Json:
    """Classic paging by startAt and maxResults over rendered or raw values."""
    start, size = ask.whole("startAt", 0), ask.whole("maxResults", default_size)
    part = values[start : start + size]
    ask.objects += len(part)
    return {
        "self": f"{ask.base}{ask.call.path}",
        "startAt": start,
        "maxResults": size,
        "total": len(values),
        "isLast": start + size >= len(values),
        key: part,
    }


Handler = Callable[[Ask], Reply]
# (operation, method, path below /rest/api/3, access, handler)
Row = tuple[str, str, str, Access, Handler]
