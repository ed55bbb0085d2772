"""The credentials that most vendors take, and the header they make."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime

from pydantic import Field, SecretStr

from connectors.contract import ConsentPending, Credentials


class OAuthTokens(Credentials):
    """OAuth 2.0. All but the app's own two are filled in by the consent; vendors whose tokens do not end leave the last
    two empty."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    expires_at: datetime | None = None

    def authorization(self) -> str:
        """The `Authorization` header. Raises ConsentPending."""
        if self.access_token is None:
            raise ConsentPending("Nobody has consented yet: open this integration's authorization page and accept.")
        return f"Bearer {self.access_token.get_secret_value()}"


class ApiToken(Credentials):
    """A token somebody made for themselves, sent as it is."""

    api_token: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header."""
        return self.api_token.get_secret_value()


class EmailToken(Credentials):
    """An API token and the email of the account it belongs to, as Atlassian has them."""

    email: str = Field(min_length=3)
    api_token: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header."""
        pair = f"{self.email}:{self.api_token.get_secret_value()}"
        return "Basic " + b64encode(pair.encode()).decode()
