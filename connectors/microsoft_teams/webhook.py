"""What Microsoft Teams sends, in its three ways: is it to be believed, and what does it want to hear. Pure.

| way | proof | covers the body |
|---|---|---|
| outgoing webhook of a team | `Authorization: HMAC …`, keyed with the token Teams showed once | yes |
| bot | `Authorization: Bearer …`, a token of the Bot Connector, RS256 | no |
| Graph change notifications | `clientState`, the secret we gave when subscribing | no |

The bot's proof needs the Bot Connector's public keys, which change: they are the credentials' field `bot_keys` (the
JWKS document of `login.botframework.com/v1/.well-known/keys`), fetched by the connector when it checks its account.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.contract import BadSignature, JsonObject, RawDelivery, Reply, Secrets, Verified, WebhookFacts
from connectors.envelope import digest_of, json_object, list_at, text_at
from connectors.signing import hmac_base64, jwt_rs256, token_equal

BOT_ISSUER = "https://api.botframework.com"

WEBHOOKS = WebhookFacts(
    secrets=("signing", "app_id", "bot_keys"),
    accepted=200,
    # An outgoing webhook shows our answer in the channel, and an error where there is none.
    accepted_body='{"type":"message","text":"Noted."}',
    max_body=1024 * 1024,
)

TOLERANCE = timedelta(minutes=5)
"""An outgoing webhook is not retried, and is answered within 5 s: an older one is a replay."""

MAX_TOKEN = 1024
"""Characters of a validation token that are echoed; Graph's have about a hundred."""


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the proof that is there. Raises BadSignature."""
    body = json_object(delivery.body)
    header = delivery.headers.get("authorization")
    if header is None:
        return _notifications(body, secrets)
    if header.startswith("Bearer "):
        _check_bot(header, body, secrets, delivery.received_at)
    else:
        hmac_base64(delivery.body, header, secrets.get("signing", ()), prefix="HMAC ", base64_keys=True)
        _check_time(body, delivery.received_at)
    return Verified(_key(body), text_at(body, "name") or text_at(body, "type") or "unknown")


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Graph asks for its token to be repeated, before there is a subscription that could prove anything."""
    token = delivery.query.get("validationToken")
    if not token or len(token) > MAX_TOKEN:
        return None
    return Reply(token.encode("utf-8", "replace"))


def _check_bot(header: str, body: JsonObject, secrets: Secrets, now: datetime) -> None:
    apps = {form for id_ in secrets.get("app_id", ()) for form in (id_, f"api://{id_}", f"api://botid-{id_}")}
    claims = jwt_rs256(header, secrets.get("bot_keys", ()), BOT_ISSUER, apps, now)
    # The token says for which conversation service it was made: it must not be taken to another one.
    if not text_at(claims, "serviceurl") or claims["serviceurl"] != text_at(body, "serviceUrl"):
        raise BadSignature("the token is for another service")


def _check_time(body: JsonObject, now: datetime) -> None:
    try:
        sent = datetime.fromisoformat(text_at(body, "timestamp"))
        late = abs(now - sent) > TOLERANCE
    except (ValueError, TypeError):  # no time, or one without its offset
        raise BadSignature("the message names no usable time") from None
    if late:
        raise BadSignature("the message is too old or in the future")


def _notifications(body: JsonObject, secrets: Secrets) -> Verified:
    """A batch of Graph's: every one of them must prove itself."""
    batch = list_at(body, "value")
    if not batch:
        raise BadSignature("there is no proof at all")
    for each in batch:
        token_equal(text_at(each, "clientState"), secrets.get("signing", ()))
    return Verified(None, text_at(batch[0], "changeType") or "unknown")


def _key(body: JsonObject) -> str | None:
    """An activity's id counts within its conversation."""
    activity = text_at(body, "id")
    return digest_of(text_at(body, "conversation", "id"), activity) if activity else None
