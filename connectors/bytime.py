"""Reading everything by the time of its last change from an API that only counts pages.

Counted pages shift when an item changes, and what slips over an edge is never seen. So pages are not counted: the next
one begins where the last item that was seen ended. For vendors whose documentation leaves open in which direction they
sort, the answer shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from connectors.contract import Cursor, RemoteTask, TaskPage


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


def oldest_first(ask: Callable[[Window], Answer[T]], after: int) -> Iterator[Sequence[T]]:
    """Everything changed after a moment, oldest change first, in pages; what changes meanwhile comes at the end.

    Sorted by the vendor, each page is one call. If it sorts neither way, the time is halved until a page holds all.
    """
    window, turned = Window(after), False
    while True:
        page = ask(window)
        times = [item.changed for item in page.items]
        if page.last:
            yield sorted(page.items, key=lambda item: item.changed)
            if window.until is None:
                return
            window = replace(window, after=window.until - 1, until=None)
        elif min(times) == max(times):
            if times[0] - 1 > window.after:  # all of one moment: in the other order, older ones would be behind them
                window = replace(window, until=times[0])
            else:
                yield from _of_one_moment(ask, replace(window, until=times[0] + 1))
                window = replace(window, after=times[0])
        elif times == sorted(times):
            yield page.items
            window = replace(window, after=times[-1] - 1)
        elif not turned:
            window, turned = replace(window, reverse=not window.reverse), True
        else:
            window = replace(window, until=(min(times) + max(times)) // 2 + 1)


def _of_one_moment(ask: Callable[[Window], Answer[T]], window: Window) -> Iterator[Sequence[T]]:
    """More than a page of one millisecond has to be counted through: from the last page to the first, as those that
    change meanwhile only ever make the ones behind them move to the front."""
    number = 0
    while not ask(replace(window, number=number)).last:
        number += 1
    for counted in range(number, -1, -1):
        yield ask(replace(window, number=counted)).items


def changed(
    cursor: Cursor | None,
    containers: Sequence[str],
    ask: Callable[[Window], Answer[T]],
    read: Callable[[T], RemoteTask],
    overlap: timedelta,
) -> Iterator[TaskPage]:
    """`changed_tasks`: a run looks back `overlap` before the last change that the one before has seen; all is read
    where a container is new."""
    known = since(cursor, containers)
    for items in oldest_first(ask, 0 if known is None else known - overlap // timedelta(milliseconds=1)):
        known = max([known or 0, *(item.changed for item in items)]) or None
        yield TaskPage([read(item) for item in items], cursor_at(known, containers))


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
