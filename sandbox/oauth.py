"""An OAuth 2.0 authorization server: consent, single-use codes with PKCE, rotating refresh tokens.

What vendors do differently is in `OAuthRules`.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from random import Random
from typing import Any
from urllib.parse import urlencode

from sandbox.clock import Clock
from sandbox.switches import Switches

Json = dict[str, Any]

# A code is meant to be exchanged at once; RFC 6749 recommends at most ten minutes.
CODE_LIFE = timedelta(minutes=10)


class OAuthError(Exception):
    """An OAuth error answer: `{"error": code, "error_description": text}`."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


@dataclass(frozen=True)
class OAuthRules:
    """One vendor's ways.

    `scopes` are those it knows. `audience` must be asked for, where there is one. `offline_scope` is the scope that
    brings a refresh token; None: each grant does, unless `refresh_life` is zero (tokens then do not end). A refresh
    token is rotated when used; the one before works for `leeway` more. `scope_separator` is between asked scopes.
    `code_alone`: an exchange needs neither grant_type nor redirect_uri, and its answer is nothing but the token.
    """

    scopes: tuple[str, ...]
    audience: str | None = None
    offline_scope: str | None = None
    refresh_life: timedelta = timedelta(days=90)
    leeway: timedelta = timedelta(0)
    scope_separator: str = " "
    name: str = "Sandbox"
    code_alone: bool = False


@dataclass(frozen=True)
class OAuthApp:
    """A registered app. Empty `redirect_uris` accepts any."""

    client_id: str
    client_secret: str
    name: str = "Sandbox app"
    redirect_uris: tuple[str, ...] = ()


@dataclass
class Grant:
    """What a person allowed an app: scopes on resources (sites, workspaces). `revoked` ends all its tokens."""

    app: OAuthApp
    account_id: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...] = ()
    revoked: bool = False


@dataclass
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str | None
    expires: datetime
    used: bool = False


@dataclass
class _Refresh:
    grant: Grant
    used: datetime
    retired: datetime | None = None


@dataclass(frozen=True)
class _Access:
    grant: Grant
    expires: datetime | None


