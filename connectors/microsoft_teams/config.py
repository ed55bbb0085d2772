"""What a Microsoft Teams integration is configured with, and the credentials it can use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints

from connectors.contract import Config, Credentials

HOSTS = (
    "logic.azure.com",
    "environment.api.powerplatform.com",
    "api.powerplatform.com",
    "api.powerautomate.com",
    "flow.microsoft.com",
)
"""Where flows of the public cloud are called: these hosts, and all below them."""

RETIRED_HOSTS = ("webhook.office.com", "outlook.office.com", "outlook.office365.com")
RETIRED_PATHS = ("/webhookb2/", "/incomingwebhook/")

DEFAULT = "default"
"""What the channel of `url` is called where something has to be named."""

# Channels, group chats and chats of two ("19:…@…"), and a person's chat with the bot ("a:…").
ConversationId = Annotated[
    str, StringConstraints(pattern=r"^(19:[A-Za-z0-9_.-]+@[a-z0-9.]+|a:[A-Za-z0-9_-]+)$", max_length=255)
]
HostSuffix = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
ChannelName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class TeamsConfig(Config):
    """Where things are said.

    With flows a channel is named as in the credentials' `urls`, and "" is that of `url`. With a bot it is the id of a
    conversation, or a name of `channels`.
    """

    default_channel: str = Field(
        "", max_length=255, description="Where a notification goes whose route names no channel; a bot needs it."
    )
    channels: Mapping[ChannelName, ConversationId] = Field(
        default_factory=dict, description="For a bot: names for conversations, that routes may use."
    )
    hosts: list[HostSuffix] = Field(
        default_factory=list, description="For flows: further hosts (and all below them), as of a sovereign cloud."
    )
    region: str = Field(
        "teams", pattern=r"^[a-z]{2,12}$", description="For a bot: the service's region (amer, emea, …); teams: any."
    )

    def conversation(self, name: str) -> str:
        """The id of a bot's channel by its id or the config's name for it; the default one where nothing is named."""
        named = name or self.default_channel
        return self.channels.get(named, named)

    def host_problem(self, url: str) -> str | None:
        """Why nothing is sent to a flow's URL; None: it is one. The text does not hold it."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        # Plain http is for what runs beside us: named by its whole name, and let through by the operator, too.
        if parts.scheme != "https" and host not in self.hosts:
            return "it must begin with https://"
        if not any(host == suffix or host.endswith(f".{suffix}") for suffix in (*HOSTS, *self.hosts)):
            return (
                f"its host is none of Power Automate's; if it is one of a sovereign cloud's, add it to `hosts`: {host}"
            )
        return None


def _flow(secret: SecretStr) -> SecretStr:
    """A flow's URL. Raises ValueError for what no message can be sent to, whatever the config."""
    parts = urlsplit(secret.get_secret_value())
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("this is no URL: copy it from the flow's trigger in Power Automate")
    if _retired(parts):
        raise ValueError(
            "this is the URL of an Office 365 connector, which Microsoft has switched off: create a flow in Teams "
            "(Workflows, template 'Send webhook alerts to a channel') and use its URL"
        )
    if not parse_qs(parts.query).get("sig"):
        raise ValueError(
            "this URL has no signature (sig=…): let the flow's trigger be called by 'Anyone' and copy its URL whole"
        )
    return secret


def _retired(parts: SplitResult) -> bool:
    host, path = (parts.hostname or "").lower(), parts.path.lower()
    old = any(host == name or host.endswith(f".{name}") for name in RETIRED_HOSTS)
    return old or any(mark in path for mark in RETIRED_PATHS)


FlowUrl = Annotated[SecretStr, AfterValidator(_flow)]


class _Heard(Credentials):
    """What proves that an outgoing webhook of a team is one."""

    outgoing_token: SecretStr | None = Field(
        None, min_length=1, description="The security token that Teams showed when the outgoing webhook was made."
    )


class Flows(_Heard):
    """The URLs of flows of Power Automate ("When a Teams webhook request is received"), each of which posts in one
    channel. Whoever knows one can post there: they are secrets."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: FlowUrl = Field(description="The flow of the default channel.")
    urls: Mapping[ChannelName, FlowUrl] = Field(default_factory=dict, description="Those of other channels, by name.")

    def flow(self, channel: str) -> str | None:
        """The URL of a channel's flow."""
        found = self.urls.get(channel) or (self.url if channel in ("", DEFAULT) else None)
        return found.get_secret_value() if found else None

    def names(self) -> list[str]:
        """The channels, the default one first."""
        return [DEFAULT, *sorted(set(self.urls) - {DEFAULT})]


class Bot(_Heard):
    """A bot of the Azure Bot service, of one tenant. `bot_keys` are the public keys of those who speak to it (a JWKS
    document), learnt by the check."""

    app_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="The bot's Microsoft App ID.")
    app_password: SecretStr = Field(min_length=1, description="A client secret of the app.")
    tenant_id: str = Field(
        pattern=r"^[A-Za-z0-9.-]{1,255}$", description="The app's tenant; botframework.com for an older app of many."
    )
    bot_keys: SecretStr | None = None
