"""What it costs to hear of something, in calls: what `quality.toml` says of the rule for that, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from connectors.contract import Deployed, RawDelivery
from sandbox.code import REPOSITORIES
from tests.connectors.azure_devops.conftest import API, SECRET, URL, Bench

CHANGE = ["getPull", "listThreads"]

Deed = tuple[str, Callable[[], Any], list[str]]


def deeds(bench: Bench) -> Iterator[Deed]:
    """One after the other: what is done, and what hearing of it costs besides the list of repositories."""
    host, ann, bob = bench.host, bench.ann, bench.bob
    yield "push to a branch", lambda: host.push(ann, API, "cart", "Add the cart"), ["getPush"]
    yield "open", lambda: host.open_pull(ann, API, "cart", "The cart", draft=True), CHANGE
    yield "comment", lambda: host.review(bob, API, 1, "commented"), CHANGE
    yield "approve", lambda: host.review(bob, API, 1, "approved"), CHANGE
    yield "merge", lambda: host.merge(bob, API, 1), [*CHANGE, "listPullCommits", "getPush", "listCommits"]
    yield "run", lambda: host.run(ann, API, "build"), ["getBuild"]
    yield "deploy", lambda: _deploy(bench), ["getBuild", "listEnvironments", "listRecords"]


def _deploy(bench: Bench) -> None:
    run = max(bench.host.repo(API).runs)
    deployment = bench.host.deploy(bench.ann, API, "production", run=run)
    bench.host.move_deployment(bench.ann, API, deployment.id, "success")
    bench.host.move_run(bench.ann, API, run, "success")


def test_hearing_of_each_thing_costs_the_calls_it_takes(azure: Bench):
    azure.sandbox.deliveries.pause()
    azure.connector().subscribe(URL, SECRET)
    heard: list[RawDelivery] = []
    for name, do, costs in deeds(azure):
        do()
        arrived = [one for one in azure.told() if one.body not in {known.body for known in heard}]
        azure.sandbox.calls.reset()
        assert azure.heard(arrived), name
        assert (name, azure.sandbox.calls.counts()) == (name, Counter(["listRepositories", *costs]))
        heard += arrived


def test_runs_heard_of_at_once_ask_once_for_what_was_deployed(azure: Bench):
    azure.sandbox.deliveries.pause()
    azure.connector().subscribe(URL, SECRET)
    for _ in range(3):
        azure.host.run(azure.ann, API, "build")
        _deploy(azure)
    azure.sandbox.calls.reset()
    assert len({event.what.id for event in azure.heard(azure.told()) if isinstance(event.what, Deployed)}) == 3
    costs = azure.sandbox.calls.counts()
    assert (costs["getBuild"], costs["listEnvironments"], costs["listRecords"]) == (3, 1, 1)


def test_a_poll_of_a_projects_repositories_asks_once_for_its_deployments(azure: Bench):
    for name in REPOSITORIES:
        azure.host.deploy(azure.ann, name, "production", run=azure.host.run(azure.ann, name, "build").id)
    connector = azure.connector(events=["deployment"])
    [listed] = connector.repositories()
    azure.sandbox.calls.reset()
    told = [event for repo in listed for page in connector.code_events(repo, None) for event in page.events]
    assert {event.repository for event in told} == {repo.external_id for repo in listed}
    costs = azure.sandbox.calls.counts()
    assert (costs["listEnvironments"], costs["listRecords"]) == (1, 1)


def test_a_deployment_made_after_a_poll_is_found_by_the_next_one_at_once(azure: Bench):
    connector = azure.connector(events=["deployment"])
    deployed = []
    for _ in range(2):
        azure.host.deploy(azure.ann, API, "production", run=azure.host.run(azure.ann, API, "build").id)
        [listed] = connector.repositories()
        pages = [page for repo in listed for page in connector.code_events(repo, None)]
        deployed.append(sum(isinstance(event.what, Deployed) for page in pages for event in page.events))
    assert deployed == [1, 2]
