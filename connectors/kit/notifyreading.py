"""What rules about notifications have in common: things to say, and how it is seen whether they were said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from connectors.contract import Line, Link, Notification, NotificationKind, Notifier, Severity
from connectors.kit.bench import Bench, Row
from connectors.kit.notifypeople import Message

INCIDENT = "INC-26-000001"
TASK = "TSK-26-000001"

PAGE = "https://vendor.example/incidents/1"

QUIET = frozenset({"task", "other", "digest", "test"})
"""Kinds that the engine does not say again where nobody can look whether they were said."""


def notification(number: int, at: datetime, **changed: Any) -> Notification:
    """Something to say past the engine, which numbers its own from 1."""
    usual: dict[str, Any] = {
        "id": f"NTF-26-{910_000 + number:06d}",
        "kind": NotificationKind.INCIDENT,
        "severity": Severity.MEDIUM,
        "title": f"Payments are slow ({number})",
        "text": "It takes more than 2 s.",
        "at": at,
        "facts": (Line("Service", "payments"),),
        "link": Link("Open", PAGE),
    }
    return Notification(**(usual | changed))


class Speaker(Notifier, Protocol):
    """A connector that says things."""


def speaker(bench: Bench) -> Speaker:
    """The connector, as a worker makes it."""
    made: Any = bench.instance()
    found: Speaker = made
    return found


def home(bench: Bench) -> str:
    """The config's default channel."""
    return bench.channels.channels[0]


def happen(bench: Bench, what: str, subject: str = INCIDENT, **data: Any) -> None:
    """Something happens to an incident."""
    usual: Mapping[str, Any] = {"title": "Payments are slow", "severity": "medium", "status": what}
    bench.happen(f"incident.{what}", subject, **{**usual, **data})


def channel_of(bench: Bench, row: Row) -> str:
    """Where a notification was to be said."""
    return str(row["channel"] or home(bench))


def bearing(bench: Bench, row: Row) -> list[Message]:
    """The messages in its channel that bear a notification's id."""
    return [one for one in bench.channels.said(channel_of(bench, row)) if row["id"] in one.shown]


def flat(text: str) -> str:
    """A text however its lines are broken."""
    return " ".join(text.split())


def lacking(message: Message, row: Row) -> Iterator[str]:
    """What of a notification a message does not show."""
    shown, body = flat(message.shown), row["body"]
    if flat(row["title"]) not in shown:
        yield f"the title {row['title']!r}"
    if flat(body["text"]) not in shown:
        yield f"the text {body['text']!r}"
    for name, value in body["facts"]:
        if flat(name) not in shown or flat(value) not in shown:
            yield f"{name} {value!r}"
    if body["url"] and body["url"] not in message.links:
        yield f"the link to {body['url']}"


def is_once(bench: Bench, row: Row) -> bool:
    """Whether a notification was said as it should be: once; where nobody can look, once or with the doubt that the
    policy allows for its kind."""
    count = len(bearing(bench, row))
    if speaker(bench).reach().find:
        return row["state"] == "sent" and count == 1
    if row["kind"] in QUIET:
        return (row["state"], count) in (("sent", 1), ("unknown", 0), ("unknown", 1))
    return row["state"] == "sent" and count in (1, 2)