@dataclass
class AuthServer:
    """The authorization server. `apps` are by client id; `consenting` is who says yes in auto mode."""

    clock: Clock
    rng: Random
    settings: Switches
    rules: OAuthRules
    consenting: str
    apps: dict[str, OAuthApp] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _access: dict[str, _Access] = field(default_factory=dict)
    _refresh: dict[str, _Refresh] = field(default_factory=dict)

    # Consent

    def check_request(self, query: Mapping[str, str]) -> OAuthApp:
        """Refuse an authorize request that must not redirect. Raises OAuthError 400."""
        app = self.apps.get(query.get("client_id", ""))
        if app is None:
            raise OAuthError(400, "invalid_request", "The client_id is not known.")
        redirect = query.get("redirect_uri", "")
        if not redirect or (app.redirect_uris and redirect not in app.redirect_uris):
            raise OAuthError(400, "invalid_request", "The redirect_uri is not registered for this app.")
        if self.rules.audience is not None and query.get("audience") != self.rules.audience:
            raise OAuthError(400, "invalid_request", f"The audience must be {self.rules.audience}.")
        if query.get("response_type") != "code":
            raise OAuthError(400, "unsupported_response_type", "The response_type must be code.")
        return app

    def consent(self, query: Mapping[str, str], account_id: str, resources: Iterable[str] = ()) -> str:
        """The person said yes: where to send the browser."""
        app = self.check_request(query)
        asked = query.get("scope", "").split(self.rules.scope_separator)
        scopes = tuple(s for s in asked if s in self.rules.scopes)
        method = query.get("code_challenge_method", "plain")
        challenge = query.get("code_challenge")
        if challenge and method != "S256":
            return self._back(query, error="invalid_request")
        if not scopes and self.rules.scopes:
            return self._back(query, error="invalid_scope")
        code = self._secret("code")
        grant = Grant(app, account_id, scopes, tuple(resources))
        expires = self.clock.now() + CODE_LIFE
        self._codes[code] = _Code(grant, query["redirect_uri"], challenge, expires)
        return self._back(query, code=code)

    def deny(self, query: Mapping[str, str]) -> str:
        """The person said no: where to send the browser."""
        self.check_request(query)
        return self._back(query, error="access_denied", error_description="User did not authorize the request")

    def _back(self, query: Mapping[str, str], **answer: str) -> str:
        if "state" in query:
            answer["state"] = query["state"]
        redirect = query["redirect_uri"]
        return redirect + ("&" if "?" in redirect else "?") + urlencode(answer)

    # Tokens

    def token(self, body: Mapping[str, Any]) -> Json:
        """Answer the token endpoint's fields. Raises OAuthError."""
        app = self._app(body)
        kind = body.get("grant_type", "authorization_code" if self.rules.code_alone else None)
        if kind == "authorization_code":
            return self._exchange(app, body)
        if kind == "refresh_token":
            return self._renew(app, str(body.get("refresh_token")))
        raise OAuthError(400, "unsupported_grant_type", f"Unsupported grant_type {kind!r}.")

    def revoke_token(self, body: Mapping[str, Any]) -> None:
        """RFC 7009: end the grant a token belongs to; an unknown token is success. Raises OAuthError 401."""
        self._app(body)
        token = str(body.get("token"))
        held = self._access.get(token) or self._refresh.get(token)
        if held is not None:
            held.grant.revoked = True

    def _app(self, body: Mapping[str, Any]) -> OAuthApp:
        app = self.apps.get(str(body.get("client_id")))
        if app is None or body.get("client_secret") != app.client_secret:
            raise OAuthError(401, "invalid_client", "The client credentials are wrong.")
        return app

    def _exchange(self, app: OAuthApp, body: Mapping[str, Any]) -> Json:
        code = self._codes.get(str(body.get("code")))
        if code is None or code.grant.app != app or code.used or code.expires <= self.clock.now():
            raise self._dead("Invalid authorization code")
        unsaid = self.rules.code_alone and "redirect_uri" not in body
        if not unsaid and body.get("redirect_uri") != code.redirect_uri:
            raise self._dead("The redirect_uri does not match the authorization request")
        if code.challenge is not None and _s256(str(body.get("code_verifier", ""))) != code.challenge:
            raise self._dead("Failed to verify code verifier")
        code.used = True
        return self.issue(code.grant)

    def _renew(self, app: OAuthApp, token: str) -> Json:
        """Rotate: a new pair each time; a retired token goes on working only within the leeway."""
        now = self.clock.now()
        held = self._refresh.get(token)
        ends = None if held is None else held.used + self.rules.refresh_life
        if held is None or ends is None or held.grant.app != app or held.grant.revoked or ends <= now:
            raise self._dead("Unknown or invalid refresh token.")
        if held.retired is not None and held.retired + self.rules.leeway <= now:
            held.grant.revoked = self.settings.revoke_on_reuse
            raise self._dead("Unknown or invalid refresh token.")
        held.used = now
        held.retired = held.retired or now
        return self.issue(held.grant)

    def issue(self, grant: Grant) -> Json:
        """Make tokens, as the token endpoint answers them."""
        now = self.clock.now()
        ending = bool(self.rules.refresh_life)
        lifetime = self.settings.access_token_seconds
        access = self._secret("access")
        self._access[access] = _Access(grant, now + timedelta(seconds=lifetime) if ending else None)
        answer: Json = {"access_token": access}
        if not self.rules.code_alone:
            answer |= {"token_type": "Bearer", "scope": " ".join(grant.scopes)}
        if ending:
            answer["expires_in"] = lifetime
        if ending and self.rules.offline_scope in (None, *grant.scopes):
            answer["refresh_token"] = self._secret("refresh")
            self._refresh[answer["refresh_token"]] = _Refresh(grant, now)
        return answer

    def grant_of(self, access_token: str) -> Grant | None:
        """The grant behind a live access token."""
        held = self._access.get(access_token)
        if held is None or held.grant.revoked:
            return None
        if held.expires is not None and held.expires <= self.clock.now():
            return None
        return held.grant

    def revoke(self, account_id: str) -> int:
        """A person removes the app's access; returns how many grants ended."""
        grants = {id(r.grant): r.grant for r in self._refresh.values()}
        grants |= {id(a.grant): a.grant for a in self._access.values()}
        ended = [g for g in grants.values() if g.account_id == account_id and not g.revoked]
        for grant in ended:
            grant.revoked = True
        return len(ended)

    def end_access(self) -> None:
        """Every access token stops working; refresh tokens go on."""
        self._access.clear()

    def _dead(self, text: str) -> OAuthError:
        return OAuthError(self.settings.dead_token_status, "invalid_grant", text)

    def _secret(self, kind: str) -> str:
        return f"sandbox-{kind}-{self.rng.getrandbits(160):040x}"


def _s256(verifier: str) -> str:
    """RFC 7636: BASE64URL without padding of SHA-256."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def consent_page(
    vendor: str, path: str, app: OAuthApp, query: Mapping[str, str], people: Iterable[tuple[str, str]]
) -> str:
    """A small HTML form to say yes or no as one of the people."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in query.items()
        if name not in ("interactive", "as", "decision")
    )
    options = "".join(f'<option value="{escape(i)}">{escape(name)}</option>' for i, name in people)
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in query.get("scope", "").split())
    return (
        f"<!doctype html><title>{escape(vendor)} consent</title>"
        f"<h1>{escape(app.name)} asks for access</h1><ul>{scopes}</ul>"
        f'<form action="{escape(path)}" method="get">{hidden}'
        f'<label>As <select name="as">{options}</select></label> '
        '<button name="decision" value="allow">Accept</button> '
        '<button name="decision" value="deny">Cancel</button></form>'
    )
