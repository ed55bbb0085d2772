"""Reading everything by id from an API that gives ids only, all at once or, where they are too many, none.

No change moves an id: what changes while they are read stays where it is, and is found again by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from connectors.contract import BadPayload, Cursor, RemoteTask, TaskPage
from connectors.reading import batches
from connectors.times import moment

SPAN = 20_000
"""A stretch of ids that is tried first where all are too many: what Azure gives at once."""


class Found(Protocol):
    """Ids in order, and when that was true by the vendor's clock (ISO)."""

    @property
    def ids(self) -> Sequence[int]: ...

    @property
    def as_of(self) -> str: ...


Query = Callable[[int, int | None], Found | None]
"""The ids above one, and up to another (None: all there are); None: they are more than the vendor gives."""


def stretches(query: Query, after: int = 0) -> Iterator[tuple[Found, bool]]:
    """All ids above one, in order: at once, or, where there are more than the vendor gives, stretch by stretch; and
    whether these are the last. Raises BadPayload where a single id is too much."""
    span = SPAN
    while (found := query(after, None)) is None:
        while (part := query(after, after + span)) is None:
            if span == 1:
                raise BadPayload("The vendor says that a single item is too much for a query.")
            span //= 2
        yield part, False
        after += span
        span *= 1 if part.ids else 2
    yield found, True


def changed(
    cursor: Cursor | None,
    scope: Sequence[str],
    changed_since: Callable[[datetime | None], Query],
    read: Callable[[Sequence[int]], Sequence[RemoteTask]],
    batch: int,
) -> Iterator[TaskPage]:
    """`changed_tasks`, in pages of so many items; each is as it is when its page is read. The cursor holds

    since     vendor time (ISO) up to which everything is known; null: nothing is
    projects  the scope that is true for: where another is asked for, all is read
    after     within a run: the id after which to carry on
    as_of     within a run: the vendor's time when it began
    """
    state: dict[str, Any] = dict(cursor or {})
    if state.get("projects") != scope:
        state = {"since": None, "projects": scope}
    after, as_of, since = int(state.get("after") or 0), state.get("as_of"), state["since"]
    for found, last in stretches(changed_since(None if since is None else moment(since)), after):
        as_of = as_of or found.as_of
        total = len(found.ids) if last and since is None and not after else None
        for ids in batches(found.ids, batch):
            after = ids[-1]
            yield TaskPage(read(ids), {**state, "after": after, "as_of": as_of}, total)
    yield TaskPage([], {"since": as_of, "projects": scope})
