"""Many notifications as one: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.contract import Line, NotificationKind, Severity
from sync.notifications.words import RANK, TEXT, Draft, shortened

MOST_LINES = 20
"""Things named in a digest; the others are counted. Nobody reads more, and a section of a message holds no more."""

LINE = TEXT // MOST_LINES - 12
"""Characters of one of them, so that all fit into a text, with their bullets and counts."""

MOST_TYPES = 5
"""Types of events counted among the facts."""


@dataclass(frozen=True, slots=True)
class Member:
    """What a digest tells of one message."""

    event_type: str
    severity: Severity
    title: str
    thread_key: str | None
    over: bool
    at: datetime


def digest(members: Sequence[Member]) -> Draft:
    """One message that tells all of them (oldest first; at least one)."""
    lines = _lines(members)
    shown = [f"• {line}" for line in lines[-MOST_LINES:]]
    if len(lines) > MOST_LINES:
        shown.insert(0, f"… and {len(lines) - MOST_LINES} more before these")
    counts = Counter(member.event_type for member in members)
    return Draft(
        kind=NotificationKind.DIGEST,
        severity=min((member.severity for member in members), key=RANK.__getitem__),
        title=f"{len(members)} things happened from {members[0].at:%H:%M} to {members[-1].at:%H:%M} UTC",
        text="\n".join(shown),
        facts=tuple(Line(type_, str(count)) for type_, count in counts.most_common(MOST_TYPES)),
        over=all(member.over for member in members),
    )


def _lines(members: Sequence[Member]) -> list[str]:
    """A line for each thing they are about: the last that was said of it, and of how many."""
    last: dict[str, tuple[str, int]] = {}
    for number, member in enumerate(members):
        about = member.thread_key or str(number)
        _, before = last.pop(about, ("", 0))
        last[about] = (member.title, before + 1)
    return [shortened(title, LINE) + (f" ({times}×)" if times > 1 else "") for title, times in last.values()]
