"""The pages and endpoints of an authorization server: consent for a browser, tokens and revocation for an app."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from sandbox.http import NO_BODY, Call, Operation, Reply
from sandbox.oauth import AuthServer, OAuthError, consent_page

People = Callable[[], Iterable[tuple[str, str]]]
"""Who could say yes: (account id, name)."""


class ConsentPages:
    """The endpoints of one authorization server. `resources` are what a consent is for (sites, workspaces); `revoke` is
    empty where tokens can't be given back."""

    def __init__(
        self,
        oauth: AuthServer,
        people: People,
        *,
        authorize: str = "/oauth/authorize",
        token: str = "/oauth/token",
        revoke: str = "/oauth/revoke",
        resources: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._oauth = oauth
        self._people = people
        self._paths = {"authorize": authorize, "token": token, "revoke": revoke}
        self._resources = resources

    def operations(self) -> Sequence[Operation]:
        """The endpoints."""
        table = [
            Operation("oauth.authorize", "GET", self._paths["authorize"], self.authorize),
            Operation("oauth.token", "POST", self._paths["token"], self.token),
            Operation("oauth.revoke", "POST", self._paths["revoke"], self.revoke),
        ]
        return [operation for operation in table if operation.path]

    def authorize(self, call: Call) -> Reply:
        """Consents at once, or shows a form with `interactive` or the switch consent "form"."""
        app = self._oauth.check_request(call.query)
        people = list(self._people())
        decision = call.query.get("decision")
        asks = "interactive" in call.query or self._oauth.settings.consent == "form"
        if decision is None and asks:
            page = consent_page(self._oauth.rules.name, self._paths["authorize"], app, call.query, people)
            return Reply(200, page)
        if decision == "deny":
            return _redirect(self._oauth.deny(call.query))
        account_id = call.query.get("as", self._oauth.consenting)
        if account_id not in [account for account, _ in people]:
            raise OAuthError(400, "invalid_request", f"Nobody here has the account {account_id!r}.")
        return _redirect(self._oauth.consent(call.query, account_id, self._resources()))

    def token(self, call: Call) -> Reply:
        """The token endpoint."""
        return Reply(200, self._oauth.token(self.fields(call)), {"Cache-Control": "no-store"})

    def revoke(self, call: Call) -> Reply:
        """The revocation endpoint."""
        self._oauth.revoke_token(self.fields(call))
        return Reply(200, {})

    def fields(self, call: Call) -> Mapping[str, Any]:
        """What an app sent: a form or JSON, its own credentials in it or as Basic authorization. Raises OAuthError."""
        if call.headers.get("content-type", "").startswith("application/json"):
            fields = json_fields(call)
        else:
            fields = dict(parse_qsl(call.body.decode("utf-8", "replace")))
        scheme, _, pair = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            fields |= _app_of(pair)
        return fields


def json_fields(call: Call) -> dict[str, Any]:
    """The fields of a JSON object. Raises OAuthError 400."""
    try:
        body = call.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise OAuthError(400, "invalid_request", "The body must be JSON.")
    return body


def oauth_reply(error: OAuthError) -> Reply:
    """An OAuth error as RFC 6749 has it."""
    return Reply(error.status, {"error": error.code, "error_description": error.text})


def _app_of(pair: str) -> dict[str, str]:
    try:
        client_id, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError(401, "invalid_client", "The Basic authorization is malformed.") from None
    return {"client_id": client_id, "client_secret": secret}


def _redirect(location: str) -> Reply:
    return Reply(302, NO_BODY, {"Location": location})
