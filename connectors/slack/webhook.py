"""Slack's requests: is one to be believed, what does it want to hear, and whose is it. Pure.

Events, button clicks and commands are signed alike, with the signing secret of the app. Events are JSON; the others are
forms, whose JSON is in the field `payload`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from connectors.contract import (
    AccessEnded,
    BadPayload,
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
from connectors.envelope import digest_of, form_fields, json_object, list_at, text_at
from connectors.signing import slack

WEBHOOKS = WebhookFacts(
    secrets=("signing_secret",),
    accepted=200,
    accepted_body="",  # whatever stands there is shown to who clicked
    max_body=2 * 1024 * 1024,
    headers_kept=("x-slack-retry-num", "x-slack-retry-reason"),
    app_secret="signing_secret",  # noqa: S106 - a name
    account="team_id",
)

MAX_CHALLENGE = 1024
"""Characters; Slack's have about fifty."""


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature and its time. Raises BadSignature."""
    _check(delivery, secrets)
    body = _body(delivery)
    return Verified(_key(body), _event(body))


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """`url_verification` is signed and echoed; `ssl_check` only looks at our certificate and is not. Raises
    BadSignature."""
    form = form_fields(delivery.body)
    if form.get("ssl_check") == "1" and not {"command", "payload"} & form.keys():
        return Reply(b"")
    body = json_object(delivery.body)
    if body.get("type") != "url_verification":
        return None
    _check(delivery, secrets)
    challenge = text_at(body, "challenge")[:MAX_CHALLENGE]
    return Reply(json.dumps({"challenge": challenge}).encode(), "application/json")


def account(delivery: RawDelivery) -> str | None:
    """The Slack workspace; for an app that a whole organization installed, the organization."""
    body = _body(delivery)
    for granted in list_at(body, "authorizations"):
        if isinstance(granted, dict) and granted.get("is_enterprise_install") is True:
            return text_at(granted, "enterprise_id") or None
    if body.get("is_enterprise_install") in (True, "true"):
        return text_at(body, "enterprise_id") or text_at(body, "enterprise", "id") or None
    return text_at(body, "team_id") or text_at(body, "team", "id") or None


# --- what it means ------------------------------------------------------------------------------------

ENDED = {
    "app_uninstalled": "The app was uninstalled from the workspace: install it again, or disconnect the integration.",
    "tokens_revoked": "Slack says that tokens were revoked: if ours is among them, install the app again.",
}

REPLIES_FROM = "hooks.slack.com"
"""Where the address in a click leads to; another one would have us call whoever made it up."""


class _Named(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Container(msgspec.Struct):
    message_ts: str = ""
    channel_id: str = ""


class _Action(msgspec.Struct):
    action_id: str
    action_ts: str
    value: str = ""


class _Clicked(msgspec.Struct):
    user: _Named
    container: _Container
    actions: list[_Action]
    channel: _Named | None = None
    response_url: str = ""


def parse(delivery: RawDelivery, config: object) -> Sequence[Signal]:
    """Buttons that were pressed, and the end of our access; all else is ignored for a reason. Raises BadPayload."""
    body = _body(delivery)
    kind = text_at(body, "type")
    if kind == "block_actions":
        return _pressed(body)
    if kind == "event_callback":
        return [_told(body)]
    if text_at(body, "command"):
        return [Ignored("not_used", f"command {text_at(body, 'command')}")]
    if kind == "app_rate_limited":
        return [Ignored("rate_limited", "Slack sends the app fewer events than happen for the next minutes.")]
    if not kind:
        raise BadPayload("Slack's request names no type")
    return [Ignored("unsupported", kind)]


def _told(body: JsonObject) -> Signal:
    event = text_at(body, "event", "type")
    if not event:
        raise BadPayload("Slack's event names no type")
    if event in ENDED:
        return AccessEnded(ENDED[event])
    return Ignored("unsupported", event)


def _pressed(body: JsonObject) -> list[Signal]:
    try:
        clicked = msgspec.convert(body, type=_Clicked)
        return [ButtonPressed(_press(clicked, action)) for action in clicked.actions]
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise BadPayload(f"Slack's click has an unexpected shape: {error}") from None


def _press(clicked: _Clicked, action: _Action) -> Pressed:
    home = clicked.container.channel_id or (clicked.channel.id if clicked.channel else "")
    known = urlsplit(clicked.response_url).hostname == REPLIES_FROM
    return Pressed(
        button=action.action_id,
        value=action.value,
        by=clicked.user.id,
        by_name=clicked.user.username or clicked.user.name,
        message=MessageRef(home, clicked.container.message_ts),
        at=datetime.fromtimestamp(float(action.action_ts), UTC),
        reply=clicked.response_url if known else None,
    )


# --- reading it ---------------------------------------------------------------------------------------


def _check(delivery: RawDelivery, secrets: Secrets) -> None:
    headers = delivery.headers
    slack(
        headers.get("x-slack-request-timestamp"),
        headers.get("x-slack-signature"),
        delivery.body,
        secrets.get("signing_secret", ()),
        delivery.received_at,
    )


def _body(delivery: RawDelivery) -> JsonObject:
    """An event's JSON, a click's JSON, or a command's fields."""
    body = json_object(delivery.body)
    if body:
        return body
    form = form_fields(delivery.body)
    return json_object(form["payload"]) if "payload" in form else dict(form)


def _event(body: JsonObject) -> str:
    return text_at(body, "event", "type") or text_at(body, "type") or text_at(body, "command") or "unknown"


def _key(body: JsonObject) -> str | None:
    """An event's own id; a click is one person's on one button at one time; a command's trigger is used once."""
    told = text_at(body, "trigger_id" if "command" in body else "event_id")
    if told:
        return told
    clicks = [part for action in list_at(body, "actions") for part in _click(action)]
    if not clicks:
        return None
    return digest_of(
        text_at(body, "team", "id"), text_at(body, "container", "message_ts"), text_at(body, "user", "id"), *clicks
    )


def _click(action: object) -> tuple[str, str]:
    return text_at(action, "action_id"), text_at(action, "action_ts")
