"""Linear's deliveries: is one to be believed, whose is it, and what does it mean. Pure.

Linear wants exactly 200, and tries again after a minute, an hour and six hours. Whether a retry carries a new time is
not documented, so one that is late is still believed: it is a hint to read the issue again. One that is a day late
is a replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from connectors import contract as c
from connectors.envelope import json_object, text_at
from connectors.hooks import hinted, shaped
from connectors.linear.config import LinearConfig
from connectors.linear.mapping import Issue, Reader
from connectors.signing import hmac_hex
from connectors.times import at_ms

WEBHOOKS = c.WebhookFacts(
    rejection=401,
    accepted=200,
    max_body=2 * 1024 * 1024,
    renew_before=timedelta(hours=1),
    headers_kept=("linear-event", "linear-delivery", "linear-timestamp"),
    account="organization_id",
)

OLDEST = timedelta(hours=24)
"""Linear's own retries end after seven hours."""

AHEAD = timedelta(seconds=60)
"""How far Linear's clock may be ahead of ours; its own library allows the same."""

STATES = frozenset({"create", "update"})
"""Actions whose delivery holds the issue as it is; it comes without an order, but with the time of its last change."""

HINTS = frozenset({"Issue create", "Issue update", "Issue remove"})
IGNORED = {"OAuthApp revoked": ("revoked", "access was taken from the app; the next call to Linear will tell")}


class _Named(msgspec.Struct):
    id: str


def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
    """Check the signature (hex without a prefix) and the time. Raises BadSignature."""
    hmac_hex(delivery.body, delivery.headers.get("linear-signature"), secrets.get("signing", ()))
    body = json_object(delivery.body)
    age = delivery.received_at - _sent_at(body, delivery)
    if not -AHEAD <= age <= OLDEST:
        raise c.BadSignature("the delivery is from the future, or more than a day old")
    key = delivery.headers.get("linear-delivery") or None
    return c.Verified(key, delivery.headers.get("linear-event") or text_at(body, "type") or "unknown")


def _sent_at(body: c.JsonObject, delivery: c.RawDelivery) -> datetime:
    """The signed time in the body; the header's, which is not signed, only where the body has none."""
    told = text_at(body, "webhookTimestamp") or delivery.headers.get("linear-timestamp", "")
    at = at_ms(told)
    if at is None:
        raise c.BadSignature("the delivery names no usable time")
    return at


def account(delivery: c.RawDelivery) -> str | None:
    """The Linear workspace an app's delivery is about."""
    return text_at(json_object(delivery.body), "organizationId") or None


def parse(delivery: c.RawDelivery, config: LinearConfig) -> Sequence[c.Signal]:
    """The issue as it is; if the delivery is late, or the issue was removed or put into the trash, only which one to
    read. Raises BadPayload."""
    body = json_object(delivery.body)
    type_, action = text_at(body, "type"), text_at(body, "action")
    if type_ == "Issue" and action in STATES and _is_fresh(delivery, body, config):
        issue = shaped(body.get("data"), Issue, "Linear")
        if not issue.trashed:
            return [c.Snapshot(Reader(config).task(issue))]
    if not type_:
        raise c.BadPayload("Linear's webhook names no type")
    event = f"{type_} {action}"
    item = shaped(body.get("data"), _Named, "Linear").id if event in HINTS else None
    return hinted("Linear", event, item, HINTS, IGNORED)


def _is_fresh(delivery: c.RawDelivery, body: c.JsonObject, config: LinearConfig) -> bool:
    """Whether the signed time is near; a body without one is late, for all we know."""
    sent = at_ms(text_at(body, "webhookTimestamp"))
    return sent is not None and abs(delivery.received_at - sent) <= timedelta(seconds=config.max_skew_seconds)
