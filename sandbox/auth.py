"""Who is calling: API tokens in the places vendors take them, and the access tokens of an authorization server."""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.http import Call
from sandbox.oauth import AuthServer, Grant

UNKNOWN = "The credentials are missing or wrong."


@dataclass(frozen=True)
class ApiToken:
    """A token somebody made for themselves. No `scopes`: it may do everything."""

    token: str
    user: str
    scopes: frozenset[str] | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class Caller:
    """Somebody behind a request. `scopes` None: everything is allowed. `grant` is set for an app's access token."""

    user: str
    scopes: frozenset[str] | None = None
    grant: Grant | None = None

    def may(self, scope: str) -> bool:
        """Whether this caller may do what needs the scope."""
        return not scope or self.scopes is None or scope in self.scopes


@dataclass
class Doorkeeper:
    """Finds the caller of a request.

    `schemes` are how a credential may be sent in `header`: "bearer", "basic" (anything as user name, the token as
    password) or "plain" (nothing but the token).
    """

    clock: Clock
    schemes: tuple[str, ...] = ("bearer",)
    header: str = "authorization"
    oauth: AuthServer | None = None
    tokens: dict[str, ApiToken] = field(default_factory=dict)

    def add(self, token: ApiToken) -> ApiToken:
        """Let a token in."""
        self.tokens[token.token] = token
        return token

    def caller(self, call: Call) -> Caller:
        """Who is calling. Raises VendorError 401."""
        token = self._sent(call.headers.get(self.header, ""))
        known = self.tokens.get(token)
        if known is not None and (known.expires is None or known.expires > self.clock.now()):
            return Caller(known.user, known.scopes)
        grant = self.oauth.grant_of(token) if self.oauth else None
        if grant is None:
            raise VendorError(401, UNKNOWN)
        return Caller(grant.account_id, frozenset(grant.scopes), grant)

    def _sent(self, value: str) -> str:
        scheme, _, rest = value.partition(" ")
        if "plain" in self.schemes and not rest:
            return scheme
        if scheme.lower() not in self.schemes:
            raise VendorError(401, UNKNOWN)
        return _password(rest) if scheme.lower() == "basic" else rest


def _password(pair: str) -> str:
    try:
        return base64.b64decode(pair, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise VendorError(401, UNKNOWN) from None
