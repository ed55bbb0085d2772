"""The main job, end to end and as users run it: both ends keep each other true, in one process and in many."""

from __future__ import annotations

import statistics
from functools import partial

import pytest

from tests.services.stack import PROJECT, Stack, eventually, running


@pytest.fixture(scope="module", params=["embedded", "services"])
def stack(request, tmp_path_factory):
    if request.param == "embedded":
        url, broker = f"sqlite:///{tmp_path_factory.mktemp('two-way')}/turnbuckle.db", None
    else:
        url, broker = request.getfixturevalue("postgres_url"), request.getfixturevalue("redis_url")
    with running(request.param, url, broker, seed_issues=25) as made:
        made.connect(poll_seconds=3600)
        yield made


@pytest.fixture
def ann(stack: Stack):
    return stack.sandbox.person("ann@example.com")


@pytest.fixture
def issue(stack: Stack, ann) -> str:
    """An issue of its own for each test, already a task."""
    key = str(ann.create(PROJECT, "A fresh issue").key)
    eventually(lambda: stack.task_of(key), "the new issue's task")
    return key


def test_the_first_sync_brought_every_issue(stack):
    assert len(stack.tasks()) >= 25
    assert stack.integration()["sync_history"][0]["status"] == "success"


def test_an_issue_edited_by_a_person_shows_here_within_a_second_through_its_webhook(stack, ann, issue):
    took = []
    for number in range(5):
        title = f"Edit {number}"
        ann.edit(issue, summary=title)
        took.append(eventually(partial(shows, stack, issue, title), "the edit"))
    assert statistics.median(took) < 1


def test_an_edit_whose_webhook_was_dropped_shows_with_one_poll(stack, ann, issue):
    stack.sandbox.faults.add("webhook_drop", count=None)
    try:
        ann.edit(issue, summary="Unheard")
    finally:
        stack.sandbox.faults.clear()
    assert stack.task_of(issue)["title"] == "A fresh issue"
    run = stack.sync(stack.integration_id)
    assert run["status"] == "success"
    assert stack.task_of(issue)["title"] == "Unheard"


def test_a_status_change_here_reaches_jira_as_the_right_transition_within_a_second(stack, issue):
    task = stack.task_of(issue)
    took = []
    for status, name in (("in_progress", "In Progress"), ("done", "Done"), ("backlog", "To Do")):
        stack.send("PATCH", f"/tasks/{task['id']}", {"status": status})
        took.append(eventually(partial(stands, stack, issue, name), f"the transition to {name}"))
    assert statistics.median(took) < 1


def test_the_echo_of_our_write_causes_no_further_write_and_at_most_one_read(stack, issue):
    writes = ("editIssue", "doTransition", "createIssue", "assignIssue")
    task = stack.task_of(issue)
    eventually(lambda: stack.sandbox.deliveries.pending() == 0, "quiet")
    quiet(stack)
    before_writes, before_reads = stack.calls(*writes), stack.calls("bulkFetchIssues")
    stack.send("PATCH", f"/tasks/{task['id']}", {"title": "Ours"})
    eventually(lambda: stack.issue(issue)["summary"] == "Ours", "the write")
    quiet(stack)
    assert stack.calls(*writes) - before_writes == 1
    assert stack.calls("bulkFetchIssues") - before_reads <= 1
    assert stack.get(f"/tasks/{task['id']}")["title"] == "Ours"


def test_two_people_editing_two_fields_at_once_both_keep_their_edit(stack, ann, issue):
    task = stack.task_of(issue)
    ann.edit(issue, priority="Highest")
    stack.send("PATCH", f"/tasks/{task['id']}", {"title": "Both kept"})
    eventually(lambda: stack.issue(issue)["summary"] == "Both kept", "our edit there")
    eventually(lambda: stack.task_of(issue)["priority"] == "critical", "their edit here")
    quiet(stack)
    assert stack.issue(issue)["priority"]["name"] == "Highest"
    assert stack.task_of(issue)["title"] == "Both kept"


def test_a_task_created_here_becomes_one_issue_with_its_fields(stack):
    task = stack.create("Add tracing", description="With **spans**.", priority="high", assignee_id=stack.ids["bob"])
    eventually(lambda: stack.get(f"/tasks/{task['id']}")["external_id"], "the issue")
    key = stack.get(f"/tasks/{task['id']}")["external_id"]
    quiet(stack)
    fields = stack.issue(key)
    assert (fields["summary"], fields["priority"]["name"]) == ("Add tracing", "High")
    assert fields["assignee"]["emailAddress"] == "bob@example.com"
    assert len([t for t in stack.tasks() if t["title"] == "Add tracing"]) == 1
    assert stack.get(f"/tasks/{task['id']}")["external_url"].endswith(f"/browse/{key}")


def test_an_issue_deleted_by_a_person_cancels_its_task(stack, ann, issue):
    task = stack.task_of(issue)
    ann.delete(issue)
    eventually(lambda: stack.get(f"/tasks/{task['id']}")["status"] == "cancelled", "the cancellation")
    assert stack.get(f"/tasks/{task['id']}")["sync"][0]["state"] == "ended"


def shows(stack: Stack, key: str, title: str) -> bool:
    """Whether the task has this title."""
    task = stack.task_of(key)
    return task is not None and task["title"] == title


def stands(stack: Stack, key: str, status: str) -> bool:
    """Whether the issue is in this status."""
    return bool(stack.issue(key)["status"]["name"] == status)


def quiet(stack: Stack) -> None:
    """Wait until every webhook was sent and everything told or owed was worked off."""

    def settled() -> bool:
        lines = stack.api.get(f"{stack.url}/metrics").text.splitlines()
        waiting = [
            line for line in lines if line.startswith(("turnbuckle_deliveries_pending ", "turnbuckle_bindings_owed "))
        ]
        return stack.sandbox.deliveries.pending() == 0 and {float(line.split()[-1]) for line in waiting} == {0.0}

    eventually(settled, "quiet")
