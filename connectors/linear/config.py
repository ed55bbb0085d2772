"""What a Linear integration is configured with, and the credentials it can use."""

from __future__ import annotations

from pydantic import Field, SecretStr

from connectors import contract as c
from connectors.credentials import OAuthTokens


class LinearConfig(c.TaskSyncConfig):
    """`projects[].external` is a team's key, such as ENG. Statuses and priorities are named by their id, or by their
    name in any case. Without maps Linear's own state types decide (see README.md)."""

    page_size: int = Field(100, ge=1, le=250, description="Issues asked for at once.")
    overlap_minutes: int = Field(5, ge=1, le=1440, description="How far each poll looks back before the last change.")
    max_skew_seconds: int = Field(
        60, ge=1, le=3600, description="A webhook that is older than this is a reason to read the issue, no more."
    )

    container_form = r"[A-Z0-9]{1,15}"
    container_hint = "a team's key; Linear shows it before the number: ENG-12"


class OAuthCredentials(OAuthTokens):
    """OAuth 2.0."""

    organization_id: str | None = None


class ApiKeyCredentials(c.Credentials):
    """A personal API key: whoever made it is who does everything."""

    api_key: SecretStr = Field(min_length=1)
    organization_id: str | None = None

    def authorization(self) -> str:
        """The `Authorization` header: a key goes without "Bearer"."""
        return self.api_key.get_secret_value()
