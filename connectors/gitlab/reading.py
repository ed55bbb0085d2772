"""Reading what happened in a project: all of it, or what came since a cursor.

A cursor has an entry for each listing that was read, {"commits": …, "pushes": …, "changes": …, "deployments": …,
"runs": …, "releases": …}, so that a kind followed later is read from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog

from connectors import bytime
from connectors.bytime import Answer, Window
from connectors.contract import (
    CodeEvent,
    CodeKind,
    CodePage,
    CodeRef,
    Cursor,
    Forbidden,
    JsonObject,
    NotFound,
    Pushed,
    RefKind,
    RemoteRepository,
)
from connectors.gitlab import mapping
from connectors.gitlab.client import GitLabClient, Page
from connectors.gitlab.shapes import Deployment, Issue, MergeRequest, Pipeline, Release
from connectors.http import Params
from connectors.times import epoch_ms, iso_ms

log = structlog.get_logger(__name__)

OVERLAP = timedelta(minutes=10)
"""How far a listing by the last change is read back: what was written at one time is seen at another."""

REMEMBERED = 500
"""Rows within the overlap that a cursor knows to be read already; beyond, some are read twice."""

MOST_DIFFS = 10
"""Pages of changed files (1,000 files) up to which lines are counted; GitLab itself counts no further."""

MOST_PUSHES = 450
"""Pages of pushes of a first reading: GitLab refuses to count further than 50,000 rows."""

LATEST_PUSHES = 5
"""Pages of pushes in which one that was heard of is looked for; an older one is left to the next poll."""

NOTHING = "0" * 40
"""Where a branch was before it was made, and is after it was deleted."""

Row = TypeVar("Row", MergeRequest, Deployment, Pipeline)

Step = tuple[list[CodeEvent], JsonObject, int]
"""Events, where to carry on, and how many rows were read."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing by the time of the last change: where, of what, and what has to be said besides."""

    path: str
    type: Any
    params: Params


CHANGES = Listing("merge_requests", MergeRequest, {"scope": "all", "state": "all"})
DEPLOYMENTS = Listing("deployments", Deployment, {})
RUNS = Listing("pipelines", Pipeline, {})
ISSUES = Listing("issues", Issue, {"scope": "all", "state": "all"})
COUNTED = {
    CodeKind.PULL_REQUEST: CHANGES,
    CodeKind.DEPLOYMENT: DEPLOYMENTS,
    CodeKind.PIPELINE: RUNS,
}
"""What a first reading says its progress in."""


def listed(client: GitLabClient, project: str, listing: Listing, window: Window, size: int = 100) -> Page[Any]:
    """A page of a listing by the time of the last change."""
    bounds = {"updated_after": iso_ms(_at(window.after + 1))} if window.after else {}
    if window.until is not None:  # GitLab's own times are finer than milliseconds
        before = _at(window.until) - timedelta(microseconds=1)
        bounds["updated_before"] = before.isoformat().replace("+00:00", "Z")
    order = {"order_by": "updated_at", "sort": "asc" if window.reverse else "desc"}
    path = f"/projects/{project}/{listing.path}"
    return client.page(path, listing.type, window.number + 1, {**listing.params, **order, **bounds}, size)


