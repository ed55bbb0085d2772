"""Microsoft Teams on the conformance kit's bench: by its bot, and by flows, which only say things."""

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

HOST = "teams.sandbox"


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


class FlowSide(TeamsSide):
    """People in a team two of whose channels have a flow. Nothing is pressed there, and nothing heard."""

    channels = ("default", "incidents")
    limited: ClassVar[Mapping[str, str]] = {"item": "flow.*"}
    flows: ClassVar[Mapping[str, str]] = {"default": "delivery", "incidents": "incidents"}

    def prepare(self, sandbox: TrackerSandbox) -> None:
        """It has a host whose name a config can hold."""
        self.sandbox.url = f"http://{HOST}"

    def config(self) -> dict[str, Any]:
        """Where the fake one is."""
        return {"hosts": [HOST]}

    def api_token(self) -> dict[str, Any]:
        """The flows' addresses."""
        return {"url": self.sandbox.flow_url("delivery"), "urls": {"incidents": self.sandbox.flow_url("incidents")}}

    def said(self, channel: str) -> list[Message]:
        """What is in a channel."""
        return super().said(CHANNELS[self.flows[channel]])

    def close(self, channel: str) -> None:
        """Turn its flow off."""
        self.act("turn_off", flow=self.flows[channel])

    def reopen(self, channel: str) -> None:
        """Turn it on again."""
        self.act("turn_on", flow=self.flows[channel])

    def end_access(self) -> None:
        """Both flows get other signatures."""
        for flow in self.flows.values():
            self.act("sign_anew", flow=flow)

    def give_access(self) -> None:
        """They get those of before: to turn one around twice changes nothing."""
        self.end_access()
