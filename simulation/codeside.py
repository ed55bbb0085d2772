"""Any fake source control vendor, and the connector that is shipped for it, as the conformance kit's vendor.

A new vendor's side subclasses `CodeSide` and names its classes, its fixtures, the header with a delivery's id, what its
config has besides, and what the vendor does not have:

    class ForgeSide(CodeSide):
        name = "forge"
        connector_class = ForgeConnector
        sandbox_class = ForgeSandbox
        delivery_header = "x-forge-id"
        fixtures = Path(connectors.forge.__file__).with_name("fixtures")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from connectors.contract import Config, capabilities
from connectors.kit.codepeople import DEEDS, There
from sandbox.code import REPOSITORIES, CodeHost, CodeSandbox, Repo
from sandbox.errors import VendorError
from sandbox.vendor import TrackerSandbox
from simulation.sandboxside import SandboxSide

FINAL = frozenset({"success", "failed", "cancelled"})

PAST = 2
"""Changes of each repository before the integration is connected."""

REVIEWER = "Ann Archer"
AUTHOR = "Bob Baker"


class CodeSide(SandboxSide):
    """People at a fake source control vendor.

    has_not     deeds nobody can do there (of `connectors.kit.codepeople.DEEDS`)
    kinds       kind of the contract -> what the config's `events` calls it, where that has other names
    only_live   as `connectors.kit.codepeople.CodePeople` says
    tells_not   what the vendor tells in no way of hearing, of the types of events
    """

    status_names: ClassVar[Mapping[str, str]] = {}
    priority_names: ClassVar[Mapping[str, str]] = {}
    has_not: ClassVar[frozenset[str]] = frozenset()
    kinds: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    only_live: ClassVar[frozenset[str]] = frozenset()
    tells_not: ClassVar[frozenset[str]] = frozenset()
    sandbox: CodeSandbox

    @property
    def host(self) -> CodeHost:
        """What the vendor holds."""
        return self.sandbox.host

    def prepare(self, sandbox: TrackerSandbox) -> None:
        """Both repositories have a past."""
        for slot in range(len(REPOSITORIES)):
            self.plant_changes(PAST, slot)

    # --- the integration ---

    def config(self) -> dict[str, Any]:
        """Both repositories by name; a poll every minute. A vendor's owner is added by its own side."""
        return {"poll_seconds": 60, "repositories": list(REPOSITORIES)}

    def made_config(self, **config: Any) -> Config:
        """The config with what is given."""
        return self.connector_class.manifest.config.model_validate({**self.config(), **config})

    def repository_id(self, repo: Repo) -> str:
        """The vendor's immutable id, as `external_id` gives it."""
        return str(repo.id)

    # --- people ---

    def create(self, title: str, slot: int) -> str | None:
        """An item, where the connector reads any."""
        return super().create(title, slot) if "task_source" in capabilities(self.connector_class) else None

    def repositories(self) -> list[There]:
        """What is there, in the order of birth."""
        return [self._named(repo) for repo in self.host.repos.values()]

    def do(self, deed: str, repo: int = 0) -> bool:
        """Do something in a repository, to the newest there is to do it to. False: the vendor has no such thing."""
        if deed in self.has_not:
            return False
        home = self._home(repo)
        with self.host.lock:
            _DO[deed](_Team(self.host, home, *(self.sandbox.tracker.user(who).id for who in (AUTHOR, REVIEWER))))
        return True

    def _home(self, slot: int) -> Repo:
        return list(self.host.repos.values())[slot]

    def add(self, name: str) -> There:
        """Another repository."""
        return self._named(self.sandbox.add_repo(name))

    def _named(self, repo: Repo) -> There:
        return There(self.repository_id(repo), repo.name, repo.archived)

    def followed_as(self, kind: str) -> tuple[str, ...]:
        """In the config's words."""
        return self.kinds.get(kind, (str(kind),))

    def plant_changes(self, count: int, repo: int = 0) -> None:
        """A history of so many changes, without webhooks."""
        self.sandbox.plant_history(count, self._home(repo).name, every=timedelta(hours=6))

    def happened_in(self, repo: str) -> Counter[str]:
        """What there is to tell of a repository, counted by `type` or `type:detail`; also of one that is gone."""
        [home] = [
            one for one in (*self.host.repos.values(), *self.host.gone.values()) if self.repository_id(one) == repo
        ]
        return Counter(
            {what: count for what, count in _truth(home).items() if what.partition(":")[0] not in self.tells_not}
        )


