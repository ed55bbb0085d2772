"""Pulling, refetching and finding people, against the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace

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
from connectors.jira import JiraConnector
from connectors.jira.config import BasicCredentials, OAuthCredentials
from connectors.registry import problems
from connectors.times import iso_ms
from sandbox.faults import FaultKind
from tests.connectors.bench import everything
from tests.connectors.jira.conftest import Bench, at


def test_it_is_a_sound_connector_with_every_capability():
    assert problems(JiraConnector) == []
    assert capabilities(JiraConnector) == (
        "task_source",
        "task_sink",
        "users",
        "vocabulary",
        "webhooks",
        "webhook_subscriptions",
    )


# --- words ----------------------------------------------------------------------------------------------


def test_it_tells_the_statuses_of_each_project_and_the_sites_priorities_as_the_mapping_reads_them(jira: Bench):
    apex, ops = jira.connector(status_map={"In Review": "in_progress"}).vocabularies()
    assert (apex.container, ops.container) == ("APEX", "OPS")
    assert {value.name: value.here for value in apex.statuses}["In Review"] == "in_progress"
    assert {value.name: value.here for value in apex.priorities}["Lowest"] == "low"
    assert {value.name for value in ops.statuses} != {value.name for value in apex.statuses}
    assert jira.sandbox.calls.counts() == {"searchPriorities": 1, "getAllStatuses": 2}


def test_a_project_that_is_not_there_is_told_by_its_key(jira: Bench):
    with pytest.raises(NotFound, match="NOWHERE"):
        list(jira.connector(projects=[{"external": "NOWHERE"}]).vocabularies())


# --- check ----------------------------------------------------------------------------------------------


def test_an_api_token_proves_itself_with_one_call(jira: Bench):
    account = jira.connector().check()
    assert account.name == "Sync Service"
    assert account.learned == {"account_id": account.id}
    assert jira.sandbox.calls.counts() == {"getCurrentUser": 1}


def test_oauth_finds_the_configured_site_among_several(jira: Bench):
    account = jira.connector(jira.oauth(cloud_id=None)).check()
    assert account.learned["cloud_id"] == jira.sandbox.site.cloud_id
    assert account.learned["account_id"] == account.id
    assert account.missing_scopes == ()
    other = jira.connector(jira.oauth(cloud_id=None), site_url="https://acme-2.atlassian.net").check()
    assert other.learned["cloud_id"] == jira.sandbox.services[1].site.cloud_id


def test_oauth_for_a_site_the_consent_does_not_cover_says_which_ones_it_covers(jira: Bench):
    with pytest.raises(Forbidden, match=r"acme-2\.atlassian\.net.*choose that site"):
        jira.connector(jira.oauth(cloud_id=None), site_url="https://other.atlassian.net").check()


def test_scopes_that_were_not_granted_are_named(jira: Bench):
    credentials = jira.oauth(cloud_id=None, scopes=("read:jira-work", "read:jira-user"))
    assert jira.connector(credentials).check().missing_scopes == (
        "write:jira-work",
        "manage:jira-webhook",
        "offline_access",
    )


def test_before_consent_nothing_is_called(jira: Bench):
    with pytest.raises(ConsentPending):
        jira.connector(OAuthCredentials()).check()
    assert jira.total() == 0


@pytest.mark.parametrize("mode", ["anonymous", "refuse"])
def test_wrong_credentials_never_read_as_an_empty_site(jira: Bench, mode):
    jira.sandbox.settings.wrong_credentials = mode
    jira.sandbox.plant(2)
    wrong = BasicCredentials(email="sync@example.com", api_token="wrong")
    with pytest.raises(AuthFailed):
        jira.connector(wrong).check()
    with pytest.raises(AuthFailed):
        everything(jira.connector(wrong))
    with pytest.raises(AuthFailed):
        list(jira.connector(wrong).all_ids())
    with pytest.raises(AuthFailed):
        jira.connector(wrong).fetch_tasks(["10001"])


def test_a_token_that_dies_between_two_pages_is_noticed(jira: Bench):
    jira.sandbox.plant(4)
    pages = jira.connector(page_size=2).changed_tasks(None)
    next(pages)
    jira.sandbox.site.tokens.clear()
    with pytest.raises(AuthFailed, match="as if nobody had signed in"):
        next(pages)


# --- changed_tasks --------------------------------------------------------------------------------------


def test_a_first_run_brings_every_issue_and_an_estimate(jira: Bench):
    jira.sandbox.plant(5)
    jira.sandbox.plant(3, "OPS")
    found, page = everything(jira.connector(page_size=3))
    assert len(found) == 8
    assert page.total == 8
    assert page.cursor["since"] == iso_ms(max(t.updated_at for t in found.values()))


def test_a_later_run_overlaps_and_costs_two_calls(jira: Bench):
    connector = jira.connector()
    jira.sandbox.plant(200)
    _, page = everything(connector)
    jira.sandbox.calls.reset()
    found, again = everything(connector, page.cursor)
    assert 1 <= len(found) <= 8  # planted one a minute: those of the overlap
    assert again.cursor == page.cursor
    assert jira.sandbox.calls.counts() == {"getCurrentUser": 1, "searchJql": 1}


def test_an_empty_site_is_asked_for_everything_again(jira: Bench):
    found, page = everything(jira.connector())
    assert (found, page.cursor["since"]) == ({}, None)
    jira.ann.create("APEX", "First")
    assert len(everything(jira.connector(), page.cursor)[0]) == 1


def test_a_killed_run_carries_on_at_its_page(jira: Bench):
    jira.sandbox.plant(7)
    first = next(jira.connector(page_size=3).changed_tasks(None))
    cursor = json.loads(json.dumps(first.cursor))
    pages = list(jira.connector(page_size=2).changed_tasks(cursor))  # the size belongs to the token
    end = next(number for number, page in enumerate(pages) if "token" not in page.cursor)
    rest = {task.external_id for page in pages[: end + 1] for task in page.tasks}
    assert (len(first.tasks), len(rest)) == (3, 4)
    assert rest.isdisjoint(task.external_id for task in first.tasks)
    assert pages[end].cursor["since"] > cursor["high"]


def test_an_expired_page_token_starts_that_run_again(still: Bench):
    still.sandbox.plant(5)
    first = next(still.connector(page_size=3).changed_tasks(None))
    still.clock.advance(8 * 24 * 3600)
    assert len(everything(still.connector(), first.cursor)[0]) == 5


def test_any_other_refusal_of_a_search_is_told(jira: Bench):
    with pytest.raises(Rejected, match="'NOPE' does not exist"):
        everything(jira.connector(projects=[{"external": "NOPE"}]))


def test_short_and_empty_pages_are_not_the_end(jira: Bench):
    jira.sandbox.plant(9)
    jira.sandbox.faults.add(FaultKind.EMPTY_PAGE, count=2)
    jira.sandbox.faults.add(FaultKind.SHORT_PAGE, count=2, skip=1)
    assert len(everything(jira.connector(page_size=4))[0]) == 9


def test_an_issue_changed_while_paging_is_not_lost(jira: Bench):
    issues = jira.sandbox.plant(6)
    pages = jira.connector(page_size=2).changed_tasks(None)
    next(pages)
    jira.ann.edit(issues[5].key, summary="Moved to the end")
    titles = {task.values["title"].here for page in pages for task in page.tasks}
    assert "Moved to the end" in titles


def test_a_project_added_to_the_configuration_is_read_from_the_start(jira: Bench):
    jira.sandbox.plant(20)
    jira.sandbox.plant(20, "OPS")
    _, page = everything(jira.connector(projects=[{"external": "APEX"}]))
    assert len(everything(jira.connector(), page.cursor)[0]) == 40


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_a_change_within_the_minute_of_the_last_one_is_found(still: Bench, form):
    connector = still.connector(jql_time=form, overlap_minutes=1)
    issue = still.ann.create("APEX", "A")
    _, page = everything(connector)
    still.clock.advance(0.002)
    still.ann.edit(issue.key, summary="B")
    still.clock.advance(59)
    found, _ = everything(connector, page.cursor)
    assert [task.values["title"].here for task in found.values()] == ["B"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-01T05:30:00Z",
        "2026-11-01T06:30:00Z",
        "2026-04-04T14:45:00Z",
        "2026-04-04T15:15:00Z",
        "2026-03-08T07:00:00Z",
    ],
)
def test_absolute_time_misses_nothing_in_any_zone_at_any_clock_change(still: Bench, zone, moment):
    me = still.sandbox.site.user("sync@example.com")
    still.sandbox.add_user(replace(me, time_zone=zone))
    still.clock.advance((at(moment) - still.clock.now()).total_seconds())
    connector = still.connector(jql_time="absolute")
    _, page = everything(connector)
    still.ann.create("APEX", "Before")
    _, page = everything(connector, page.cursor)
    still.clock.advance(1)
    still.ann.create("APEX", "After")
    found, _ = everything(connector, page.cursor)
    assert "After" in {task.values["title"].here for task in found.values()}


def test_the_limits_park_and_name_their_scope(jira: Bench):
    jira.sandbox.faults.add(
        FaultKind.RATE_LIMIT, operation="searchJql", reason="jira-quota-tenant-based", retry_after=900
    )
    with pytest.raises(RateLimited) as found:
        everything(jira.connector())
    assert found.value.scope == "account"
    assert (found.value.until - jira.clock.now()).total_seconds() > 800


def test_an_outage_is_transient(jira: Bench):
    jira.sandbox.faults.add(FaultKind.ERROR, operation="searchJql", status=503)
    with pytest.raises(Transient):
        everything(jira.connector())


# --- fetch_tasks, all_ids -------------------------------------------------------------------------------


def test_one_call_fetches_many(jira: Bench):
    ids = [str(issue.id) for issue in jira.sandbox.plant(40)]
    found = jira.connector().fetch_tasks(ids)
    assert list(found) == ids
    assert all(isinstance(task, RemoteTask) for task in found.values())
    assert jira.sandbox.calls.counts() == {"bulkFetchIssues": 1}


def test_more_than_a_hundred_are_fetched_in_parts(jira: Bench):
    ids = [str(issue.id) for issue in jira.sandbox.plant(230)]
    assert len(jira.connector().fetch_tasks(ids)) == 230
    assert jira.count("bulkFetchIssues") == 3


def test_a_moved_issue_comes_under_its_new_key_and_container(jira: Bench):
    issue = jira.ann.create("APEX", "Wanderer")
    jira.ann.move(issue.key, "OPS")
    task = jira.connector(projects=[{"external": "APEX"}]).fetch_tasks([str(issue.id)])[str(issue.id)]
    assert isinstance(task, RemoteTask)
    assert (task.external_id, task.container, task.key) == (str(issue.id), "OPS", "OPS-1")
    assert task.url == f"{jira.url}/browse/OPS-1"


def test_a_deleted_issue_is_proven_deleted(jira: Bench):
    kept, lost = jira.sandbox.plant(2)
    jira.ann.delete(lost.key)
    found = jira.connector().fetch_tasks([str(kept.id), str(lost.id)])
    assert isinstance(found[str(kept.id)], RemoteTask)
    gone = found[str(lost.id)]
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.DELETED
    assert jira.count("getIssue") == 2


def test_an_issue_of_a_project_we_lost_is_only_unreachable(jira: Bench):
    issue = jira.sandbox.plant(1)[0]
    connector = jira.connector()
    connector.fetch_tasks([str(issue.id)])
    site = jira.sandbox.site
    site.projects["10000"] = replace(site.projects["10000"], members=frozenset({jira.ann.account_id}))
    gone = connector.fetch_tasks([str(issue.id)])[str(issue.id)]
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.UNREACHABLE
    assert "APEX" in gone.detail


def test_all_ids_are_listed_in_batches(jira: Bench):
    ids = {str(issue.id) for issue in (*jira.sandbox.plant(1200), *jira.sandbox.plant(3, "OPS"))}
    batches = list(jira.connector().all_ids())
    assert {i for batch in batches for i in batch} == ids
    assert len(batches) == 2


# --- people ---------------------------------------------------------------------------------------------


def test_a_person_is_found_by_the_exact_address_only(jira: Bench):
    connector = jira.connector()
    found = connector.find_user("ANN@example.com", "APEX")
    assert found is not None
    assert (found.id, found.name) == (jira.ann.account_id, "Ann Archer")
    assert connector.find_user("ann@example.co", "APEX") is None
    assert connector.find_user("dan@example.com", "APEX") is None  # left
    assert connector.find_user("nobody@example.com", "APEX") is None
