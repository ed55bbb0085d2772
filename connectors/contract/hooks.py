"""Webhooks: a delivery as it came, and what it can mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from connectors.contract.alerts import Alert
from connectors.contract.code import CodeEvent, CodeRef
from connectors.contract.measures import GateSeen
from connectors.contract.notifications import Pressed
from connectors.contract.tasks import RemoteTask


@dataclass(frozen=True, slots=True)
class RawDelivery:
    """A webhook request as it came: header names in lower case, the body's raw bytes, our time of arrival (aware)."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a vendor's handshake wants to hear, or what is said to a delivery."""

    body: bytes
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Verified:
    """A believed delivery. `key` is the vendor's id of it, the same on a retry; None: the body's digest is used.
    `reply` is said when it is stored, in place of what `WebhookFacts` says to all."""

    key: str | None
    event: str
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The delivery held the item's full state with the vendor's own version, and is signed."""

    task: RemoteTask


@dataclass(frozen=True, slots=True)
class Hint:
    """Only "this item changed" (or vanished): the engine refetches it."""

    external_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for us, and why. `code` is counted per integration."""

    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class CodeHeard:
    """The delivery told a code event whole: it is what a poll would bring."""

    event: CodeEvent


@dataclass(frozen=True, slots=True)
class CodeHint:
    """Only "something happened to this": the engine asks `CodeSource.fetch_code`."""

    ref: CodeRef


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The connection itself changed (repositories renamed, added or taken away, an installation suspended): the engine
    checks and lists them anew at once. `text` says what happened, for the operator."""

    text: str


@dataclass(frozen=True, slots=True)
class AlertHeard:
    """The delivery told an alert."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class MeasureHint:
    """Something was measured anew on this subject: the engine asks `MeasureSource.measure`."""

    subject: str


@dataclass(frozen=True, slots=True)
class GateHeard:
    """The delivery told how code stands with its quality gate."""

    gate: GateSeen


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """Somebody pressed a button of a notification."""

    pressed: Pressed


@dataclass(frozen=True, slots=True)
class AccessEnded:
    """The vendor says that our access has ended (uninstalled, tokens revoked): the engine checks, and says so. `text`
    is for the operator."""

    text: str


Signal = (
    Snapshot
    | Hint
    | CodeHeard
    | CodeHint
    | LookAgain
    | AlertHeard
    | MeasureHint
    | GateHeard
    | ButtonPressed
    | AccessEnded
    | Ignored
)
"""What one delivery can mean."""

Secrets = Mapping[str, Sequence[str]]
"""Name -> values that may verify now (newest first; two during a rotation). Names: `WebhookFacts.secrets`."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook registered at the vendor. `secret` is set when the vendor chose it. `expires_at` None: never."""

    external_ids: tuple[str, ...]
    expires_at: datetime | None = None
    secret: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A delivery in the vendor's own log. `key` is what `Verified.key` would have been, `ref` what the vendor calls it;
    `delivery` is set where the log holds all of it, and was read with our credentials: it needs no signature."""

    key: str
    ref: str
    event: str
    delivery: RawDelivery | None = None
