"""GitHub's deliveries: is one to be believed, and whose is it. Pure.

A GitHub App has one webhook for all its installations; a repository or an organization may have hooks of its own.
"""

from __future__ import annotations

from connectors.contract import RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import json_object, text_at
from connectors.signing import hmac_hex

WEBHOOKS = WebhookFacts(
    max_body=25 * 1024 * 1024,  # GitHub's own limit: it drops larger events without a word
    headers_kept=(
        "x-github-event",
        "x-github-delivery",
        "x-github-hook-id",
        "x-github-hook-installation-target-type",
        "x-github-hook-installation-target-id",
        "x-github-enterprise-host",
    ),
    account="installation_id",
)

FORM = "application/x-www-form-urlencoded"


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the SHA-256 signature; the older header with SHA-1 is not looked at. Raises BadSignature.

    The id is the same on a redelivery, and for every hook that got the event: one row per integration.
    """
    headers = delivery.headers
    hmac_hex(delivery.body, headers.get("x-hub-signature-256"), secrets.get("signing", ()), prefix="sha256=")
    return Verified(headers.get("x-github-delivery") or None, headers.get("x-github-event") or "unknown")


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """GitHub has none: its `ping` is a delivery. A hook set to send forms is told to send JSON."""
    if delivery.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        return Reply(b"Set the webhook's content type to application/json.", status=415)
    return None


def account(delivery: RawDelivery) -> str | None:
    """The installation an App's delivery is about."""
    return text_at(json_object(delivery.body), "installation", "id") or None
