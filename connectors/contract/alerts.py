"""Alerts: what a monitoring vendor says is wrong, and when it is over. The engine makes incidents of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connectors.contract.notifications import Severity


class AlertState(StrEnum):
    """What an alert says of its monitor. REPEATED: it is still so, and says so again."""

    FIRING = "firing"
    REPEATED = "repeated"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class AlertRef:
    """What goes wrong, whether or not it does now: a monitor, and the group of it (host, service, …) in `scope`, the
    sorted `key:value` tags joined with commas, "" where the monitor has no groups. An integration has at most one open
    incident for it."""

    monitor: str
    scope: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A monitor's group came to a state, or is in it.

    cycle  the vendor's name for this going wrong, from its beginning to its end; None where it does not tell. Another
           cycle is another incident, unless it follows so closely that the monitor flaps.
    at     the vendor's time (aware) of coming to the state; an older one than what is known changes nothing
    tags   key -> values, as the vendor has them in lower case: `{"service": ["payments"]}`; a tag without a value is a
           key with no values
    text   what the vendor says of it, plain, may be ""
    """

    ref: AlertRef
    state: AlertState
    severity: Severity
    title: str
    text: str
    url: str
    at: datetime
    cycle: str | None = None
    tags: Mapping[str, Sequence[str]] | None = None
