"""Jira's timestamps: milliseconds, an offset that is not UTC and has no colon."""

from datetime import datetime
from zoneinfo import ZoneInfo


def stamp(instant: datetime, zone: ZoneInfo) -> str:
    """`2026-04-28T15:55:26.678+0200`, in the site's zone."""
    local = instant.astimezone(zone)
    return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}{local:%z}"


def millis(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return int(instant.timestamp()) * 1000 + instant.microsecond // 1000


def whole_minute(instant: datetime) -> datetime:
    """The minute an instant is in: the finest thing JQL can see."""
    return instant.replace(second=0, microsecond=0)
