"""One message at the vendor: said by itself, or in its thread. No transaction is open meanwhile.

The first message of a thing is the root of its thread. Later ones change the root, so that it says how the thing stands
now, and are put under it; a vendor that can't do either gets each as a message of its own. A root that is not there any
more is replaced by the message in hand. Changing a root twice changes nothing, so only `send` needs to be found again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.contract import (
    BadPayload,
    ConnectorError,
    Forbidden,
    MessageRef,
    NotFound,
    Notification,
    Notifier,
    Reach,
    Rejected,
    Transient,
)
from sync.contained import contained
from sync.notifications.policy import LOST, Unclear
from sync.notifications.words import QUIET


@dataclass(frozen=True, slots=True)
class Root:
    """The first message of a thread, and the NTF-* it bears."""

    ref: MessageRef
    notification_id: str


@dataclass(frozen=True, slots=True)
class Said:
    """Where a message was said, and the root of its thread now."""

    ref: MessageRef
    root: Root


@dataclass
class Saying:
    """An attempt to say one message.

    channel     in the vendor's words, or ""
    root        of the thread it belongs to; None: it begins one, or stands for itself
    is_newest   nothing newer was said in the thread: the root may be changed
    since       when an attempt began of which nobody knows whether it reached anyone; None: there was none
    maybe_said  whether, as of now, it may have been said without our knowing
    reach       what the vendor can do with messages, once it was asked
    """

    notifier: Notifier
    notification: Notification
    channel: str
    root: Root | None = None
    is_newest: bool = True
    since: datetime | None = None
    maybe_said: bool = field(init=False)
    reach: Reach = field(init=False, default=Reach())

    def __post_init__(self) -> None:
        self.maybe_said = self.since is not None

    def run(self) -> Said:
        """Say it. Raises what the connector raises; Unclear when it must not be said again."""
        with contained():
            self.reach = self.notifier.reach()
            root = self._root_now()
            if root is None:
                ref = self._say(None)
                return Said(ref, Root(ref, self.notification.id))
            return Said(self._say(root.ref if self.reach.thread else None), root)

    def _root_now(self) -> Root | None:
        """The thread's root, saying what is so now; None: this message becomes the root."""
        if self.root is None or not self.reach.edit or not self.is_newest:
            return self.root
        # It goes on bearing its own id, or it would be taken for the message that is put under it.
        new = replace(self.notification, id=self.root.notification_id)
        try:
            return Root(self.notifier.update(self.root.ref, new), self.root.notification_id)
        except NotFound:
            return None

    def _say(self, under: MessageRef | None) -> MessageRef:
        found = self._found(under) if self.maybe_said else None
        if found is not None:
            return found
        self.maybe_said = True  # until the answer is there
        try:
            ref = self.notifier.send(self.notification, self.channel, under)
        except Transient as error:
            self.maybe_said = error.maybe_done
            raise
        except BadPayload:
            raise  # it was taken, and the answer can't be read
        except ConnectorError:
            self.maybe_said = False
            raise
        return ref

    def _found(self, under: MessageRef | None) -> MessageRef | None:
        """What an attempt of before has said; None: nothing, or it is one to be said again in doubt."""
        if self.reach.find and self.since is not None:
            try:
                return self.notifier.find_sent(self.notification.id, self.channel, self.since, under)
            except (Forbidden, NotFound, Rejected):
                pass  # we may not look there
        if self.notification.kind in QUIET:
            raise Unclear(LOST)
        return None
