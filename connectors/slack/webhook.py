"""Slack's requests: is one to be believed, what does it want to hear, and whose is it. Pure.

Events, button clicks and commands are signed alike, with the signing secret of the app. Events are JSON; the others are
forms, whose JSON is in the field `payload`.
"""

from __future__ import annotations

import json

from connectors.contract import JsonObject, RawDelivery, Reply, Secrets, Verified, WebhookFacts
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
