"""Reading a planted history from the Bitbucket sandbox, from the start, from where it was interrupted, and onwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import (
    ChangeMerged,
    CodeEvent,
    CodeKind,
    CodeRef,
    Committed,
    Deployed,
    DeploymentMoved,
    NotFound,
    PipelineRan,
    RateLimited,
    RefKind,
    RunState,
)
from connectors.http import Unlimited
from sandbox.bitbucket.render import uuid
from sandbox.code import Repo
from sandbox.faults import FaultKind
from tests.connectors.bitbucket.conftest import API, WORKER, Bench, keyed, kinds


@pytest.fixture
def planted(still: Bench) -> Bench:
    still.sandbox.plant_history(130)
    return still


def expected(repo: Repo) -> dict[str, Any]:
    """What a reading has to find, by key, as the host holds it: the times of all events."""
    home, found = uuid("repository", repo.id), {}
    for pull in repo.pulls.values():
        change = f"change:{pull.number}"
        found[f"{change}:opened"] = pull.created
        ready = [step.at for step in pull.timeline if step.what == "ready"]
        found[f"{change}:ready"] = ready[0] if ready else pull.created
        if pull.state == "merged":
            found[f"{change}:merged"] = pull.closed
        elif pull.closed is not None:
            found[f"{change}:closed:{int(pull.closed.timestamp())}"] = pull.closed
    for review in repo.reviews.values():
        who = uuid("user", int(review.author.strip("U")))
        found[f"review:{review.number}:{review.state}:{who}:{int(review.at.timestamp())}"] = review.at
    for sha in {commit.sha for commit in repo.history(repo.branches[repo.default])}:
        found[f"commit:{sha}"] = repo.commits[sha].authored
    for run in repo.runs.values():
        found[f"run:{uuid('pipeline', run.id)}:1:{run.state}"] = run.states[-1].at
    for deployment in repo.deployments.values():
        key, began = f"deployment:{uuid('deployment', deployment.id)}", deployment.states[1].at
        found |= {key: began, f"{key}:running": began, f"{key}:{deployment.state}": deployment.states[-1].at}
    return {f"{home}:{key}": at for key, at in found.items()}


def test_a_planted_history_is_read_whole(planted: Bench):
    events, _ = planted.read()
    assert len(keyed(events)) == len(events)
    assert {event.key: event.at for event in events} == expected(planted.host.repo(API))


def test_merged_changes_have_their_commits_lines_and_whole_hashes(planted: Bench):
    repo = planted.host.repo(API)
    merged = [event.what for event in planted.read()[0] if isinstance(event.what, ChangeMerged)]
    assert {repo.pulls[int(what.number)].squashed for what in merged} == {True, False}
    for what in merged:
        pull = repo.pulls[int(what.number)]
        own = [repo.commits[sha] for sha in pull.commits]
        assert (what.merge_sha, what.head_sha, what.target_branch) == (pull.merge_sha, pull.head, "main")
        assert (what.first_commit_at, what.commits) == (min(commit.authored for commit in own), len(own))
        assert what.additions == sum(commit.additions for commit in own)
        assert what.deletions == sum(commit.deletions for commit in own)
        assert what.changed_files == len(own)
        assert what.by is not None
        assert what.by.id == uuid("user", int(str(pull.closed_by).strip("U")))


def test_every_pages_cursor_allows_carrying_on_after_it(planted: Bench):
    whole = keyed(planted.read()[0])
    repository, before = planted.repository(), list[CodeEvent]()
    pages = list(planted.connector().code_events(repository, None))
    assert len(pages) > 30
    for page in pages[:: len(pages) // 12]:
        rest, last = planted.read(page.cursor)
        before = [event for earlier in pages[: pages.index(page) + 1] for event in earlier.events]
        assert keyed(before + rest) == whole
        assert set(last) == {"changes", "commits", "runs", "deployments"}
        assert planted.read(last)[0] == planted.read(pages[-1].cursor)[0]


def test_a_first_reading_says_how_far_it_has_come(planted: Bench):
    pages = list(planted.connector(events=["pull_request"]).code_events(planted.repository(), None))
    assert {page.total for page in pages} == {130}
    done = [page.done or 0 for page in pages]
    assert (done, done[-1]) == (sorted(done), 130)
    [again] = planted.connector(events=["pull_request"]).code_events(planted.repository(), pages[-1].cursor)
    assert (again.done, again.total) == (None, None)


class Burst(Unlimited):
    """A budget of so many calls."""

    def __init__(self, calls: int, until: Any) -> None:
        self.left, self.until = calls, until

    def take(self, cost: float) -> None:
        if self.left < cost:
            raise RateLimited("the budget is spent", self.until)
        self.left -= int(cost)


@pytest.mark.parametrize("calls", [40, 12], ids=["a small burst", "what comes back in a minute"])
def test_a_budget_smaller_than_a_page_still_reads_everything(planted: Bench, calls: int):
    whole, repository = keyed(planted.read()[0]), planted.repository()
    found, cursor, rounds = list[CodeEvent](), None, 0
    while True:
        planted.budget = Burst(calls, planted.clock.now())  # type: ignore[assignment]
        rounds += 1
        try:
            for page in planted.connector().code_events(repository, cursor):
                found, cursor = [*found, *page.events], page.cursor
            break
        except RateLimited:
            assert rounds < 100, "it makes no progress"
    assert rounds > 10
    assert keyed(found) == whole


def test_an_increment_costs_four_calls_and_brings_only_what_is_new(planted: Bench):
    known, cursor = planted.read()
    repository = planted.repository()
    planted.sandbox.calls.reset()
    again = [event for page in planted.connector().code_events(repository, cursor) for event in page.events]
    assert planted.calls() == {"listChanges": 1, "listCommits": 1, "listPipelines": 1, "listDeployments": 1}
    assert (len(again) < 10, keyed(again).keys() - keyed(known).keys()) == (True, set())
    planted.host.push(planted.ann, API, "late", "Late")
    planted.host.open_pull(planted.ann, API, "late", "Late")
    new = keyed(planted.read(cursor)[0]).keys() - keyed(known).keys()
    assert {key.rpartition(":")[2] for key in new} == {"opened", "ready"}


def test_a_change_is_not_read_again_for_the_overlap_alone(still: Bench):
    still.host.push(still.ann, API, "a", "A")
    number = still.host.open_pull(still.ann, API, "a", "A").number
    _, cursor = still.read()
    still.sandbox.calls.reset()
    _, cursor = still.read(cursor)
    assert "listActivity" not in still.calls()
    still.host.review(still.bob, API, number, "approved")
    assert "review_submitted" in kinds(still.read(cursor)[0])
    assert still.calls()["listActivity"] == 1


def test_more_changes_of_one_second_than_a_page_holds_are_all_read(still: Bench):
    repo, numbers = still.host.repo(API), range(120)
    for number in numbers:
        still.host.push(still.ann, API, f"b{number}", "B")
        still.host.open_pull(still.ann, API, f"b{number}", f"B{number}")
    last = max(pull.updated for pull in repo.pulls.values())
    with still.host.past() as at:
        for number in numbers:
            at(last)
            still.host.retitle(still.ann, API, number + 1, f"C{number}")
    events, _ = still.read(events=["pull_request"])
    assert kinds(events).count("pull_request_opened") == 120


def test_history_days_bound_the_first_reading(planted: Bench):
    start = planted.clock.now() - timedelta(days=10)
    whole, some = planted.read()[0], planted.read(history_days=10)[0]
    recent = {event.key for event in whole if event.at >= start}
    assert 0 < len(some) < len(whole) / 2
    assert recent <= keyed(some).keys()
    assert all(event.at >= start for event in some if isinstance(event.what, Committed | PipelineRan))


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (CodeKind.PUSH, "listCommits"),
        (CodeKind.PULL_REQUEST, "listChanges"),
        (CodeKind.PIPELINE, "listPipelines"),
        (CodeKind.DEPLOYMENT, "listDeployments"),
        (CodeKind.RELEASE, ""),
    ],
)
def test_only_what_is_followed_is_asked_for(still: Bench, kind, listed):
    repository = still.repository()
    still.sandbox.calls.reset()
    assert len(list(still.connector(events=[kind]).code_events(repository, None))) >= 1
    assert set(still.calls()) == {listed} - {""}


# --- pipelines and deployments ----------------------------------------------------------------------------


def test_a_run_that_takes_days_is_told_when_it_ends(still: Bench):
    run = still.host.run(still.ann, API, "build")
    still.host.move_run(still.ann, API, run.id, "waiting")
    _, cursor = still.read()
    still.clock.advance(3 * 86_400)
    still.host.run(still.ann, API, "another")
    _, cursor = still.read(cursor)
    still.host.move_run(still.ann, API, run.id, "success")
    events, cursor = still.read(cursor)
    [ended] = [event.what for event in events if isinstance(event.what, PipelineRan) and event.what.finished_at]
    assert (ended.id, ended.state) == (uuid("pipeline", run.id), RunState.SUCCESS)
    still.sandbox.calls.reset()
    still.read(cursor)
    assert still.calls().get("getPipeline", 0) == 0


def test_a_run_that_is_listed_late_is_found_by_the_overlap(still: Bench):
    still.host.run(still.ann, API, "build")
    _, cursor = still.read()
    with still.host.past() as at:
        at(still.clock.now() - timedelta(minutes=10))
        late = still.host.run(still.ann, API, "late")
    assert uuid("pipeline", late.id) in "".join(keyed(still.read(cursor)[0]))


def test_a_run_nobody_goes_on_with_is_forgotten_after_a_month(still: Bench):
    run = still.host.run(still.ann, API, "build")
    still.host.move_run(still.ann, API, run.id, "waiting")
    _, cursor = still.read()
    still.clock.advance(31 * 86_400)
    _, cursor = still.read(cursor)
    assert cursor["runs"]["open"] == {}


def test_a_run_that_was_removed_is_asked_after_once(still: Bench):
    run = still.host.run(still.ann, API, "build")
    _, cursor = still.read()
    del still.host.repo(API).runs[run.id]
    _, cursor = still.read(cursor)
    assert cursor["runs"]["open"] == {}


def test_deployments_in_no_order_are_all_looked_through(planted: Bench):
    planted.sandbox.plant_history(400, WORKER)
    planted.sandbox.settings.orders_deployments = False
    events, cursor = planted.read(name=WORKER, events=["deployment"])
    made = planted.host.repo(WORKER).deployments
    assert kinds(events).count("deployment") == len(made) > 100
    last = list(made)[-2]  # on the second page, behind ones that are long known
    planted.clock.advance(86_400)
    planted.host.move_deployment(planted.ann, WORKER, last, "cancelled")
    moved = planted.read(cursor, name=WORKER, events=["deployment"])[0]
    assert f"{uuid('deployment', last)}:cancelled" in "".join(keyed(moved))


def test_a_deployment_that_has_not_begun_is_none_yet(still: Bench):
    run = still.host.run(still.ann, API, "build")
    made = still.host.deploy(still.ann, API, "staging", run=run.id)
    events, cursor = still.read(events=["deployment"])
    assert events == []
    still.host.move_deployment(still.ann, API, made.id, "cancelled")
    events, _ = still.read(cursor, events=["deployment"])
    assert [(kinds([event]), getattr(event.what, "state", None)) for event in events] == [
        (["deployment"], None),
        (["deployment_status"], RunState.CANCELLED),
    ]


def test_how_a_deployment_ended_is_asked_of_its_step_where_it_does_not_say(still: Bench):
    still.host.repo(API).extra["silent_results"] = True
    run = still.host.run(still.ann, API, "build")
    made = still.host.deploy(still.ann, API, "production", run=run.id)
    still.host.move_deployment(still.ann, API, made.id, "running")
    still.host.move_deployment(still.ann, API, made.id, "failed")
    ended = [event.what for event in still.read(events=["deployment"])[0]][-1]
    assert isinstance(ended, DeploymentMoved)
    assert ended.state is RunState.FAILED


def test_a_deployments_short_hash_is_looked_up(still: Bench):
    repo = still.host.repo(API)
    repo.extra["short_releases"] = True
    made = still.host.deploy(still.ann, API, "production")
    still.host.move_deployment(still.ann, API, made.id, "running")
    [deployed] = [event.what for event in still.read(events=["deployment"])[0] if isinstance(event.what, Deployed)]
    assert deployed.sha == repo.branches["main"]
    repo.extra["lost_commits"] = {deployed.sha}
    pages = still.connector(events=["deployment"]).code_events(still.repository(), None)
    assert {getattr(event.what, "sha", "")[:12] for page in pages for event in page.events} == {deployed.sha[:12], ""}


def test_a_repository_without_pipelines_is_read_all_the_same(still: Bench):
    for name in ("listPipelines", "listDeployments"):
        still.sandbox.faults.add(FaultKind.ERROR, status=404, operation=name)
    events, cursor = still.read()
    assert kinds(events) == ["commit"]
    assert (cursor["runs"], cursor["deployments"]) == ({}, {})


# --- what is not there any more ---------------------------------------------------------------------------


def test_after_a_force_push_reading_goes_on_from_the_new_commits(still: Bench):
    still.host.push(still.ann, API, "main", "One", "Two")
    _, cursor = still.read()
    pushed = still.host.force_push(still.ann, API, "main", "Two again")
    assert [event.what.sha for event in still.read(cursor)[0] if isinstance(event.what, Committed)] == [pushed.after]


def test_a_known_commit_that_was_cleaned_up_makes_it_begin_anew(still: Bench):
    still.host.push(still.ann, API, "main", "One", "Two")
    _, cursor = still.read()
    still.host.force_push(still.ann, API, "main", "Two again")
    still.host.repo(API).extra["lost_commits"] = {cursor["commits"]["head"]}
    events, cursor = still.read(cursor, events=["push"])
    assert (events, cursor["commits"]) == ([], {})
    assert len(still.read(cursor, events=["push"])[0]) == 3


def test_a_place_in_a_listing_that_is_gone_makes_it_begin_anew(planted: Bench):
    pages = planted.connector(events=["push"]).code_events(planted.repository(), None)
    cursor = next(iter(pages)).cursor
    cursor["commits"]["next"] = cursor["commits"]["next"].replace("ctx=2", "ctx=none")
    _, cursor = planted.read(cursor, events=["push"])
    assert cursor["commits"] == {}


def test_a_change_whose_fork_was_deleted_is_told_without_what_is_unknown(still: Bench):
    repo = still.host.repo(API)
    still.host.push(still.bob, API, "forked", "From afar")
    number = still.host.open_pull(still.bob, API, "forked", "From afar").number
    still.host.merge(still.ann, API, number, squash=True)
    repo.extra["lost_forks"] = {number}
    [merged] = [event.what for event in still.read()[0] if isinstance(event.what, ChangeMerged)]
    assert (merged.additions, merged.changed_files) == (None, None)
    assert merged.head_sha == repo.pulls[number].head
    assert merged.merge_sha == repo.pulls[number].merge_sha


def test_a_merge_commit_that_is_gone_keeps_its_short_hash(still: Bench):
    repo = still.host.repo(API)
    still.host.push(still.bob, API, "b", "B")
    pull = still.host.merge(still.ann, API, still.host.open_pull(still.bob, API, "b", "B").number, squash=True)
    repo.extra["lost_commits"] = {pull.merge_sha}
    connector = still.connector(events=["pull_request"])
    pages = connector.code_events(still.repository(), None)
    [merged] = [event.what for page in pages for event in page.events if isinstance(event.what, ChangeMerged)]
    assert merged.merge_sha == str(pull.merge_sha)[:12]


def test_an_empty_repository_has_no_commits(still: Bench):
    repo = still.host.repo(API)
    repo.branches.clear()
    assert still.repository().default_branch is None
    assert still.read()[0] == []


# --- repositories -----------------------------------------------------------------------------------------


def test_repositories_are_known_by_their_ids_whatever_they_are_called(still: Bench):
    before = still.repository()
    still.host.rename(still.ann, API, "payments")
    after = still.repository("payments")
    assert (after.external_id, after.name) == (before.external_id, "apex-digital/payments")
    assert list(still.connector().code_events(before, None))


def test_named_repositories_that_are_not_there_are_left_out(still: Bench):
    [batch] = still.connector(repositories=["nowhere", WORKER]).repositories()
    assert [found.name for found in batch] == [f"apex-digital/{WORKER}"]
    assert still.calls() == {"getRepository": 2}


@pytest.mark.parametrize("how", ["deleted", "hidden"])
def test_a_repository_that_is_gone_or_hidden_is_not_found(still: Bench, how):
    repository = still.repository()
    if how == "deleted":
        still.host.delete_repo(still.ann, API)
    else:
        still.host.repo(API).members = frozenset({still.ann})
    assert [found.name for batch in still.connector().repositories() for found in batch] == [f"apex-digital/{WORKER}"]
    with pytest.raises(NotFound):
        list(still.connector().code_events(repository, None))


def test_many_repositories_are_listed_in_batches(still: Bench):
    for number in range(120):
        still.sandbox.add_repo(f"service-{number}")
    assert [len(batch) for batch in still.connector().repositories()] == [100, 22]


# --- asking for what was hinted ---------------------------------------------------------------------------


def test_what_is_asked_for_and_not_there_is_nothing(still: Bench):
    home = still.repository().external_id
    refs = [CodeRef(home, kind, "9") for kind in (RefKind.CHANGE, RefKind.RUN, RefKind.DEPLOYMENT, RefKind.RELEASE)]
    gone = CodeRef(uuid("repository", 99), RefKind.PUSH, "main::" + "0" * 40)
    lost = CodeRef(home, RefKind.PUSH, f"main:{'1' * 40}:{'2' * 40}")
    assert still.connector().fetch_code([*refs, gone, lost]) == []


def test_pushes_to_other_branches_cost_one_call_in_all(still: Bench):
    pushed = [still.host.push(still.ann, API, f"b{number}", "B") for number in range(5)]
    home = still.repository().external_id
    still.sandbox.calls.reset()
    refs = [CodeRef(home, RefKind.PUSH, f"b{n}::{push.after}") for n, push in enumerate(pushed)]
    assert still.connector().fetch_code(refs) == []
    assert still.calls() == {"getRepository": 1}


def test_a_push_of_more_commits_than_a_page_is_read_whole(still: Bench):
    before = still.host.repo(API).branches["main"]
    push = still.host.push(still.ann, API, "main", *(f"Commit {number}" for number in range(130)))
    ref = CodeRef(still.repository().external_id, RefKind.PUSH, f"main:{before}:{push.after}")
    assert len(still.connector().fetch_code([ref])) == 130


def test_deployments_of_several_runs_are_found_in_one_listing(still: Bench):
    for _ in range(3):
        run = still.host.run(still.ann, API, "build")
        made = still.host.deploy(still.ann, API, "production", run=run.id)
        still.host.move_deployment(still.ann, API, made.id, "running")
    home = still.repository().external_id
    still.sandbox.calls.reset()
    events = still.connector().fetch_code([CodeRef(home, RefKind.DEPLOYMENT, str(number)) for number in (1, 3)])
    assert kinds(events) == ["deployment", "deployment_status"] * 2
    assert still.calls() == {"listDeployments": 1}
