"""The demo's code hosts, and the developers at work in one."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from cli.demo.crew import Crew, Scene
from cli.demo.vendor import KitVendor
from sandbox.code import REPOSITORIES, CodeSandbox
from sandbox.faults import FaultKind

REPOSITORY = REPOSITORIES[0]

HISTORY = 6
"""Pull requests a host had before: their reading leaves most of GitHub's first sixty calls to what comes."""


class CodeHostTool(KitVendor):
    """A code host with two repositories, connected with a token.

    poll_seconds   between two polls: as many as the vendor's limits allow while it is also asked of what webhooks tell
    pause          seconds between two deeds: what they are told by costs a call or several each
    told_on_merge  the webhooks that tell of a merge, and how many of them each merge brings
    """

    kind = "host"
    sandbox_class: ClassVar[type[CodeSandbox]]
    sandbox: CodeSandbox
    poll_seconds: ClassVar[int]
    pause: ClassVar[tuple[float, float]]
    told_on_merge: ClassVar[tuple[str, int]]

    def __init__(self, seed: int, items: int) -> None:
        """However many items tools start with, a host has the same history."""
        super().__init__(seed, items)
        self.sandbox = self.sandbox_class(seed=seed)
        self.sandbox.plant_history(HISTORY, REPOSITORY)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What the integration's config has besides the repositories."""

    @abstractmethod
    def credentials(self) -> dict[str, Any]:
        """The robot's token."""

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """The config of the platform's own example. Code belongs to no service line."""
        config = {**self.config(), "repositories": list(REPOSITORIES), "poll_seconds": self.poll_seconds}
        return {"config": config, "credentials": self.credentials()}

    def held(self) -> Counter[str]:
        """How many changes of each state, reviews and deployments there are."""
        with self.sandbox.host.lock:
            repos = list(self.sandbox.host.repos.values())
            states = Counter(f"{pull.state} changes" for repo in repos for pull in repo.pulls.values())
            return states + Counter(
                {
                    "reviews": sum(len(repo.reviews) for repo in repos),
                    "deployments": sum(len(repo.deployments) for repo in repos),
                }
            )


class Developers(Crew):
    """They push, open, review, merge and deploy."""

    def __init__(self, tool: CodeHostTool, seed: int) -> None:
        super().__init__(seed)
        self.pause = tool.pause
        self._tool, self._host = tool, tool.sandbox.host
        self._people = sorted(set(tool.sandbox.tracker.users) - {tool.sandbox.robot.id})
        self._branches = 0

    def scenes(self) -> Sequence[Scene]:
        """A change is opened, reviewed and merged, and some merges nobody tells us of."""
        return [(self._locked(do), 1) for do in (self._opens, self._reviews, self._merges, self._merges_unheard)]

    def _locked(self, do: Callable[[], None]) -> Callable[[], None]:
        def scene() -> None:
            with self._host.lock:
                do()

        return scene

    def _opens(self) -> None:
        self._branches += 1
        who, branch = self.rng.choice(self._people), f"demo/{self._branches}"
        self._host.push(who, REPOSITORY, branch, f"Change number {self._branches}")
        self._host.open_pull(who, REPOSITORY, branch, f"Change number {self._branches}")

    def _reviews(self) -> None:
        number = self._open_one()
        if number is None:
            return self._opens()
        author = self._host.pull(REPOSITORY, number).author
        reviewer = self.rng.choice([who for who in self._people if who != author])
        self._host.review(reviewer, REPOSITORY, number, self.rng.choice(("approved", "changes_requested")))
        return None

    def _merges(self) -> None:
        """And what is merged is built and deployed."""
        number = self._open_one()
        if number is None:
            return self._opens()
        who = self.rng.choice(self._people)
        self._host.merge(who, REPOSITORY, number, squash=self.rng.random() < 0.5)
        run = self._host.run(who, REPOSITORY, "build")
        self._host.move_run(who, REPOSITORY, run.id, "running")
        made = self._host.deploy(who, REPOSITORY, "production", run=run.id)
        self._host.move_deployment(who, REPOSITORY, made.id, "running")
        self._host.move_deployment(who, REPOSITORY, made.id, "success")
        self._host.move_run(who, REPOSITORY, run.id, "success")
        return None

    def _merges_unheard(self) -> None:
        """Nobody tells us of a merge: the next poll finds it."""
        event, count = self._tool.told_on_merge
        self._tool.sandbox.faults.add(FaultKind.WEBHOOK_DROP, operation=event, count=count)
        self._merges()

    def _open_one(self) -> int | None:
        pulls = self._host.repo(REPOSITORY).pulls
        waiting = [number for number, pull in pulls.items() if pull.state == "open"]
        return self.rng.choice(waiting) if waiting else None
