"""What it costs to hear of something, in calls: what `quality.toml` says of the rule for that, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from connectors.bitbucket.client import BitbucketClient
from connectors.contract import ChangeMerged
from tests.connectors.bitbucket.conftest import API, Bench

CHANGE = {"listChanges": 1, "listActivity": 1}
MERGE = CHANGE | {"listChangeCommits": 1, "getDiffstat": 1}
PUSH = {"getRepository": 1}
RUN = {"getPipeline": 1, "listDeployments": 1}

Deed = tuple[str, Callable[[], Any], dict[str, int]]


def deeds(bench: Bench) -> Iterator[Deed]:
    """One after the other: what is done, and what hearing of it costs."""
    host, ann, bob = bench.host, bench.ann, bench.bob
    yield "push to a branch", lambda: host.push(ann, API, "cart", "Add the cart"), PUSH
    yield "open", lambda: host.open_pull(ann, API, "cart", "The cart", draft=True), {}
    yield "ready", lambda: host.set_draft(ann, API, 1, draft=False), CHANGE
    yield "comment", lambda: host.review(bob, API, 1, "commented"), {}
    yield "approve", lambda: host.review(bob, API, 1, "approved"), {}
    yield "merge", lambda: host.merge(bob, API, 1), MERGE | PUSH | {"listCommits": 1}
    yield "run", lambda: host.run(ann, API, "build"), RUN
    yield "ran", lambda: host.move_run(ann, API, max(host.repo(API).runs), "success"), RUN
    yield "push", lambda: host.push(ann, API, "main", "One", "Two"), PUSH | {"listCommits": 1}
    yield "another change", lambda: _opened(bench), PUSH
    yield "close", lambda: host.close(ann, API, 2), CHANGE


def _opened(bench: Bench) -> None:
    bench.host.push(bench.ann, API, "worse", "Worse")
    bench.host.open_pull(bench.ann, API, "worse", "Worse")


def test_hearing_of_each_thing_costs_the_calls_it_takes(still: Bench) -> None:
    still.subscribe()
    for name, do, costs in deeds(still):
        do()
        still.sandbox.calls.reset()
        assert still.told(), name
        assert (name, still.calls()) == (name, costs)


def test_merges_heard_of_at_once_ask_once_for_the_changes_and_once_for_the_commits(still: Bench) -> None:
    still.subscribe()
    for number in range(1, 5):
        still.host.push(still.ann, API, f"topic/{number}", "Work")
        still.host.open_pull(still.ann, API, f"topic/{number}", "Work")
        still.host.merge(still.bob, API, number)
    still.sandbox.calls.reset()
    told = still.told()
    assert sum(isinstance(event.what, ChangeMerged) for event in told) == 4
    each = {"listActivity": 4, "listChangeCommits": 4, "getDiffstat": 4}
    assert still.calls() == {"getRepository": 1, "listCommits": 1, "listChanges": 1, **each}


def test_a_change_beyond_the_last_updated_ones_is_asked_for_by_itself(still: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr(BitbucketClient, "last_changes", lambda self, repository: [])
    still.subscribe()
    _opened(still)
    still.host.close(still.ann, API, 1)
    still.sandbox.calls.reset()
    assert "code.pull_request_closed" in {event.what.type for event in still.told()}
    assert still.calls()["getChange"] == 1


def test_what_is_heard_at_once_asks_once_for_what_it_shares(still: Bench) -> None:
    still.subscribe()
    for branch in ("one", "two", "three"):
        still.host.push(still.ann, API, branch, branch)
    runs = [still.host.run(still.ann, API, "build") for _ in range(3)]
    still.sandbox.calls.reset()
    still.told()
    assert still.calls() == {"getRepository": 1, "getPipeline": len(runs), "listDeployments": 1}
