"""Pages, in the three ways vendors give them: by offset, by page number, by cursor."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sandbox.errors import VendorError
from sandbox.faults import FaultKind

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of the rows. `next` is where to go on, in the form that was asked with; None at the end."""

    rows: Sequence[T]
    next: Any
    total: int


def by_offset(rows: Sequence[T], start: int, size: int) -> Page[T]:
    """`size` rows from number `start` on."""
    if start < 0 or size < 1:
        raise VendorError(400, "The offset must not be negative and the size must be positive.")
    end = start + size
    return Page(rows[start:end], end if end < len(rows) else None, len(rows))


def by_number(rows: Sequence[T], number: int, size: int, first: int = 1) -> Page[T]:
    """The page with this number; `first` is the number of the first page."""
    page = by_offset(rows, (number - first) * size, size)
    return replace(page, next=None if page.next is None else number + 1)


def by_cursor(rows: Sequence[T], cursor: str | None, size: int, place: Callable[[T], Any]) -> Page[T]:
    """The rows after a cursor. `place` names a row's place in the order of `rows`, as JSON that compares; a row that
    changes while one pages shows up again at its new place, and none is left out."""
    after = None if cursor is None else _place_of(cursor)
    ahead = [row for row in rows if after is None or _plain(place(row)) > after]
    page = list(ahead[:size])
    more = len(ahead) > len(page)
    return Page(page, cursor_of(place(page[-1])) if more and page else None, len(rows))


def cursor_of(place: Any) -> str:
    """A place as an opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place_of(cursor: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor))
    except (binascii.Error, ValueError):
        raise VendorError(400, "The cursor is not valid.", field="cursor") from None


def _plain(place: Any) -> Any:
    """A place as it comes back out of a cursor."""
    return json.loads(json.dumps(place))


def bent_size(size: int, kinds: set[FaultKind]) -> int:
    """A page's size under the planned faults."""
    return max(1, size // 2) if FaultKind.SHORT_PAGE in kinds else size
