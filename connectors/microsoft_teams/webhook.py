"""What Microsoft Teams sends, in its three ways: may it be believed, what does it want to hear, what does it say. Pure.

| way | proof | covers the body |
|---|---|---|
| outgoing webhook of a team | `Authorization: HMAC …`, keyed with the token Teams showed once | yes |
| bot | `Authorization: Bearer …`, a token of the Bot Connector, RS256 | no |
| Graph change notifications | `clientState`, the secret we gave when subscribing | no |

The bot's proof needs the Bot Connector's public keys, which change: they are the credentials' field `bot_keys` (the
JWKS document of `login.botframework.com/v1/.well-known/keys`), fetched by the connector when it checks its account,
which the engine has it do every hour.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from connectors.contract import (
    AccessEnded,
    BadPayload,
    BadSignature,
    ButtonPressed,
    Ignored,
    JsonObject,
    MessageRef,
    Pressed,
    RawDelivery,
    Reply,
    Secrets,
    Signal,
    Verified,
    WebhookFacts,
)
from connectors.envelope import digest_of, json_object, list_at, text_at
from connectors.signing import hmac_base64, jwt_rs256, token_equal

BOT_ISSUER = "https://api.botframework.com"

WEBHOOKS = WebhookFacts(
    secrets=("signing", "outgoing_token", "app_id", "bot_keys"),
    accepted=200,
    # An outgoing webhook shows our answer in the channel, and an error where there is none.
    accepted_body='{"type":"message","text":"Noted."}',
    max_body=1024 * 1024,
)

TOLERANCE = timedelta(minutes=5)
"""An outgoing webhook is not retried, and is answered within 5 s: an older one is a replay."""

PRESSED = "adaptiveCard/action"
"""The invoke that a button of a card makes."""

ANSWER = "application/vnd.microsoft.activity.message"
NOTED = Reply(json.dumps({"statusCode": 200, "type": ANSWER, "value": "Noted."}).encode(), "application/json")
"""What who pressed a button is shown at once: Teams waits for an answer, and shows an error where there is none. What
came of it changes the message itself, later."""

NOT_TAKEN = Reply(b"{}", "application/json", 501)
"""Teams asks things of a bot (a search, a sign-in) that this one does not have."""

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
        hmac_base64(delivery.body, header, secrets.get("outgoing_token", ()), prefix="HMAC ", base64_keys=True)
        _check_time(body, delivery.received_at)
    return Verified(_key(body), text_at(body, "name") or text_at(body, "type") or "unknown", _reply(header, body))


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """Graph asks for its token to be repeated, before there is a subscription that could prove anything."""
    token = delivery.query.get("validationToken")
    if not token or len(token) > MAX_TOKEN:
        return None
    return Reply(token.encode("utf-8", "replace"))


def _reply(header: str, body: JsonObject) -> Reply | None:
    """What a bot's press is answered; all else hears what everyone hears."""
    if not header.startswith("Bearer ") or text_at(body, "type") != "invoke":
        return None
    return NOTED if text_at(body, "name") == PRESSED else NOT_TAKEN


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


# --- what it means ------------------------------------------------------------------------------------


class _Conversation(msgspec.Struct):
    id: str


class _Person(msgspec.Struct, rename="camel"):
    id: str
    name: str = ""
    aad_object_id: str = ""


class _Action(msgspec.Struct):
    verb: str
    data: dict[str, object] = {}


class _Value(msgspec.Struct):
    action: _Action


class _Invoke(msgspec.Struct, rename={"person": "from", "message": "replyToId"}):
    conversation: _Conversation
    person: _Person
    message: str
    value: _Value
    timestamp: datetime | None = None


def parse(delivery: RawDelivery, config: object) -> Sequence[Signal]:
    """Buttons that were pressed, and the end of our access; all else is ignored for a reason. Raises BadPayload."""
    body = json_object(delivery.body)
    kind = text_at(body, "type")
    if kind == "invoke":
        return [_invoked(body, delivery.received_at)]
    if kind == "installationUpdate":
        return [_installed(body)]
    if kind == "conversationUpdate":
        return [Ignored("not_used", "Who is in a conversation, and what it is called, is not followed.")]
    if kind == "message":
        return [Ignored("not_used", "Somebody wrote to the app, which does not read.")]
    if list_at(body, "value"):
        return [Ignored("not_used", "Change notifications of Graph are not followed.")]
    if not kind:
        raise BadPayload("what Teams sent names no type")
    return [Ignored("unsupported", kind)]


def _installed(body: JsonObject) -> Signal:
    """The app is there or gone, in one team or chat. An upgrade takes it away and brings it at once."""
    action = text_at(body, "action")
    where = text_at(body, "channelData", "team", "name") or text_at(body, "conversation", "id") or "a conversation"
    if action == "remove":
        return AccessEnded(f"The app was removed from {where}: add it there again, or name another channel.")
    return Ignored("not_used", f"The app in {where}: {action or 'no action'} ({text_at(body, 'conversation', 'id')}).")


def _invoked(body: JsonObject, received_at: datetime) -> Signal:
    name = text_at(body, "name")
    if name != PRESSED:
        return Ignored("unsupported", name or "invoke")
    try:
        invoke = msgspec.convert(body, type=_Invoke)
    except msgspec.ValidationError as error:
        raise BadPayload(f"Teams' press has an unexpected shape: {error}") from None
    at = invoke.timestamp
    return ButtonPressed(
        Pressed(
            button=invoke.value.action.verb,
            value=text_at(invoke.value.action.data, "value"),
            by=invoke.person.aad_object_id or invoke.person.id,
            by_name=invoke.person.name,
            message=MessageRef(invoke.conversation.id, invoke.message),
            at=at if at is not None and at.tzinfo else received_at,
        )
    )
