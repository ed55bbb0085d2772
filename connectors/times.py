"""Vendors' times: ISO 8601 text to moments, and moments to the numbers versions are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.contract import BadPayload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def moment(text: str) -> datetime:
    """An ISO 8601 time with any offset, in UTC. Raises BadPayload for anything else, one without an offset included."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min
    if at.tzinfo is None:
        raise BadPayload(f"The vendor sent a time in an unknown form: {text[:40]!r}")
    return at.astimezone(UTC)


def epoch_ms(at: datetime) -> int:
    """Epoch milliseconds, exactly: a float would not hold every one of them."""
    return (at - _EPOCH) // _MILLISECOND


def at_ms(told: int | str) -> datetime | None:
    """The moment of epoch milliseconds, as a number or as digits; None for what is no time, or one far from ours."""
    digits = str(told)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 14):
        return None
    return _EPOCH + int(digits) * _MILLISECOND


def iso_ms(at: datetime) -> str:
    """`2026-01-01T00:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_minute(start: datetime, zone: ZoneInfo) -> datetime:
    """The latest naive local minute that is no later than `start` however it is read: an hour that a clock change
    repeats is stepped over."""
    while True:
        naive = start.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None)
        readings = [naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        if max(readings) <= start:
            return naive
        start -= max(readings) - min(readings)
