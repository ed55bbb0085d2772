"""The searches we make, as JQL. Pure.

JQL counts in minutes, and reads a literal time in the profile zone of whoever asks, which need not be the offset
of the site's timestamps. So the usual form is relative, which knows neither zones nor clock changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.times import local_minute

_MINUTE = timedelta(minutes=1)
_OLDEST = "ORDER BY updated ASC, id ASC"


def in_projects(keys: Iterable[str]) -> str:
    """Everything in the projects; keys are quoted because some are words of JQL."""
    return f"project in ({', '.join(map(quoted, keys))})"


def all_of(where: str) -> str:
    """All of it, oldest change first."""
    return f"{where} {_OLDEST}"


def ids_of(where: str) -> str:
    """All of it, by id."""
    return f"{where} ORDER BY id ASC"


def changed_since_minutes(where: str, start: datetime, vendor_now: datetime) -> str:
    """What changed since a moment, told as minutes before the vendor's now: rounded up, and one more for the time
    until the vendor reads it."""
    minutes = max(-(-(vendor_now - start) // _MINUTE) + 1, 1)
    return f'{where} AND updated >= "-{minutes}m" {_OLDEST}'


def changed_since_time(where: str, start: datetime, zone: ZoneInfo) -> str:
    """What changed since a moment, told as a time in the zone."""
    return f'{where} AND updated >= "{local_minute(start, zone):%Y/%m/%d %H:%M}" {_OLDEST}'


def labelled(label: str) -> str:
    """The issues with a label."""
    return f"labels = {quoted(label)} ORDER BY id ASC"


def made_lately(where: str) -> str:
    """What the account itself made within a day, newest first."""
    return f'{where} AND reporter = currentUser() AND created >= "-1d" ORDER BY created DESC'


def quoted(text: str) -> str:
    """A JQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