class Reader:
    """Reads projects with one client. Remembers the tiers of environments."""

    def __init__(self, client: GitLabClient, kinds: frozenset[CodeKind], history_days: int | None) -> None:
        self._client, self._kinds, self._days = client, kinds, history_days
        self._tiers: dict[str, dict[str, str | None]] = {}
        self._readers: tuple[tuple[CodeKind, str, Callable[[RemoteRepository, JsonObject], Iterator[Step]]], ...] = (
            (CodeKind.PUSH, "commits", self._commits),
            (CodeKind.PUSH, "pushes", self._pushes),
            (CodeKind.RELEASE, "releases", self._releases),
            (CodeKind.DEPLOYMENT, "deployments", self._deployments),
            (CodeKind.PIPELINE, "runs", self._runs),
            (CodeKind.PULL_REQUEST, "changes", self._changes),
        )

    def pages(self, repository: RemoteRepository, cursor: Cursor | None) -> Iterator[CodePage]:
        """Kind after kind. One that a project has switched off, or the account may not see, is left out."""
        known: JsonObject = dict(cursor or {})
        total = self._total(repository) if cursor is None else None
        done, refused, followed = 0, None, 0
        for kind, name, read in self._readers:
            if kind not in self._kinds:
                continue
            followed += 1
            try:
                for events, place, rows in read(repository, known.get(name, {})):
                    known, done = {**known, name: place}, done + rows
                    yield CodePage(events, known, None if total is None else done, total)
            except Forbidden as error:
                log.warning("gitlab.kind_unreadable", project=repository.external_id, kind=kind, text=error.text)
                refused, followed = error, followed - 1
        if refused is not None and followed == 0:
            raise refused

    def _total(self, repository: RemoteRepository) -> int | None:
        """How many rows a first reading has, where GitLab counts them."""
        counts = []
        for listing in (listing for kind, listing in COUNTED.items() if kind in self._kinds):
            try:
                page = listed(self._client, repository.external_id, listing, Window(self._floor()), size=1)
            except Forbidden:
                continue  # said when it is read
            counts.append(page.total)
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def _floor(self) -> int:
        """Epoch milliseconds after which history is read."""
        since = self._since()
        return 0 if since is None else epoch_ms(since)

    def _since(self) -> datetime | None:
        return None if self._days is None else self._client.vendor_now() - timedelta(days=self._days)

    # --- by the time of the last change -------------------------------------------------------------

    def _by_time(
        self,
        repository: RemoteRepository,
        listing: Listing,
        place: JsonObject,
        events_of: Callable[[str, Any], Iterator[CodeEvent]],
    ) -> Iterator[Step]:
        """Rows changed since then, the oldest change first. What the overlap shows again unchanged costs no calls."""
        project, since = repository.external_id, place.get("since")
        seen: dict[str, int] = dict(place.get("seen", {}))

        def ask(window: Window) -> Answer[Any]:
            page = listed(self._client, project, listing, window)
            return Answer(page.rows, page.last)

        start = self._floor() if since is None else since - int(OVERLAP.total_seconds() * 1000)
        for rows in bytime.oldest_first(ask, start):
            fresh = [row for row in rows if seen.get(row.key) != row.changed]
            events = [event for row in fresh for event in events_of(project, row)]
            since = max([since or 0, *(row.changed for row in rows)]) or None
            seen = _recent(seen | {row.key: row.changed for row in fresh}, since)
            yield events, {"since": since, "seen": seen}, len(fresh)

    def _changes(self, repository: RemoteRepository, place: JsonObject) -> Iterator[Step]:
        return self._by_time(repository, CHANGES, place, self._change)

    def _change(self, project: str, request: MergeRequest) -> Iterator[CodeEvent]:
        """Two calls for a change; two more when it is merged."""
        client, iid = self._client, request.key
        of = None
        if request.state == "merged":
            of = mapping.brought(client.own_commits(project, iid), client.diffs(project, iid), MOST_DIFFS)
        notes, states = list(client.notes(project, iid)), list(client.state_events(project, iid))
        return mapping.change(project, request, notes, states, of)

    def _deployments(self, repository: RemoteRepository, place: JsonObject) -> Iterator[Step]:
        return self._by_time(repository, DEPLOYMENTS, place, self._deployment)

    def _deployment(self, project: str, row: Deployment) -> Iterator[CodeEvent]:
        return mapping.deployment(project, row, row.environment.tier or self._tier(project, row.environment.name))

    def _tier(self, project: str, environment: str) -> str | None:
        """The environment's tier, which deployments do not tell: all are listed when one is met that is not known."""
        known = self._tiers.setdefault(project, {})
        if environment not in known:
            try:
                known.update((one.name, one.tier) for one in self._client.environments(project))
            except (Forbidden, NotFound) as error:
                log.info("gitlab.no_environments", project=project, text=error.text)
        return known.setdefault(environment, None)  # one that was deleted since

    def _runs(self, repository: RemoteRepository, place: JsonObject) -> Iterator[Step]:
        return self._by_time(repository, RUNS, place, self._run)

    def _run(self, project: str, row: Pipeline) -> Iterator[CodeEvent]:
        """A call each: the listing has no times."""
        try:
            return mapping.pipeline(project, self._client.pipeline(project, row.key))
        except NotFound:  # deleted since it was listed
            return iter(())

    # --- commits and releases -----------------------------------------------------------------------

    def _commits(self, repository: RemoteRepository, place: JsonObject) -> Iterator[Step]:
        """Commits new on the default branch: from where it was to where it is, whatever their times. Pages of a fixed
        range don't shift. A place that is gone (rewritten and cleaned away) is as good as none."""
        project, branch = repository.external_id, repository.default_branch
        head, to, number = place.get("head"), place.get("to"), place.get("page", 1)
        if to is None:
            to = self._tip(project, branch)
        if to is None or to == head:
            yield [], {"head": head}, 0
            return
        while True:
            try:
                page = self._range(project, head, to, number)
            except NotFound:
                if head is None:
                    raise
                head, number = None, 1
                continue
            events = [mapping.committed(project, commit) for commit in page.rows]
            if page.last:
                yield events, {"head": to}, 0
                return
            number += 1
            yield events, {"head": head, "to": to, "page": number}, 0

    def _range(self, project: str, head: str | None, to: str, number: int) -> Page[Any]:
        since = self._since() if head is None else None
        return self._client.commits(project, f"{head}..{to}" if head else to, number, iso_ms(since) if since else None)

    def _tip(self, project: str, branch: str | None) -> str | None:
        """The default branch's last commit; None in an empty repository, which GitLab answers with 404."""
        if branch is None:
            return None
        try:
            return self._client.tip(project, branch)
        except NotFound:
            self._client.project(project)  # unless the project itself is gone
            return None

    def _pushes(self, repository: RemoteRepository, place: JsonObject) -> Iterator[Step]:
        """Pushes since then, the newest first: those that come meanwhile only ever move the others to later pages."""
        since, top, number = place.get("since"), place.get("top"), place.get("page", 1)
        edge = self._floor() if since is None else since - int(OVERLAP.total_seconds() * 1000)
        last = False
        while not last:
            page = self._client.pushes(repository.external_id, number)
            fresh = [row for row in page.rows if row.changed >= edge]
            top = max([top or 0, *(row.changed for row in fresh)])
            number, last = number + 1, page.last or number >= MOST_PUSHES or len(fresh) < len(page.rows)
            told = [mapping.pushed(repository.external_id, row) for row in fresh]
            here = {"since": top or since} if last else {"since": since, "top": top, "page": number}
            yield [event for event in told if event is not None], here, 0

    def _releases(self, repository: RemoteRepository, place: JsonObject) -> Iterator[Step]:
        """Releases tell no time of their last change: what was asked before is asked again with an overlap."""
        project, number = repository.external_id, place.get("page", 1)
        since, asked = place.get("since"), iso_ms(self._client.vendor_now() - OVERLAP)
        bounds: Params = {"updated_after": since} if since else {}
        order: Params = {"order_by": "created_at", "sort": "asc"}
        last = False
        while not last:
            page = self._client.page(f"/projects/{project}/releases", Release, number, {**order, **bounds})
            number, last = number + 1, page.last
            begun = place.get("begun", asked)
            here = {"since": begun} if last else {"since": since, "page": number, "begun": begun}
            yield [mapping.released(project, row) for row in page.rows], here, 0

    # --- single things ------------------------------------------------------------------------------

    def fetch(self, ref: CodeRef) -> Sequence[CodeEvent]:
        """All that happened to one thing; nothing for what is not there."""
        try:
            return list(self._read(ref.repository, ref.kind, ref.id))
        except NotFound:
            return []

    def _read(self, project: str, kind: RefKind, id_: str) -> Iterable[CodeEvent]:
        client = self._client
        match kind:
            case RefKind.CHANGE:
                return self._change(project, client.merge_request(project, id_))
            case RefKind.DEPLOYMENT:
                return self._deployment(project, client.deployment(project, id_))
            case RefKind.RUN:
                return mapping.pipeline(project, client.pipeline(project, id_))
            case RefKind.RELEASE:
                return [mapping.released(project, client.release(project, id_))]
            case RefKind.PUSH:
                return self._fetch_push(project, id_)

    def _fetch_push(self, project: str, id_: str) -> Iterator[CodeEvent]:
        """The push, and the commits it brought to the default branch: see `push_id`."""
        ref, before, after, brought = id_.split(" ")
        pushed = self._find_push(project, (ref, before, after))
        if pushed is not None:
            yield pushed
        number, last = 1, brought != BROUGHT
        while not last:
            page = self._range(project, None if before == NOTHING else before, after, number)
            yield from (mapping.committed(project, commit) for commit in page.rows)
            number, last = number + 1, page.last

    def _find_push(self, project: str, wanted: tuple[str, str, str]) -> CodeEvent | None:
        """A delivery tells no time of a push, which is why it is looked for."""
        number, last = 1, False
        while not last:
            page = self._client.pushes(project, number)
            for event in (mapping.pushed(project, row) for row in page.rows):
                what = event.what if event else None
                if isinstance(what, Pushed) and (what.ref, what.before or NOTHING, what.after or NOTHING) == wanted:
                    return event
            number, last = number + 1, page.last or number >= LATEST_PUSHES
        return None


def push_id(ref: str, before: str, after: str, to_default: bool) -> str:
    """What a push is asked for by: where it moved what, and whether commits came to the default branch by it."""
    return " ".join((ref, before, after, BROUGHT if to_default and after != NOTHING else "-"))


BROUGHT = "commits"


def _at(epoch: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch)


def _recent(seen: dict[str, int], since: int | None) -> dict[str, int]:
    """Those that the next reading's overlap shows again, the latest of them if there are many."""
    oldest = (since or 0) - int(OVERLAP.total_seconds() * 1000)
    kept = sorted(((changed, key) for key, changed in seen.items() if changed >= oldest), reverse=True)[:REMEMBERED]
    return {key: changed for changed, key in kept}