class _Team:
    """Two people and a repository."""

    def __init__(self, host: CodeHost, repo: Repo, author: str, reviewer: str) -> None:
        self.host, self.repo, self.author, self.reviewer = host, repo, author, reviewer

    def open(self, draft: bool = False) -> None:
        number = len(self.repo.pulls) + 1
        branch = f"topic/{self.host.number()}"
        self.host.push(self.author, self.repo.name, branch, f"Begin {number}", f"Go on with {number}")
        self.host.open_pull(self.author, self.repo.name, branch, f"Change {number}", draft=draft)

    def newest(self, state: str) -> int:
        found = [pull.number for pull in self.repo.pulls.values() if pull.state == state]
        if not found:
            raise VendorError(422, f"There is no change that is {state}.")
        return found[-1]

    def review(self, state: str) -> None:
        self.host.review(self.reviewer, self.repo.name, self.newest("open"), state, "Read it.")

    def move_deployment(self, state: str) -> None:
        self.host.move_deployment(self.author, self.repo.name, max(self.repo.deployments), state)

    def move_run(self, state: str) -> None:
        self.host.move_run(self.author, self.repo.name, max(self.repo.runs), state)

    def approval(self) -> int:
        return max(review.id for review in self.repo.reviews.values() if review.state == "approved")


_DO: Mapping[str, Callable[[_Team], Any]] = {
    "push": lambda t: t.host.push(t.author, t.repo.name, t.repo.default, "Straight to the default branch"),
    "open": _Team.open,
    "draft": lambda t: t.open(draft=True),
    "ready": lambda t: t.host.set_draft(t.author, t.repo.name, t.newest("open"), draft=False),
    "add": lambda t: t.host.push(t.author, t.repo.name, t.repo.pulls[t.newest("open")].source, "As you said"),
    "retitle": lambda t: t.host.retitle(t.author, t.repo.name, t.newest("open"), "Another title"),
    "request": lambda t: t.review("changes_requested"),
    "comment": lambda t: t.review("commented"),
    "approve": lambda t: t.review("approved"),
    "dismiss": lambda t: t.host.dismiss(t.author, t.repo.name, t.approval()),
    "merge": lambda t: t.host.merge(t.reviewer, t.repo.name, t.newest("open")),
    "squash": lambda t: t.host.merge(t.reviewer, t.repo.name, t.newest("open"), squash=True),
    "close": lambda t: t.host.close(t.author, t.repo.name, t.newest("open")),
    "reopen": lambda t: t.host.reopen(t.author, t.repo.name, t.newest("closed")),
    "deploy": lambda t: t.host.deploy(t.author, t.repo.name, "production", run=max(t.repo.runs, default=None)),
    "deploying": lambda t: t.move_deployment("running"),
    "deployed": lambda t: t.move_deployment("success"),
    "undeployed": lambda t: t.move_deployment("failed"),
    "run": lambda t: t.host.run(t.author, t.repo.name, "build"),
    "running": lambda t: t.move_run("running"),
    "ran": lambda t: t.move_run("success"),
    "broke": lambda t: t.move_run("failed"),
    "rerun": lambda t: t.host.rerun(t.author, t.repo.name, max(t.repo.runs)),
    "release": lambda t: t.host.release(t.author, t.repo.name, f"v{len(t.repo.releases) + 1}.0"),
    "rename": lambda t: t.host.rename(t.author, t.repo.name, f"{t.repo.name}-renamed"),
    "archive": lambda t: t.host.archive(t.author, t.repo.name),
    "unarchive": lambda t: t.host.archive(t.author, t.repo.name, archived=False),
    "delete": lambda t: t.host.delete_repo(t.author, t.repo.name),
    "hide": lambda t: setattr(t.repo, "members", frozenset({t.author, t.reviewer})),
    "show": lambda t: setattr(t.repo, "members", None),
}
assert set(_DO) == set(DEEDS)


def _truth(repo: Repo) -> Counter[str]:
    """What certainly happened: what cannot be told in two ways, or has no lasting trace, is left out."""
    found = Counter(f"code.commit:{sha}" for sha in repo.mainline)
    found["code.pull_request_opened"] = len(repo.pulls)
    for pull in repo.pulls.values():
        found["code.pull_request_closed"] += sum(step.what == "closed" for step in pull.timeline)
        found["code.pull_request_reopened"] += sum(step.what == "reopened" for step in pull.timeline)
        if pull.merge_sha is not None:
            found[f"code.pull_request_merged:{pull.merge_sha}"] += 1
    found.update(f"code.review_submitted:{r.given}" for r in repo.reviews.values() if r.given == "approved")
    found.update(f"code.deployment:{deployment.sha}" for deployment in repo.deployments.values())
    found.update(f"code.deployment_status:{one.state}" for one in repo.deployments.values() if one.state in FINAL)
    found.update(f"code.pipeline_run:{one.state}" for one in repo.runs.values() if one.state in FINAL)
    found.update(f"code.release:{release.tag}" for release in repo.releases.values())
    return +found


def code_side(side: object) -> CodeSide:
    """A side as one of code. Raises TypeError."""
    if not isinstance(side, CodeSide):
        raise TypeError(f"{type(side).__name__} is no CodeSide: a connector with code_source needs one")
    return side
