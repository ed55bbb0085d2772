"""Linear's deliveries: is one to be believed, and whose is it. Pure.

Linear wants exactly 200, and tries again after a minute, an hour and six hours. Whether a retry carries a new time is
not documented, so one that is late is still believed: it is a hint to read the issue again. One that is a day late
is a replay.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.contract import BadSignature, JsonObject, RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import json_object, text_at
from connectors.signing import hmac_hex

WEBHOOKS = WebhookFacts(
    rejection=401,
    accepted=200,
    max_body=2 * 1024 * 1024,
    headers_kept=("linear-event", "linear-delivery", "linear-timestamp"),
    account="organization_id",
)

OLDEST = timedelta(hours=24)
"""Linear's own retries end after seven hours."""

AHEAD = timedelta(seconds=60)
"""How far Linear's clock may be ahead of ours; its own library allows the same."""


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature (hex without a prefix) and the time. Raises BadSignature."""
    hmac_hex(delivery.body, delivery.headers.get("linear-signature"), secrets.get("signing", ()))
    body = json_object(delivery.body)
    age = delivery.received_at - _sent_at(body, delivery)
    if not -AHEAD <= age <= OLDEST:
        raise BadSignature("the delivery is from the future, or more than a day old")
    key = delivery.headers.get("linear-delivery") or None
    return Verified(key, delivery.headers.get("linear-event") or text_at(body, "type") or "unknown")


def _sent_at(body: JsonObject, delivery: RawDelivery) -> datetime:
    """The signed time in the body; the header's, which is not signed, only where the body has none."""
    told = text_at(body, "webhookTimestamp") or delivery.headers.get("linear-timestamp", "")
    if not (told.isascii() and told.isdigit() and len(told) <= 14):
        raise BadSignature("the delivery names no usable time")
    return datetime.fromtimestamp(int(told) / 1000, UTC)


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Linear has none."""
    return None


def account(delivery: RawDelivery) -> str | None:
    """The Linear workspace an app's delivery is about."""
    return text_at(json_object(delivery.body), "organizationId") or None
