"""ClickUp's deliveries: is one to be believed. Pure.

ClickUp suspends a webhook at once that answers 401 or 410, so what is not believed is answered 403. It chooses the
secret itself. The body never holds the task: it is always read again.
"""

from __future__ import annotations

from connectors.contract import JsonObject, RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import digest_of, json_object, list_at, text_at
from connectors.signing import hmac_hex

WEBHOOKS = WebhookFacts(rejection=403, accepted=200, max_body=2 * 1024 * 1024)

SAME_WITHIN = 600
"""Seconds in which two equal messages without any id are one and its retry; later, the same has happened again."""


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature: hex without a prefix. Raises BadSignature."""
    hmac_hex(delivery.body, delivery.headers.get("x-signature"), secrets.get("signing", ()))
    body = json_object(delivery.body)
    return Verified(_key(body, delivery), text_at(body, "event") or "unknown")


def _key(body: JsonObject, delivery: RawDelivery) -> str | None:
    """There is no delivery id. A change is told by an event of its own and again as `taskUpdated`, so the event belongs
    to the key; a deletion has no history at all."""
    history = [text_at(item, "id") for item in list_at(body, "history_items")]
    event = [text_at(body, name) for name in ("webhook_id", "event", "task_id")]
    if not any(history):
        subject = text_at(body, "list_id") or text_at(body, "folder_id") or text_at(body, "space_id")
        if not any((*event, subject)):
            return None
        return digest_of(*event, subject, str(int(delivery.received_at.timestamp()) // SAME_WITHIN))
    return digest_of(*event, *history)


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """ClickUp has none."""
    return None
