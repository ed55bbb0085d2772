"""Slack on the conformance kit's bench."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import connectors.slack
from connectors.kit.notifypeople import Message
from connectors.slack import SlackConnector
from sandbox.auth import ApiToken
from sandbox.slack import SlackSandbox
from sandbox.slack.reading import seen
from sandbox.slack.sandbox import CHANNELS
from sandbox.vendor import API_TOKEN, TrackerSandbox
from simulation.notifierside import HOOK, NotifierSide

SIGNING_SECRET = "sandbox-signing-secret-0123456789"


class SlackSide(NotifierSide):
    """People in a workspace in which the app is installed by hand."""

    name = "slack"
    connector_class = SlackConnector
    sandbox_class = SlackSandbox
    token_field = "bot_token"
    fixtures = Path(connectors.slack.__file__).with_name("fixtures")
    channels = (CHANNELS[0][0], CHANNELS[1][0])
    limited: ClassVar[Mapping[str, str]] = {"item": "chat.postMessage", "account": "chat.update"}
    sandbox: SlackSandbox

    def prepare(self, sandbox: TrackerSandbox) -> None:
        """The app has an address and a signing secret."""
        self.sandbox.app_hook(f"{HOOK}/slack", SIGNING_SECRET)

    def config(self) -> dict[str, Any]:
        """The default channel."""
        return {"default_channel": self.channels[0]}

    def api_token(self) -> dict[str, Any]:
        """The bot's token, and what the app signs with."""
        return super().api_token() | {"signing_secret": SIGNING_SECRET}

    def said(self, channel: str) -> list[Message]:
        """What is in a channel."""
        told = []
        for one in self.sandbox.said(channel):
            read = seen(one.text, one.blocks)
            told.append(
                Message(one.ts, one.thread, read.text, read.styled, read.links, read.calls, read.buttons, one.edited)
            )
        return told

    def erase(self, channel: str, message: str) -> None:
        """Delete a message."""
        self.act("erase", channel=channel, ts=message)

    def close(self, channel: str) -> None:
        """Archive it."""
        self.act("archive", channel=channel)

    def reopen(self, channel: str) -> None:
        """Unarchive it."""
        self.act("unarchive", channel=channel)

    def end_access(self) -> None:
        """Uninstall the app."""
        self.act("uninstall")

    def give_access(self) -> None:
        """Install it again, with the token it had."""
        self.sandbox.door.add(ApiToken(API_TOKEN, self.sandbox.robot.id))

    def press(self, channel: str, message: str, button: str) -> None:
        """Press a button."""
        self.act("press", channel=channel, ts=message, button=button)
