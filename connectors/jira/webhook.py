"""Jira's deliveries: is one to be believed, and what does it mean. Pure.

Two schemes: the webhook an OAuth app registered proves itself by a token that does not cover the body; the one an
administrator registered signs the body. Either way the body is only a hint: its description is wiki text and it may
come late or out of order, so the issue is always read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from connectors import contract as c
from connectors.hooks import hinted, read
from connectors.jira.config import JiraConfig
from connectors.signing import hmac_hex, jwt_hs256
from connectors.times import at_ms

OLDEST = timedelta(hours=24)
"""Jira's own retries end within about 75 minutes; a body older than this is a replay."""

SUBSCRIBED = ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted")
"""What we ask for. A comment comes as an update of its issue too."""

HINTS = frozenset({*SUBSCRIBED, "comment_created", "comment_updated", "comment_deleted"})
"""Events about an issue: read it again, also when it is said to be deleted."""

PROPERTY = ("property", "an issue property is not part of a task")
IGNORED = {"issue_property_set": PROPERTY, "issue_property_deleted": PROPERTY}


class _Envelope(msgspec.Struct, rename="camel"):
    webhook_event: str = ""
    timestamp: int | None = None


class _Issue(msgspec.Struct):
    id: str | int


class _Body(msgspec.Struct, rename="camel"):
    webhook_event: str
    issue: _Issue | None = None


def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
    """Check the body's signature, or else the app's token. Raises BadSignature."""
    signature = delivery.headers.get("x-hub-signature")
    if signature is not None:
        hmac_hex(delivery.body, signature, secrets.get("signing", ()), prefix="sha256=")
    else:
        _check_token(delivery, secrets)
    envelope = _envelope(delivery)
    if envelope.timestamp is not None:
        sent = at_ms(envelope.timestamp)
        if sent is None or delivery.received_at - sent > OLDEST:
            raise c.BadSignature("the delivery is more than a day old, or its time makes no sense")
    return c.Verified(
        delivery.headers.get("x-atlassian-webhook-identifier") or None, envelope.webhook_event or "unknown"
    )


def _check_token(delivery: c.RawDelivery, secrets: c.Secrets) -> None:
    issuer = next(iter(secrets.get("client_id", ())), "")
    if not issuer:
        raise c.BadSignature("the delivery is not signed")
    header = delivery.headers.get("authorization")
    jwt_hs256(header, secrets.get("client_secret", ()), issuer, delivery.received_at)


def _envelope(delivery: c.RawDelivery) -> _Envelope:
    try:
        return read(delivery, _Envelope, "Jira")
    except c.BadPayload:
        return _Envelope()  # believed, and `parse` will say what is wrong with it


def parse(delivery: c.RawDelivery, config: JiraConfig) -> Sequence[c.Signal]:
    """Which issue to read again. Raises BadPayload."""
    body = read(delivery, _Body, "Jira")
    return hinted("Jira", body.webhook_event, body.issue.id if body.issue else None, HINTS, IGNORED)
