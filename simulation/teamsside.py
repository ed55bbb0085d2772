"""Microsoft Teams on the conformance kit's bench, by its bot: flows say things, and can do nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import connectors.microsoft_teams
from connectors.kit.notifypeople import Message
from connectors.microsoft_teams import TeamsConnector
from sandbox.microsoft_teams import TeamsSandbox
from sandbox.microsoft_teams.reading import seen
from sandbox.microsoft_teams.sandbox import APP_ID, APP_PASSWORD, CHANNELS, TENANT
from sandbox.vendor import WRONG_TOKEN, TrackerSandbox
from simulation.notifierside import HOOK, NotifierSide


class TeamsSide(NotifierSide):
    """People in a team in which the app with the bot is installed."""

    name = "microsoft_teams"
    connector_class = TeamsConnector
    sandbox_class = TeamsSandbox
    fixtures = Path(connectors.microsoft_teams.__file__).with_name("fixtures")
    channels = (CHANNELS["delivery"], CHANNELS["incidents"])
    limited: ClassVar[Mapping[str, str]] = {"item": "bot.*", "account": "token"}
    signs_bodies = False  # a bearer token of the Bot Connector proves who speaks
    sandbox: TeamsSandbox

    def prepare(self, sandbox: TrackerSandbox) -> None:
        """The bot has an address; the key that signs is made once, as that takes long."""
        self.sandbox.bot_hook(f"{HOOK}/microsoft_teams")
        self.sandbox.speaker.keys()

    def config(self) -> dict[str, Any]:
        """The default channel."""
        return {"default_channel": self.channels[0]}

    def api_token(self) -> dict[str, Any]:
        """The bot's."""
        return {"app_id": APP_ID, "app_password": APP_PASSWORD, "tenant_id": TENANT}

    def wrong_credentials(self) -> dict[str, Any]:
        """A password of nobody."""
        return self.api_token() | {"app_password": WRONG_TOKEN}

    def said(self, channel: str) -> list[Message]:
        """What is in a channel."""
        told = []
        for post in self.sandbox.said(channel):
            read, under = seen(post.message), post.root if post.root != post.id else None
            told.append(
                Message(post.id, under, read.text, read.styled, read.links, read.calls, read.buttons, post.edited)
            )
        return told

    def erase(self, channel: str, message: str) -> None:
        """Delete a message."""
        self.act("erase", channel=channel, message=message)

    def close(self, channel: str) -> None:
        """Take the app out of it."""
        self.act("remove_bot", channel=channel)

    def reopen(self, channel: str) -> None:
        """Add it again."""
        self.act("add_bot", channel=channel)

    def end_access(self) -> None:
        """The app's password is no more, and so are the tokens it gave."""
        self.sandbox.password = f"{APP_PASSWORD} of another app"
        self.sandbox.door.tokens.clear()

    def give_access(self) -> None:
        """The password is good again."""
        self.sandbox.password = APP_PASSWORD

    def press(self, channel: str, message: str, button: str) -> None:
        """Press a button."""
        self.act("press", channel=channel, message=message, button=button)
