"""Repositories and their history, as the connector reads them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from connectors.azure import PatCredentials
from connectors.azure_devops import client
from connectors.contract import (
    AuthFailed,
    ChangeMerged,
    ChangeReady,
    CodeKind,
    CodeRef,
    DeploymentMoved,
    NotFound,
    PipelineRan,
    Pushed,
    RefKind,
    RemoteRepository,
    Reviewed,
)
from sandbox.azure_devops.forms import guid
from tests.connectors.azure_devops.conftest import API, SECRET, URL, Bench


def test_the_account_is_whose_token_it_is(azure: Bench):
    account = azure.connector().check()
    assert account.id.startswith("sandbox/")
    assert account.name == "Sync Robot"


@pytest.mark.parametrize("status", [203, 302, 401])
def test_a_sign_in_page_means_bad_credentials(azure: Bench, status: int):
    azure.sandbox.settings.sign_in_status = status
    with pytest.raises(AuthFailed):
        azure.connector(PatCredentials(personal_access_token="wrong")).check()


def test_repositories_are_known_by_an_id_that_outlives_a_new_name(azure: Bench):
    before = azure.repository()
    azure.host.rename(azure.ann, API, "pay")
    after = azure.repository("pay")
    assert (before.external_id, before.default_branch) == (after.external_id, "main")


def test_only_the_repositories_that_are_named_are_followed(azure: Bench):
    (listed,) = azure.connector(repositories=["Payments-Worker"]).repositories()
    assert [repo.name for repo in listed] == ["Apex/payments-worker"]


def test_a_disabled_repository_counts_as_archived_and_a_deleted_one_is_not_listed(azure: Bench):
    azure.host.archive(azure.ann, API)
    azure.host.delete_repo(azure.ann, "payments-worker")
    (listed,) = azure.connector().repositories()
    assert [(repo.name, repo.archived) for repo in listed] == [(f"Apex/{API}", True)]


def test_a_repository_that_is_gone_can_not_be_read(azure: Bench):
    gone = RemoteRepository(guid(999), "Apex/gone", "")
    with pytest.raises(NotFound):
        list(azure.connector().code_events(gone, None))


def test_a_planted_history_is_read_whole(azure: Bench):
    azure.sandbox.plant_history(230)
    azure.clock.advance(60)
    events, _ = azure.read()
    repo, counts = azure.host.repo(API), Counter(event.what.type for event in events)
    states = Counter(pull.state for pull in repo.pulls.values())
    assert counts["code.pull_request_opened"] == 230
    assert counts["code.pull_request_merged"] == states["merged"]
    assert counts["code.pull_request_closed"] == states["closed"]
    assert counts["code.review_submitted"] == len(repo.reviews)
    assert counts["code.deployment"] == counts["code.deployment_status"] == len(repo.deployments)
    assert counts["code.pipeline_run"] == len(repo.runs)
    assert counts["code.commit"] == len(repo.mainline)
    assert counts["code.push"] == len(repo.pushes)


def test_a_merged_change_tells_what_it_was_made_of(azure: Bench):
    azure.story()
    merged = next(event for event in azure.read()[0] if isinstance(event.what, ChangeMerged))
    repo, pull = azure.host.repo(API), azure.host.pull(API, 1)
    assert isinstance(merged.what, ChangeMerged)
    assert (merged.what.merge_sha, merged.what.head_sha, merged.what.commits) == (pull.merge_sha, pull.head, 3)
    assert merged.what.first_commit_at == repo.commits[pull.commits[0]].authored
    assert merged.at == pull.closed
    assert merged.what.additions is None


def test_votes_are_known_by_their_threads_and_one_taken_back_is_dismissed(azure: Bench):
    azure.story()
    said = [event.what for event in azure.read()[0] if isinstance(event.what, Reviewed)]
    assert Counter(review.state for review in said) == {
        "commented": 1,
        "changes_requested": 1,
        "dismissed": 1,
        "approved": 1,
    }
    refused, dismissed = ([r.id for r in said if r.state == state] for state in ("changes_requested", "dismissed"))
    assert refused == dismissed
    assert all(review.author.id == azure.bob for review in said)


def test_a_draft_is_not_ready_until_it_is_none(azure: Bench):
    azure.host.push(azure.ann, API, "new", "New")
    azure.host.open_pull(azure.ann, API, "new", "New", draft=True)
    events, cursor = azure.read()
    assert not [event for event in events if isinstance(event.what, ChangeReady)]
    azure.host.set_draft(azure.ann, API, 1, draft=False)
    events, _ = azure.read(cursor)
    assert [event for event in events if isinstance(event.what, ChangeReady)]


def test_a_stage_is_as_good_as_its_worst_state_and_counts_once(azure: Bench):
    azure.story()
    moved = [event.what for event in azure.read()[0] if isinstance(event.what, DeploymentMoved)]
    assert [one.state for one in moved] == ["success"]
    assert moved[0].started_at is not None


def test_a_stage_that_ended_after_the_last_reading_is_read_with_all_its_jobs(azure: Bench):
    run = azure.host.run(azure.ann, API, "build")
    first, second = (azure.host.deploy(azure.ann, API, "production", run=run.id) for _ in range(2))
    azure.host.move_deployment(azure.ann, API, first.id, "failed")
    azure.clock.advance(3600)
    events, cursor = azure.read()
    assert [event.what.state for event in events if isinstance(event.what, DeploymentMoved)] == ["running"]
    azure.host.move_deployment(azure.ann, API, second.id, "success")
    events, _ = azure.read(cursor)
    assert [event.what.state for event in events if isinstance(event.what, DeploymentMoved)] == ["failed"]


def test_the_runs_of_one_pipeline_can_be_the_deployments(azure: Bench):
    azure.story()
    events, _ = azure.read(deployment_source="pipeline:build")
    moved = Counter(event.what.state for event in events if isinstance(event.what, DeploymentMoved))
    assert moved == {"success": 1, "failed": 1}
    assert {"code.pipeline_run", "code.deployment"} < {event.what.type for event in events}


@pytest.mark.parametrize("kind", CodeKind)
def test_only_what_is_followed_is_read(azure: Bench, kind: CodeKind):
    azure.story()
    pages = azure.connector(events=[kind]).code_events(azure.repository(), None)
    types = {event.what.type for page in pages for event in page.events}
    wanted = {
        "push": {"code.push", "code.commit"},
        "pull_request": {"code.review_submitted"},
        "deployment": {"code.deployment", "code.deployment_status"},
        "pipeline": {"code.pipeline_run"},
        "release": set(),
    }[kind]
    changes = {type_ for type_ in types if type_.startswith("code.pull_request")}
    assert types - changes == wanted
    assert bool(changes) is (kind == "pull_request")


def test_carrying_on_from_any_page_misses_nothing(azure: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "TOP", 7)
    monkeypatch.setattr(client, "BUILDS", 7)
    azure.sandbox.plant_history(30)
    azure.story()
    whole, _ = azure.read()
    cursors = [page.cursor for page in azure.connector().code_events(azure.repository(), None)]
    seen: set = set()
    for page, cursor in zip(azure.connector().code_events(azure.repository(), None), cursors, strict=True):
        seen |= set(page.events)
        assert seen | azure.read(cursor)[0] == whole


def test_an_increment_brings_what_happened_since_and_little_else(azure: Bench):
    azure.sandbox.plant_history(150)
    azure.clock.advance(3600)
    before, cursor = azure.read()
    nothing, cursor = azure.read(cursor)
    assert nothing <= before
    azure.sandbox.calls.reset()
    azure.story()
    since, _ = azure.read(cursor)
    assert before | since == azure.read()[0]
    assert len(since) < 120


def test_what_happened_by_a_clock_ahead_of_ours_is_read_at_once(azure: Bench):
    for title in ("One", "Two", "Three"):
        azure.host.push(azure.ann, API, "main", title)
    last = azure.host.repo(API).pushes[-1]
    assert last.at > azure.clock.now()
    assert last.after in [event.what.after for event in azure.read()[0] if isinstance(event.what, Pushed)]


def test_a_vote_on_an_open_change_is_found_by_the_next_increment(azure: Bench):
    azure.host.push(azure.ann, API, "new", "New")
    azure.host.open_pull(azure.ann, API, "new", "New")
    _, cursor = azure.read()
    azure.clock.advance(7200)
    azure.host.review(azure.bob, API, 1, "approved")
    events, cursor = azure.read(cursor)
    assert [event for event in events if isinstance(event.what, Reviewed)]
    azure.clock.advance(7200)
    assert not [event for event in azure.read(cursor)[0] if isinstance(event.what, Reviewed)]


def test_history_can_be_limited(azure: Bench):
    azure.sandbox.plant_history(100)
    events, _ = azure.read(history_days=10)
    oldest = min(event.at for event in events)
    assert oldest >= azure.clock.now() - timedelta(days=10)
    assert len(events) > 20


def test_what_is_gone_says_nothing(azure: Bench):
    repo = azure.repository().external_id
    refs = [CodeRef(repo, RefKind.CHANGE, "99"), CodeRef(repo, RefKind.PUSH, "99"), CodeRef("", RefKind.RUN, "x/9")]
    assert azure.connector().fetch_code(refs) == []


def test_each_project_has_a_subscription_for_each_event_that_tells_something(azure: Bench):
    azure.sandbox.deliveries.pause()
    connector = azure.connector()
    made = connector.subscribe(URL, SECRET)
    assert connector.subscribe(URL, SECRET) == made
    hooks = azure.sandbox.hooks.live()
    assert len(hooks) == len(made.external_ids) == 7
    assert connector.renew(made, URL) == made
    azure.sandbox.service_hooks.disable(hooks[0].id, "onProbation")
    assert connector.renew(made, URL) is None
    assert connector.subscribe(URL, SECRET) == made
    connector.unsubscribe(made)
    assert azure.sandbox.hooks.live() == []


def test_the_same_history_is_told_by_webhooks_and_by_reading(azure: Bench):
    azure.sandbox.deliveries.pause()
    start, _ = azure.read()
    azure.connector().subscribe(URL, SECRET)
    azure.story()
    heard, (whole, _) = azure.heard(azure.told()), azure.read()
    assert heard | start == whole
    assert len(heard) > 20
    assert {type(event.what) for event in heard} >= {Pushed, PipelineRan, DeploymentMoved, ChangeMerged, Reviewed}


def test_what_azure_could_not_deliver_is_in_its_log(azure: Bench):
    azure.sandbox.deliveries.pause()
    connector, start = azure.connector(), azure.clock.now()
    connector.subscribe(URL, SECRET)
    azure.story()
    for delivery in azure.sandbox.deliveries.log():
        delivery.state = "failed"  # type: ignore[assignment]
    missed = [one for batch in connector.missed(start) for one in batch]
    assert len(missed) == len(azure.told())
    assert azure.heard([one.delivery for one in missed if one.delivery]) == azure.heard(azure.told())
    with pytest.raises(NotFound):
        connector.redeliver(missed[0])


def test_a_hint_of_what_is_not_followed_asks_nothing(azure: Bench):
    azure.story()
    repo = azure.repository().external_id
    connector = azure.connector(events=["push"])
    azure.sandbox.calls.reset()
    refs = [CodeRef(repo, RefKind.CHANGE, "1"), CodeRef("", RefKind.RUN, "Apex/1")]
    assert connector.fetch_code(refs) == []
    assert azure.sandbox.calls.records() == []


def test_a_disabled_repository_has_nothing_more_to_tell(azure: Bench):
    azure.host.archive(azure.ann, API)
    assert list(azure.connector().code_events(azure.repository(), {"runs": {"since": None}})) == []
