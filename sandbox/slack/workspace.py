"""What a Slack workspace holds: channels, who is in them, and what was said."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock
from sandbox.errors import VendorError

Json = dict[str, Any]


@dataclass
class Said:
    """A message. `ts` is its id in the channel: seconds and a counter, as text."""

    ts: str
    by: str
    text: str
    blocks: list[Json]
    metadata: Json | None = None
    thread: str | None = None
    edited: int = 0

    def json(self) -> Json:
        """As a listing has it; metadata only where it is asked for."""
        told: Json = {"type": "message", "ts": self.ts, "user": self.by, "text": self.text, "blocks": self.blocks}
        if self.thread:
            told["thread_ts"] = self.thread
        return told


@dataclass
class Channel:
    """A channel. `members` are ids of people; the app is one of them or not."""

    id: str
    name: str
    private: bool = False
    archived: bool = False
    members: set[str] = field(default_factory=set)
    messages: list[Said] = field(default_factory=list)

    def find(self, ts: str) -> Said:
        """A message by its id. Raises VendorError message_not_found."""
        for said in self.messages:
            if said.ts == ts:
                return said
        raise VendorError(200, "message_not_found")


class Workspace:
    """The channels of one workspace."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self.channels: dict[str, Channel] = {}

    def open(self, id_: str, name: str, *members: str, private: bool = False) -> Channel:
        """Another channel."""
        self.channels[id_] = Channel(id_, name, private, members=set(members))
        return self.channels[id_]

    def seen(self, id_: str, who: str) -> Channel:
        """A channel that somebody may see. Raises VendorError channel_not_found."""
        found = self.channels.get(id_)
        if found is None or (found.private and who not in found.members):
            raise VendorError(200, "channel_not_found")
        return found

    def say(self, channel: Channel, who: str, body: Json) -> Said:
        """Say something in a channel one is in. Raises VendorError."""
        self._may_write(channel, who)
        if not body.get("text") and not body.get("blocks"):
            raise VendorError(200, "no_text")
        thread = body.get("thread_ts")
        if thread and all(said.ts != thread for said in channel.messages):
            raise VendorError(200, "thread_not_found")
        self._count += 1
        ts = f"{int(self._clock.now().timestamp())}.{self._count:06d}"
        said = Said(ts, who, body.get("text", ""), body.get("blocks", []), body.get("metadata"), thread)
        channel.messages.append(said)
        return said

    def change(self, channel: Channel, who: str, body: Json) -> Said:
        """Say something else instead; what is not given of metadata stays. Raises VendorError."""
        said = channel.find(body["ts"])
        if said.by != who:
            raise VendorError(200, "cant_update_message")
        if channel.archived:
            raise VendorError(200, "is_archived")
        said.text, said.blocks, said.edited = body.get("text", ""), body.get("blocks", []), said.edited + 1
        said.metadata = body.get("metadata", said.metadata)
        return said

    @staticmethod
    def _may_write(channel: Channel, who: str) -> None:
        if channel.archived:
            raise VendorError(200, "is_archived")
        if who not in channel.members:
            raise VendorError(200, "not_in_channel")
