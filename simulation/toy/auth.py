"""The toy vendor's authorization server: consent, single-use codes with PKCE, rotating refresh tokens.

A rotated refresh token used again revokes its whole family of tokens, as strict vendors do, unless `grace` says for how
long the previous one still works.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from connectors.http import WireRequest, WireResponse

CLIENT_ID = "toy-app"
CLIENT_SECRET = "client-secret-canary"


@dataclass
class Family:
    """The tokens that came of one consent."""

    scopes: str
    access: dict[str, datetime] = field(default_factory=dict)
    refresh: str = ""
    rotated: dict[str, datetime] = field(default_factory=dict)
    revoked: bool = False


@dataclass
class Grant:
    """A consent on its way to tokens."""

    redirect_uri: str
    challenge: str
    scopes: str
    family: Family | None = None


class ToyAuth:
    """The server's state and its switches.

    `failures` are answers (status, JSON) given instead of working; `lost` drops the answer after working, `garbled`
    answers 200 without tokens. `answers` counts what the token endpoint was asked, by grant type.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.lifetime = timedelta(hours=1)
        self.grace = timedelta(0)
        self.expires_as_text = False
        self.keeps_refresh_token = False
        self.grants_scopes: str | None = None
        self.client_secret = CLIENT_SECRET
        self.failures: list[tuple[int, Mapping[str, Any]]] = []
        self.lost = 0
        self.garbled = 0
        self.during_refresh: Callable[[], None] = lambda: None
        self.answers: list[str] = []
        self.grants: dict[str, Grant] = {}
        self.families: list[Family] = []
        self._count = 0
        self._lock = Lock()

    # --- what a person and a test do ---

    def consent(self, url: str) -> tuple[str, str]:
        """A person agrees at the consent page `url`: the code and state sent back to the redirect address."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = self._mint("code")
        scopes = self.grants_scopes if self.grants_scopes is not None else asked["scope"]
        self.grants[code] = Grant(asked["redirect_uri"], asked["code_challenge"], scopes)
        return code, asked["state"]

    def issue(self) -> dict[str, Any]:
        """Tokens without the ceremony, as a token answer."""
        family = Family("items:read items:write")
        self.families.append(family)
        return self._tokens(family)

    def knows(self, access_token: str) -> bool:
        """Whether an access token is good now."""
        now = self._clock()
        return any(f.access.get(access_token, now) > now and not f.revoked for f in self.families)

    def kill_access(self) -> None:
        """Every access token stops working; refresh tokens still do."""
        for family in self.families:
            family.access.clear()

    # --- the token endpoint ---

    def answer(self, request: WireRequest, headers: Mapping[str, str]) -> WireResponse:
        form = _form(request)
        grant = form.get("grant_type", request.url.path)
        if grant == "refresh_token":
            self.during_refresh()
        with self._lock:
            self.answers.append(grant)
            status, body = self._work(form)
        if self.lost:
            self.lost -= 1
            raise httpx.ReadError("the connection was cut", request=request)
        return WireResponse(status, headers=dict(headers), text=json.dumps(body))

    def _work(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        if self.failures:
            return self.failures.pop(0)
        if self.garbled:
            self.garbled -= 1
            return 200, {"ok": True}
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != self.client_secret:
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form)
        for family in self.families:
            family.revoked = family.revoked or form["token"] in (family.refresh, *family.access)
        return 200, {}

    def _exchange(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        grant = self.grants.get(form["code"])
        if grant is not None and grant.family is not None:
            grant.family.revoked = True  # a code used twice was stolen by somebody
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        if grant is None or grant.family or grant.redirect_uri != form["redirect_uri"] or grant.challenge != challenge:
            return 400, {"error": "invalid_grant"}
        grant.family = Family(grant.scopes)
        self.families.append(grant.family)
        return 200, self._tokens(grant.family)

    def _refresh(self, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        token = form["refresh_token"]
        for family in self.families:
            if token in family.rotated and self._clock() - family.rotated[token] > self.grace:
                family.revoked = True
            good = token == family.refresh or token in family.rotated
            if good and not family.revoked:
                return 200, self._tokens(family)
        return 400, {"error": "invalid_grant", "error_description": f"{token} is not known"}

    def _tokens(self, family: Family) -> dict[str, Any]:
        access = self._mint("access-canary")
        family.access[access] = self._clock() + self.lifetime
        seconds = int(self.lifetime.total_seconds())
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "bearer",
            "expires_in": str(seconds) if self.expires_as_text else seconds,
            "scope": family.scopes,
        }
        if family.refresh and self.keeps_refresh_token:
            return answer
        if family.refresh:
            family.rotated[family.refresh] = self._clock()
        family.refresh = self._mint("refresh-canary")
        return answer | {"refresh_token": family.refresh}

    def _mint(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"


def _form(request: WireRequest) -> dict[str, str]:
    """The request's fields from a form or JSON body, and the app's from Basic authorization."""
    text = request.content.decode()
    json_body = request.headers.get("content-type", "").startswith("application/json")
    form: dict[str, str] = json.loads(text) if json_body else dict(parse_qsl(text))
    scheme, _, pair = request.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        client_id, _, client_secret = base64.b64decode(pair).decode().partition(":")
        form |= {"client_id": client_id, "client_secret": client_secret}
    return form
