"""Reading a GitLab server: history, increments, what is heard by webhook, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import (
    AuthFailed,
    ChangeMerged,
    CodeEvent,
    CodeHeard,
    CodeHint,
    CodeKind,
    CodePage,
    CodeRef,
    Committed,
    Deployed,
    Forbidden,
    NotFound,
    RateLimited,
    RawDelivery,
    RefKind,
    Released,
)
from connectors.gitlab import GitLabConnector
from connectors.gitlab.client import limited_scope
from connectors.gitlab.config import AccessToken
from connectors.response import Response
from sandbox.auth import ApiToken
from sandbox.code import OWNER
from sandbox.faults import FaultKind
from sandbox.vendor import WRONG_TOKEN
from tests.connectors.gitlab.conftest import API, URL, WORKER, Bench, events_of, read


def types(events: dict[str, CodeEvent]) -> Counter[str]:
    return Counter(event.what.type for event in events.values())


def story(gitlab: Bench) -> None:
    """Every kind of event, changes that end in every way, each some minutes after the other."""
    host, ann, bob = gitlab.host, gitlab.ann, gitlab.bob

    def then(made: Any) -> Any:
        gitlab.clock.advance(120)
        return made

    then(host.push(ann, API, "one", "Begin", "Go on"))
    one = then(host.open_pull(ann, API, "one", "One", draft=True)).number
    then(host.review(bob, API, one, "commented", "Why?"))
    then(host.set_draft(ann, API, one, draft=False))
    then(host.review(bob, API, one, "changes_requested"))
    then(host.push(ann, API, "one", "As you said"))
    approval = then(host.review(bob, API, one, "approved"))
    then(host.dismiss(bob, API, approval.id))
    then(host.review(bob, API, one, "approved"))
    then(host.merge(bob, API, one))
    run = then(host.run(bob, API, "build"))
    then(host.move_run(bob, API, run.id, "running"))
    then(host.move_run(bob, API, run.id, "success"))
    deployment = then(host.deploy(bob, API, "production", run=run.id))
    then(host.move_deployment(bob, API, deployment.id, "running"))
    then(host.move_deployment(bob, API, deployment.id, "failed"))
    then(host.push(ann, API, "two", "Again"))
    two = then(host.open_pull(ann, API, "two", "Two")).number
    then(host.close(ann, API, two))
    then(host.reopen(bob, API, two))
    then(host.merge(bob, API, two, squash=True))
    then(host.push(ann, API, "three", "Never"))
    then(host.close(ann, API, then(host.open_pull(ann, API, "three", "Three")).number))
    then(host.force_push(ann, API, "three", "Never again"))
    then(host.release(ann, API, "v1/rc"))
    then(host.push(ann, API, "main", "Straight to the default branch"))


# --- everything -----------------------------------------------------------------------------------------


def test_a_first_reading_tells_what_the_host_holds(still: Bench):
    still.sandbox.plant_history(130)
    pages = read(still.connector(), still.project())
    found, repo = events_of(pages), still.repo()
    merged = {event.what.number: event for event in found.values() if isinstance(event.what, ChangeMerged)}
    assert {number: (event.at, event.what.merge_sha, event.what.commits) for number, event in merged.items()} == {
        str(pull.number): (pull.closed, pull.merge_sha, len(pull.commits))
        for pull in repo.pulls.values()
        if pull.state == "merged"
    }
    first = merged["1"].what
    commits = [repo.commits[sha] for sha in repo.pulls[1].commits]
    assert isinstance(first, ChangeMerged)
    assert (first.first_commit_at, first.changed_files) == (min(c.authored for c in commits), len(commits))
    assert (first.additions, first.deletions) == (
        sum(c.additions for c in commits),
        sum(c.deletions for c in commits),
    )
    committed = {event.what.sha for event in found.values() if isinstance(event.what, Committed)}
    assert committed == set(repo.mainline)
    deployed = {event.what.id: event.what for event in found.values() if isinstance(event.what, Deployed)}
    assert {id_: (what.sha, what.tier) for id_, what in deployed.items()} == {
        str(one.id): (one.sha, "production") for one in repo.deployments.values()
    }
    count = types(found)
    assert count["code.push"] == len(repo.pushes)
    assert count["code.pull_request_opened"] == count["code.pull_request_ready"] == 130
    assert count["code.pull_request_closed"] == sum(pull.state == "closed" for pull in repo.pulls.values())
    assert count["code.review_submitted"] == len(repo.reviews)
    assert count["code.pipeline_run"] == 3 * len(repo.runs)
    assert {event.what.tag for event in found.values() if isinstance(event.what, Released)} == set(repo.tags)
    assert (pages[-1].done, pages[-1].total) == (
        len(repo.pulls) + len(repo.runs) + len(repo.deployments),
        len(repo.pulls) + len(repo.runs) + len(repo.deployments),
    )


def test_a_reading_takes_up_after_any_page_and_misses_nothing(still: Bench):
    still.sandbox.plant_history(40)
    still.sandbox.settings.page_limit = 15
    connector, repository = still.connector(), still.project()
    pages = read(connector, repository)
    everything = events_of(pages)
    assert len(pages) > 15
    for number, page in enumerate(pages):
        rest = events_of(read(still.connector(), repository, page.cursor))
        assert events_of(pages[: number + 1]) | rest == everything


def test_history_begins_where_the_config_says(still: Bench):
    still.sandbox.plant_history(40)
    edge = still.clock.now() - timedelta(days=5)
    found = events_of(read(still.connector(history_days=5), still.project()))
    merges = [event for event in found.values() if isinstance(event.what, ChangeMerged)]
    assert {event.key for event in merges} == {
        f"1:change:{pull.number}:merged"
        for pull in still.repo().pulls.values()
        if pull.state == "merged" and pull.updated + timedelta(seconds=1) > edge
    }
    assert all(event.at > edge - timedelta(seconds=1) for event in found.values() if isinstance(event.what, Committed))


def test_a_poll_of_a_quiet_project_costs_one_call_for_each_listing(still: Bench):
    still.sandbox.plant_history(20)
    connector, repository = still.connector(), still.project()
    cursor = read(connector, repository)[-1].cursor
    still.called()
    again = read(still.connector(), repository, cursor)
    listings = ("Commits", "Events", "Releases", "Deployments", "Pipelines", "MergeRequests")
    assert still.called() == {f"list{what}": 1 for what in listings}
    assert {event.what.type for event in events_of(again).values()} <= {"code.push"}
    assert all(page.total is None for page in again)


def test_what_is_seen_later_than_it_was_written_is_not_missed(still: Bench):
    still.sandbox.plant_history(3, start=still.clock.now() - timedelta(days=2))
    connector, repository = still.connector(), still.project()
    pages = read(connector, repository)
    latest = max(pull.updated for pull in still.repo().pulls.values())
    with still.host.past() as at:
        at(latest - timedelta(minutes=9))
        still.host.push(still.ann, API, "late", "One")
        late = still.host.open_pull(still.ann, API, "late", "Late")
    assert late.updated < latest
    assert f"1:change:{late.number}:opened" in events_of(read(connector, repository, pages[-1].cursor))


def test_of_the_default_branch_only_what_is_new_is_read(still: Bench):
    still.sandbox.plant_history(3)
    connector, repository = still.connector(), still.project()
    cursor = read(connector, repository)[-1].cursor
    made = still.host.push(still.ann, API, "main", "One", "Two")
    found = events_of(read(connector, repository, cursor))
    assert {event.what.sha for event in found.values() if isinstance(event.what, Committed)} == set(made.commits)


def test_a_merged_change_costs_four_calls_and_a_pipeline_one(still: Bench):
    connector, repository = still.connector(), still.project()
    cursor = read(connector, repository)[-1].cursor
    still.sandbox.plant_history(1, start=still.clock.now())
    still.clock.advance(86_400)
    still.called()
    events_of(read(connector, repository, cursor))
    counts = still.called()
    singles = ("listNotes", "listStateEvents", "listOwnCommits", "listDiffs", "getPipeline")
    assert {name: counts[name] for name in singles} == dict.fromkeys(singles, 1)


def test_an_older_commit_that_reaches_the_default_branch_late_is_told(still: Bench):
    still.host.push(still.ann, API, "old", "Written long ago")
    connector, repository = still.connector(), still.project()
    cursor = read(connector, repository)[-1].cursor
    still.clock.advance(30 * 86_400)
    pull = still.host.open_pull(still.ann, API, "old", "Old")
    still.host.merge(still.ann, API, pull.number)
    found = events_of(read(connector, repository, cursor))
    assert f"1:commit:{pull.head}" in found


def test_a_default_branch_that_was_rewritten_and_cleaned_away_is_read_anew(still: Bench):
    connector, repository = still.connector(), still.project()
    cursor = read(connector, repository)[-1].cursor
    cursor = {**cursor, "commits": {"head": "f" * 40}}
    found = events_of(read(connector, repository, cursor))
    assert types(found)["code.commit"] == 1


def test_changes_of_one_moment_by_the_hundred_are_all_read(still: Bench):
    with still.host.past() as at:
        for number in range(230):
            at(still.clock.now() - timedelta(days=1))
            still.host.push(still.ann, API, f"b{number}", "One")
            at(still.clock.now() - timedelta(hours=1))
            still.host.open_pull(still.ann, API, f"b{number}", f"Change {number}")
    found = events_of(read(still.connector(), still.project()))
    assert types(found)["code.pull_request_opened"] == 230


def test_a_change_edited_while_it_is_paged_is_still_read(still: Bench):
    still.sandbox.plant_history(60)
    still.sandbox.settings.page_limit = 15
    connector, repository = still.connector(events=["pull_request"]), still.project()
    found: dict[str, CodeEvent] = {}
    for number, page in enumerate(connector.code_events(repository, None), 1):
        found |= events_of([page])
        still.host.retitle(still.ann, API, number, "Moved to the end")
    assert types(found)["code.pull_request_opened"] == 60


def test_only_what_is_followed_is_asked_for(still: Bench):
    still.sandbox.plant_history(10)
    connector, repository = still.connector(events=["deployment"]), still.project()
    still.called()
    found = events_of(read(connector, repository))
    assert {event.what.type for event in found.values()} == {"code.deployment", "code.deployment_status"}
    assert set(still.called()) == {"listDeployments", "listEnvironments"}


def test_a_feature_a_project_has_switched_off_is_left_out_and_all_of_them_are_an_error(still: Bench):
    still.sandbox.plant_history(10)
    still.sandbox.settings.without = "pipelines deployments"
    found = events_of(read(still.connector(), still.project()))
    assert types(found)["code.pull_request_opened"] == 10
    assert types(found)["code.pipeline_run"] == types(found)["code.deployment"] == 0
    with pytest.raises(Forbidden):
        read(still.connector(events=["pipeline", "deployment"]), still.project())


def test_lines_that_gitlab_does_not_show_are_left_open(still: Bench):
    still.sandbox.plant_history(1)
    still.sandbox.settings.hides_diffs = True
    found = events_of(read(still.connector(), still.project()))
    [merged] = [event.what for event in found.values() if isinstance(event.what, ChangeMerged)]
    assert (merged.additions, merged.deletions) == (None, None)


def test_an_empty_repository_has_no_commits_yet(still: Bench):
    repo = still.repo()
    repo.branches.clear()
    repository = still.project()
    assert repository.default_branch is None
    assert types(events_of(read(still.connector(), repository)))["code.commit"] == 0


# --- heard of and read: the same ------------------------------------------------------------------------


def heard(connector: GitLabConnector, deliveries: Sequence[RawDelivery], config: Any) -> list[CodeEvent]:
    """What deliveries tell, whole or asked for."""
    events, refs = list[CodeEvent](), list[CodeRef]()
    for delivery in deliveries:
        for signal in connector.parse(delivery, config):
            if isinstance(signal, CodeHeard):
                events.append(signal.event)
            elif isinstance(signal, CodeHint):
                refs.append(signal.ref)
    return [*events, *connector.fetch_code(list(dict.fromkeys(refs)))]


def subscribe(gitlab: Bench) -> None:
    gitlab.connector().subscribe(URL, SecretStr("a secret of the platform's"))


def test_webhook_and_poll_of_the_same_history_give_equal_events(still: Bench):
    """There is no key that only one of them knows."""
    connector, repository = still.connector(), still.project()
    known = events_of(read(connector, repository))
    subscribe(still)
    story(still)
    told = {event.key: event for event in heard(connector, still.deliveries(), still.config())}
    polled = events_of(read(connector, repository))
    assert {key: event for key, event in polled.items() if key not in known} == told
    assert types(told) == {
        "code.push": 9,
        "code.commit": 6,
        "code.pull_request_opened": 3,
        "code.pull_request_ready": 3,
        "code.review_submitted": 5,
        "code.pull_request_merged": 2,
        "code.pull_request_closed": 2,
        "code.pull_request_reopened": 1,
        "code.pipeline_run": 3,
        "code.deployment": 1,
        "code.deployment_status": 3,
        "code.release": 1,
    }


def test_what_is_heard_and_polled_at_each_step_is_what_one_reading_tells_at_last(still: Bench):
    connector, repository = still.connector(), still.project()
    cursor = read(connector, repository)[-1].cursor
    subscribe(still)
    steps: dict[str, CodeEvent] = {}
    advance = still.clock.advance

    def look(seconds: float) -> Any:
        nonlocal cursor
        pages = read(connector, repository, cursor)
        cursor = pages[-1].cursor
        events = [*events_of(pages).values(), *heard(connector, still.deliveries(), still.config())]
        for event in events:
            assert steps.setdefault(event.key, event) == event
        return advance(seconds)

    still.clock.advance = look  # type: ignore[method-assign]
    story(still)
    assert steps | events_of(read(connector, repository)) == events_of(read(connector, repository))


def test_a_push_that_is_asked_for_late_still_tells_its_commits(still: Bench):
    subscribe(still)
    still.sandbox.settings.page_limit = 10
    made = still.host.push(still.ann, API, "main", *[f"Commit {n}" for n in range(25)])
    [delivery] = still.deliveries()
    for number in range(51):
        still.host.push(still.ann, API, "noise", f"Commit {number}")
    found = heard(still.connector(), [delivery], still.config())
    assert {event.what.type for event in found} == {"code.commit"}
    assert {event.what.sha for event in found if isinstance(event.what, Committed)} == set(made.commits)


def test_nothing_is_told_of_what_is_not_there(still: Bench):
    refs = [CodeRef("1", kind, "999") for kind in RefKind if kind is not RefKind.PUSH]
    gone = CodeRef("1", RefKind.PUSH, f"refs/heads/main {'a' * 40} {'b' * 40} commits")
    assert still.connector().fetch_code([*refs, gone]) == []


# --- repositories ---------------------------------------------------------------------------------------


def names(gitlab: Bench, **config: Any) -> list[str]:
    return [one.name for batch in gitlab.connector(**config).repositories() for one in batch]


def test_a_group_gives_all_its_projects_and_those_below(still: Bench):
    for number in range(120):
        still.sandbox.add_repo(f"team/tool-{number}")
    assert len(names(still, repositories=[])) == 122


def test_a_renamed_project_is_found_by_its_old_name_and_keeps_its_id(still: Bench):
    before = still.project()
    still.host.rename(still.ann, API, "payments")
    [[renamed, _]] = list(still.connector().repositories())
    assert (renamed.external_id, renamed.name) == (before.external_id, f"{OWNER}/payments")
    assert names(still, repositories=[API, "payments"]) == [f"{OWNER}/payments"]


def test_archived_hidden_and_deleted_projects(still: Bench):
    before = still.project()
    still.host.archive(still.ann, API)
    assert still.project().archived is True
    still.repo().members = frozenset({still.ann})
    assert names(still) == [f"{OWNER}/{WORKER}"]
    with pytest.raises(NotFound):
        read(still.connector(), before)
    still.repo().members = None
    still.host.delete_repo(still.ann, API)
    assert names(still) == [f"{OWNER}/{WORKER}"]
    with pytest.raises(NotFound):
        read(still.connector(), before)


def test_a_group_that_is_not_there_says_what_to_do(still: Bench):
    with pytest.raises(Forbidden, match="Correct `group`"):
        names(still, group="elsewhere", repositories=[])


# --- access and limits ----------------------------------------------------------------------------------


def test_the_account_is_the_group_and_who_the_token_speaks_for(still: Bench):
    account = still.connector().check()
    assert (account.id, account.name, account.scopes) == (OWNER, f"group_1_bot_0a1b2c in {OWNER}", ("api",))
    assert still.connector(still.oauth("read_api")).check().missing_scopes == ()


def test_a_token_without_the_scope_to_read_says_so(still: Bench):
    still.sandbox.door.add(ApiToken("weak", still.robot, frozenset({"read_user"})))
    assert still.connector(AccessToken(token="weak")).check().missing_scopes == ("read_api",)


def test_a_dead_token_is_told_from_a_limit(still: Bench):
    with pytest.raises(AuthFailed):
        still.connector(AccessToken(token=WRONG_TOKEN)).check()
    still.sandbox.settings.enforce_limits, still.sandbox.settings.limits_scale = True, 0.001
    still.connector(still.oauth()).check()
    with pytest.raises(RateLimited) as limited:
        read(still.connector(), still.project())
    assert limited.value.scope == "account"
    assert still.clock.now() < limited.value.until <= still.clock.now() + timedelta(seconds=61)


def test_a_limit_of_one_kind_of_call_does_not_stop_the_others():
    assert limited_scope(Response(429, {"retry-after": "60"}, b"Retry later", "")) == "item"


def test_a_reading_cut_by_a_limit_goes_on_where_it_was(still: Bench):
    still.sandbox.plant_history(40)
    still.sandbox.settings.page_limit = 15
    repository, pages = still.project(), list[CodePage]()
    still.sandbox.faults.add(FaultKind.RATE_LIMIT, skip=20, retry_after=30, operation="listNotes")
    with pytest.raises(RateLimited):
        pages.extend(still.connector().code_events(repository, None))  # which keeps what came before
    pages += read(still.connector(), repository, pages[-1].cursor)
    assert events_of(pages) == events_of(read(still.connector(), repository))


def test_the_kinds_of_the_config_are_all_there_are(still: Bench):
    assert still.config().kinds() == frozenset(CodeKind)
