"""The queries we make, as WIQL. Pure. Results come by id: see `connectors.byid`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def items(areas: Iterable[str], types: Iterable[str] = ()) -> str:
    """The work items at or below some area paths, of some types or of all."""
    where = " OR ".join(f"[System.AreaPath] UNDER {quoted(area)}" for area in areas)
    kinds = ", ".join(map(quoted, types))
    return f"({where})" + (f" AND [System.WorkItemType] IN ({kinds})" if kinds else "")


def changed_since(where: str, start: datetime) -> str:
    """Of them, those that changed since a moment. WIQL counts in seconds."""
    return f"{where} AND [System.ChangedDate] >= '{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


def ids(where: str, after: int, upto: int | None = None) -> str:
    """The query for ids above one, and up to another."""
    bound = "" if upto is None else f" AND [System.Id] <= {upto}"
    conditions = f"{where} AND [System.Id] > {after}{bound}"
    return f"SELECT [System.Id] FROM WorkItems WHERE {conditions} ORDER BY [System.Id] ASC"  # noqa: S608 - no SQL


def tagged(tag: str) -> str:
    """The work items with a tag, wherever they are."""
    return f"[System.Tags] CONTAINS {quoted(tag)}"


def quoted(text: str) -> str:
    """A WIQL string."""
    return "'" + text.replace("'", "''") + "'"
