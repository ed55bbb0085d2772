"""The fake GitHub's side of a GitHub App: who signs as the App, where it is installed, and its short-lived tokens."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sandbox.auth import ApiToken, Doorkeeper
from sandbox.clock import Clock
from sandbox.code.values import Repo
from sandbox.errors import VendorError
from sandbox.github.render import OWNER_ID, Json, Renderer, iso

APP_ID = "424242"
INSTALLATION = 12345678
"""The number in the platform's own examples."""

PERMISSIONS = {
    "actions": "read",
    "contents": "read",
    "deployments": "read",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "read",
}
EVENTS = ("push", "pull_request", "pull_request_review", "deployment", "deployment_status", "workflow_run", "release")

TOKEN_LIFETIME = timedelta(hours=1)
LONGEST_SIGNED = timedelta(minutes=10)
"""How far ahead of GitHub's clock the App's own token may end."""


@cache
def keys() -> tuple[str, str]:
    """A key pair as PEM texts, private and public: made once a process, because making one takes a moment."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@dataclass(frozen=True)
class Installation:
    """The App in an organization. `selected` None: in all its repositories."""

    id: int
    permissions: dict[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    selected: frozenset[int] | None = None
    suspended: datetime | None = None


class App:
    """One App, installed once."""

    def __init__(self, clock: Clock, door: Doorkeeper, rng: Random, user: str) -> None:
        self._clock, self._door, self._rng, self._user = clock, door, rng, user
        self.installations = {INSTALLATION: Installation(INSTALLATION)}
        self._tokens: dict[str, int] = {}

    @property
    def private_key(self) -> str:
        """What the operator gets to sign with, as PEM."""
        return keys()[0]

    def change(self, **values: Any) -> Installation:
        """Suspend it, choose repositories, take permissions away."""
        self.installations[INSTALLATION] = replace(self.installations[INSTALLATION], **values)
        return self.installations[INSTALLATION]

    def uninstall(self) -> None:
        """It is gone, and its tokens with it."""
        self.installations.clear()
        for token in self._tokens:
            self._door.tokens.pop(token, None)

    # --- who calls ----------------------------------------------------------------------------------

    def signed(self, authorization: str) -> None:
        """Believe a token the App signed itself. Raises VendorError 401, as GitHub words it."""
        token, now = authorization.partition(" ")[2], self._clock.now()
        try:
            claims = jwt.decode(
                token, keys()[1], algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.PyJWTError:
            raise VendorError(401, "A JSON web token could not be decoded") from None
        if claims.get("iss") != APP_ID:
            raise VendorError(401, "Integration not found")
        if claims.get("iat", now.timestamp() + 1) > now.timestamp():
            raise VendorError(401, "'Issued at' claim ('iat') must be an Integer representing the time in the past")
        if not 0 < claims.get("exp", 0) - now.timestamp() <= LONGEST_SIGNED.total_seconds():
            raise VendorError(401, "'Expiration time' claim ('exp') is too far in the future, or past")

    def of_token(self, token: str) -> Installation | None:
        """The installation a token was made for; None for a token of another kind. Raises VendorError."""
        if token not in self._tokens:
            return None
        found = self.find(self._tokens[token])
        if found.suspended is not None:
            raise VendorError(403, "This installation has been suspended")
        return found

    def find(self, number: int) -> Installation:
        """An installation. Raises VendorError 404."""
        if number not in self.installations:
            raise VendorError(404, "Not Found")
        return self.installations[number]

    def sees(self, token: str, repo: Repo) -> bool:
        """Whether a token's installation is in a repository; those of another kind are not limited."""
        found = self.of_token(token)
        return found is None or found.selected is None or repo.id in found.selected

    # --- what it is answered ------------------------------------------------------------------------

    def mint(self, number: int) -> Json:
        """A token for an hour, in the long form of 2026."""
        found = self.find(number)
        if found.suspended is not None:
            raise VendorError(403, "This installation has been suspended")
        token = f"ghs_{APP_ID}_{self._rng.getrandbits(800):0200x}"
        until = self._clock.now() + TOKEN_LIFETIME
        self._door.add(ApiToken(token, self._user, expires=until))
        self._tokens[token] = number
        chosen = "all" if found.selected is None else "selected"
        return {
            "token": token,
            "expires_at": iso(until),
            "permissions": found.permissions,
            "repository_selection": chosen,
        }

    def json(self, found: Installation, render: Renderer) -> Json:
        """An installation."""
        api = f"{render.url}/app/installations/{found.id}"
        now = iso(self._clock.now())
        return {
            "id": found.id,
            "account": render.owner(),
            "repository_selection": "all" if found.selected is None else "selected",
            "access_tokens_url": f"{api}/access_tokens",
            "repositories_url": f"{render.url}/installation/repositories",
            "html_url": f"https://github.com/organizations/settings/installations/{found.id}",
            "app_id": int(APP_ID),
            "app_slug": "turnbuckle",
            "target_id": OWNER_ID,
            "target_type": "Organization",
            "permissions": found.permissions,
            "events": list(EVENTS),
            "created_at": now,
            "updated_at": now,
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": iso(found.suspended) if found.suspended else None,
        }
