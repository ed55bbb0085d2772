"""Datadog's API v1 and v2: one method for each call, no decisions but whose fault a 403 is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from connectors.contract import AuthFailed, Context, Forbidden, JsonObject, NotFound
from connectors.datadog.config import DatadogKeys
from connectors.datadog.mapping import Monitor
from connectors.reading import pages
from connectors.response import Response, plain_words

T = TypeVar("T")

PAGE = 100
"""Monitors of a page; with all their groups a page of the thousand that are allowed may be tens of megabytes."""

RULES = 100
"""Notification rules of a page."""

HOOKS = "/api/v1/integration/webhooks/configuration/webhooks"
VARIABLES = "/api/v1/integration/webhooks/configuration/custom-variables"
NOTIFICATIONS = "/api/v2/monitor/notification_rule"


class Measurement(msgspec.Struct):
    """A unit. `scale_factor` leads to the base of its `family` (seconds, bytes, percent)."""

    name: str
    family: str = ""
    scale_factor: float | None = 1.0


class Series(msgspec.Struct):
    """Whose values a row is: `unit` is what is counted, and what it is counted by."""

    group_tags: list[str] = []
    unit: list[Measurement | None] | None = None


class Timeseries(msgspec.Struct):
    """`values[i][j]` is of `series[i]` at `times[j]` (epoch milliseconds); all series share the times."""

    series: list[Series] = []
    times: list[int] = []
    values: list[list[float | None]] = []


class Hook(msgspec.Struct):
    """A registered webhook; `payload` and `custom_headers` are JSON in text."""

    name: str
    url: str
    payload: str | None = None
    custom_headers: str | None = None


class RuleAttributes(msgspec.Struct):
    """Who is told of the monitors that `filter` finds."""

    name: str = ""
    filter: dict[str, Any] = {}
    recipients: list[str] = []


class Rule(msgspec.Struct):
    """A notification rule."""

    id: str
    attributes: RuleAttributes = msgspec.field(default_factory=RuleAttributes)


class _Attributes(msgspec.Struct):
    attributes: Timeseries = msgspec.field(default_factory=Timeseries)


class _Data(msgspec.Struct):
    data: _Attributes


class _Rules(msgspec.Struct):
    data: list[Rule] = []


class _Rule(msgspec.Struct):
    data: Rule


def words(response: Response) -> str:
    """What Datadog says is wrong: `{"errors": ["…"]}`, or `[{title, detail}]`; by the body, as some come as text."""
    try:
        errors = json.loads(response.content)["errors"]
        said = [_said(error) for error in ([errors] if isinstance(errors, str) else errors)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return plain_words(response)
    return "; ".join(filter(None, said)) or plain_words(response)


def _said(error: object) -> str:
    if isinstance(error, dict):
        return ": ".join(str(error[name]) for name in ("title", "detail") if error.get(name))
    return str(error)


class DatadogClient:
    """Speaks for the keys of one organization. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        keys: DatadogKeys = context.credentials
        context.http.errors_text = words
        self._http, self._keys = context.http, keys
        self._base = context.endpoints[keys.site].rstrip("/")

    def _call(self, method: str, path: str, needed: str, **more: Any) -> Response:
        """One call. A 403 is the API key's fault, or else the application key's; `needed` is its permission."""
        try:
            return self._send(method, path, **more)
        except Forbidden as error:
            self.validate()
            raise Forbidden(
                f"Datadog at {self._keys.site} knows the API key, but not the application key, or that may not do "
                f"this: it needs the permission {needed}. Datadog said: {error.text}"
            ) from None

    def _send(self, method: str, path: str, **more: Any) -> Response:
        return self._http.request(method, self._base + path, headers=self._keys.headers(), **more)

    def validate(self) -> None:
        """Whether the API key is one of this site. Raises AuthFailed."""
        try:
            self._send("GET", "/api/v1/validate")
        except Forbidden as error:
            raise AuthFailed(
                f"Datadog at {self._keys.site} does not know the API key. Is it of another site, or revoked? "
                f"Datadog said: {error.text}"
            ) from None

    # --- monitors and numbers -----------------------------------------------------------------------

    def monitors(self, size: int = PAGE) -> Iterator[list[Monitor]]:
        """All of them, with the groups in which something is wrong; a short page is the last."""
        fixed = {"group_states": "alert,warn,no data", "with_downtimes": "true", "page_size": size}

        def page(number: int) -> list[Monitor]:
            params = {**fixed, "page": number}
            return self._call("GET", "/api/v1/monitor", "monitors_read", params=params).decode(list[Monitor])

        return pages(page, 0, lambda found, number: number + 1 if len(found) >= size else None)

    def monitor(self, number: str) -> Monitor:
        """One, with all its groups."""
        params = {"group_states": "all", "with_downtimes": "true"}
        path = f"/api/v1/monitor/{quote(number, safe='')}"
        return self._call("GET", path, "monitors_read", params=params).decode(Monitor)

    def timeseries(self, attributes: JsonObject) -> Timeseries:
        """The values of formulas over queries, in a window of epoch milliseconds."""
        body = {"data": {"type": "timeseries_request", "attributes": attributes}}
        answer = self._call("POST", "/api/v2/query/timeseries", "timeseries_query", json=body)
        return answer.decode(_Data).data.attributes

    # --- webhooks and who is told -------------------------------------------------------------------

    def hook(self, name: str) -> Hook | None:
        """A webhook by its name; None where there is none."""
        try:
            return self._call("GET", f"{HOOKS}/{name}", "integrations_read").decode(Hook)
        except NotFound:
            return None

    def put_hook(self, fields: JsonObject) -> None:
        """Register a webhook, or change the one of this name."""
        self._put(HOOKS, fields)

    def put_variable(self, name: str, value: str) -> None:
        """Keep a secret that headers can name and nobody can read."""
        self._put(VARIABLES, {"name": name, "value": value, "is_secret": True})

    def _put(self, place: str, fields: JsonObject) -> None:
        try:
            self._call("PUT", f"{place}/{fields['name']}", "manage_integrations", json=fields)
        except NotFound:
            self._call("POST", place, "create_webhooks", json=fields)

    def rules(self) -> Iterator[Rule]:
        """The notification rules."""

        def page(number: int) -> list[Rule]:
            params = {"page": number, "per_page": RULES}
            return self._call("GET", NOTIFICATIONS, "monitors_read", params=params).decode(_Rules).data

        following = pages(page, 0, lambda found, number: number + 1 if len(found) >= RULES else None)
        return (rule for found in following for rule in found)

    def put_rule(self, rule_id: str | None, attributes: JsonObject) -> str:
        """Make a notification rule, or change one; its id."""
        data: JsonObject = {"type": "monitor-notification-rule", "attributes": attributes}
        method, path = ("POST", NOTIFICATIONS) if rule_id is None else ("PATCH", f"{NOTIFICATIONS}/{rule_id}")
        body = {"data": data if rule_id is None else {**data, "id": rule_id}}
        return self._call(method, path, "monitor_config_policy_write", json=body).decode(_Rule).data.id

    def remove(self, path: str) -> None:
        """Remove what is at a path; already gone is fine."""
        self._call("DELETE", path, "manage_integrations", allow=(404,))
