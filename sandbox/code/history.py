"""Ready-made histories: what a team of a code host did in the last months, put in place without telling anybody."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from sandbox.code.host import CodeHost
from sandbox.code.values import Pull, Repo

VERBS = ("Add", "Fix", "Speed up", "Remove", "Rename", "Test", "Document")
THINGS = ("the cart", "payment retries", "the login page", "rate limits", "the report", "old exports", "the cache")


def plant_history(
    host: CodeHost, repo: str, people: list[str], pulls: int, start: datetime, rng: Random, every: timedelta
) -> None:
    """Pull requests one after another from `start` (aware), one `every` so often (6 hours at least: so long one takes).

    They have commits, drafts and reviews; some are closed unmerged, the rest merged (half of them squashed), each merge
    run through the pipeline, every third one deployed and every fiftieth released. One deployment in ten fails."""
    with host.lock, host.past() as at:
        for number in range(pulls):
            began = start + number * every
            _one(host, host.repo(repo), people, rng, _Clockwork(at, began), number)


class _Clockwork:
    """Steps of a story in time."""

    def __init__(self, at: Callable[[datetime], None], began: datetime) -> None:
        self._at, self._now = at, began
        at(began)

    def later(self, minutes: float) -> None:
        """Let some time pass."""
        self._now += timedelta(minutes=minutes)
        self._at(self._now)


def _one(host: CodeHost, repo: Repo, people: list[str], rng: Random, clock: _Clockwork, number: int) -> None:
    author, reviewer = rng.sample(people, 2)
    branch, title = f"feature/{number}", f"{rng.choice(VERBS)} {rng.choice(THINGS)}"
    host.push(author, repo.name, branch, *(f"{title} ({n})" for n in range(rng.randint(1, 3))))
    clock.later(rng.randint(5, 90))
    pull = host.open_pull(author, repo.name, branch, title, draft=rng.random() < 0.2)
    clock.later(rng.randint(1, 60))
    if pull.draft:
        host.set_draft(author, repo.name, pull.number, draft=False)
        clock.later(5)
    _reviewed(host, repo, reviewer, author, rng, clock, pull)
    if rng.random() < 0.1:
        host.close(author, repo.name, pull.number)
        return
    host.merge(reviewer, repo.name, pull.number, squash=rng.random() < 0.5)
    clock.later(2)
    _ran(host, repo, author, clock)
    if number % 3 == 0:
        _deployed(host, repo, author, rng, clock)
    if number % 50 == 49:
        host.release(author, repo.name, f"v1.{number // 50}")


def _reviewed(
    host: CodeHost, repo: Repo, reviewer: str, author: str, rng: Random, clock: _Clockwork, pull: Pull
) -> None:
    if rng.random() < 0.3:
        host.review(reviewer, repo.name, pull.number, "changes_requested", "Please add a test.")
        clock.later(rng.randint(10, 120))
        host.push(author, repo.name, pull.source, "Add a test")
        clock.later(5)
    host.review(reviewer, repo.name, pull.number, "approved")
    clock.later(rng.randint(1, 30))


def _ran(host: CodeHost, repo: Repo, who: str, clock: _Clockwork) -> None:
    run = host.run(who, repo.name, "build")
    clock.later(1)
    host.move_run(who, repo.name, run.id, "running")
    clock.later(4)
    host.move_run(who, repo.name, run.id, "success")
    clock.later(1)


def _deployed(host: CodeHost, repo: Repo, who: str, rng: Random, clock: _Clockwork) -> None:
    deployment = host.deploy(who, repo.name, "production", run=next(reversed(repo.runs), None))
    clock.later(1)
    host.move_deployment(who, repo.name, deployment.id, "running")
    clock.later(3)
    host.move_deployment(who, repo.name, deployment.id, "failed" if rng.random() < 0.1 else "success")
    clock.later(1)
