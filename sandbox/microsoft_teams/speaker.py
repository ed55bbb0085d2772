"""What Teams sends: activities to a bot, under tokens signed with a key that is published, and mentions to an outgoing
webhook, signed with its token."""

import base64
import hashlib
import hmac
import json
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.hooks import Sending

ISSUER = "https://api.botframework.com"
KEY_ID = "sandbox-key"
TOKEN_SECONDS = 3600
OUTGOING_TOKEN = base64.b64encode(b"the outgoing webhook's own token").decode()

OUTGOING = "outgoing"
"""The owner of a hook that is an outgoing webhook; all others are the bot's."""


class Speaker:
    """Signs as the Bot Connector does."""

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        """Made when it is needed: that takes longer than all else here."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def keys(self) -> dict[str, Any]:
        """The published keys, as a JWKS document."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": KEY_ID, "use": "sig", "endorsements": ["msteams"]}]}

    def sign(self, sending: Sending) -> dict[str, str]:
        """The headers of a delivery."""
        if sending.hook.owner == OUTGOING:
            key = base64.b64decode(sending.hook.secret)
            made = base64.b64encode(hmac.new(key, sending.body, hashlib.sha256).digest()).decode()
            return {"Authorization": f"HMAC {made}"}
        issued = int(sending.now.timestamp())
        claims = {"iss": ISSUER, "aud": self._app_id, "iat": issued, "nbf": issued, "exp": issued + TOKEN_SECONDS}
        claims["serviceurl"] = json.loads(sending.body)["serviceUrl"]
        return {"Authorization": "Bearer " + jwt.encode(claims, self._key, "RS256", headers={"kid": KEY_ID})}
