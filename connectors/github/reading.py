"""Reading what happened in a repository, kind by kind, so that it can be carried on after every page.

Each kind has a part of the cursor of its own. While a kind is read through, its part says how far (`page`, and `at`
which of its rows); when it has been, from when on the next reading looks (`since`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from connectors import contract as c
from connectors.github import mapping
from connectors.github import shapes as s
from connectors.github.client import PAGE, GitHubClient, Listing
from connectors.times import moment

T = TypeVar("T")

OVERLAP = timedelta(minutes=10)
"""How far a reading looks back before the last change it knows: GitHub's lists may be that late."""

CHUNK = 10
"""Pull requests or deployments read between two cursors: some twenty calls, well within what may be used at once."""

WATCHED = timedelta(days=35)
"""How long what has not ended is asked for by itself: GitHub ends a run after 35 days at the latest."""

REMEMBERED = 200
"""Pull requests of the overlap known to be read already: a few calls more where more than these change in its time."""


@dataclass(frozen=True, slots=True)
class Read:
    """Events, the part of the cursor after them, and how far it has come (in what GitHub counts)."""

    events: Sequence[c.CodeEvent]
    state: c.JsonObject
    done: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What rows of a list mean; `unended` are the ids of those of which more is to come, with their times."""

    events: Sequence[c.CodeEvent]
    unended: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Feed(Generic[T]):
    """A list that GitHub gives newest first. `born`: a row's time; `again`: what has become of one by now."""

    ask: Callable[[int, str], Listing[T]]
    born: Callable[[T], str]
    told: Callable[[Sequence[T]], Told]
    again: Callable[[str], Told]
    size: int = PAGE


