"""Pulling, refetching and finding people, against the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.contract import (
    AuthFailed,
    ConsentPending,
    Forbidden,
    Gone,
    GoneReason,
    NotFound,
    RateLimited,
    Rejected,
    RemoteTask,
    Transient,
    capabilities,
)
from connectors.graphql import Problem
from connectors.linear import LinearConnector
from connectors.linear.client import limited, told
from connectors.linear.config import ApiKeyCredentials, OAuthCredentials
from connectors.registry import problems
from connectors.response import Response
from sandbox.faults import FaultKind
from sandbox.vendor import API_TOKEN
from tests.connectors.bench import everything
from tests.connectors.linear.conftest import Bench


def test_it_is_a_sound_connector_with_every_capability():
    assert problems(LinearConnector) == []
    assert capabilities(LinearConnector) == (
        "task_source",
        "task_sink",
        "users",
        "vocabulary",
        "webhooks",
        "webhook_subscriptions",
        "app_webhooks",
    )


# --- check and words --------------------------------------------------------------------------------------


def test_a_key_proves_itself_with_one_call_and_says_which_workspace_it_is_for(linear: Bench):
    account = linear.connector().check()
    assert (account.id, account.name) == (linear.sandbox.organization["id"], "Sync Robot at Acme")
    assert account.learned == {"organization_id": account.id}
    assert linear.calls() == {"Viewer": 1}
    assert linear.connector(linear.oauth(who="Ann Archer")).check().id == account.id


def test_an_api_key_goes_bare_and_an_access_token_as_bearer(linear: Bench):
    token = linear.oauth().access_token
    assert token is not None
    with pytest.raises(AuthFailed, match="without Bearer"):
        linear.connector(ApiKeyCredentials(api_key=token)).check()
    with pytest.raises(AuthFailed, match="without Bearer"):
        linear.connector(OAuthCredentials(access_token=API_TOKEN)).check()


@pytest.mark.parametrize("status", [400, 401, 200])
def test_a_refused_credential_is_known_whatever_status_it_comes_with(linear: Bench, status):
    linear.sandbox.settings.auth_status = status
    with pytest.raises(AuthFailed, match="credentials are missing or wrong"):
        linear.connector(ApiKeyCredentials(api_key="wrong")).check()


def test_a_token_that_ended_is_refused(still: Bench):
    connector = still.connector(still.oauth())
    connector.check()
    still.clock.advance(86_400)
    with pytest.raises(AuthFailed):
        connector.check()


def test_before_consent_nothing_is_called(linear: Bench):
    with pytest.raises(ConsentPending):
        linear.connector(OAuthCredentials()).check()
    assert linear.calls() == {}


def test_it_tells_the_states_of_each_team_and_linears_priorities_in_one_call(linear: Bench):
    eng, ops = linear.connector(status_map={"In Review": "in_progress"}).vocabularies()
    assert (eng.container, ops.container) == ("ENG", "OPS")
    assert {value.name: value.here for value in eng.statuses}["In Review"] == "in_progress"
    assert {value.name: value.here for value in eng.priorities}["No priority"] == "medium"
    assert {value.id for value in eng.statuses}.isdisjoint(value.id for value in ops.statuses)
    assert linear.calls() == {"Teams": 1}


def test_a_team_that_is_not_there_is_told_by_its_key(linear: Bench):
    with pytest.raises(NotFound, match="NOPE"):
        list(linear.connector(projects=[{"external": "NOPE"}]).vocabularies())


def test_more_teams_than_fit_on_a_page_are_all_read(linear: Bench):
    tracker = linear.sandbox.tracker
    home = tracker.container("ENG")
    for number in range(12):
        tracker.containers[f"t{number}"] = replace(home, id=f"t{number}", key=f"T{number}")
    keys = [{"external": f"T{number}"} for number in range(12)]
    assert len(list(linear.connector(projects=keys).vocabularies())) == 12
    assert linear.calls() == {"Teams": 2}


# --- changed_tasks ----------------------------------------------------------------------------------------


def test_a_first_run_brings_every_issue_of_the_mapped_teams(linear: Bench):
    linear.sandbox.plant(5)
    linear.sandbox.plant(3, "OPS")
    found, page = everything(linear.connector(page_size=3))
    assert len(found) == 8
    latest = max(task.updated_at for task in found.values())
    assert page.cursor["since"] == latest.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert len(everything(linear.connector(projects=[{"external": "OPS"}]))[0]) == 3


def test_a_later_run_looks_back_a_little_and_costs_one_call(linear: Bench):
    linear.sandbox.plant(400)  # one a second
    _, page = everything(linear.connector(page_size=250))
    linear.sandbox.calls.reset()
    found, again = everything(linear.connector(overlap_minutes=1), page.cursor)
    assert len(found) == 61
    assert again.cursor == page.cursor
    assert linear.calls() == {"Changed": 1}
    assert len(everything(linear.connector(), page.cursor)[0]) == 301


def test_an_empty_workspace_is_asked_for_everything_again(linear: Bench):
    found, page = everything(linear.connector())
    assert (found, page.cursor["since"]) == ({}, None)
    linear.ann.create("ENG", "First")
    assert len(everything(linear.connector(), page.cursor)[0]) == 1


def test_within_a_page_the_oldest_change_comes_first(linear: Bench):
    linear.sandbox.plant(6)
    [page] = linear.connector().changed_tasks(None)
    moments = [task.updated_at for task in page.tasks]
    assert moments == sorted(moments)


def test_a_killed_run_carries_on_at_its_page(linear: Bench):
    linear.sandbox.plant(7)
    first = next(linear.connector(page_size=3).changed_tasks(None))
    pages = list(linear.connector(page_size=2).changed_tasks(json.loads(json.dumps(first.cursor))))
    end = next(number for number, page in enumerate(pages) if "token" not in page.cursor)
    rest = {task.external_id for page in pages[: end + 1] for task in page.tasks}
    assert (len(first.tasks), len(rest)) == (3, 4)
    assert rest.isdisjoint(task.external_id for task in first.tasks)
    newest = max(task.updated_at for task in first.tasks)
    assert pages[end].cursor["since"].startswith(newest.isoformat()[:19])


def test_a_page_that_is_no_longer_known_starts_that_run_again(linear: Bench):
    linear.sandbox.plant(5)
    first = next(linear.connector(page_size=3).changed_tasks(None))
    found, last = everything(linear.connector(), first.cursor | {"token": "%%%"})
    assert (len(found), "token" in last.cursor) == (5, False)


def test_any_other_refusal_of_a_page_is_told(linear: Bench):
    linear.sandbox.faults.add(FaultKind.ERROR, status=400, reason="no such filter")
    with pytest.raises(Rejected, match="no such filter"):
        everything(linear.connector())


def test_short_and_empty_pages_are_not_the_end(linear: Bench):
    linear.sandbox.plant(9)
    linear.sandbox.faults.add(FaultKind.EMPTY_PAGE, count=2)
    linear.sandbox.faults.add(FaultKind.SHORT_PAGE, count=2, skip=1)
    assert len(everything(linear.connector(page_size=4))[0]) == 9


def test_what_changes_between_two_pages_is_found_by_the_next_run(still: Bench):
    issues = still.sandbox.plant(6)
    pages = still.connector(page_size=2).changed_tasks(None)
    next(pages)
    still.clock.advance(3600)  # the overlap alone would not reach back over it
    still.ann.edit(issues[0].id, title="Moved to the front")
    late = still.ann.create("ENG", "Born meanwhile")
    *_, last = pages
    found, _ = everything(still.connector(), last.cursor)
    assert found[issues[0].id].values["title"].here == "Moved to the front"
    assert late.id in found


def test_the_archive_is_read_and_the_trash_is_not_a_task(linear: Bench):
    kept, gone = linear.ann.create("ENG", "Archived"), linear.ann.create("ENG", "Trashed")
    linear.ann.edit(kept.id, extra={"archived_at": "2026-04-15T10:00:00.000Z"})
    linear.ann.delete(gone.id)
    assert set(everything(linear.connector())[0]) == {kept.id}
    assert [list(ids) for ids in linear.connector().all_ids()] == [[kept.id]]


def test_a_team_added_to_the_configuration_is_read_from_the_start(linear: Bench):
    linear.sandbox.plant(400, "OPS")
    _, page = everything(linear.connector(projects=[{"external": "ENG"}]))
    linear.ann.create("ENG", "Latest")
    _, page = everything(linear.connector(projects=[{"external": "ENG"}]), page.cursor)
    assert len(everything(linear.connector(), page.cursor)[0]) == 401
    fewer = everything(linear.connector(), page.cursor)[1].cursor
    assert len(everything(linear.connector(projects=[{"external": "ENG"}]), fewer)[0]) == 1


def test_every_id_is_listed_page_by_page(linear: Bench):
    linear.sandbox.plant(260)
    assert [len(ids) for ids in linear.connector().all_ids()] == [250, 10]


# --- fetch_tasks ------------------------------------------------------------------------------------------


def test_issues_are_refetched_in_one_call_whatever_the_listing_knows(linear: Bench):
    linear.sandbox.settings.search_lag_seconds = 60
    issues = [linear.ann.create("ENG", f"New {number}") for number in range(50)]
    found = linear.connector().fetch_tasks([issue.id for issue in issues])
    assert [task.key for task in found.values() if isinstance(task, RemoteTask)] == [issue.key for issue in issues]
    assert linear.calls() == {"Changed": 1}


def test_the_trash_is_proof_of_a_deletion_and_coming_out_of_it_is_not_forgotten(linear: Bench):
    issue = linear.ann.create("ENG", "Gone")
    linear.ann.delete(issue.id)
    assert linear.connector().fetch_tasks([issue.id])[issue.id] == Gone(
        issue.id, GoneReason.DELETED, "It is in Linear's trash."
    )
    linear.ann.restore(issue.id)
    assert linear.read(issue.id).key == issue.key


def test_an_issue_linear_knows_nothing_of_is_deleted_while_every_team_can_be_seen(linear: Bench):
    issue = linear.ann.create("ENG", "Gone for ever")
    linear.ann.delete(issue.id, forever=True)
    gone = linear.connector().fetch_tasks([issue.id])[issue.id]
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.DELETED
    assert linear.calls() == {"Changed": 1, "Issue": 1, "Teams": 1}


def test_many_missing_issues_cost_one_look_at_the_teams(linear: Bench):
    lost = [f"9d3f1b7a-2c4e-4d6f-8a1b-{number:012d}" for number in range(5)]
    assert all(isinstance(gone, Gone) for gone in linear.connector().fetch_tasks(lost).values())
    assert linear.calls() == {"Changed": 1, "Issue": 5, "Teams": 1}


def test_an_issue_of_a_team_that_was_made_private_is_unreachable(linear: Bench):
    issue = linear.ann.create("ENG", "Secret")
    team = linear.sandbox.tracker.container("ENG")
    linear.sandbox.tracker.containers[team.id] = replace(team, members=frozenset({linear.ann.id}))
    gone = linear.connector().fetch_tasks([issue.id])[issue.id]
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.UNREACHABLE
    assert "ENG" in gone.detail


def test_an_issue_that_moved_keeps_its_id_and_gets_its_teams_key(linear: Bench):
    issue = linear.ann.create("ENG", "Mover", status="In Review")
    before = linear.read(issue.id)
    linear.ann.move(issue.id, "OPS")
    after = linear.read(issue.id)
    assert (before.key, after.key, after.container) == ("ENG-1", "OPS-1", "OPS")
    assert after.url.endswith("/OPS-1")
    assert after.values["status"].here == before.values["status"].here == "in_review"
    assert after.version > before.version


# --- people -----------------------------------------------------------------------------------------------


def test_a_person_is_found_by_their_address_in_any_case(linear: Bench):
    ann = linear.connector().find_user("ANN@Example.com", "ENG")
    assert ann is not None
    assert (ann.id, ann.name, ann.email) == (linear.ann.id, "Ann Archer", "ann@example.com")
    assert linear.connector().find_user("nobody@example.com", "ENG") is None


def test_a_suspended_person_is_not_found(linear: Bench):
    people = linear.sandbox.tracker.users
    people[linear.ann.id] = replace(people[linear.ann.id], active=False)
    assert linear.connector().find_user("ann@example.com", "ENG") is None


# --- what goes wrong --------------------------------------------------------------------------------------


def test_too_many_calls_come_as_a_400_and_park_the_account_until_the_window_begins_anew(still: Bench):
    still.sandbox.settings.enforce_limits = True
    still.sandbox.settings.limits_scale = 0.001
    still.connector().check()
    still.connector().check()
    with pytest.raises(RateLimited, match="Too many calls") as caught:
        still.connector().check()
    assert still.sandbox.calls.records()[-1].status == 400
    assert caught.value.scope == "account"
    assert caught.value.until == still.clock.now() + timedelta(hours=1)
    assert still.budget.until == [caught.value.until]
    still.clock.advance(3600)
    still.connector().check()


@pytest.mark.parametrize("status", [200, 400, 429])
def test_a_limit_is_known_by_its_code_whatever_status_it_comes_with(status):
    content = b'{"errors":[{"message":"m","extensions":{"code":"RATELIMITED"}}]}'
    assert limited(Response(status, {}, content, "https://api.linear.app/graphql"))


@pytest.mark.parametrize("content", [b'{"data":{"title":"RATELIMITED"}}', b"ratelimited", b'{"errors":null}'])
def test_a_text_that_speaks_of_limits_is_none(content):
    assert not limited(Response(200, {}, content, "https://api.linear.app/graphql"))


@pytest.mark.parametrize(
    ("type_", "error"),
    [
        ("authentication error", AuthFailed),
        ("Forbidden", Forbidden),
        ("feature not accessible", Forbidden),
        ("invalid input", Rejected),
        ("user error", Rejected),
        ("usage limit exceeded", Rejected),
        ("lock timeout", Transient),
        ("internal error", Transient),
        ("a type of tomorrow", Transient),
    ],
)
def test_linears_error_types_are_the_contracts_errors(type_, error):
    assert type(told(Problem("m", {"type": type_}))) is error


def test_a_code_tells_where_the_type_does_not():
    assert isinstance(told(Problem("m", {"code": "AUTHENTICATION_ERROR"})), AuthFailed)
    assert isinstance(told(Problem("m", None)), Transient)


def test_what_is_not_found_is_the_issue_or_the_field_that_named_it():
    assert isinstance(told(Problem("Entity not found: Issue", {"type": "invalid input"})), NotFound)
    user = told(Problem("Entity not found: User - Could not find", {"type": "invalid input"}))
    assert isinstance(user, Rejected)
    assert user.field == "assignee"


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.CUT])
def test_an_outage_while_reading_has_changed_nothing(linear: Bench, kind):
    linear.sandbox.faults.add(kind, count=None)
    with pytest.raises(Transient) as caught:
        everything(linear.connector())
    assert caught.value.maybe_done is False
