"""Creating and changing issues, against the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors.contract import (
    Conflict,
    Expected,
    NotFound,
    RateLimited,
    Rejected,
    RemoteTask,
    RemoteUser,
    Status,
    TaskWritten,
    Transient,
)
from sandbox.faults import FaultKind
from sandbox.jira import adf
from tests.connectors.bench import expected
from tests.connectors.jira.conftest import KEY, Bench, draft

LOSSY = {
    "type": "doc",
    "version": 1,
    "content": [
        {
            "type": "panel",
            "attrs": {"panelType": "info"},
            "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Mind the gap"}]}],
        }
    ],
}


def read(jira: Bench, issue: Any) -> RemoteTask:
    task = jira.connector().fetch_tasks([str(issue.id)])[str(issue.id)]
    assert isinstance(task, RemoteTask)
    return task


def update(jira: Bench, issue: Any, connector: Any = None, **changes: Any) -> TaskWritten:
    task = read(jira, issue)
    jira.sandbox.calls.reset()
    return (connector or jira.connector()).update_task(task.external_id, changes, expected(task))


def assert_sent_reads_back(written: TaskWritten) -> None:
    held: dict[str, str | None] = {name: value.there for name, value in written.remote.values.items()}
    held["assignee"] = written.remote.assignee.id if written.remote.assignee else None
    assert written.sent == {name: held[name] for name in written.sent}


# --- create ---------------------------------------------------------------------------------------------


def test_create_is_one_post_and_one_read(jira: Bench):
    written = jira.connector().create_task(draft(assignee=RemoteUser(jira.ann.account_id)), KEY)
    assert jira.sandbox.calls.counts() == {"createIssue": 1, "getIssue": 1}
    remote = written.remote
    assert {name: value.here for name, value in remote.values.items()} == {
        "title": "Rotate keys",
        "description": "All of **them**.",
        "status": "backlog",
        "priority": "high",
    }
    assert remote.create_key == KEY
    assert remote.assignee is not None
    assert remote.assignee.id == jira.ann.account_id
    assert written.sent.keys() == {"title", "description", "status", "priority", "assignee"}
    assert_sent_reads_back(written)
    issue = jira.sandbox.site.issues[int(remote.external_id)]
    assert issue.labels == (KEY,)
    assert jira.sandbox.site.extras[issue.id].properties == {"scrums.task": {"create_key": KEY}}


def test_create_brings_the_issue_to_the_drafts_status(jira: Bench):
    written = jira.connector().create_task(draft(status=Status.IN_REVIEW), KEY)
    assert written.remote.values["status"].here == "in_review"
    assert_sent_reads_back(written)


def test_a_created_issue_whose_status_could_not_be_set_is_still_created(jira: Bench):
    jira.sandbox.faults.add(FaultKind.ERROR, operation="doTransition", status=503)
    written = jira.connector().create_task(draft(status=Status.DONE), KEY)
    assert written.remote.values["status"].here == "backlog"
    assert "status" not in written.sent


def test_a_long_title_of_several_lines_is_made_to_fit(jira: Bench):
    written = jira.connector().create_task(draft(title="One\n two " + "x" * 300), KEY)
    title = written.remote.values["title"]
    assert title.here == ("One two " + "x" * 300)[:255]
    assert written.sent["title"] == title.there


def test_fields_that_are_not_on_the_screen_are_left_out_once_and_told(jira: Bench):
    written = jira.connector().create_task(draft(container="OPS"), KEY)
    assert jira.count("createIssue") == 2
    assert written.refused["priority"].code == "field_refused"
    assert "not on the appropriate screen" in written.refused["priority"].text
    assert "priority" not in written.sent
    assert len(jira.sandbox.site.issues) == 1


def test_labels_off_the_screen_leave_a_weak_marker_that_is_found_all_the_same(jira: Bench):
    site = jira.sandbox.site
    apex = site.projects["10000"]
    site.projects["10000"] = replace(apex, screen=apex.screen - {"labels"})
    connector = jira.connector()
    with capture_logs() as logs:
        written = connector.create_task(draft(), KEY)
    assert not written.refused
    assert "create screen" in next(entry["hint"] for entry in logs if entry["event"] == "jira.weak_marker")
    assert written.remote.create_key == KEY
    assert [task.external_id for task in connector.find_created(KEY)] == [written.remote.external_id]
    assert connector.find_created("scrums-tsk-26-000001") == []


def test_what_an_issue_can_not_be_without_is_rejected(jira: Bench):
    with pytest.raises(Rejected, match="issuetype: Specify a valid issue type"):
        jira.connector(issue_type="Epic").create_task(draft(), KEY)
    assert jira.count("createIssue") == 1


def test_a_connection_cut_after_the_create_leaves_one_issue_that_is_found(jira: Bench):
    jira.sandbox.faults.add(FaultKind.CUT, operation="createIssue", when="after")
    connector = jira.connector()
    with pytest.raises(Transient) as found:
        connector.create_task(draft(), KEY)
    assert found.value.maybe_done
    assert jira.count("createIssue") == 1
    (task,) = connector.find_created(KEY)
    assert task.create_key == KEY
    assert len(jira.sandbox.site.issues) == 1


def test_reading_back_may_fail_without_the_create_being_done_twice(jira: Bench):
    jira.sandbox.faults.add(FaultKind.RATE_LIMIT, operation="getIssue", reason="jira-burst-based", retry_after=1)
    with pytest.raises(Transient, match="created the issue") as found:
        jira.connector().create_task(draft(), KEY)
    assert found.value.maybe_done


def test_the_index_may_be_behind_and_then_not(still: Bench):
    still.sandbox.settings.search_lag_seconds = 30
    connector = still.connector()
    written = connector.create_task(draft(), KEY)
    assert connector.find_created(KEY) == []
    still.clock.advance(31)
    assert [task.external_id for task in connector.find_created(KEY)] == [written.remote.external_id]


def test_of_several_issues_with_the_key_the_lowest_id_comes_first(jira: Bench):
    made = [jira.ann.create("APEX", f"Copy {n}", labels=[KEY]) for n in range(3)]
    found = jira.connector().find_created(KEY)
    assert [task.external_id for task in found] == [str(issue.id) for issue in made]


# --- edit -----------------------------------------------------------------------------------------------


def test_an_edit_sends_only_what_changed_and_reads_back_what_it_sent(jira: Bench):
    issue = jira.ann.create("APEX", "Old", description="Old text", labels=["keep"])
    person = RemoteUser(jira.ann.account_id)
    changes = {"title": "New", "description": "# New\n\n- text", "priority": "critical", "assignee": person}
    written = update(jira, issue, **changes)
    assert written.sent.keys() == changes.keys()
    assert_sent_reads_back(written)
    assert written.remote.values["description"].here == "# New\n\n- text"
    assert not written.refused
    assert not written.overwrote
    assert jira.total() <= 2
    assert jira.sandbox.site.issues[issue.id].labels == ("keep",)


def test_unassigning_and_emptying(jira: Bench):
    issue = jira.ann.create("APEX", "Old", description="Old text", assignee="Ann Archer")
    written = update(jira, issue, assignee=None, description="")
    assert written.remote.assignee is None
    assert written.remote.values["description"] == ("", None)
    assert written.sent == {"assignee": None, "description": None}


@pytest.mark.parametrize(("held", "wanted"), [("Lowest", "low"), ("Low", "low"), ("High", "high")])
def test_a_priority_that_says_it_already_is_kept(jira: Bench, held, wanted):
    issue = jira.ann.create("APEX", "Old", priority=held)
    written = update(jira, issue, priority=wanted)
    assert jira.sandbox.state()["issues"][0]["priority"] == held
    assert_sent_reads_back(written)
    assert jira.sandbox.calls.counts() == {"getIssue": 1}


def test_a_lossy_description_is_left_alone_unless_the_text_differs(jira: Bench):
    issue = jira.ann.create("APEX", "Old", description=LOSSY)
    written = update(jira, issue, description="Mind the gap")
    assert written.sent["description"] == written.remote.values["description"].there
    assert '"panel"' in json.dumps(jira.sandbox.site.issues[issue.id].description)
    written = update(jira, issue, description="Mind the step")
    assert adf.plain(jira.sandbox.site.issues[issue.id].description) == "Mind the step"
    assert_sent_reads_back(written)


def test_a_refused_field_does_not_stop_the_others(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    written = update(jira, issue, title="New", priority="critical")
    assert written.remote.values["title"].here == "New"
    assert written.sent == {"title": "New"}
    assert written.refused["priority"].code == "field_refused"
    written = update(jira, issue, assignee=RemoteUser("5b10ac8d82e05b22cc7d4e04"))  # has left
    assert "cannot be assigned" in written.refused["assignee"].text


def test_what_somebody_else_wrote_meanwhile_is_told(jira: Bench):
    issue = jira.ann.create("APEX", "Old", priority="Low", assignee="Ann Archer")
    believed = read(jira, issue)
    jira.ann.edit(issue.key, summary="Ann's", priority="Highest", assignee="Bob Baker", description="Ann's words")
    changes = {"title": "Ours", "priority": "high", "assignee": None, "description": "Our words"}
    jira.ann.edit(issue.key, description="More of Ann's words")
    written = jira.connector().update_task(str(issue.id), changes, expected(believed))
    assert written.overwrote["title"].here == "Ann's"
    assert written.overwrote["priority"] == ("critical", "1:critical")
    assert written.overwrote["assignee"].there == "5b10ac8d82e05b22cc7d4e02"
    assert written.overwrote["description"].here == "More of Ann's words"


def test_our_own_earlier_write_is_not_somebody_elses(jira: Bench):
    issue = jira.ann.create("APEX", "Old")
    believed = read(jira, issue)
    connector = jira.connector()
    connector.update_task(str(issue.id), {"title": "Ours"}, expected(believed))
    again = connector.update_task(str(issue.id), {"title": "Ours"}, expected(believed))  # the answer was lost
    assert not again.overwrote


def test_an_issue_that_is_gone_is_not_found(jira: Bench):
    issue = jira.ann.create("APEX", "Old")
    believed = read(jira, issue)
    jira.ann.delete(issue.key)
    with pytest.raises(NotFound):
        jira.connector().update_task(str(issue.id), {"title": "New"}, expected(believed))
    with pytest.raises(NotFound):
        jira.connector().update_task(str(issue.id), {"status": "done"}, expected(believed))


# --- status ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", list(Status))
def test_every_status_is_reached_and_reads_back(jira: Bench, target):
    issue = jira.ann.create("APEX", "Old")
    written = update(jira, issue, status=target.value)
    assert written.remote.values["status"].here == target
    assert written.sent == {"status": written.remote.values["status"].there}
    assert not written.overwrote


def test_a_status_change_is_a_post_and_a_read_once_the_ways_are_known(jira: Bench):
    connector = jira.connector()
    tasks = [read(jira, jira.ann.create("APEX", f"Task {n}")) for n in range(3)]
    connector.fetch_tasks([task.external_id for task in tasks])
    for number, task in enumerate(tasks):
        jira.sandbox.calls.reset()
        connector.update_task(task.external_id, {"status": "in_progress"}, expected(task))
        assert jira.total() == (3 if number == 0 else 2)


def test_status_and_fields_together(jira: Bench):
    issue = jira.ann.create("APEX", "Old")
    written = update(jira, issue, status="done", title="New")
    assert written.remote.values["status"].here == "done"
    assert written.remote.values["title"].here == "New"
    assert_sent_reads_back(written)


def test_finishing_fills_in_the_resolution_that_is_asked_for(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    jira.ann.transition(issue.key, "In Progress")
    assert update(jira, issue, status="done").remote.values["status"].here == "done"
    assert jira.sandbox.state()["issues"][0]["resolution"] == "Done"


def test_cancelling_without_a_status_for_it_uses_the_resolution(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    jira.ann.transition(issue.key, "In Progress")
    written = update(jira, issue, status="cancelled")
    assert written.remote.values["status"] == ("cancelled", "10002:cancelled")
    assert_sent_reads_back(written)


def test_a_status_no_transition_leads_to_needs_somebody(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    written = update(jira, issue, status="done")
    refusal = written.refused["status"]
    assert refusal.code == "no_path"
    assert "from 'To Do'" in refusal.text
    assert "Start (to In Progress)" in refusal.text
    assert written.sent == {}
    assert written.remote.values["status"].here == "backlog"


def test_a_longer_way_is_walked_where_that_is_allowed(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    written = update(jira, issue, connector=jira.connector(allow_multi_hop=True), status="done")
    assert written.remote.values["status"].here == "done"
    assert_sent_reads_back(written)
    assert not written.overwrote
    assert jira.count("doTransition") == 2


def test_a_configured_status_is_preferred_and_stays_apart(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    jira.ann.transition(issue.key, "In Progress")
    connector = jira.connector(status_out={"in_review": "in qa"})
    written = update(jira, issue, connector=connector, status="in_review")
    assert written.remote.values["status"] == ("in_review", "10004:in_review")
    assert_sent_reads_back(written)


def test_required_fields_we_can_not_fill_need_somebody(jira: Bench):
    site = jira.sandbox.site
    apex = site.projects["10000"]
    ways = tuple(replace(t, requires=("duedate",)) if t.name == "Done" else t for t in apex.workflow.transitions)
    site.projects["10000"] = replace(apex, workflow=replace(apex.workflow, transitions=ways))
    issue = jira.ann.create("APEX", "Old")
    refusal = update(jira, issue, status="done").refused["status"]
    assert refusal.code == "needs_human"
    assert "Due date" in refusal.text
    assert jira.count("doTransition") == 0


def test_a_resolution_the_site_does_not_have_needs_somebody(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    jira.ann.transition(issue.key, "In Progress")
    refusal = update(jira, issue, connector=jira.connector(resolution="Fixed"), status="done").refused["status"]
    assert refusal.code == "needs_human"
    assert "Resolution" in refusal.text


def test_a_status_changed_meanwhile_is_decided_again_and_told(jira: Bench):
    connector = jira.connector(status_out={"in_review": "In QA"})
    for _ in range(2):  # so that the ways out of To Do are remembered
        other = jira.ann.create("OPS", "Other")
        connector.fetch_tasks([str(other.id)])
        connector.update_task(str(other.id), {"status": "in_progress"}, expected(read(jira, other)))
    issue = jira.ann.create("OPS", "Old")
    believed = read(jira, issue)
    connector.fetch_tasks([str(issue.id)])
    jira.ann.transition(issue.key, "In Progress")
    jira.ann.transition(issue.key, "In QA")
    written = connector.update_task(str(issue.id), {"status": "in_progress"}, expected(believed))
    assert written.remote.values["status"].here == "in_progress"
    assert written.overwrote["status"] == ("in_review", "10004:in_review")
    assert jira.sandbox.calls.count("doTransition") == 4  # two for the others, one that was too late, one


def test_a_status_that_is_there_already_is_no_write(jira: Bench):
    issue = jira.ann.create("OPS", "Old")
    believed = read(jira, issue)
    jira.ann.transition(issue.key, "In Progress")
    jira.sandbox.calls.reset()
    written = jira.connector().update_task(str(issue.id), {"status": "in_progress"}, expected(believed))
    assert written.sent == {"status": "3:in_progress"}
    assert jira.count("doTransition") == 0


def test_a_rule_of_the_workflow_is_told_in_jiras_words_not_retried_for_ever(jira: Bench):
    issue = jira.ann.create("APEX", "Old")
    jira.sandbox.faults.add(FaultKind.ERROR, operation="doTransition", status=400, count=None)
    refusal = update(jira, issue, status="done").refused["status"]
    assert refusal.code == "needs_human"
    assert jira.count("doTransition") == 1


def test_two_at_once_is_a_conflict(jira: Bench):
    issue = jira.ann.create("APEX", "Old")
    jira.sandbox.faults.add(FaultKind.ERROR, operation="doTransition", status=409)
    with pytest.raises(Conflict):
        update(jira, issue, status="done")


@pytest.mark.parametrize("operation", ["editIssue", "doTransition"])
def test_too_many_writes_to_one_issue_stop_that_issue_only(jira: Bench, operation):
    issue = jira.ann.create("APEX", "Old")
    jira.sandbox.faults.add(FaultKind.RATE_LIMIT, operation=operation, reason="jira-per-issue-on-write", retry_after=2)
    with pytest.raises(RateLimited) as found:
        update(jira, issue, **({"title": "New"} if operation == "editIssue" else {"status": "done"}))
    assert found.value.scope == "item"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_transition_is_sent_once_and_settles_when_sent_again(jira: Bench, when):
    issue = jira.ann.create("APEX", "Old")
    jira.sandbox.faults.add(FaultKind.CUT, operation="doTransition", when=when)
    believed = read(jira, issue)
    connector = jira.connector()
    with pytest.raises(Transient) as found:
        connector.update_task(str(issue.id), {"status": "done"}, expected(believed))
    assert found.value.maybe_done
    assert jira.count("doTransition") == 1
    written = connector.update_task(str(issue.id), {"status": "done"}, expected(believed))
    assert written.remote.values["status"].here == "done"
    assert not written.overwrote


def test_errors_name_no_credential(jira: Bench):
    _, token = jira.sandbox.basic_auth
    jira.sandbox.faults.add(FaultKind.ERROR, operation="doTransition", status=500)
    issue = jira.ann.create("APEX", "Old")
    with pytest.raises(Transient) as found:
        update(jira, issue, status="done")
    shown = f"{found.value!r} {found.value.__cause__!r} {found.value.text}"
    assert token not in shown
    assert "Basic" not in shown


def test_expected_nothing_still_works(jira: Bench):
    issue = jira.ann.create("APEX", "Old")
    written = jira.connector().update_task(str(issue.id), {"status": "done", "priority": "low"}, Expected(0, {}))
    assert written.remote.values["status"].here == "done"
    assert written.remote.values["priority"].here == "low"
