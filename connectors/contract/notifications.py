"""Notifications: what the platform says where people are. One model, whatever the vendor renders it to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How bad something is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class NotificationKind(StrEnum):
    """What a notification is about."""

    TASK = "task"
    INCIDENT = "incident"
    INTEGRATION = "integration"
    APPROVAL = "approval"
    DIGEST = "digest"
    OTHER = "other"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Line:
    """A named value: `Severity: high`. Both are plain text, as long as they come; a renderer shortens and escapes."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Link:
    """An address to open (https) and what to call it."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press. Where the vendor brings presses back, `id` and the opaque `value` come with them; elsewhere
    `url` (https) is opened, and a button without one is left out. `style`: `primary`, `danger` or ""."""

    id: str
    text: str
    value: str
    url: str | None = None
    style: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """What is to be said, in plain text.

    id         NTF-*, the same at every attempt: the vendor's message bears it, so that it can be found again
    title      one line
    text       a few sentences, or ""
    over       the bad thing is over: shown as good news whatever the severity
    at         when it happened (aware)
    """

    id: str
    kind: NotificationKind
    severity: Severity
    title: str
    text: str
    at: datetime
    facts: Sequence[Line] = ()
    link: Link | None = None
    buttons: Sequence[Button] = ()
    over: bool = False


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message at the vendor: the channel in the vendor's own words, and its id there."""

    channel: str
    id: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What the vendor can do with messages, under this config and these credentials.

    edit    a message can be changed afterwards (`update`)
    thread  an answer can be put under a message (`send` with `under`)
    find    a message that may have been sent can be looked for (`find_sent`). Where it can't, nobody knows whether an
            attempt without an answer reached anyone.
    """

    edit: bool = False
    thread: bool = False
    find: bool = False


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody pressed a button. `by` is the vendor's id of the person, `by_name` what they are called there; `reply`
    leads back to the press, where the vendor has such a thing (a response URL, a trigger)."""

    button: str
    value: str
    by: str
    by_name: str
    message: MessageRef
    at: datetime
    reply: str | None = None
