"""What a Slack integration is configured with, and the credentials it can use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from connectors.contract import Config, Credentials, Severity
from connectors.credentials import OAuthTokens

# Ids of public and private channels and of direct messages; names can change, and a bot can't look every one up.
ChannelId = Annotated[str, StringConstraints(pattern=r"^[CGD][A-Z0-9]{2,20}$")]


class SlackConfig(Config):
    """Where things are said."""

    default_channel: ChannelId = Field(description="Where a notification goes whose route names no channel.")
    channels: Mapping[str, ChannelId] = Field(
        default_factory=dict, description="Names for channels, such as incidents -> C0INCIDENTS, that routes may use."
    )
    mention_on: list[Severity] = Field(
        default_factory=lambda: [Severity.CRITICAL], description="How bad it has to be that @here is called."
    )
    join: bool = Field(True, description="Join a public channel that the app is not in, when something is to be said.")

    def channel(self, name: str) -> str:
        """The id of a channel by its id or the config's name for it; the default one where nothing is named."""
        return self.channels.get(name, name) if name else self.default_channel


class _Learned(Credentials):
    """What Slack says of the credentials when they are checked."""

    team_id: str | None = None
    bot_id: str | None = None


class BotToken(_Learned):
    """The token of an app that was installed by hand, and what the app signs with."""

    bot_token: SecretStr = Field(min_length=1)
    signing_secret: SecretStr | None = None

    def authorization(self) -> str:
        """The `Authorization` header."""
        return f"Bearer {self.bot_token.get_secret_value()}"


class Consent(OAuthTokens, _Learned):
    """OAuth 2.0, with rotated tokens or with one that does not end."""

    signing_secret: SecretStr | None = None
