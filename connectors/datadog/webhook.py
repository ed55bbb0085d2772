"""Datadog's deliveries: is one to be believed, and what it says. Pure.

Nothing is signed: the webhook carries a secret of ours in a header (a hidden variable of Datadog's), or as the password
in its URL. The body is whatever template the customer set; what is read is the one below. A variable Datadog could not
fill stays as it is, or is empty: either way it is absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.contract import (
    Alert,
    AlertHeard,
    AlertRef,
    AlertState,
    BadPayload,
    Ignored,
    JsonObject,
    RawDelivery,
    Reply,
    Secrets,
    Signal,
    Verified,
    WebhookFacts,
)
from connectors.datadog.config import DatadogConfig
from connectors.datadog.mapping import filtered_by, host_of, page_of, scope_of, severity_of, tagged
from connectors.envelope import digest_of, json_object, text_at
from connectors.hooks import read
from connectors.signing import shared_secret
from connectors.times import at_ms

USER = "turnbuckle"
"""The user name where the secret is in the URL; the password is the secret."""

TOKEN_HEADER = "x-turnbuckle-token"  # noqa: S105 - a header's name

WEBHOOKS = WebhookFacts(accepted=200, max_body=1024 * 1024)
"""A 4xx is never sent again, a 5xx five times."""

IDENTITY = ("event_id", "alert_cycle_key", "transition", "date")
"""What tells two messages apart, in the template we ship; the default template calls the first one `id`."""

SCHEMA = "turnbuckle.datadog.v1"

TEMPLATE: Mapping[str, str] = {
    "schema": SCHEMA,
    "event_id": "$ID",
    "event_type": "$EVENT_TYPE",
    "alert_id": "$ALERT_ID",
    "alert_cycle_key": "$ALERT_CYCLE_KEY",
    "transition": "$ALERT_TRANSITION",
    "priority": "$ALERT_PRIORITY",
    "alert_title": "$ALERT_TITLE",
    "title": "$EVENT_TITLE",
    "text": "$TEXT_ONLY_MSG",
    "query": "$ALERT_QUERY",
    "scope": "$ALERT_SCOPE",
    "tags": "$TAGS",
    "date": "$DATE",
    "last_updated": "$LAST_UPDATED",
    "link": "$LINK",
    "org_id": "$ORG_ID",
}
"""The webhook's payload: of Datadog's variables those that are read, and what tells operators where it came from."""

STATES = {
    "Triggered": (AlertState.FIRING, "Alert"),
    "Warn": (AlertState.FIRING, "Warn"),
    "No Data": (AlertState.FIRING, "No Data"),
    "Re-Triggered": (AlertState.REPEATED, "Alert"),
    "Re-Warn": (AlertState.REPEATED, "Warn"),
    "Re-No Data": (AlertState.REPEATED, "No Data"),
    "Recovered": (AlertState.OVER, "OK"),
}
"""A transition -> what it says, and the state that it is into. `Renotify`, and what Datadog may add, say that it is
still so."""

STILL = (AlertState.REPEATED, "Alert")

NO_TEMPLATE = "The webhook's payload is not the one of connectors/datadog/README.md: set it in Datadog."

_UNFILLED = re.compile(r"\$[A-Z][A-Z0-9_]*(\[[^\]]*\])?")
_PRIORITY = re.compile(r"P([1-5])")
_BRACKETS = re.compile(r"^(\[[^\]]*\]\s*)+")


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Compare the secret. Raises BadSignature."""
    headers = delivery.headers
    shared_secret(headers.get(TOKEN_HEADER), headers.get("authorization"), secrets.get("signing", ()), USER)
    body = json_object(delivery.body)
    key = digest_of(_filled(body, "event_id") or _filled(body, "id"), *(_filled(body, name) for name in IDENTITY[1:]))
    return Verified(key, _filled(body, "transition") or _filled(body, "event_type") or "unknown")


def parse(delivery: RawDelivery, config: DatadogConfig) -> Sequence[Signal]:
    """The alert a delivery tells. Without our template there is none in it. Raises BadPayload."""
    body = read(delivery, dict[str, Any], "Datadog")
    transition, monitor = _filled(body, "transition"), _filled(body, "alert_id")
    if not (transition and monitor):
        event = _filled(body, "event_type") or "unknown"
        known = text_at(body, "schema") == SCHEMA
        return [Ignored("not_an_alert", event) if known else Ignored("template_missing", NO_TEMPLATE)]
    return [AlertHeard(_alert(body, monitor, transition))]


def _alert(body: JsonObject, monitor: str, transition: str) -> Alert:
    at = at_ms(_filled(body, "date")) or at_ms(_filled(body, "last_updated"))
    if at is None:
        raise BadPayload("Datadog's alert names no time: `date` has to be $DATE")
    state, status = STATES.get(transition, STILL)
    priority = _PRIORITY.fullmatch(_filled(body, "priority"))
    query = _filled(body, "query")
    scope = scope_of(_filled(body, "scope"), query)
    host = host_of(_filled(body, "link"))
    return Alert(
        ref=AlertRef(monitor, scope),
        state=state,
        severity=severity_of(int(priority[1]) if priority else None, status),
        title=_filled(body, "alert_title") or _BRACKETS.sub("", _filled(body, "title")) or f"Monitor {monitor}",
        text=_filled(body, "text"),
        url=page_of(host, monitor) if host else "",
        # The API tells whole seconds: both ways have to tell one time.
        at=at.replace(microsecond=0),
        cycle=_filled(body, "alert_cycle_key") or None,
        tags=tagged([*_filled(body, "tags").split(","), *scope.split(","), *filtered_by(query)]),
    )


def _filled(body: JsonObject, name: str) -> str:
    """A field's text; "" where Datadog left its variable standing."""
    text = text_at(body, name).strip()
    return "" if _UNFILLED.fullmatch(text) else text


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Datadog has none."""
    return None
