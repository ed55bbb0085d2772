"""A fake GitHub that limits nobody, the connector that knows it, and what the host holds counted in our words: for
long histories, which GitHub's 5,000 calls an hour would make last for hours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from connectors.contract import (
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    Committed,
    Deployed,
    DeploymentMoved,
    Happening,
    PipelineRan,
    RateFacts,
    Released,
    Reviewed,
)
from connectors.github import GitHubConnector
from sandbox.code.values import Pull, Repo
from sandbox.github import GitHubSandbox
from sandbox.limits import Rate

REPOSITORY = "payments-api"
"""Where the history is; the other repository of the sandbox has a first commit and nothing else."""


class UnlimitedGitHub(GitHubSandbox):
    """Says that so much is left of the hour that nobody need wait."""

    rate = Rate(10**9, 3600.0)


def lift_limits() -> None:
    """For the rest of this process, the connector makes as many calls as it can. Its budget is kept all the same."""
    GitHubConnector.manifest = replace(GitHubConnector.manifest, rates=RateFacts(per_second=10_000, burst=10_000))


def told_by(repo: Repo) -> Counter[str]:
    """How many events of each type a ready-made history (`sandbox.code.history`) has, counted from what the host holds
    and from no answer of its API."""
    pulls = repo.pulls.values()
    counts: dict[type[Happening], int] = {
        ChangeOpened: len(pulls),
        ChangeReady: sum(map(_was_ready, pulls)),
        ChangeMerged: sum(pull.state == "merged" for pull in pulls),
        ChangeClosed: sum(pull.state == "closed" for pull in pulls),
        Reviewed: len(repo.reviews),
        Committed: len(repo.history(repo.branches[repo.default])),
        Deployed: len(repo.deployments),
        # That it was made is its first state here, and none at GitHub.
        DeploymentMoved: sum(len(one.states) - 1 for one in repo.deployments.values()),
        PipelineRan: len(repo.runs),
        Released: len(repo.releases),
    }
    return Counter({what.type: number for what, number in counts.items() if number})


def _was_ready(pull: Pull) -> bool:
    """Opened as no draft, or made ready later."""
    turns = [step.what for step in pull.timeline if step.what in ("drafted", "ready")]
    begun_as_draft = turns[0] == "ready" if turns else pull.draft
    return not begun_as_draft or "ready" in turns
