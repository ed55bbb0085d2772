"""A vendor that says things, in memory, with the faults such vendors have, and the connector for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from pydantic import SecretStr

from connectors.contract import (
    Account,
    AuthFailed,
    Category,
    Config,
    Context,
    Credentials,
    Manifest,
    MessageRef,
    NotFound,
    Notification,
    RateFacts,
    RateLimited,
    Reach,
    Transient,
)

TOKEN = {"token": "megaphone-token-canary"}


class MegaphoneConfig(Config):
    """Which of its capabilities it makes use of."""

    silent: bool = False

    def without(self) -> frozenset[str]:
        return frozenset({"notifier"} if self.silent else ())


class MegaphoneToken(Credentials):
    token: SecretStr


class Killed(BaseException):
    """The process is dead. Not an Exception: nothing in the engine may survive it."""


@dataclass
class Post:
    """A message there. `says` is what it says now, `under` the id of the message it was put under."""

    id: str
    channel: str
    says: Notification
    under: str | None
    at: datetime
    versions: list[str] = field(default_factory=list)


class Megaphone:
    """The vendor. `happens(operation, channel)` is called before each call, `answers` after what it did: either may
    raise. `broken` channels raise what they name; `limits` maps a channel to when it may be spoken to again."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock, self.reach = clock, Reach(edit=True, thread=True, find=True)
        self.posts: dict[str, Post] = {}
        self._numbers = itertools.count(1)  # several channels are spoken to at once
        self.calls: list[tuple[str, str]] = []
        self.broken: dict[str, Exception] = {}
        self.limits: dict[str, datetime] = {}
        self.dead_tokens: set[str] = set()
        self.happens: Callable[[str, str], None] = lambda _operation, _channel: None
        self.answers: Callable[[str, str], None] = lambda _operation, _channel: None

    # --- what it is asked ---

    def send(self, told: Notification, channel: str, under: MessageRef | None) -> MessageRef:
        self._called("send", channel)
        post = Post(f"m{next(self._numbers)}", channel, told, under.id if under else None, self.clock())
        self.posts[post.id] = post
        self.answers("send", channel)
        return MessageRef(f"there:{channel}", post.id)

    def update(self, ref: MessageRef, told: Notification) -> MessageRef:
        channel = ref.channel.removeprefix("there:")
        self._called("update", channel)
        if ref.id not in self.posts:
            raise NotFound("message_not_found")
        post = self.posts[ref.id]
        post.versions.append(post.says.title)
        post.says = told
        self.answers("update", channel)
        return ref

    def find(self, notification_id: str, channel: str, since: datetime, under: MessageRef | None) -> MessageRef | None:
        """Answers are only found under what they answer."""
        self._called("find", channel)
        place = (channel, under.id if under else None)
        found = [p for p in self.posts.values() if p.says.id == notification_id and (p.channel, p.under) == place]
        return next((MessageRef(f"there:{channel}", post.id) for post in found if post.at >= since), None)

    def _called(self, operation: str, channel: str) -> None:
        self.calls.append((operation, channel))
        self.happens(operation, channel)
        if channel in self.broken:
            raise self.broken[channel]
        if self.limits.get(channel, self.clock()) > self.clock():
            raise RateLimited("ratelimited", self.limits[channel], scope="item")

    # --- what people see ---

    def said(self, channel: str = "ops") -> list[str]:
        """The titles of a channel's messages in the order in which they came, as they were said at first."""
        return [(post.versions or [post.says.title])[0] for post in self.posts.values() if post.channel == channel]

    def ids(self) -> list[str]:
        """The NTF-* of every message."""
        return [post.says.id for post in self.posts.values()]

    # --- what breaks ---

    def once(self, when: str, error: BaseException, operation: str = "send") -> None:
        """The next call of the operation fails, `before` it did anything or `after`: then its answer is lost."""
        left = [error]

        def fail(called: str, _channel: str) -> None:
            if called == operation and left:
                raise left.pop()

        setattr(self, "happens" if when == "before" else "answers", fail)

    def lose_answer(self) -> None:
        """The next message is said, and the answer lost."""
        self.once("after", Transient("The connection was cut.", maybe_done=True))

    def remove(self, post_id: str) -> None:
        """Somebody deletes a message."""
        del self.posts[post_id]

    def connector(self, type_: str = "megaphone") -> type:
        """The connector class for this vendor."""
        megaphone = self

        class MegaphoneConnector(_Connector):
            vendor = megaphone
            manifest = replace(_Connector.manifest, type=type_, name=type_.capitalize())

        return MegaphoneConnector


class _Connector:
    vendor: ClassVar[Megaphone]
    manifest: ClassVar[Manifest] = Manifest(
        type="megaphone",
        name="Megaphone",
        category=Category.COMMUNICATION,
        description="A vendor for tests.",
        config=MegaphoneConfig,
        credentials={"token": MegaphoneToken},
        rates=RateFacts(per_second=1000, burst=1000),
    )

    def __init__(self, context: Context) -> None:
        self._token = context.credentials.token.get_secret_value()

    def check(self) -> Account:
        self._authorized()
        return Account("megaphone-1", "Apex")

    def reach(self) -> Reach:
        return self.vendor.reach

    def send(self, notification: Notification, channel: str, under: MessageRef | None = None) -> MessageRef:
        self._authorized()
        return self.vendor.send(notification, channel, under)

    def update(self, ref: MessageRef, notification: Notification) -> MessageRef:
        self._authorized()
        return self.vendor.update(ref, notification)

    def find_sent(
        self, notification_id: str, channel: str, since: datetime, under: MessageRef | None = None
    ) -> MessageRef | None:
        self._authorized()
        return self.vendor.find(notification_id, channel, since, under)

    def _authorized(self) -> None:
        if self._token in self.vendor.dead_tokens:
            raise AuthFailed("token_revoked")


def fields(post: Post) -> dict[str, Any]:
    """The facts a message shows."""
    return {line.name: line.value for line in post.says.facts}
