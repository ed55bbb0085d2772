"""Microsoft's authorization server, as Azure DevOps' apps meet it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.oauth import AuthServer, Grant, OAuthError, OAuthRules

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"

RULES = OAuthRules(
    scopes=(f"{RESOURCE}/.default", "offline_access"), offline_scope="offline_access", leeway=timedelta(days=1)
)


@dataclass
class Entra(AuthServer):
    """It also gives an app tokens of its own, without a refresh token."""

    def token(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the token endpoint's fields. Raises OAuthError."""
        if body.get("grant_type") != "client_credentials":
            return super().token(body)
        if body.get("scope") != self.rules.scopes[0]:
            raise OAuthError(400, "invalid_scope", f"AADSTS70011: The scope {body.get('scope')} is not valid.")
        grant = Grant(self._app(body), self.consenting, self.rules.scopes[:1])
        return {name: value for name, value in self.issue(grant).items() if name != "refresh_token"}
