"""The code host that fake source control vendors are made of: what people do there, and what is told of it."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from sandbox.clock import ManualClock
from sandbox.code import CodeHost, Deed, Kind
from sandbox.code.history import plant_history
from sandbox.errors import VendorError

API = "payments-api"


@pytest.fixture
def host() -> CodeHost:
    made = CodeHost(ManualClock())
    made.create_repo(API, "ann")
    return made


@pytest.fixture
def told(host: CodeHost) -> list[Deed]:
    deeds: list[Deed] = []
    host.listeners.append(deeds.append)
    return deeds


def test_a_change_is_opened_reviewed_and_merged_with_its_commits(host: CodeHost, told: list[Deed]) -> None:
    host.push("ann", API, "feature", "Add the cart", "Test the cart")
    pull = host.open_pull("ann", API, "feature", "Cart")
    host.review("bob", API, pull.number, "approved")
    merged = host.merge("bob", API, pull.number)
    repo = host.repo(API)
    assert [deed.kind for deed in told] == ["pushed", "opened", "reviewed", "merged", "pushed"]
    assert len(merged.commits) == 2
    assert repo.commits[str(merged.merge_sha)].parents == (repo.commits[merged.commits[0]].parents[0], merged.head)
    assert repo.branches["main"] == merged.merge_sha
    assert repo.history(merged.merge_sha)[0].sha == merged.merge_sha


def test_a_squash_brings_one_commit_to_the_default_branch(host: CodeHost) -> None:
    host.push("ann", API, "feature", "One", "Two")
    merged = host.merge("bob", API, host.open_pull("ann", API, "feature", "Cart").number, squash=True)
    repo = host.repo(API)
    assert {commit.message for commit in repo.history(merged.merge_sha)} == {"Initial commit", "Cart (#1)"}


def test_commits_pushed_to_an_open_change_belong_to_it(host: CodeHost, told: list[Deed]) -> None:
    host.push("ann", API, "feature", "One")
    host.open_pull("ann", API, "feature", "Cart", draft=True)
    host.push("ann", API, "feature", "Two")
    forced = host.force_push("ann", API, "feature", "Two again")
    pull = host.pull(API, 1)
    assert (len(pull.commits), pull.head) == (2, forced.after)
    assert [step.what for step in pull.timeline] == ["opened", "pushed", "pushed"]
    assert told[-1].kind is Kind.EDITED


def test_a_change_closed_and_opened_again_keeps_the_times_of_both(host: CodeHost) -> None:
    host.push("ann", API, "feature", "One")
    host.open_pull("ann", API, "feature", "Cart")
    host.close("ann", API, 1)
    host.reopen("ann", API, 1)
    steps = host.pull(API, 1).timeline
    assert [step.what for step in steps] == ["opened", "closed", "reopened"]
    assert steps[0].at < steps[1].at < steps[2].at
    with pytest.raises(VendorError):
        host.reopen("ann", API, 1)


def test_a_run_tried_again_begins_anew(host: CodeHost) -> None:
    run = host.run("ann", API, "build")
    host.move_run("ann", API, run.id, "failed")
    again = host.rerun("ann", API, run.id)
    assert (again.id, again.attempt, again.state) == (run.id, 2, "queued")


def test_an_archived_repository_takes_nothing_more(host: CodeHost) -> None:
    host.archive("ann", API)
    with pytest.raises(VendorError):
        host.push("ann", API, "main", "More")


def test_a_planted_history_is_told_to_nobody_lies_in_the_past_and_is_the_same_each_time(
    host: CodeHost, told: list[Deed]
) -> None:
    start = host.clock.now() - timedelta(days=30)
    plant_history(host, API, ["ann", "bob", "cleo"], 60, start, Random(1), timedelta(hours=6))
    twin = CodeHost(ManualClock())
    twin.create_repo(API, "ann")
    plant_history(twin, API, ["ann", "bob", "cleo"], 60, start, Random(1), timedelta(hours=6))
    repo = host.repo(API)
    assert told == []
    assert (repo.pulls, repo.deployments) == (twin.repo(API).pulls, twin.repo(API).deployments)
    assert {pull.state for pull in repo.pulls.values()} == {"closed", "merged"}
    assert all(start <= pull.created < host.clock.now() for pull in repo.pulls.values())
    assert len(repo.deployments) > 10
    assert len(repo.releases) >= 1
