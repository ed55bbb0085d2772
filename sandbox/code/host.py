"""A code host as a state machine. No HTTP, no wall clock, no chance.

Whatever somebody does makes a new version of what it is done to, and is told to the listeners as a `Deed`.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.clock import Clock
from sandbox.code.values import (
    MAIN,
    Commit,
    Deed,
    Deployment,
    Kind,
    Moved,
    Pull,
    Push,
    Release,
    Repo,
    Review,
    Run,
    Step,
)
from sandbox.errors import VendorError

# Two happenings never share an instant, and timestamps in whole seconds keep their order.
TICK = timedelta(seconds=1)


class CodeHost:
    """The store. `lock` guards everything; the kit holds it around a request and around what a person does. Methods
    raise VendorError: 404 for what is not there, 422 for what can't be done."""

    def __init__(self, clock: Clock, seed: int = 1, lock: Any = None) -> None:
        self.clock, self._seed = clock, seed
        self.repos: dict[int, Repo] = {}
        self.gone: dict[int, Repo] = {}
        self.listeners: list[Callable[[Deed], None]] = []
        self.lock = lock or threading.RLock()
        self._numbers = 0
        self._last: datetime | None = None
        self._told: datetime | None = None
        self._silent = False

    # --- time and numbers ---------------------------------------------------------------------------

    def now(self) -> datetime:
        """The clock's time, in whole seconds, later than whatever happened before."""
        now = (self._told or self.clock.now()).replace(microsecond=0)
        if self._last is not None and now <= self._last:
            now = self._last + TICK
        self._last = now
        return now

    @contextmanager
    def past(self) -> Iterator[Callable[[datetime], None]]:
        """A block in which things happen when they are said to have happened, and nobody is told: for ready-made
        histories. The function given sets the time."""
        self._silent, last = True, self._last

        def at(instant: datetime) -> None:
            self._told, self._last = instant, None

        try:
            yield at
        finally:
            self._silent, self._told, self._last = False, None, last

    def number(self) -> int:
        """A number nothing else has."""
        self._numbers += 1
        return self._numbers

    def _sha(self) -> str:
        return hashlib.sha1(f"{self._seed}:{self.number()}".encode(), usedforsecurity=False).hexdigest()

    def _tell(self, kind: Kind, repo: Repo, who: str, at: datetime, what: Any, before: str | None = None) -> None:
        repo.updated = at
        if not self._silent:
            for listener in self.listeners:
                listener(Deed(kind, repo, who, at, what, before))

    # --- repositories -------------------------------------------------------------------------------

    def repo(self, name: str | int) -> Repo:
        """A repository by name or id. Raises VendorError 404."""
        for repo in self.repos.values():
            if name in (repo.name, repo.id):
                return repo
        raise VendorError(404, f"There is no repository {name!r}.")

    def create_repo(self, name: str, who: str, members: frozenset[str] | None = None) -> Repo:
        """An empty repository with a first commit on its default branch."""
        now = self.now()
        repo = Repo(self.number(), name, now, now, members=members)
        self.repos[repo.id] = repo
        self.push(who, name, MAIN, "Initial commit")
        return repo

    def rename(self, who: str, repo: str, name: str) -> Repo:
        """Same id, new name."""
        found = self.repo(repo)
        found.name = name
        self._tell(Kind.REPOSITORY_RENAMED, found, who, self.now(), found, before=repo)
        return found

    def archive(self, who: str, repo: str, archived: bool = True) -> Repo:
        """Make it read-only, or writable again."""
        found = self.repo(repo)
        found.archived = archived
        kind = Kind.REPOSITORY_ARCHIVED if archived else Kind.REPOSITORY_UNARCHIVED
        self._tell(kind, found, who, self.now(), found)
        return found

    def delete_repo(self, who: str, repo: str) -> Repo:
        """It is gone."""
        found = self._open(repo, archived=True)
        self.gone[found.id] = self.repos.pop(found.id)
        self._tell(Kind.REPOSITORY_DELETED, found, who, self.now(), found)
        return found

    def _open(self, name: str | int, archived: bool = False) -> Repo:
        repo = self.repo(name)
        if repo.archived and not archived:
            raise VendorError(422, f"{repo.name} is archived.")
        return repo

    # --- commits ------------------------------------------------------------------------------------

    def push(self, who: str, repo: str, branch: str, *messages: str, authored: datetime | None = None) -> Push:
        """Put a commit for each message on a branch, which begins at the default branch if it is new."""
        home = self._open(repo)
        before = home.branches.get(branch)
        tip = before or home.branches.get(home.default)
        made = []
        for message in messages:
            commit = self._commit(home, who, message, (tip,) if tip else (), authored)
            tip = commit.sha
            made.append(commit.sha)
        assert tip is not None
        return self._moved(home, who, branch, before, tip, tuple(made))

    def force_push(self, who: str, repo: str, branch: str, message: str) -> Push:
        """Replace a branch's last commit."""
        home = self._open(repo)
        before = home.branches[branch]
        commit = self._commit(home, who, message, home.commits[before].parents)
        return self._moved(home, who, branch, before, commit.sha, (commit.sha,), forced=True)

    def tag(self, who: str, repo: str, tag: str) -> Push:
        """Tag the default branch's last commit."""
        home = self._open(repo)
        home.tags[tag] = home.branches[home.default]
        return self._pushed(home, who, f"refs/tags/{tag}", None, home.tags[tag])

    def _pushed(
        self,
        repo: Repo,
        who: str,
        ref: str,
        before: str | None,
        after: str | None,
        commits: tuple[str, ...] = (),
        forced: bool = False,
    ) -> Push:
        pushed = Push(ref, before, after, commits, forced, self.number(), who, self.now())
        repo.pushes.append(pushed)
        self._tell(Kind.PUSHED, repo, who, pushed.at, pushed)
        return pushed

    def _commit(
        self, repo: Repo, who: str, message: str, parents: tuple[str, ...], authored: datetime | None = None
    ) -> Commit:
        now = self.now()
        lines = len(message) * 3
        commit = Commit(
            sha=self._sha(),
            message=message,
            author=who,
            name=who,
            email=f"{who}@example.com",
            authored=authored or now,
            committed=now,
            parents=parents,
            additions=lines,
            deletions=lines // 4,
            files=(f"src/{len(message)}.py",),
        )
        repo.commits[commit.sha] = commit
        return commit

    def _moved(
        self,
        repo: Repo,
        who: str,
        branch: str,
        before: str | None,
        after: str,
        commits: tuple[str, ...],
        forced: bool = False,
    ) -> Push:
        repo.branches[branch] = after
        if branch == repo.default:
            if forced and before:
                repo.mainline.pop(before, None)
            repo.mainline.update(dict.fromkeys(commits))
        pushed = self._pushed(repo, who, f"refs/heads/{branch}", before, after, commits, forced)
        if branch in repo.asking and commits:
            pull = repo.pulls[repo.asking[branch]]
            kept = pull.commits[:-1] if forced else pull.commits
            self._step(repo, who, pull, "pushed", Kind.EDITED, commits=(*kept, *commits))
        return pushed

    # --- changes ------------------------------------------------------------------------------------

    def pull(self, repo: str | int, number: int) -> Pull:
        """A pull request. Raises VendorError 404."""
        found = self.repo(repo).pulls.get(number)
        if found is None:
            raise VendorError(404, f"There is no pull request {number}.")
        return found

    def open_pull(self, who: str, repo: str, branch: str, title: str, draft: bool = False) -> Pull:
        """Ask for a branch to be merged into the default branch."""
        home = self._open(repo)
        own = home.own(home.branches.get(branch))
        if not own:
            raise VendorError(422, f"There is nothing on {branch!r} to merge.")
        now = self.now()
        number = next(reversed(home.pulls), 0) + 1
        steps = (Step(self.number(), "opened", now, who),)
        pull = Pull(self.number(), number, title, who, branch, home.default, now, now, own, draft=draft)
        home.pulls[number] = replace(pull, timeline=steps)
        home.asking[branch] = number
        self._tell(Kind.OPENED, home, who, now, home.pulls[number])
        return home.pulls[number]

    def retitle(self, who: str, repo: str, number: int, title: str) -> Pull:
        """Another title."""
        return self._step(self._open(repo), who, self.pull(repo, number), "", Kind.EDITED, title=title)

    def set_draft(self, who: str, repo: str, number: int, draft: bool) -> Pull:
        """Make it a draft, or ready for review."""
        what, kind = ("drafted", Kind.DRAFTED) if draft else ("ready", Kind.READY)
        return self._step(self._open(repo), who, self._in(repo, number, "open"), what, kind, draft=draft)

    def close(self, who: str, repo: str, number: int) -> Pull:
        """Close it without merging."""
        pull = self._in(repo, number, "open")
        closing: dict[str, Any] = {"state": "closed", "closed": self.now(), "closed_by": who}
        return self._step(self._open(repo), who, pull, "closed", Kind.CLOSED, **closing)

    def reopen(self, who: str, repo: str, number: int) -> Pull:
        """Open it again."""
        pull = self._in(repo, number, "closed")
        opening: dict[str, Any] = {"state": "open", "closed": None, "closed_by": None}
        return self._step(self._open(repo), who, pull, "reopened", Kind.REOPENED, **opening)

    def merge(self, who: str, repo: str, number: int, squash: bool = False) -> Pull:
        """Merge it: a commit with two parents, or one squashed commit."""
        home, pull = self._open(repo), self._in(repo, number, "open")
        tip = home.branches[home.default]
        parents = (tip,) if squash else (tip, pull.head)
        commit = self._commit(home, who, f"{pull.title} (#{number})", parents)
        merged = {"state": "merged", "closed": commit.committed, "closed_by": who, "draft": False}
        done = self._step(
            home, who, pull, "merged", Kind.MERGED, at=commit.committed, merge_sha=commit.sha, squashed=squash, **merged
        )
        brought = (commit.sha,) if squash else (*pull.commits, commit.sha)
        self._moved(home, who, home.default, tip, commit.sha, brought)
        return done

    def _in(self, repo: str, number: int, state: str) -> Pull:
        pull = self.pull(repo, number)
        if pull.state != state:
            raise VendorError(422, f"Pull request {number} is {pull.state}.")
        return pull

    def _step(
        self, repo: Repo, who: str, pull: Pull, what: str, kind: Kind, at: datetime | None = None, **values: Any
    ) -> Pull:
        now = values.get("closed") or at or self.now()
        steps = (*pull.timeline, Step(self.number(), what, now, who)) if what else pull.timeline
        repo.pulls[pull.number] = replace(pull, updated=now, timeline=steps, **values)
        if values.get("state") == "open":
            repo.asking[pull.source] = pull.number
        elif "state" in values:
            repo.asking.pop(pull.source, None)
        self._tell(kind, repo, who, now, repo.pulls[pull.number])
        return repo.pulls[pull.number]

    # --- reviews ------------------------------------------------------------------------------------

    def review(self, who: str, repo: str, number: int, state: str, body: str = "") -> Review:
        """Say what one thinks of a pull request."""
        home, pull, now = self._open(repo), self.pull(repo, number), self.now()
        review = Review(self.number(), number, who, state, state, now, body)
        home.reviews[review.id] = review
        home.reviewed.setdefault(number, []).append(review.id)
        home.pulls[number] = replace(pull, updated=now)
        self._tell(Kind.REVIEWED, home, who, now, review)
        return review

    def dismiss(self, who: str, repo: str, review: int) -> Review:
        """A review counts no more."""
        home, now = self._open(repo), self.now()
        gone = Moved(self.number(), "dismissed", now)
        found = replace(home.reviews[review], state="dismissed", dismissed=gone)
        home.reviews[review] = found
        home.pulls[found.number] = replace(home.pulls[found.number], updated=now)
        self._tell(Kind.DISMISSED, home, who, now, found)
        return found

    # --- deployments, runs, releases ----------------------------------------------------------------

    def deploy(
        self, who: str, repo: str, environment: str, sha: str | None = None, run: int | None = None
    ) -> Deployment:
        """Make a deployment of a commit (the default branch's last), waiting to run."""
        home, now = self._open(repo), self.now()
        chosen = sha or home.branches[home.default]
        first = (Moved(self.number(), "queued", now),)
        made = Deployment(self.number(), chosen, home.default, environment, who, now, now, first, run)
        home.deployments[made.id] = made
        self._tell(Kind.DEPLOYED, home, who, now, made)
        return made

    def move_deployment(self, who: str, repo: str, deployment: int, state: str) -> Deployment:
        """It runs, or ended."""
        home, now = self._open(repo), self.now()
        found = home.deployments[deployment]
        moved = replace(found, updated=now, states=(*found.states, Moved(self.number(), state, now)))
        home.deployments[deployment] = moved
        self._tell(Kind.DEPLOYMENT_MOVED, home, who, now, moved)
        return moved

    def run(self, who: str, repo: str, name: str, branch: str = MAIN, trigger: str = "push") -> Run:
        """Start a pipeline on a branch; it is queued."""
        home, now = self._open(repo), self.now()
        first = (Moved(self.number(), "queued", now),)
        sha, number = home.branches[branch], len(home.runs) + 1
        made = Run(self.number(), number, name, sha, branch, trigger, who, now, now, first)
        home.runs[made.id] = made
        self._tell(Kind.RUN_MOVED, home, who, now, made)
        return made

    def move_run(self, who: str, repo: str, run: int, state: str) -> Run:
        """It runs, waits, or ended."""
        home, now = self._open(repo), self.now()
        found = home.runs[run]
        moved = replace(found, updated=now, states=(*found.states, Moved(self.number(), state, now)))
        home.runs[run] = moved
        self._tell(Kind.RUN_MOVED, home, who, now, moved)
        return moved

    def rerun(self, who: str, repo: str, run: int) -> Run:
        """Another attempt of the same run."""
        home, now = self._open(repo), self.now()
        first = (Moved(self.number(), "queued", now),)
        again = replace(home.runs[run], attempt=home.runs[run].attempt + 1, updated=now, states=first)
        home.runs[run] = again
        self._tell(Kind.RUN_MOVED, home, who, now, again)
        return again

    def release(self, who: str, repo: str, tag: str, prerelease: bool = False) -> Release:
        """Publish a release of the default branch."""
        home = self._open(repo)
        if tag not in home.tags:
            self.tag(who, repo, tag)
        now = self.now()
        made = Release(self.number(), tag, f"Release {tag}", home.tags[tag], who, now, prerelease)
        home.releases[made.id] = made
        self._tell(Kind.RELEASED, home, who, now, made)
        return made


ACTIONS: Mapping[str, Sequence[str]] = {
    "push": ("repo", "branch", "message"),
    "open_pull": ("repo", "branch", "title"),
    "set_draft": ("repo", "number", "draft"),
    "review": ("repo", "number", "state"),
    "dismiss": ("repo", "review"),
    "merge": ("repo", "number"),
    "close": ("repo", "number"),
    "reopen": ("repo", "number"),
    "deploy": ("repo", "environment"),
    "move_deployment": ("repo", "deployment", "state"),
    "run": ("repo", "name"),
    "move_run": ("repo", "run", "state"),
    "rerun": ("repo", "run"),
    "release": ("repo", "tag"),
    "create_repo": ("name",),
    "rename": ("repo", "name"),
    "archive": ("repo",),
    "delete_repo": ("repo",),
}
"""What people can do, and what has to be said for it."""
