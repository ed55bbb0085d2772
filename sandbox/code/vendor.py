"""A fake source control vendor: subclass `CodeSandbox`, say what the API answers and how deeds are told to hooks.

Authentication, limits, locking, OAuth, faults, webhooks and the control endpoint are those of `sandbox.vendor`. The
tracker holds the people, and the issues where the vendor has some; each repository is a container of it, with its id.
"""

from abc import abstractmethod
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from sandbox.base import perform
from sandbox.code.history import plant_history
from sandbox.code.host import ACTIONS, CodeHost
from sandbox.code.values import Deed, Repo
from sandbox.errors import VendorError
from sandbox.tracker import Change, Container, Status, Tracker
from sandbox.vendor import TrackerSandbox, usual_people

OWNER = "apex-digital"
REPOSITORIES = ("payments-api", "payments-worker")
"""What there is at first: the names of the platform's own examples."""


class CodeSandbox(TrackerSandbox):
    """The base of a fake vendor whose repositories live in a `CodeHost`. `statuses` are those of its issues."""

    owner: ClassVar[str] = OWNER
    statuses: ClassVar[tuple[Status, ...]] = (Status("open", "Open"), Status("closed", "Closed"))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.host = CodeHost(self.clock, self._seed, self.tracker.lock)
        for name in REPOSITORIES:
            self.add_repo(name)
        self.host.listeners.append(self.on_deed)

    def make_tracker(self) -> Tracker:
        """People, and no container yet."""
        return Tracker(self.clock, users=usual_people(), containers=(), statuses=self.statuses)

    def on_change(self, change: Change) -> None:
        """An issue was changed: nothing is told by a vendor without issues."""

    @abstractmethod
    def on_deed(self, deed: Deed) -> None:
        """Tell the hooks: `self.hooks.tell(event, body, container)`; the container is the repository's id as text."""

    # --- what people and tests do -------------------------------------------------------------------

    def add_repo(self, name: str) -> Repo:
        """Another repository."""
        repo = self.host.create_repo(name, self.robot.id)
        self.tracker.containers[str(repo.id)] = Container(str(repo.id), name, name)
        return repo

    def plant_history(
        self,
        pulls: int,
        repo: str = REPOSITORIES[0],
        *,
        start: datetime | None = None,
        every: timedelta = timedelta(hours=6),
    ) -> None:
        """Put a history of so many pull requests in place, without webhooks; it ends now unless `start` is given."""
        people = [user.id for user in self.tracker.users.values() if user is not self.robot]
        began = start or self.clock.now() - (pulls + 1) * every
        plant_history(self.host, repo, people, pulls, began, self.rng(f"history {repo}"), every)

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person: the names and arguments are those of `CodeHost`, or of Person for issues. Raises
        ControlError."""
        if action not in ACTIONS:
            return super().act(person, action, arguments)
        made = perform(partial(_Doer, self, person), frozenset(ACTIONS), action, arguments, VendorError)
        return self.deed_json(made)

    def deed_json(self, made: Any) -> dict[str, Any]:
        """What came of an action, in words."""
        told = {
            name: getattr(made, name)
            for name in ("id", "number", "name", "sha", "state", "ref", "after", "tag")
            if hasattr(made, name)
        }
        return {name: value for name, value in told.items() if not callable(value)}

    def state(self) -> dict[str, Any]:
        """What the vendor holds, counted where it is long."""
        with self.tracker.lock:
            return super().state() | {"repositories": [_repo_json(repo) for repo in self.host.repos.values()]}


class _Doer:
    """The host's methods in one person's name."""

    def __init__(self, sandbox: CodeSandbox, who: str) -> None:
        self._host, self._who = sandbox.host, sandbox.tracker.user(who).id

    def __getattr__(self, action: str) -> Any:
        method = getattr(self._host, action)

        def do(**arguments: Any) -> Any:
            messages = [arguments.pop("message")] if "message" in arguments else []
            if action == "create_repo":
                return method(who=self._who, **arguments)
            if action == "push":
                return method(self._who, arguments.pop("repo"), arguments.pop("branch"), *messages, **arguments)
            return method(self._who, **arguments)

        return do


def _repo_json(repo: Repo) -> dict[str, Any]:
    counted = ("commits", "pulls", "reviews", "deployments", "runs", "releases")
    return {
        "id": repo.id,
        "name": repo.name,
        "default": repo.default,
        "archived": repo.archived,
        "branches": dict(repo.branches),
        **{name: len(getattr(repo, name)) for name in counted},
        "changes": [
            {"number": pull.number, "title": pull.title, "state": pull.state, "draft": pull.draft}
            for pull in list(repo.pulls.values())[-20:]
        ],
    }
