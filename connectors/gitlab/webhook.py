"""GitLab's deliveries: is one to be believed. Pure.

Newer servers sign by Standard Webhooks if the hook has a signing token (`whsec_…`); all of them send the secret in a
header. A signature that is there must be right: there is no falling back to the header.

GitLab pauses a hook after four failures in a row and drops it for good after forty, and any 4xx or 5xx is one.
"""

from __future__ import annotations

from hashlib import sha256

from connectors.contract import RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.signing import standard_webhooks, token_equal

WEBHOOKS = WebhookFacts(
    accepted=200,
    max_body=25 * 1024 * 1024,  # GitLab's own limit
    headers_kept=("x-gitlab-event", "x-gitlab-event-uuid", "x-gitlab-webhook-uuid", "x-gitlab-instance"),
)


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature, or else the token. Raises BadSignature."""
    headers, known = delivery.headers, secrets.get("signing", ())
    event = headers.get("x-gitlab-event") or "unknown"
    tokens = [secret for secret in known if secret.startswith("whsec_")]
    if tokens and "webhook-signature" in headers:
        id_, time = headers.get("webhook-id"), headers.get("webhook-timestamp")
        standard_webhooks(id_, time, headers["webhook-signature"], delivery.body, tokens, delivery.received_at)
        return Verified(id_, event)  # the id that was signed: another header's could be anything
    token_equal(headers.get("x-gitlab-token"), known)
    return Verified(_key(delivery), event)


def _key(delivery: RawDelivery) -> str | None:
    """GitLab before 17.4 numbers no events: the hook and the body, then. The event's UUID is shared by others."""
    headers = delivery.headers
    told = headers.get("idempotency-key") or headers.get("webhook-id")
    hook = headers.get("x-gitlab-webhook-uuid")
    if told or not hook:
        return told or None
    return f"{hook}/{sha256(delivery.body).hexdigest()}"


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """GitLab has none."""
    return None
