"""The demo's tools in which people talk: what the integration said there, as people see it."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from cli.demo.vendor import KitVendor
from sandbox.microsoft_teams import TeamsSandbox
from sandbox.microsoft_teams.sandbox import APP_ID, APP_PASSWORD, CHANNELS, TENANT
from sandbox.slack import SlackSandbox
from sandbox.slack.sandbox import CHANNELS as SLACK_CHANNELS
from sandbox.vendor import API_TOKEN

DELIVERY, INCIDENTS = "delivery", "incidents"
"""Names of channels, in both tools."""

_BEARS = re.compile(r"NTF-\d+-\d+")


@dataclass(frozen=True)
class Said:
    """A message. `place` is what identifies its channel there; `root` the message it was put under; `bears` the
    notification it says it is, in its last line."""

    channel: str
    place: str
    id: str
    root: str | None
    text: str
    bears: str | None
    edited: int


class ChannelTool(KitVendor):
    """A workspace with two channels. Nothing is asked of it, and nobody there is heard."""

    kind = "channels"
    polled = False

    def listened(self) -> bool:
        """There is nothing to listen to."""
        return True

    @abstractmethod
    def said(self) -> Sequence[Said]:
        """Everything that the integration said, in the order in which it was said."""

    @abstractmethod
    def thread(self, channel: str) -> str:
        """A notification's `message.channel` as the place it is in."""


class SlackTool(ChannelTool):
    """A Slack workspace, with the token of an app that was installed by hand."""

    type = "slack"
    label = "Slack"

    def __init__(self, seed: int, items: int) -> None:
        """However many items tools start with."""
        super().__init__(seed, items)
        self.sandbox: SlackSandbox = SlackSandbox(seed=seed)

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """Channels by their ids."""
        ids = {name: id_ for id_, name in SLACK_CHANNELS}
        config = {"default_channel": ids[DELIVERY], "channels": {INCIDENTS: ids[INCIDENTS]}}
        return {"config": config, "credentials": {"bot_token": API_TOKEN}}

    def thread(self, channel: str) -> str:
        """A channel's id."""
        return channel

    def said(self) -> Sequence[Said]:
        """What the app's user said."""
        with self.sandbox.tracker.lock:
            return [
                Said(
                    channel.name,
                    channel.id,
                    said.ts,
                    said.thread,
                    said.text.partition("\n")[0],
                    _last([one["text"] for block in said.blocks for one in block.get("elements", []) if "text" in one]),
                    said.edited,
                )
                for channel in self.sandbox.workspace.channels.values()
                for said in channel.messages
                if said.by == self.sandbox.robot.id
            ]


class TeamsTool(ChannelTool):
    """A team with a bot: flows can't answer in threads."""

    type = "microsoft_teams"
    label = "Microsoft Teams"
    endpoint_names: ClassVar = ("login", "bot", "keys")

    def __init__(self, seed: int, items: int) -> None:
        """However many items tools start with."""
        super().__init__(seed, items)
        self.sandbox: TeamsSandbox = TeamsSandbox(seed=seed)

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """Channels by their ids."""
        return {
            "config": {"default_channel": DELIVERY, "channels": CHANNELS},
            "credentials": {"app_id": APP_ID, "app_password": APP_PASSWORD, "tenant_id": TENANT},
        }

    def thread(self, channel: str) -> str:
        """The conversation without the thread: `19:…@thread.tacv2;messageid=…`."""
        return channel.partition(";")[0]

    def said(self) -> Sequence[Said]:
        """What the bot posted. In Teams a root is its own root."""
        with self.sandbox.tracker.lock:
            return [
                Said(
                    home.name,
                    home.id,
                    post.id,
                    None if post.root == post.id else post.root,
                    next(iter(post.texts()), ""),
                    _last(post.texts()),
                    post.edited,
                )
                for home in self.sandbox.tenant.conversations.values()
                for post in home.posts
                if post.by == APP_ID
            ]


def _last(texts: Sequence[str]) -> str | None:
    """The notification's id in the last of a message's texts."""
    found = _BEARS.search(texts[-1]) if texts else None
    return found[0] if found else None


def channels(vendor: ChannelTool, most: int) -> Iterator[list[str]]:
    """For each channel in lines what was said: the threads (at most so many) in which something was said last, each
    with what was put under it."""
    said = vendor.said()
    for name in dict.fromkeys(one.channel for one in said):
        newest = {one.root or one.id: number for number, one in enumerate(said) if one.channel == name}
        roots = sorted((one for one in said if one.channel == name and one.root is None), key=lambda r: newest[r.id])
        hidden = len(roots) - most
        lines = [f"{vendor.label} #{name}" + (f" ({hidden} threads before)" if hidden > 0 else "")]
        for root in roots[-most:]:
            lines.append(f"  {root.text}" + (f"  (changed {root.edited} times)" if root.edited else ""))
            lines += [f"    └ {one.text}" for one in said if one.channel == name and one.root == root.id]
        yield lines
