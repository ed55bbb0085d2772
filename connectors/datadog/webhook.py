"""Datadog's deliveries: is one to be believed. Pure.

Nothing is signed: the webhook carries a secret of ours in a header (a hidden variable of Datadog's), or as the password
in its URL. The body is whatever template the customer set; a variable Datadog could not fill stays as it is.
"""

from __future__ import annotations

from connectors.contract import JsonObject, RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import digest_of, json_object, text_at
from connectors.signing import shared_secret

USER = "turnbuckle"
"""The user name where the secret is in the URL; the password is the secret."""

TOKEN_HEADER = "x-turnbuckle-token"  # noqa: S105 - a header's name

WEBHOOKS = WebhookFacts(accepted=200, max_body=1024 * 1024)
"""A 4xx is never sent again, a 5xx five times."""

IDENTITY = ("event_id", "alert_cycle_key", "transition", "date")
"""What tells two messages apart, in the template we ship; the default template calls the first one `id`."""


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Compare the secret. Raises BadSignature."""
    headers = delivery.headers
    shared_secret(headers.get(TOKEN_HEADER), headers.get("authorization"), secrets.get("signing", ()), USER)
    body = json_object(delivery.body)
    key = digest_of(_filled(body, "event_id") or _filled(body, "id"), *(_filled(body, name) for name in IDENTITY[1:]))
    return Verified(key, _filled(body, "transition") or _filled(body, "event_type") or "unknown")


def _filled(body: JsonObject, name: str) -> str:
    """A field's text; "" where Datadog left its variable standing."""
    text = text_at(body, name)
    return "" if text.startswith("$") else text


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Datadog has none."""
    return None
