"""Repositories that are renamed, archived, hidden or deleted: it is seen, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import CODE, Finding, Rule, Tier

GONE = ("hide", "delete")
HOUR = 3600


def seen(bench: Bench) -> Iterator[Finding]:
    """After each of these the repository's state says so, its events stay, and the other one goes on."""
    for deed in ("rename", "archive", *GONE):
        bench.begin()
        yield from _seen(bench, deed)


def _seen(bench: Bench, deed: str) -> Iterator[Finding]:
    there = bench.code.repositories()[1]
    before = {row["key"] for row in bench.code_events()}
    if there.id not in bench.followed():
        yield Finding(f"{there.name} is not followed", "Name it in repositories().")
        return
    if not bench.code.do(deed, 1):
        return
    _look(bench)
    row = bench.followed()[there.id]
    healthy = bench.integration()["sync_status"] == "healthy"
    if deed == "rename" and row["name"].endswith(there.name) and healthy:
        yield Finding(
            f"{there.name} was renamed, and nobody can see it",
            "Answer LookAgain for it, and give the new name; or leave it out of repositories() when it is not found.",
        )
    if deed == "archive" and row["state"] != "archived":
        yield Finding(
            f"{there.name} was archived, and is {row['state']} here", "Give `archived`, and LookAgain when it changes."
        )
    if deed in GONE and (row["state"] != "gone" or healthy):
        yield Finding(
            f"{there.name} can't be seen any more ({deed}), and is {row['state']} in an integration that is "
            f"{bench.integration()['sync_status']}",
            "Leave it out of repositories(), raise NotFound from code_events, and answer LookAgain when it is told.",
        )
    lost = before - {event["key"] for event in bench.code_events()}
    if lost:
        yield Finding(f"after {deed}, {len(lost)} events went", "Leave that to the engine: what happened stays.")
    yield from _other_goes_on(bench, deed)
    if deed == "hide":
        yield from _comes_back(bench, there.id)


def _look(bench: Bench) -> None:
    bench.hear()
    for _ in range(2):
        bench.wait(HOUR)
        bench.tick()


def _other_goes_on(bench: Bench, deed: str) -> Iterator[Finding]:
    known = len(bench.code_events())
    bench.code.do("open", 0)
    _look(bench)
    if len(bench.code_events()) <= known:
        yield Finding(f"after {deed} of one repository nothing comes of the other one", "See code-fails-alone.")


def _comes_back(bench: Bench, repository: str) -> Iterator[Finding]:
    bench.code.do("show", 1)
    bench.code.do("open", 1)
    bench.arriving()
    known = len(bench.code_events())
    for _ in range(3):
        bench.wait(24 * HOUR)
        bench.tick()
    bench.rest()
    if bench.followed()[repository]["state"] != "live" or len(bench.code_events()) <= known:
        yield Finding("a repository that was hidden and is seen again is not read", "Name it in repositories() again.")


RULES = (
    Rule(
        "code-repository-ends-seen",
        Tier.GOLD,
        "A renamed, archived, hidden or deleted repository is seen here, and nothing is lost.",
        executed=seen,
        needs=CODE,
    ),
)
