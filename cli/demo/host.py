"""The demo's code host: a fake GitHub in which developers work, and what we hold of what they did."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from sandbox.code.values import Deed
from sandbox.errors import VendorError
from sandbox.faults import FaultKind
from sandbox.github import GitHubSandbox
from sandbox.server import ServerHandle
from sandbox.vendor import API_TOKEN

REPOSITORY = "payments-api"
PAUSE = (1.5, 3.5)
"""Seconds between two deeds. GitHub allows 1.3 calls a second in the long run, and a merge costs two or three."""


class CodeHostTool:
    """A GitHub organization with two repositories, connected with a token; it had `history` pull requests before."""

    type: ClassVar[str] = "github"
    label: ClassVar[str] = "GitHub"

    def __init__(self, seed: int, history: int) -> None:
        self.sandbox = GitHubSandbox(seed=seed)
        self.sandbox.plant_history(history, REPOSITORY)

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.sandbox.url

    def serve(self, port: int, host: str) -> ServerHandle:
        """Over real HTTP."""
        return self.sandbox.serve(port, host)

    def endpoints(self) -> Mapping[str, str]:
        """The connector's endpoints -> where they are here."""
        return {"api": self.url}

    def connection(self) -> dict[str, Any]:
        """The config of the platform's own example, with pipelines, and the robot's token."""
        config = {
            "organization": self.sandbox.owner,
            "repositories": [REPOSITORY, "payments-worker"],
            "events": ["push", "pull_request", "deployment", "workflow_run", "release"],
        }
        return {"config": config, "credentials": {"token": API_TOKEN}}

    def listened(self) -> bool:
        """Whether the integration has registered its webhooks."""
        return bool(list(self.sandbox.hooks.live()))

    def pending(self) -> int:
        """Webhooks that are still to be sent."""
        return self.sandbox.deliveries.pending()

    def calls(self) -> int:
        """How often it was called."""
        return sum(self.sandbox.calls.counts().values())

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


class Developers:
    """They push, open, review, merge and deploy in a thread of their own; `done` counts what they did."""

    def __init__(self, tool: CodeHostTool, seed: int) -> None:
        self._tool, self._rng = tool, Random(seed)
        self._host, self._people = tool.sandbox.host, sorted(set(tool.sandbox.tracker.users) - {tool.sandbox.robot.id})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="developers", daemon=True)
        self._branches = 0
        self.done: Counter[str] = Counter()
        self.troubles: list[str] = []
        self._host.listeners.append(self._count)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand and go home."""
        self._stop.set()
        self._thread.join()

    def _count(self, deed: Deed) -> None:
        self.done[deed.kind] += 1

    def _work(self) -> None:
        while not self._stop.wait(self._rng.uniform(*PAUSE)):
            try:
                with self._host.lock:
                    self._rng.choice((self._opens, self._reviews, self._merges, self._merges_unheard))()
            except VendorError as error:
                self.troubles.append(str(error))

    def _opens(self) -> None:
        self._branches += 1
        who, branch = self._rng.choice(self._people), f"demo/{self._branches}"
        self._host.push(who, REPOSITORY, branch, f"Change number {self._branches}")
        self._host.open_pull(who, REPOSITORY, branch, f"Change number {self._branches}")

    def _reviews(self) -> None:
        number = self._open_one()
        if number is None:
            return self._opens()
        author = self._host.pull(REPOSITORY, number).author
        reviewer = self._rng.choice([who for who in self._people if who != author])
        self._host.review(reviewer, REPOSITORY, number, self._rng.choice(("approved", "changes_requested")))
        return None

    def _merges(self) -> None:
        """And what is merged is deployed."""
        number = self._open_one()
        if number is None:
            return self._opens()
        who = self._rng.choice(self._people)
        self._host.merge(who, REPOSITORY, number, squash=self._rng.random() < 0.5)
        made = self._host.deploy(who, REPOSITORY, "production")
        self._host.move_deployment(who, REPOSITORY, made.id, "success")
        return None

    def _merges_unheard(self) -> None:
        """Nobody tells us of a merge: the next poll finds it."""
        self._tool.sandbox.faults.add(FaultKind.WEBHOOK_DROP, operation="pull_request", count=1)
        self._merges()

    def _open_one(self) -> int | None:
        pulls = self._host.repo(REPOSITORY).pulls
        waiting = [number for number, pull in pulls.items() if pull.state == "open"]
        return self._rng.choice(waiting) if waiting else None
