"""Searching: JQL, pages, lag."""

import functools
import operator
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.clock import ManualClock
from sandbox.jira import JiraSandbox


def pages(api: Any, jql: str, size: int, **body: Any) -> list[list[str]]:
    """Every page of keys until no token comes."""
    got, token = [], None
    while True:
        more = {"nextPageToken": token} if token else {}
        answer = api.search(jql, maxResults=size, **more, **body).json()
        got.append([issue["key"] for issue in answer["issues"]])
        token = answer.get("nextPageToken")
        if token is None:
            assert answer["isLast"] is True
            return got


def test_pages_follow_the_token_until_it_is_absent(api, jira):
    jira.plant(5)
    got = pages(api, "project = APEX ORDER BY updated ASC, id ASC", 2)
    assert [len(page) for page in got] == [2, 2, 1]
    assert functools.reduce(operator.iadd, got, []) == [f"APEX-{n}" for n in range(1001, 1006)]


def test_search_answers_neither_total_nor_start(api, jira):
    jira.plant(1)
    assert set(api.search("project = APEX").json()) == {"issues", "isLast"}


def test_without_fields_only_ids_come_back(api, jira):
    issue = jira.plant(1)[0]
    answer = api.post("/search/jql", json={"jql": "project = APEX"}).json()
    assert answer["issues"] == [{"id": str(issue.id)}]


def test_an_issue_updated_while_paging_appears_again_at_its_new_place(api, jira):
    jira.plant(4)
    jql = "project = APEX ORDER BY updated ASC, id ASC"
    first = api.search(jql, maxResults=2).json()
    jira.person("Ann Archer").edit("APEX-1001", summary="Again")
    assert api.found(jql, nextPageToken=first["nextPageToken"]) == ["APEX-1003", "APEX-1004", "APEX-1001"]


def test_a_page_may_be_short_or_empty_and_still_carry_a_token(api, jira):
    jira.plant(6)
    jira.faults.add("short_page")
    jira.faults.add("empty_page", skip=1)
    got = pages(api, "project = APEX ORDER BY id ASC", 4)
    assert [len(page) for page in got] == [2, 0, 4]
    assert functools.reduce(operator.iadd, got, []) == [f"APEX-{n}" for n in range(1001, 1007)]


@pytest.mark.parametrize("token", ["nonsense", "bm9uc2Vuc2U=", "e30="])
def test_a_bad_page_token_is_refused(api, token):
    assert api.search("project = APEX", nextPageToken=token).status_code == 400


def test_a_token_belongs_to_its_query_and_dies_after_seven_days(api, jira, clock):
    jira.plant(3)
    token = api.search("project = APEX ORDER BY id", maxResults=1).json()["nextPageToken"]
    assert api.search("project = APEX ORDER BY key", nextPageToken=token).status_code == 400
    clock.advance(7 * 24 * 3600 + 1)
    assert api.search("project = APEX ORDER BY id", nextPageToken=token).status_code == 400


def test_the_old_search_is_gone(api):
    for answer in (api.get("/search", params={"jql": "x"}), api.post("/search", json={"jql": "x"})):
        assert answer.status_code == 410
        assert "/rest/api/3/search/jql" in answer.json()["errorMessages"][0]


@pytest.mark.parametrize("extra", [{"startAt": 0}, {"validateQuery": "strict"}, {"maxResults": "10"}, {"fields": "x"}])
def test_unknown_or_mistyped_body_keys_are_refused(api, extra):
    assert api.search("project = APEX", **extra).status_code == 400


def test_nulls_as_the_jira_library_sends_them_are_tolerated(api):
    assert api.search("project = APEX", expand=None, properties=None).status_code == 200


@pytest.mark.parametrize(
    "jql",
    [
        "",
        "ORDER BY updated",
        "project = NOPE",
        "project ~ APEX",
        "project >= APEX",
        "colour = red",
        'updated >= "yesterday"',
        "project = APEX ORDER BY colour",
        "project = APEX AND",
        "project in (APEX",
        "key = APEX-99999",
        "project = APEX ORDER BY id,key,updated,created,summary,status,priority,issuekey",
    ],
)
def test_jql_that_means_nothing_is_answered_400_in_jiras_shape(api, jql):
    answer = api.search(jql)
    assert answer.status_code == 400
    assert answer.json()["errorMessages"]
    assert answer.json()["errors"] == {}


def test_an_unbounded_query_is_refused_by_name(api):
    assert "Unbounded JQL" in api.search("ORDER BY updated ASC").json()["errorMessages"][0]


@pytest.mark.parametrize(
    ("jql", "expected"),
    [
        ("project in (10000, OPS) ORDER BY id", ["APEX-1001", "APEX-1002", "OPS-1"]),
        ("labels = scrums-tsk-26-018841", ["APEX-1001"]),
        ("labels IS EMPTY AND project = APEX", ["APEX-1002"]),
        ("id in (10001, 10003) ORDER BY id", ["APEX-1001", "OPS-1"]),
        ("issuekey = ops-1", ["OPS-1"]),
        ('status = "In Progress"', ["APEX-1002"]),
        ('statusCategory = "To Do" ORDER BY key DESC', ["OPS-1", "APEX-1001"]),
        ("assignee = currentUser()", ["OPS-1"]),
        ('project = APEX AND (priority = High OR status = "In Progress")', ["APEX-1002"]),
        ("project = APEX AND NOT key = APEX-1001", ["APEX-1002"]),
        ("assignee != currentUser() AND project = APEX", []),
    ],
)
def test_jql_finds(api, jira, jql, expected):
    ann = jira.person("Ann Archer")
    ann.create("APEX", "One", labels=["scrums-tsk-26-018841"])
    ann.create("APEX", "Two")
    ann.transition("APEX-1002", "In Progress")
    ann.create("OPS", "Three", assignee="Sync Service")
    assert api.found(jql) == expected


