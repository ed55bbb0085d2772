"""Bitbucket's deliveries: is one to be believed. Pure."""

from __future__ import annotations

from connectors.contract import RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.signing import hmac_hex

WEBHOOKS = WebhookFacts(
    accepted=200,
    max_body=1024 * 1024,  # Bitbucket sends at most 256 KB, and drops what is larger
    headers_kept=("x-event-key", "x-hook-uuid", "x-request-uuid", "x-attempt-number"),
)


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature: SHA-256, in the header whose name means SHA-1 at GitHub. Raises BadSignature."""
    headers = delivery.headers
    hmac_hex(delivery.body, headers.get("x-hub-signature"), secrets.get("signing", ()), prefix="sha256=")
    return Verified(headers.get("x-request-uuid") or None, headers.get("x-event-key") or "unknown")


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Bitbucket has none."""
    return None
