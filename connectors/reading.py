"""What connectors share about reading: pages, the run of a poll, and items that can't be read any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from connectors.chosen_id import PREFIX
from connectors.contract import (
    Cursor,
    Forbidden,
    Gone,
    GoneReason,
    JsonObject,
    NotFound,
    Rejected,
    RemoteTask,
    RemoteUser,
    TaskPage,
)
from connectors.times import iso_ms, moment

P = TypeVar("P")
K = TypeVar("K")


def pages(ask: Callable[[K], P], first: K, following: Callable[[P, K], K | None]) -> Iterator[P]:
    """Page after page. `following` tells, of a page and its own place, the place of the next; None: there is none."""
    place = first
    while True:
        page = ask(place)
        yield page
        after = following(page, place)
        if after is None:
            return
        place = after


def counted(ask: Callable[[int], tuple[Sequence[P], bool]]) -> Iterator[P]:
    """All rows of a list whose pages begin at a number: `ask` gives those from there on, and whether they are the
    last."""
    start = 0
    while True:
        rows, last = ask(start)
        yield from rows
        if last or not rows:
            return
        start += len(rows)


def marker_in(texts: Iterable[object]) -> str | None:
    """The marker of the platform among an item's labels or tags, which vendors may spell in another case."""
    words = (text.lower() for text in texts if isinstance(text, str))
    return next((word for word in words if word.startswith(PREFIX)), None)


def with_email(people: Iterable[RemoteUser], email: str, hidden: bool = False) -> RemoteUser | None:
    """The one of them with this address, in any case; None where it is nobody's or several people's. `hidden`: the
    vendor found them by the address, which it need not show; so the only one it found is whose it is."""
    found = list(people)
    exact = [person for person in found if person.email and person.email.casefold() == email.casefold()]
    if not exact and hidden and len(found) == 1 and not found[0].email:
        return found[0]
    return exact[0] if len(exact) == 1 else None


def batches(ids: Sequence[P], most: int) -> Iterator[Sequence[P]]:
    """Of a long list, as many at once as a call takes."""
    return (ids[start : start + most] for start in range(0, len(ids), most))


def fetched(
    ids: Sequence[str],
    one: Callable[[str], RemoteTask | Gone],
    gone: Callable[[str, str], Gone],
    known: Iterable[RemoteTask | Gone] = (),
) -> Mapping[str, RemoteTask | Gone]:
    """The answer of `fetch_tasks`: those that are known from a listing, and each other one asked for by itself: a
    listing may lack what can be read. `gone` says of an id, and of the words of NotFound, what that means."""
    found: dict[str, RemoteTask | Gone] = {task.external_id: task for task in known}
    for item_id in ids:
        if item_id not in found:
            try:
                found[item_id] = one(item_id)
            except NotFound as error:
                found[item_id] = gone(item_id, error.text)
    return {item_id: found[item_id] for item_id in ids}


class Sight:
    """Whether the account can see the places its items were in, each asked for once: vendors say "not found" for what
    is hidden, too, so it proves a deletion only where all can be seen. `noun` is what they call such a place; an item
    was in one of `places` where nothing else is known of it. `sees` answers False, or raises Forbidden or NotFound,
    where a place can't be seen."""

    def __init__(self, noun: str, sees: Callable[[str], object], places: Iterable[str] = ()) -> None:
        self._noun, self._sees, self._places = noun, sees, places
        self._seen: dict[str, bool] = {}

    def gone(self, item_id: str, text: str, places: Iterable[str] | None = None) -> Gone:
        """What it means that an item was not found, which was in one of these places; `text` is the vendor's."""
        for place in self._places if places is None else places:
            if place not in self._seen:
                self._seen[place] = self._can_see(place)
            if not self._seen[place]:
                said = f"The account can't see the {self._noun} {place} any more."
                return Gone(item_id, GoneReason.UNREACHABLE, said)
        return Gone(item_id, GoneReason.DELETED, text)

    def _can_see(self, place: str) -> bool:
        try:
            return self._sees(place) is not False
        except (Forbidden, NotFound):
            return False


class Listed(NamedTuple):
    """A page of a search: its items, the latest change of all it listed, and the token of the next page."""

    tasks: Sequence[RemoteTask]
    latest: datetime | None
    token: str | None


def changed(
    cursor: Cursor | None,
    containers: Sequence[str],
    search: Callable[[datetime | None], JsonObject],
    ask: Callable[[JsonObject, str | None], Listed],
) -> Iterator[TaskPage]:
    """`changed_tasks` of a vendor that sorts by the last change and gives a token for the next page. All is read where
    a container is new. The cursor holds

    since       vendor time up to which everything is known; null: nothing is
    containers  those that is true for
    search      within a run: what `search` made for `since`; its `total`, if any, is the estimate of `TaskPage`
    token       within a run: the next page
    high        within a run: the latest change seen

    Where an earlier run's token is no longer good, for which `ask` raises Rejected, that run begins anew. One that was
    carried on to its end is followed by the next at once: what happened since it began may be in none of its pages, and
    whoever starts a poll wants to know of it.
    """
    state: dict[str, Any] = dict(cursor or {})
    if not set(containers) <= set(state.get("containers", ())):
        state = {"since": None, "containers": list(containers)}
    resumed = state.get("token") is not None
    if not resumed:
        state |= _begun(state, search)
    carried_on = resumed
    while True:
        try:
            page = ask(state["search"], state["token"])
        except Rejected:
            if not resumed:
                raise
            carried_on = False
            state |= _begun(state, search)
            page = ask(state["search"], None)
        resumed = False
        high = max(filter(None, (state["high"] and moment(state["high"]), page.latest)), default=None)
        state |= {"token": page.token, "high": high and iso_ms(high)}
        total = state["search"].get("total")
        if page.token is not None:
            yield TaskPage(page.tasks, dict(state), total)
            continue
        state = {"since": state["high"] or state["since"], "containers": list(containers)}
        yield TaskPage(page.tasks, dict(state), total)
        if not carried_on:
            return
        carried_on = False
        state |= _begun(state, search)


def _begun(state: dict[str, Any], search: Callable[[datetime | None], JsonObject]) -> dict[str, Any]:
    since = state["since"]
    return {"search": search(None if since is None else moment(since)), "token": None, "high": None}
