"""Reading repositories: all of a history, from any page on, and then only what changed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from connectors.contract import (
    ChangeMerged,
    ChangeOpened,
    CodePage,
    Committed,
    Deployed,
    NotFound,
    PipelineRan,
    RefKind,
    Released,
    Reviewed,
)
from connectors.contract import CodeRef as Ref
from tests.connectors.github.conftest import BOT, REPO, Bench, commits, facts, kinds, only_heard, story

WHOLE = {"listReleases": 1, "listRuns": 1, "listDeployments": 1, "listPulls": 1, "getBranch": 1}
"""What a poll costs when nothing happened: all but the branch is answered by 304."""


def pages(github: Bench, cursor: object = None, **config: object) -> list[CodePage]:
    return list(github.connector(**config).code_events(github.repository(), cursor))  # type: ignore[arg-type]


def test_a_planted_history_is_read_whole(github: Bench) -> None:
    github.sandbox.plant_history(130)
    repo = github.host.repo(REPO)
    events = facts(github.read())
    counted = Counter(type(event.what) for event in events.values())
    assert counted[ChangeOpened] == 130
    assert counted[ChangeMerged] == sum(pull.state == "merged" for pull in repo.pulls.values())
    assert counted[Reviewed] == len(repo.reviews)
    assert counted[Deployed] == len(repo.deployments)
    assert counted[PipelineRan] == len(repo.runs)
    assert counted[Released] == len(repo.releases)
    assert commits(list(events.values())) == {commit.sha for commit in repo.history(repo.branches["main"])}
    assert counted[Committed] == len(repo.mainline)


def test_a_merged_pull_request_costs_two_calls_and_an_unmerged_one_a_single_one(github: Bench) -> None:
    github.sandbox.plant_history(130)
    merged = sum(pull.state == "merged" for pull in github.host.repo(REPO).pulls.values())
    github.read(github.connector(events=["pull_request"]))
    assert github.called() == {"listPulls": 3, "getPull": merged, "listTimeline": 130}


def test_a_reading_can_be_carried_on_after_every_page(github: Bench) -> None:
    github.sandbox.plant_history(23)
    story(github)
    whole = pages(github)
    everything = facts([event for page in whole for event in page.events])
    for number, page in enumerate(whole):
        early = [event for before in whole[: number + 1] for event in before.events]
        late = [event for after in pages(github, page.cursor) for event in after.events]
        assert facts(early + late) == everything


def test_a_page_costs_so_few_calls_that_a_budget_of_bursts_gets_through_it(github: Bench) -> None:
    github.sandbox.plant_history(60)
    for _ in github.connector().code_events(github.repository(), None):
        assert sum(github.called().values()) <= 23


def test_the_first_reading_tells_how_far_it_has_come(github: Bench) -> None:
    github.sandbox.plant_history(130)
    told = [(page.done, page.total) for page in pages(github, events=["pull_request"])]
    assert told[0] == (10, 200)
    assert told[-1] == (130, 130)
    assert [done for done, _ in told] == sorted(done or 0 for done, _ in told)


def test_only_the_history_asked_for_is_read(github: Bench) -> None:
    now = github.clock.now()
    github.sandbox.plant_history(40, start=now - timedelta(days=40), every=timedelta(days=1))
    events = github.read(github.connector(history_days=10))
    assert kinds(events) >= {ChangeOpened, ChangeMerged, Committed, PipelineRan, Deployed}
    edge = now - timedelta(days=10)
    opened = [event for event in events if isinstance(event.what, ChangeOpened)]
    assert len(opened) == sum(pull.updated >= edge for pull in github.host.repo(REPO).pulls.values()) < 12
    assert all(event.at >= edge for event in events if isinstance(event.what, Committed | PipelineRan | Deployed))


def test_only_what_is_followed_is_asked_for(github: Bench) -> None:
    story(github)
    assert kinds(github.read(github.connector(events=["release", "push"]))) == {Released, Committed}
    assert set(github.called()) == {"getBranch", "listCommits", "listReleases"}
    assert github.read(github.connector(events=["issues"])) == []


def test_a_quiet_repository_costs_five_calls_and_four_of_them_nothing_of_githubs_limit(github: Bench) -> None:
    github.sandbox.plant_history(12)
    cursor = pages(github)[-1].cursor
    cursor = pages(github, cursor)[-1].cursor
    github.called()
    quiet = pages(github, cursor)
    assert [event for page in quiet for event in page.events] == []
    assert Counter(record.status for record in github.sandbox.calls.records()) == {304: 4, 200: 1}
    assert github.called() == WHOLE
    assert quiet[-1].cursor == cursor


def test_a_pull_request_that_changed_is_read_again_and_no_other(github: Bench) -> None:
    github.sandbox.plant_history(12)
    cursor = pages(github, pages(github)[-1].cursor)[-1].cursor
    github.called()
    github.host.push(github.ann, REPO, "more", "More")
    github.host.open_pull(github.ann, REPO, "more", "More")
    events = [event for page in pages(github, cursor) for event in page.events]
    assert [event.what.number for event in events if isinstance(event.what, ChangeOpened)] == ["13"]
    assert github.called() == {**WHOLE, "listTimeline": 1}


def test_a_walk_through_many_changes_is_carried_on_where_it_was(github: Bench) -> None:
    github.sandbox.plant_history(35)
    connector = github.connector(events=["pull_request"])
    cursor = {"changes": {"since": ""}}
    walk = connector.code_events(github.repository(), cursor)
    first = next(walk)
    github.called()
    github.host.retitle(github.ann, REPO, 1, "Changed meanwhile")
    rest = pages(github, first.cursor, events=["pull_request"])
    read = facts([event for page in [first, *rest] for event in page.events])
    assert len([e for e in read.values() if isinstance(e.what, ChangeOpened)]) == 34  # number 1 is for the next time
    again = pages(github, rest[-1].cursor, events=["pull_request"])
    opened = [event.what for page in again for event in page.events if isinstance(event.what, ChangeOpened)]
    assert (opened[0].number, opened[0].title) == ("1", "Changed meanwhile")


def test_a_commit_made_long_ago_is_found_when_it_reaches_the_default_branch(github: Bench) -> None:
    host = github.host
    host.push(github.ann, REPO, "slow", "Long in the making")
    host.open_pull(github.ann, REPO, "slow", "Slow")
    github.clock.advance(90 * 86_400)
    host.push(github.ann, REPO, "main", "Meanwhile")
    cursor = pages(github, events=["push"])[-1].cursor
    host.merge(github.bob, REPO, 1)
    found = [event for page in pages(github, cursor, events=["push"]) for event in page.events]
    titles = {event.what.title for event in found if isinstance(event.what, Committed)}
    assert titles == {"Long in the making", "Slow (#1)"}


def test_many_new_commits_are_carried_on_where_they_were(github: Bench) -> None:
    host = github.host
    host.push(github.ann, REPO, "main", *(f"Old {number}" for number in range(130)))
    cursor = pages(github, events=["push"])[-1].cursor
    host.push(github.ann, REPO, "main", *(f"New {number}" for number in range(130)))
    first, second = pages(github, cursor, events=["push"])
    github.called()
    [rest] = pages(github, first.cursor, events=["push"])[:-1]
    assert (len(first.events), rest) == (100, second)
    assert github.called() == {"compare": 1, "getBranch": 1}


def test_a_default_branch_that_was_replaced_is_read_anew(github: Bench) -> None:
    connector = github.connector(events=["push"])
    gone = {"commits": {"head": "f" * 40}}
    assert commits(github.read(connector, gone)) == commits(github.read(connector))


def test_what_has_not_ended_is_asked_for_until_it_has(github: Bench) -> None:
    host = github.host
    run, deployment = host.run(github.ann, REPO, "build"), host.deploy(github.ann, REPO, "production")
    cursor = pages(github)[-1].cursor
    github.clock.advance(3 * 86_400)
    later = host.run(github.ann, REPO, "build")
    host.move_run(github.ann, REPO, later.id, "success")
    cursor = pages(github, cursor)[-1].cursor
    host.move_run(github.ann, REPO, run.id, "success")
    host.move_deployment(github.ann, REPO, deployment.id, "success")
    ended = [event for page in pages(github, cursor) for event in page.events]
    assert {f"1:run:{run.id}:1:success", f"1:deployment:{deployment.id}:success"} <= {event.key for event in ended}
    cursor = pages(github, cursor)[-1].cursor
    assert (cursor["runs"]["unended"], cursor["deployments"]["unended"]) == ({}, {})


def test_what_never_ends_is_given_up_after_five_weeks(github: Bench) -> None:
    github.host.run(github.ann, REPO, "build")
    cursor = pages(github)[-1].cursor
    github.clock.advance(36 * 86_400)
    assert pages(github, cursor)[-1].cursor["runs"]["unended"] == {}


def test_an_empty_repository_has_no_events_and_one_that_is_gone_is_not_found(github: Bench) -> None:
    github.sandbox.add_repo("empty")
    empty = github.host.repo("empty")
    empty.branches.clear()
    assert github.read(name="empty") == []
    gone = github.repository("empty")
    github.host.delete_repo(github.ann, "empty")
    with pytest.raises(NotFound):
        list(github.connector(events=["push"]).code_events(gone, None))


def test_nothing_is_told_of_what_is_not_there(github: Bench) -> None:
    repo = github.repository().external_id
    assert (
        github.connector().fetch_code([Ref(repo, kind, "999999") for kind in RefKind if kind is not RefKind.PUSH]) == []
    )
    assert github.connector().fetch_code([Ref("999", RefKind.PUSH, "a...b")]) == []


def test_everything_that_can_be_asked_for_is_what_a_reading_tells(github: Bench) -> None:
    story(github)
    repo = github.host.repo(REPO)
    ids = {
        RefKind.CHANGE: repo.pulls,
        RefKind.DEPLOYMENT: repo.deployments,
        RefKind.RUN: repo.runs,
        RefKind.RELEASE: repo.releases,
    }
    refs = [Ref(str(repo.id), kind, str(id_)) for kind, rows in ids.items() for id_ in rows]
    first = next(reversed(repo.history(repo.branches["main"])))
    refs.append(Ref(str(repo.id), RefKind.PUSH, f"{first.sha}...{repo.branches['main']}"))
    asked, read = facts(list(github.connector().fetch_code(refs))), facts(github.read())
    assert {key: event for key, event in read.items() if key != f"{repo.id}:commit:{first.sha}"} == asked


def test_the_first_push_of_a_branch_is_read_from_its_end(github: Bench) -> None:
    story(github)
    repo = github.host.repo(REPO)
    everything = github.connector().fetch_code([Ref(str(repo.id), RefKind.PUSH, f"...{repo.branches['main']}")])
    assert commits(list(everything)) == set(repo.mainline)


def test_people_are_known_by_their_number_and_bots_by_what_github_says(github: Bench) -> None:
    github.host.push(BOT, REPO, "bump", "Bump")
    github.host.open_pull(BOT, REPO, "bump", "Bump")
    [opened] = [event.what for event in github.read() if isinstance(event.what, ChangeOpened)]
    assert (opened.author.id, opened.author.name, opened.author.bot) == (BOT, "dependabot[bot]", True)


def test_somebody_whose_account_is_gone_is_nobody(github: Bench) -> None:
    story(github)
    del github.sandbox.tracker.users[github.bob]
    events = [event for event in github.read() if not only_heard(event)]
    reviews = [event.what for event in events if isinstance(event.what, Reviewed)]
    assert {(what.author.id, what.author.name) for what in reviews} == {(None, "ghost")}