class Reader:
    """Reads one repository. A first reading goes back to `since` (None: to the start)."""

    def __init__(
        self, client: GitHubClient, repository: c.RemoteRepository, since: datetime | None, now: datetime
    ) -> None:
        self._client, self._repository, self._repo = client, repository, repository.external_id
        self._since, self._now = since, now

    def parts(self) -> Mapping[c.CodeKind, tuple[str, Callable[[c.JsonObject], Iterator[Read]]]]:
        """Kind -> the name of its part of the cursor, and what reads on from there; the longest is the last."""
        return {
            c.CodeKind.PUSH: ("commits", self.commits),
            c.CodeKind.RELEASE: ("releases", lambda state: self._feed(state, self._releases())),
            c.CodeKind.PIPELINE: ("runs", lambda state: self._feed(state, self._runs())),
            c.CodeKind.DEPLOYMENT: ("deployments", lambda state: self._feed(state, self._deployments())),
            c.CodeKind.PULL_REQUEST: ("changes", self.changes),
        }

    # --- commits of the default branch --------------------------------------------------------------

    def commits(self, state: c.JsonObject) -> Iterator[Read]:
        """What is on the branch and was not when its last commit was `head`: commits made long ago may reach it today.
        `page` is set while that is read, since `base` (None: all of it)."""
        if "page" in state:
            yield from self._walk(state["base"], state["head"], state["page"])
            state = {"head": state["head"]}
        head = self._head()
        if head is None or head == state.get("head"):
            yield Read([], state)
            return
        try:
            yield from self._walk(state.get("head"), head, 1)
        except c.NotFound:
            if "head" not in state:
                raise
            yield from self._walk(None, head, 1)  # nobody has the commit known last any more

    def _walk(self, base: str | None, head: str, page: int) -> Iterator[Read]:
        more = True
        while more:
            listing = self._between(base, head, page)
            more, page = listing.next is not None, page + 1
            events = [mapping.commit(self._repo, row) for row in listing.rows]
            yield Read(events, {"head": head, **({"base": base, "page": page} if more else {})})

    def _between(self, base: str | None, head: str, page: int) -> Listing[s.Commit]:
        if base is not None:
            return self._client.compare(self._repo, base, head, page)
        since = {"since": iso(self._since)} if self._since else {}  # the time of committing
        return self._client.listed(s.Commit, self._repo, page, sha=head, **since)

    def _head(self) -> str | None:
        """The default branch's last commit; None while nothing was pushed. Raises NotFound for no repository."""
        if self._repository.default_branch is None:
            return None
        try:
            return self._client.head(self._repo, self._repository.default_branch)
        except c.NotFound:
            self._client.numbered(self._repo)
            return None

    # --- releases, runs, deployments: newest first --------------------------------------------------

    def _releases(self) -> Feed[s.Release]:
        return Feed(
            ask=lambda page, etag: self._client.listed(s.Release, self._repo, page, etag),
            born=lambda row: row.published_at or "",
            told=lambda rows: Told([event for row in rows for event in mapping.release(self._repo, row)]),
            again=lambda _: Told([]),
        )

    def _runs(self) -> Feed[s.Run]:
        def told(rows: Sequence[s.Run]) -> Told:
            events = [mapping.run(self._repo, row) for row in rows]
            return Told(events, {str(row.id): row.created_at for row in rows if mapping.run_state(row) not in c.FINAL})

        return Feed(
            ask=lambda page, etag: self._client.listed(s.Run, self._repo, page, etag),
            born=lambda row: row.created_at,
            told=told,
            again=lambda id_: told([self._client.one(s.Run, self._repo, id_)]),
        )

    def _deployments(self) -> Feed[s.Deployment]:
        def moved(id_: str, born: str = "") -> Told:
            events = mapping.moved(self._repo, id_, self._client.statuses(self._repo, id_))
            states = {event.what.state for event in events if isinstance(event.what, c.DeploymentMoved)}
            return Told(events, {} if c.FINAL & states else {id_: born})

        def told(rows: Sequence[s.Deployment]) -> Told:
            events, unended = [mapping.deployed(self._repo, row) for row in rows], dict[str, str]()
            for row in rows:
                one = moved(str(row.id), row.created_at)
                events += one.events
                unended |= one.unended
            return Told(events, unended)

        return Feed(
            ask=lambda page, etag: self._client.listed(s.Deployment, self._repo, page, etag),
            born=lambda row: row.created_at,
            told=told,
            again=moved,
            size=CHUNK,
        )

    def _feed(self, state: c.JsonObject, feed: Feed[T]) -> Iterator[Read]:
        """What is new in a list, until it is older than `since`. `unended` (id -> time) is asked for by itself first.
        Rows that come in front meanwhile push the others back, so that some are read twice, and none is missed."""
        if "page" not in state:
            for read in self._unended(state, feed):
                yield read
                state = read.state
        since, page, at = self._edge(state.get("since")), state.get("page", 1), state.get("at", 0)
        walking = {"unended": {}, **state, "newest": state.get("newest") or state.get("since") or ""}
        while True:
            listing = feed.ask(page, state.get("etag", "") if "page" not in state else "")
            if listing.unchanged:
                yield Read([], state)
                return
            if page == 1 and at == 0:
                walking["etag"] = listing.etag
            fresh = [row for row in listing.rows if not self._before(feed.born(row), since)]
            for rows in _chunks(fresh[at:], feed.size):
                told = feed.told(rows)
                at += len(rows)
                newest = max([walking["newest"], *(feed.born(row) for row in rows)])
                unended = {**walking["unended"], **told.unended}
                walking = {**walking, "newest": newest, "unended": unended, "page": page, "at": at}
                yield Read(told.events, walking)
            if listing.next is None or len(fresh) < len(listing.rows):
                break
            page, at = page + 1, 0
        yield Read([], {"since": walking["newest"], "unended": walking["unended"], "etag": walking.get("etag", "")})

    def _unended(self, state: c.JsonObject, feed: Feed[T]) -> Iterator[Read]:
        waiting: dict[str, str] = dict(state.get("unended", {}))
        for ids in _chunks(list(waiting), CHUNK):
            events: list[c.CodeEvent] = []
            for id_ in ids:
                told = self._again(id_, feed)
                events += told.events
                if not told.unended or moment(waiting[id_]) < self._now - WATCHED:
                    del waiting[id_]
            yield Read(events, {**state, "unended": dict(waiting)})

    def _again(self, id_: str, feed: Feed[T]) -> Told:
        try:
            return feed.again(id_)
        except c.NotFound:
            return Told([])  # deleted meanwhile

    # --- pull requests ------------------------------------------------------------------------------

    def changes(self, state: c.JsonObject) -> Iterator[Read]:
        """All of them by the time of their opening, an order nothing disturbs; after that those changed since."""
        if "since" in state:
            yield from self._changed(state)
            return
        if "page" not in state:
            newest = self._pulls(1, "updated", "desc").rows
            state = {"begun": newest[0].updated_at if newest else "", "page": 1, "at": 0}
        page, at = state["page"], state["at"]
        while True:
            listing = self._pulls(page, "created", "asc")
            before = (page - 1) * PAGE
            total = max(listing.last or 0, page - 1) * PAGE if listing.next else before + len(listing.rows)
            for rows in _chunks(listing.rows[at:], CHUNK):
                at += len(rows)
                wanted = [row for row in rows if not self._before(row.updated_at, self._since)]
                yield Read(self._all_of(wanted), {**state, "page": page, "at": at}, before + at, total)
            if listing.next is None:
                break
            page, at = page + 1, 0
        yield Read([], {"since": state["begun"]}, total, total)

    def _changed(self, state: c.JsonObject) -> Iterator[Read]:
        """From the last changed down to `since`. `seen` (number -> time) have been read as they are. When carrying on,
        what is above `below` has been, or it changed since `newest` and is for the next reading."""
        edge, seen = self._edge(state["since"]), state.get("seen", {})
        first = self._pulls(1, "updated", "desc", state.get("etag", ""))
        if first.unchanged:
            yield Read([], state)
            return
        newest = state.get("newest") or max([state["since"], *(row.updated_at for row in first.rows[:1])])
        known: dict[str, str] = {}
        for rows in self._until(edge, first):
            known |= {str(row.number): row.updated_at for row in rows if _near(row.updated_at, newest)}
            due = [row for row in rows if row.updated_at <= state.get("below", row.updated_at)]
            for some in _chunks([row for row in due if seen.get(str(row.number)) != row.updated_at], CHUNK):
                below = {"newest": newest, "below": some[-1].updated_at}
                yield Read(self._all_of(some), {"since": state["since"], "seen": seen, **below})
        etag = {"etag": first.etag} if "below" not in state else {}
        yield Read([], {"since": newest, "seen": dict(sorted(known.items(), key=_time)[-REMEMBERED:]), **etag})

    def _until(self, edge: datetime | None, listing: Listing[s.Pull]) -> Iterator[list[s.Pull]]:
        """Pages of the last changed pull requests, until they are older."""
        page = 1
        while True:
            fresh = [row for row in listing.rows if not self._before(row.updated_at, edge)]
            yield fresh
            if listing.next is None or len(fresh) < len(listing.rows):
                return
            page += 1
            listing = self._pulls(page, "updated", "desc")

    def _pulls(self, page: int, sort: str, direction: str, etag: str = "") -> Listing[s.Pull]:
        return self._client.listed(s.Pull, self._repo, page, etag, sort=sort, direction=direction)

    def _all_of(self, rows: Sequence[s.Pull]) -> list[c.CodeEvent]:
        """All that happened to these: a call for the timeline of each, and one for what is counted of a merged one."""
        events: list[c.CodeEvent] = []
        for row in rows:
            pull = self._client.one(s.Pull, self._repo, row.number) if row.merged_at is not None else row
            events += mapping.change(self._repo, pull, self._client.timeline(self._repo, row.number))
        return events

    # --- times --------------------------------------------------------------------------------------

    def _edge(self, since: str | None) -> datetime | None:
        """Where a reading ends that goes back in time."""
        return moment(since) - OVERLAP if since else self._since

    def _before(self, at: str, edge: datetime | None) -> bool:
        return bool(at) and edge is not None and moment(at) < edge


def _chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _near(at: str, newest: str) -> bool:
    """Whether the next reading comes across it again, as it is."""
    return at <= newest and moment(at) >= moment(newest) - OVERLAP


def _time(item: tuple[str, str]) -> str:
    return item[1]


def iso(at: datetime) -> str:
    """As GitHub takes times, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
