"""Ids people can read: `TSK-26-018841`, a prefix, the year of birth and a number.

Numbers come from a PostgreSQL sequence per prefix, which no transaction waits for and which leaves gaps; SQLite
has one writer anyway and counts in a row. Either way many ids cost one statement.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

PREFIXES = {
    "ORG": "organization",
    "WS": "workspace",
    "LIN": "service line",
    "PROJ": "project label",
    "USR": "user",
    "KEY": "API token",
    "AGT": "agent",
    "POL": "agent policy",
    "INT": "integration",
    "SYNC": "sync run",
    "TSK": "task",
    "EVT": "event",
    "AUD": "audit record",
    "CNF": "conflict",
    "RPO": "repository",
    "WHK": "webhook endpoint",
    "NRT": "notification route",
    "NTF": "notification",
    "INC": "incident",
}
"""Every kind of id there is; a new one needs a migration that makes its counter."""


MILLION = 1_000_000
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIRST_LETTER = DIGITS.index("A")


def take(session: Session, prefix: str, now: datetime, count: int = 1) -> list[str]:
    """`count` new ids of this kind, in order. They are used up even if the transaction rolls back (PostgreSQL)."""
    if count == 0:
        return []
    if session.get_bind().dialect.name == "postgresql":
        numbers = session.scalar(
            text("SELECT array_agg(nextval(CAST(:name AS regclass))) FROM generate_series(1, :count)"),
            {"name": sequence_name(prefix), "count": count},
        )
    else:
        last = session.scalar(
            text("UPDATE id_counter SET last = last + :count WHERE prefix = :prefix RETURNING last"),
            {"count": count, "prefix": prefix},
        )
        numbers = range(last - count + 1, last + 1)
    beginning = f"{prefix}-{now:%y}-"
    return [beginning + _serial(number) for number in numbers]


def _serial(number: int) -> str:
    """Six characters that sort as the numbers do: `000001` to `999999`, then `A00000` to `ZZZZZZ`.

    A seventh digit would sort the millionth event before the second one, and lists are read in the order of ids.
    """
    if number < MILLION:
        return f"{number:06d}"
    rest, serial = number - MILLION + FIRST_LETTER * 36**5, ""
    for _ in range(6):
        rest, digit = divmod(rest, 36)
        serial = DIGITS[digit] + serial
    assert rest == 0, f"there are no more ids after {number}"
    return serial


def take_one(session: Session, prefix: str, now: datetime) -> str:
    """One new id."""
    return take(session, prefix, now)[0]


def sequence_name(prefix: str) -> str:
    """The PostgreSQL sequence behind a prefix."""
    return f"id_{prefix.lower()}"
