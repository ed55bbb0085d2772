"""Reading everything by the time of its last change from an API that only counts pages.

Counted pages shift when an item changes, and what slips over an edge is never seen. So pages are not counted on: the
next one begins behind the last item that was seen. For vendors whose documentation leaves open in which direction they
sort, the answer shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from connectors.contract import Cursor


class Timed(Protocol):
    """An item with the time of its last change: epoch milliseconds of the vendor's clock."""

    @property
    def changed(self) -> int: ...


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for: the items changed after `after` and before `until` (both excluded; None: up to now), page
    `number` of them from 0 on, and the vendor's switch that turns its order."""

    after: int
    until: int | None = None
    number: int = 0
    reverse: bool = True


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The items of a page, and whether no other page follows."""

    items: Sequence[T]
    last: bool


def oldest_first(ask: Callable[[Window], Answer[T]], after: int) -> Iterator[list[T]]:
    """Everything changed after a moment, oldest change first, in pages; what changes meanwhile comes at the end.

    Sorted by the vendor, each page is one call. If it sorts neither way, the time is halved until one page holds all.
    """
    window, turned = Window(after), False
    while True:
        page = ask(window)
        times = [item.changed for item in page.items]
        in_order = times == sorted(times)
        if page.last or in_order:
            yield sorted(page.items, key=lambda item: item.changed)
        if page.last and window.until is None:
            return
        if page.last:
            window = Window(window.until - 1, reverse=window.reverse)  # type: ignore[operator]  # it is not None
        elif in_order and times[-1] - 1 > window.after:
            window = Window(times[-1] - 1, window.until, reverse=window.reverse)
        elif in_order:  # a page full of one millisecond is the only one that is counted on from
            window = Window(window.after, window.until, window.number + 1, window.reverse)
        elif not turned:
            window, turned = Window(window.after, window.until, reverse=not window.reverse), True
        else:
            window = Window(window.after, (window.after + max(times)) // 2 + 1, reverse=window.reverse)


def since(cursor: Cursor | None, containers: Sequence[str]) -> int | None:
    """The time up to which a cursor of `cursor_at` knows everything; None when a container is new to it, or nothing was
    ever seen."""
    if cursor is None or not set(containers) <= set(cursor["containers"]):
        return None
    known: int | None = cursor["since"]
    return known


def cursor_at(changed: int | None, containers: Sequence[str]) -> Cursor:
    """A cursor from which to carry on after everything changed up to then (None: nothing was ever seen)."""
    return {"since": changed, "containers": list(containers)}
