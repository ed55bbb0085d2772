"""Reading a repository from where the last reading ended: one stream for each kind of thing, each with its own mark.

Marks are the parts of the cursor. One is told after each change, which costs up to six calls: where the budget ends a
reading, what was read before is kept, and with the few calls of a minute the next one comes further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from connectors import contract as c
from connectors.bitbucket import client as api
from connectors.bitbucket import mapping
from connectors.bitbucket import shapes as bb
from connectors.bitbucket.config import BitbucketConfig
from connectors.bitbucket.mapping import Landing, when

T = TypeVar("T")

OPEN_FOR = timedelta(days=30)
MOST_OPEN = 50
"""How long, and how many of them, unfinished runs are asked after one by one. A run that waits for somebody to start
its next step may wait for ever."""

SHORT, FULL = 12, 40
"""Digits of a hash in pull requests, and of a whole one."""

MOST_KNOWN = 10_000
"""Commits kept in a session, some three megabytes: a change that landed by one of them takes a call less."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some events, and the mark from which to carry on after them."""

    events: Sequence[c.CodeEvent]
    mark: c.JsonObject
    done: int | None = None
    total: int | None = None


class Reader:
    """Reads for one integration."""

    def __init__(self, context: c.Context, client: api.BitbucketClient) -> None:
        self._config: BitbucketConfig = context.config
        self._client = client
        self._now = context.http.vendor_now
        self._web = context.endpoints["web"]
        self._known: dict[tuple[str, str], bb.Commit] = {}
        self._overlap = timedelta(minutes=context.config.overlap_minutes)

    def _start(self) -> datetime | None:
        """Where a first reading begins."""
        days = self._config.history_days
        return None if days is None else self._now().replace(microsecond=0) - timedelta(days=days)

    # --- changes ------------------------------------------------------------------------------------

    def changes(self, repository: c.RemoteRepository, mark: c.JsonObject) -> Iterator[Part]:
        """By the time of their last update, the longest unchanged first. Pages shift when a change is updated, so each
        one is asked for anew from where the last ended. The mark holds

        since        up to which moment everything is known
        seen         number -> `updated_on` of those known that may be listed again
        done, total  within a first reading
        """
        first = "since" not in mark or "done" in mark
        begin = when(mark["since"]) - self._overlap if "since" in mark else self._start()
        page = self._client.changes(repository.external_id, _iso(begin))
        total = mark.get("total") or page.size if first else None
        done: int = mark.get("done", 0)
        while True:
            for change in page.values:
                if mark.get("seen", {}).get(str(change.id)) == change.updated_on:
                    continue
                events = self.change(repository.external_id, change)
                mark, done = self._seen(mark, change), done + 1
                if first:
                    mark |= {"done": done, "total": max(total or 0, done)}
                yield Part(events, mark, *self._progress(mark))
            more, last = page.next, when(page.values[-1].updated_on) if page.values else None
            if more is None or last is None:
                break
            if begin is None or last > begin:
                begin = last
                page = self._client.changes(repository.external_id, _iso(begin))
            else:  # more than a page of one second
                page = self._client.follow(more, bb.Change)
        done_now = self._progress(mark)
        yield Part([], {name: mark[name] for name in ("since", "seen") if name in mark}, *done_now)

    def _seen(self, mark: c.JsonObject, change: bb.Change) -> c.JsonObject:
        high = max(when(at) for at in (change.updated_on, mark.get("since")) if at)
        known = mark.get("seen", {}) | {str(change.id): change.updated_on}
        kept = {number: at for number, at in known.items() if when(at) >= high - self._overlap}
        return {**mark, "since": _iso(high), "seen": kept}

    @staticmethod
    def _progress(mark: c.JsonObject) -> tuple[int | None, int | None]:
        return mark.get("done"), mark.get("total")

    def change(self, repository: str, change: bb.Change) -> list[c.CodeEvent]:
        """All that happened to a change: one call for its activity, four or five more when it was merged."""
        rows = list(self._client.rows(api.ACTIVITY, repository, change.id))
        events = mapping.of_change(repository, change, rows)
        if change.state == "MERGED":
            events.append(mapping.merged(repository, change, rows, self._landing(repository, change)))
        return events

    def _landing(self, repository: str, change: bb.Change) -> Landing:
        commits = _or_none(lambda: list(self._client.rows(api.CHANGE_COMMITS, repository, change.id))) or []
        head = self._head(repository, change, commits)
        merge = self._commit(repository, change.merge_commit.hash) if change.merge_commit else None
        merge_sha = merge.hash if merge else change.merge_commit.hash if change.merge_commit else head
        added, removed, files = _or_none(lambda: self._lines(repository, change, merge)) or (None, None, None)
        return Landing(merge_sha, head, commits, added, removed, files, merge.date if merge else None)

    def _head(self, repository: str, change: bb.Change, commits: Sequence[bb.Commit]) -> str:
        short = change.source.commit.hash if change.source.commit else ""
        found = [commit.hash for commit in commits if commit.hash.startswith(short)]
        return found[0] if found else self.full(repository, short) if short else ""

    def _lines(self, repository: str, change: bb.Change, merge: bb.Commit | None) -> tuple[int, int, int]:
        """Lines added and removed, and files. A merge's difference from its first parent is all of the change, in one
        call less than the way there by the change; a squash's would be, but a fast-forward looks like one."""
        if merge is not None and len(merge.parents) > 1:
            rows = list(self._client.rows(api.COMMIT_LINES, repository, merge.hash))
        else:
            rows = list(self._client.change_lines(repository, change.id))
        return sum(row.lines_added for row in rows), sum(row.lines_removed for row in rows), len(rows)

    def _commit(self, repository: str, sha: str) -> bb.Commit | None:
        known = self._known.get((repository, sha[:SHORT])) if len(sha) >= SHORT else None
        return known or _or_none(lambda: self._client.one(api.COMMIT, repository, sha))

    def full(self, repository: str, sha: str) -> str:
        """A hash in full; the short one where the commit is gone for good."""
        found = self._commit(repository, sha) if len(sha) < FULL else None
        return found.hash if found else sha

    # --- commits ------------------------------------------------------------------------------------

    def commits(self, repository: c.RemoteRepository, mark: c.JsonObject) -> Iterator[Part]:
        """Those of the default branch, newest first, up to the last one known. The mark holds

        head  all that can be reached from here is known
        tip   within a reading: where it began
        next  within a reading: the next page
        """
        if repository.default_branch is None:
            return
        known, tip = mark.get("head"), mark.get("tip")
        start = self._start() if known is None else None
        if mark.get("next"):
            first = self._client.follow(mark["next"], bb.Commit)
        else:
            first = self._client.commits(repository.external_id, repository.default_branch, known)
        for page in self._client.walk(first, bb.Commit):
            tip = tip or (page.values[0].hash if page.values else known)
            rows = [commit for commit in page.values if start is None or when(commit.date) >= start]
            more = page.next if rows else None
            mark = {"head": known, "tip": tip, "next": more} if more else {"head": tip}
            yield Part(self._committed(repository.external_id, rows), mark)
            if more is None:
                return

    def pushed(self, repository: str, before: str | None, after: str) -> list[c.CodeEvent]:
        """The commits that a push brought to the default branch."""
        first = self._client.commits(repository, after, before)
        pages = self._client.walk(first, bb.Commit)
        return [event for page in pages for event in self._committed(repository, page.values)]

    def _committed(self, repository: str, rows: Sequence[bb.Commit]) -> list[c.CodeEvent]:
        for commit in rows[: MOST_KNOWN - len(self._known)]:
            self._known[repository, commit.hash[:SHORT]] = commit
        return [mapping.committed(repository, commit) for commit in rows]

    # --- pipelines ----------------------------------------------------------------------------------

    def runs(self, repository: c.RemoteRepository, mark: c.JsonObject) -> Iterator[Part]:
        """Those made since, newest first; then those that were unfinished when they were last seen. The mark holds also

        open  id -> when it was made, of the unfinished ones
        """
        home, listed = repository.external_id, set()
        unfinished: dict[str, str] = mark.get("open", {})
        for rows, read in self._newest(mark, api.PIPELINES, home, lambda run: run.created_on):
            listed |= {run.uuid for run in rows}
            unfinished = self._open(unfinished, rows)
            yield Part([event for run in rows for event in self.run(home, run)], {**read, "open": unfinished})
            mark = read
        left = [_or_none(partial(self._client.one, api.PIPELINE, home, id_)) for id_ in unfinished if id_ not in listed]
        found = [run for run in left if run is not None]
        gone = unfinished.keys() - listed - {run.uuid for run in found}
        unfinished = {id_: at for id_, at in self._open(unfinished, found).items() if id_ not in gone}
        yield Part([event for run in found for event in self.run(home, run)], {**mark, "open": unfinished})

    def _open(self, known: dict[str, str], rows: Sequence[bb.Pipeline]) -> dict[str, str]:
        told = {run.uuid: run for run in rows}
        after = known | {run.uuid: run.created_on for run in rows}
        oldest = self._now() - OPEN_FOR
        kept = {
            id_: at
            for id_, at in after.items()
            if when(at) >= oldest and not (id_ in told and mapping.run_state(told[id_].state) in c.FINAL)
        }
        return dict(sorted(kept.items(), key=lambda entry: entry[1])[-MOST_OPEN:])

    def run(self, repository: str, run: bb.Pipeline) -> list[c.CodeEvent]:
        """Where a run is."""
        return mapping.ran(repository, self._web, self._config.workspace, run)

    # --- deployments --------------------------------------------------------------------------------

    def deployments(self, repository: c.RemoteRepository, mark: c.JsonObject) -> Iterator[Part]:
        """Those that changed since, the last changed first; all there are where Bitbucket lists them otherwise."""
        home = repository.external_id
        for rows, read in self._newest(mark, api.DEPLOYMENTS, home, lambda row: row.last_update_time):
            yield Part([event for row in rows for event in self.deployment(home, row)], read)

    def deployment(self, repository: str, row: bb.Deployment) -> list[c.CodeEvent]:
        """What is known of a deployment."""
        if row.release.commit is None:
            return []
        ended = self._ended(repository, row) if row.state.name == "COMPLETED" else None
        return mapping.deployed(repository, row, self.full(repository, row.release.commit.hash), ended)

    def _ended(self, repository: str, row: bb.Deployment) -> c.RunState:
        """How it ended; where the deployment does not say so itself, its step of the pipeline does."""
        if row.state.status is not None:
            return mapping.ended_as(row.state.status.name)
        run, step = row.release.pipeline, row.step
        steps = self._client.rows(api.STEPS, repository, run.uuid) if run and step else iter(())
        states = [found.state for found in steps if step and found.uuid == step.uuid]
        result = states[0].result if states and states[0] else None
        return mapping.ended_as(result.name if result else None)

    # --- listings that have the newest first --------------------------------------------------------

    def _newest(
        self, mark: c.JsonObject, of: api.Of[T], home: str, at: Callable[[T], str | None]
    ) -> Iterator[tuple[list[T], c.JsonObject]]:
        """The rows that are new, page by page, and the mark after them; `at` is the time by which they are sorted. What
        comes meanwhile is in front of the first page, and found by the next reading. A page that is not in order
        proves nothing of those behind it. The mark holds

        since  up to which moment everything is known
        high   within a reading: the newest it saw
        next   within a reading: the next page
        """
        since, high = mark.get("since"), mark.get("high")
        floor = when(since) - self._overlap if since else self._start()
        first = self._client.follow(mark["next"], of.row) if mark.get("next") else self._client.page(of, home)
        for page in self._client.walk(first, of.row):
            times = [when(text) if text else None for text in map(at, page.values)]
            told = [time for time in times if time is not None]
            high = max([*told, *([when(high)] if isinstance(high, str) else [])], default=None)
            high = _iso(high) or since
            ordered = len(told) == len(times) and told == sorted(told, reverse=True)
            reached = floor is not None and ordered and bool(told) and told[-1] < floor
            more = None if reached else page.next
            rows = [row for row, time in zip(page.values, times, strict=True) if not floor or not time or time >= floor]
            yield rows, {"since": since, "high": high, "next": more} if more else {"since": high}
            if more is None:
                return


def _iso(at: datetime | None) -> str | None:
    """A moment as Bitbucket's filters take it."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _or_none(ask: Callable[[], T]) -> T | None:
    """What is asked for, None where it is not there any more."""
    try:
        return ask()
    except c.NotFound:
        return None