def test_updated_has_minute_granularity(api, jira, clock):
    clock.set(datetime(2026, 5, 4, 9, 0, 40, tzinfo=UTC))
    jira.person("Ann Archer").create("APEX", "At 40 seconds")
    clock.set(datetime(2026, 5, 4, 9, 5, 50, tzinfo=UTC))
    assert api.found('updated >= "-5m"') == ["APEX-1001"]
    assert api.found('updated >= "-4m"') == []
    assert api.found('updated > "2026/05/04 05:00"') == []
    assert api.found('updated >= "2026/05/04 05:00"') == ["APEX-1001"]


def test_relative_times_take_minutes_hours_days_and_weeks(api, jira, clock):
    jira.person("Ann Archer").create("APEX", "Old")
    clock.advance(6 * 24 * 3600)
    assert [api.found(f'updated >= "{when}"') for when in ("-10m", "-24h", "-5d", "-1w")] == [
        [],
        [],
        [],
        ["APEX-1001"],
    ]


def test_a_literal_time_is_read_in_the_searchers_own_zone_across_a_clock_change(api, jira, clock):
    # New York leaves daylight time at 06:00 UTC on this day: 05:30 UTC is 01:30 there, 07:30 UTC is 02:30.
    clock.set(datetime(2026, 11, 1, 7, 30, tzinfo=UTC))
    jira.person("Ann Archer").create("APEX", "After the change")
    assert api.get("/myself").json()["timeZone"] == "America/New_York"
    assert api.found('updated >= "2026/11/01 02:30"') == ["APEX-1001"]
    assert api.found('updated >= "2026/11/01 02:31"') == []
    assert api.field("APEX-1001", "updated") == "2026-11-01T08:30:00.000+0100"


def test_the_index_lags_but_reads_by_id_are_fresh(api, jira, clock):
    old = jira.plant(1)[0]
    jira.settings.search_lag_seconds = 30
    api.put(f"/issue/{old.id}", json={"fields": {"summary": "Fresh"}})
    new = api.create()
    found = api.search("project = APEX").json()["issues"]
    assert [issue["fields"]["summary"] for issue in found] == [old.summary]
    assert api.field(new["key"], "summary") == "Made"
    bulk = api.post("/issue/bulkfetch", json={"issueIdsOrKeys": [str(old.id)], "fields": ["summary"]})
    assert bulk.json()["issues"][0]["fields"]["summary"] == "Fresh"
    clock.advance(31)
    assert api.found("project = APEX ORDER BY id") == ["APEX-1001", "APEX-1002"]


def test_reconcile_issues_forces_the_named_ones_to_be_fresh(api, jira):
    jira.settings.search_lag_seconds = 30
    made = [int(api.create()["id"]) for _ in range(2)]
    assert api.found("project = APEX") == []
    assert api.found("project = APEX", reconcileIssues=[made[0]]) == ["APEX-1001"]


def test_a_deleted_issue_lingers_in_a_lagging_index(api, jira, clock):
    jira.plant(1)
    jira.settings.search_lag_seconds = 30
    jira.person("Ann Archer").delete("APEX-1001")
    assert api.found("project = APEX") == ["APEX-1001"]
    assert api.get("/issue/APEX-1001").status_code == 404
    clock.advance(31)
    assert api.found("project = APEX") == []


def test_bulkfetch_answers_in_ascending_ids_and_leaves_out_the_unknown(api, jira):
    jira.plant(3)
    body = {"issueIdsOrKeys": ["APEX-1003", "99999", "10001"], "fields": ["summary"], "properties": ["a"]}
    answer = api.post("/issue/bulkfetch", json=body).json()
    assert [issue["id"] for issue in answer["issues"]] == ["10001", "10003"]
    assert answer["issueErrors"] == []
    assert api.post("/issue/bulkfetch", json={"issueIdsOrKeys": ["1"] * 101}).status_code == 400
    assert api.post("/issue/bulkfetch", json={"issueIdsOrKeys": ["1"], "expand": "names"}).status_code == 400


def test_the_count_is_there(api, jira):
    jira.plant(7)
    assert api.post("/search/approximate-count", json={"jql": "project = APEX"}).json() == {"count": 7}


def test_what_the_searcher_may_not_see_is_not_found(api, jira):
    jira.plant(1)
    jira.site.restrict(jira.site.project("APEX"), frozenset())
    assert api.found("updated >= -1d") == []
    assert api.search("project = APEX").status_code == 400
    assert api.get("/issue/APEX-1001").status_code == 404


def test_two_sandboxes_with_one_seed_are_alike():
    def dump() -> Any:
        return JiraSandbox(clock=ManualClock(), seed=7, seed_issues=20).state()

    assert dump() == dump()
