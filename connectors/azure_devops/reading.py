"""Reading a repository from where a cursor stands: one reader for each kind of thing, each with its part of the cursor.

Azure has no filter for "changed since" on pull requests, so an increment is three lists: those created, those closed,
and the active ones that look otherwise than last time. Times are Azure's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar, cast

from connectors import contract as c
from connectors.azure_devops import mapping
from connectors.azure_devops.client import BUILDS, Build, Environment, Pull, Record, ReposClient, Repository
from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.times import iso_ms, moment

OVERLAP = timedelta(minutes=15)
"""How far each reading looks back before the end of the one before: Azure's lists lag behind its clock."""

COMMITS_AGAIN = 50
"""Commits read again by each reading: so many may be replaced by a forced push without one being missed."""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before the first of Azure's repositories."""

SHARED_FOR = timedelta(minutes=1)
"""How long what all repositories of a project share is not asked for again: a poll of them takes less, and what comes
meanwhile is found by the next."""

UNFINISHED = ("inProgress", "notStarted")
"""Azure takes one status at a time. What is postponed or being cancelled soon ends."""

Part = dict[str, Any]
T = TypeVar("T")


class Read(NamedTuple):
    """Events, where their reader stands after them, and how many rows it has read since it began."""

    events: list[c.CodeEvent]
    part: Part
    done: int | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads for one integration; `web` is the organization's address, `now` Azure's time."""

    client: ReposClient
    config: AzureDevOpsConfig
    web: str
    now: Callable[[], datetime]
    shared: dict[object, tuple[datetime, Any]] = field(default_factory=dict)

    def _once(self, what: object, ask: Callable[[], T]) -> T:
        """Environments and what was deployed to them belong to a project: asked for once for all its repositories."""
        asked, found = self.shared.get(what, (BEGINNING, None))
        if self.now() - asked >= SHARED_FOR:
            asked, found = self.shared[what] = (self.now(), ask())
        return cast(T, found)

    def readers(self) -> Mapping[str, Callable[[Repository, Part], Iterator[Read]]]:
        """Those for what the config follows, by the name of their part of the cursor."""
        kinds = self.config.kinds()
        wanted: dict[str, tuple[c.CodeKind, Callable[[Repository, Part], Iterator[Read]]]] = {
            "changes": (c.CodeKind.PULL_REQUEST, self._changes),
            "pushes": (c.CodeKind.PUSH, self._pushes),
            "commits": (c.CodeKind.PUSH, self._commits),
            "runs": (c.CodeKind.PIPELINE, self._runs),
        }
        if self.config.deploying_pipeline() is None:
            wanted["deployments"] = (c.CodeKind.DEPLOYMENT, self._deployments)
        elif c.CodeKind.PIPELINE not in kinds:
            wanted["runs"] = (c.CodeKind.DEPLOYMENT, self._runs)
        return {name: reader for name, (kind, reader) in wanted.items() if kind in kinds}

    # --- changes ------------------------------------------------------------------------------------

    def _changes(self, repo: Repository, part: Part) -> Iterator[Read]:
        """`since`: all before is known. Within a reading `until` is when it began, and `stage`, `skip` where it is.
        `active`: how the active ones looked. What comes meanwhile is in front, and read as well."""
        since, until = part.get("since"), part.get("until") or iso_ms(self.now())
        stages = ("created",) if since is None else ("created", "closed")
        begun = part.get("stage", "created")
        for stage in stages[stages.index(begun) :]:
            skip = part.get("skip", 0) if stage == begun else 0
            search = {"status": "all", "queryTimeRangeType": stage, "minTime": self._start(since)}
            for page in self.client.pulls(repo, search, skip):
                skip += len(page)
                here = {**part, "until": until, "stage": stage, "skip": skip}
                yield Read([event for pull in page for event in self.change(repo, pull)], here, skip)
        yield self._active(repo, part.get("active", {}), until)

    def _active(self, repo: Repository, known: Mapping[str, str], until: str) -> Read:
        """The active ones that do not look as they did. A comment does not show; it is found when the change ends."""
        looks: dict[str, str] = {}
        events: list[c.CodeEvent] = []
        for page in self.client.pulls(repo, {"status": "active"}):
            for pull in page:
                number, look = str(pull.pull_request_id), _look(pull)
                looks[number] = look
                if known.get(number) != look:
                    events += self.change(repo, pull)
        return Read(events, {"since": until, "active": looks})

    def change(self, repo: Repository, pull: Pull) -> Iterator[c.CodeEvent]:
        """All that happened to a pull request: one call, and one more for a completed one."""
        threads = self.client.threads(repo, pull.pull_request_id)
        is_done = pull.status == "completed"
        commits = list(self.client.pull_commits(repo, pull.pull_request_id)) if is_done else []
        return mapping.change_events(repo, pull, threads, commits)

    # --- pushes and commits -------------------------------------------------------------------------

    def _pushes(self, repo: Repository, part: Part) -> Iterator[Read]:
        """`since`: all before is known. Within a reading `until` is when it began and `skip` where it is."""
        until, skip = part.get("until") or iso_ms(self.now()), part.get("skip", 0)
        search = {"fromDate": self._start(part.get("since"))}
        for page in self.client.pushes(repo, search, skip):
            skip += len(page)
            events = [event for push in page for event in mapping.push_events(repo, push)]
            yield Read(events, {**part, "until": until, "skip": skip}, skip)
        yield Read([], {"since": until})

    def _commits(self, repo: Repository, part: Part) -> Iterator[Read]:
        """The default branch's, the oldest first. `skip`: so many are known."""
        if repo.default_branch is None:
            return
        skip = max(part.get("skip", 0) - COMMITS_AGAIN, 0)
        branch = repo.default_branch.removeprefix("refs/heads/")
        search: dict[str, str] = {
            "itemVersion.version": branch,
            "itemVersion.versionType": "branch",
            "showOldestCommitsFirst": "true",
        }
        if self.config.history_days is not None:
            search["fromDate"] = part.setdefault("from", self._start(None))
        for page in self.client.commits(repo, search, skip):
            skip += len(page)
            yield Read([mapping.commit_event(repo, commit) for commit in page], {**part, "skip": skip}, skip)

    # --- runs and deployments -----------------------------------------------------------------------

    def _runs(self, repo: Repository, part: Part) -> Iterator[Read]:
        """`since`: what finished before is known. Those that have not finished are read each time."""
        mine = {"repositoryId": repo.id, "repositoryType": "TfsGit"}
        finished = {**mine, "statusFilter": "completed", "queryOrder": "finishTimeAscending"}
        finished["minTime"] = self._start(part.get("since"))
        since, done = part.get("since"), 0
        for page in self.client.builds(repo.project.id, finished):
            ends = [build.finish_time for build in page if build.finish_time]
            since, done = max([*ends, *([since] if since else [])], default=None, key=moment), done + len(page)
            yield Read(self.runs(repo, page), {"since": since}, done)
        for status in UNFINISHED:
            for page in self.client.builds(repo.project.id, {**mine, "statusFilter": status}):
                yield Read(self.runs(repo, page), {"since": since}, done)

    def runs(self, repo: Repository, builds: Sequence[Build]) -> list[c.CodeEvent]:
        """What builds say, as runs and, those of the deploying pipeline, as deployments."""
        kinds, deploying = self.config.kinds(), self.config.deploying_pipeline()
        events: list[c.CodeEvent] = []
        for build in builds:
            url = f"{self.web}/{repo.project.id}/_build/results?buildId={build.id}"
            run = mapping.run_event(repo, build, url) if c.CodeKind.PIPELINE in kinds else None
            events += [run] if run else []
            if c.CodeKind.DEPLOYMENT in kinds and build.definition.name == deploying:
                events += mapping.deployments_of_run(repo, build, deploying)
        return events

    def _deployments(self, repo: Repository, part: Part) -> Iterator[Read]:
        """`known`: environment -> the record up to which all have ended. Within a reading `at` is where it is."""
        known, at = dict(part.get("known", {})), part.get("at")
        for environment in sorted(self._environments(repo), key=lambda one: one.id):
            if at and environment.id < at["environment"]:
                continue
            place = at if at and environment.id == at["environment"] else {"environment": environment.id}
            yield from self._environment(repo, environment, known, place)

    def _environments(self, repo: Repository) -> Sequence[Environment]:
        """A project whose pipelines are turned off has none."""
        try:
            return self._once(repo.project.id, lambda: list(self.client.environments(repo.project.id)))
        except c.NotFound:
            return []

    def _environment(
        self, repo: Repository, environment: Environment, known: dict[str, int], place: Part
    ) -> Iterator[Read]:
        """What was deployed to an environment, the youngest first, down to what is known. `place` holds the token of a
        page, the newest record, and the oldest of a run that goes on: its stages are read whole again.

        A stage's jobs may lie on two pages: those of a page's last run wait for the next, and a reading that is resumed
        there begins with the page they began on.
        """
        name, floor, oldest = str(environment.id), known.get(str(environment.id), 0), self._oldest()
        token, newest, running = place.get("token"), place.get("newest", floor), place.get("running")
        waiting: list[Record] = []
        while True:
            page, following = self._records(repo, environment, token)
            fresh = [job for job in page if job.id > floor and moment(job.queue_time) >= oldest]
            newest = max([newest, *(job.id for job in fresh)])
            jobs, is_last = waiting + fresh, following is None or len(fresh) < len(page)
            going = {job.owner.id for job in jobs if not job.result}
            running = min([*(j.id for j in jobs if j.owner.id in going), *([running] if running else [])], default=None)
            waiting = [] if is_last else [job for job in jobs if job.owner.id == jobs[-1].owner.id]
            held = {job.id for job in waiting}
            told = [job for job in jobs if job.id not in held]
            builds = self._builds_of(repo, sorted({job.owner.id for job in told}))
            events = self.deployments(repo, environment, told, builds)
            if is_last:
                known[name] = running - 1 if running else newest
                yield Read(events, {"known": dict(known)})
                return
            here = {"environment": environment.id, "newest": newest, "running": running}
            yield Read(events, {"known": dict(known), "at": {**here, "token": token if waiting else following}})
            token = following

    def _records(
        self, repo: Repository, environment: Environment, token: str | None
    ) -> tuple[list[Record], str | None]:
        """A page; the first one for a token that has grown too old."""
        project, number = repo.project.id, environment.id
        if token is not None:
            with suppress(c.Rejected):
                return self.client.records(project, number, token)
        return self._once((project, number), lambda: self.client.records(project, number, None))

    def deployments(
        self, repo: Repository, environment: Environment, jobs: Sequence[Record], builds: Mapping[int, Build]
    ) -> list[c.CodeEvent]:
        """What jobs of these builds deployed: all of a stage's attempt are one deployment."""
        stages: dict[tuple[int, str, int], list[Record]] = {}
        for job in jobs:
            if job.owner.id in builds:
                stages.setdefault((job.owner.id, job.stage_name, job.stage_attempt), []).append(job)
        made = (
            mapping.deployment_events(repo, repo.project.id, environment, of_stage, builds[owner])
            for (owner, _, _), of_stage in stages.items()
        )
        return [event for events in made for event in events]

    def _builds_of(self, repo: Repository, ids: Sequence[int]) -> dict[int, Build]:
        """Those of these builds that are of the repository."""
        found: dict[int, Build] = {}
        for start in range(0, len(ids), BUILDS):
            wanted = {"buildIds": ",".join(map(str, ids[start : start + BUILDS]))}
            for page in self.client.builds(repo.project.id, wanted):
                found |= {build.id: build for build in page if is_of(build, repo)}
        return found

    def deployed_by(self, repo: Repository, build: Build) -> list[c.CodeEvent]:
        """What one run deployed to environments: looked for on the newest page of each, once it runs."""
        found: list[c.CodeEvent] = []
        if mapping.run_state(build) is c.RunState.QUEUED:
            return found
        for environment in self._environments(repo):
            page, _ = self._records(repo, environment, None)
            found += self.deployments(repo, environment, page, {build.id: build})
        return found

    def _start(self, since: str | None) -> str:
        """From when to read, given up to when all is known."""
        if since is not None:
            return iso_ms(moment(since) - OVERLAP)
        return iso_ms(self._oldest())

    def _oldest(self) -> datetime:
        """How far back the first reading goes."""
        days = self.config.history_days
        return BEGINNING if days is None else self.now() - timedelta(days=days)


def is_of(build: Build, repo: Repository) -> bool:
    """Whether a build is of a repository; GitHub's can be built here, too."""
    return build.repository.type == "TfsGit" and build.repository.id == repo.id


def _look(pull: Pull) -> str:
    """What of an active pull request shows in a list that something happened to it."""
    head = pull.last_merge_source_commit.commit_id if pull.last_merge_source_commit else ""
    votes = ",".join(f"{one.id}={one.vote}" for one in sorted(pull.reviewers, key=lambda one: one.id) if one.vote)
    return f"{head[:12]}:{'draft' if pull.is_draft else 'ready'}:{votes}"
