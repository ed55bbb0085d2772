"""Azure's service hooks: what Azure DevOps and Azure Boards have in common. Pure.

Nothing is signed. A subscription carries a secret of ours, as a header of its own (`httpHeaders`), as the password of
Basic auth, or as both; so it proves who sent the body, not what was sent, and what the body names is read again.

A refusal costs more than the delivery: anything but a 2xx, 408, 502, 503 or 504 puts the subscription on probation,
and its events are thrown away meanwhile; a 410 disables it at once.
"""

from __future__ import annotations

from connectors.contract import RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import json_object, text_at
from connectors.signing import shared_secret

USER = "turnbuckle"
"""The user name of Basic auth; the password is the secret."""

TOKEN_HEADER = "x-turnbuckle-token"  # noqa: S105 - a header's name
"""The header the secret travels in."""

WEBHOOKS = WebhookFacts(
    # 401 puts the subscription on probation, which is right for a secret that is not ours: health says so.
    rejection=401,
    accepted=200,
    # Azure sends no more than 2 MB; a 413 would cost the subscription.
    max_body=4 * 1024 * 1024,
    headers_kept=("request-id", "x-vss-activityid", "x-vss-subscriptionid"),
)


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Compare the secret. Raises BadSignature."""
    headers = delivery.headers
    shared_secret(headers.get(TOKEN_HEADER), headers.get("authorization"), secrets.get("signing", ()), USER)
    body = json_object(delivery.body)
    return Verified(_key(body), text_at(body, "eventType") or "unknown")


def _key(body: dict[str, object]) -> str | None:
    """A notification's number counts within its subscription. Test messages lack both: the event's own id, then."""
    subscription, notification = text_at(body, "subscriptionId"), text_at(body, "notificationId")
    if subscription and notification:
        return f"{subscription}/{notification}"
    return text_at(body, "id") or None


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Azure has none."""
    return None
