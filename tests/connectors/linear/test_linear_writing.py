"""Creating and changing issues, against the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.chosen_id import GENERATIONS, id_of, key_of
from connectors.contract import (
    Expected,
    Forbidden,
    Gone,
    NotFound,
    Rejected,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    Status,
    Transient,
)
from sandbox.faults import FaultKind
from tests.connectors.bench import expected
from tests.connectors.linear.conftest import KEY, Bench, draft


def here(task: RemoteTask) -> dict[str, str | None]:
    return {name: value.here for name, value in task.values.items()}


def as_read(task: RemoteTask, sent: Any) -> None:
    """What was said to be sent is what the issue reads."""
    there = {name: value.there for name, value in task.values.items()}
    there["assignee"] = task.assignee.id if task.assignee else None
    assert dict(sent) == {name: there[name] for name in sent}


def person(linear: Bench, name: str = "Bob Baker") -> RemoteUser:
    return RemoteUser(linear.sandbox.tracker.user(name).id)


# --- create -----------------------------------------------------------------------------------------------


def test_a_task_becomes_an_issue_whose_id_is_its_marker(linear: Bench):
    written = linear.connector().create_task(draft(status=Status.IN_REVIEW, assignee=person(linear)), KEY)
    assert (written.remote.external_id, written.remote.key, written.remote.create_key) == (id_of(KEY), "ENG-1", KEY)
    assert here(written.remote) == {
        "title": "Rotate keys",
        "description": "All of **them**.",
        "status": "in_review",
        "priority": "high",
    }
    assert written.refused == {}
    assert set(written.sent) == {"title", "description", "status", "priority", "assignee"}
    as_read(written.remote, written.sent)
    assert linear.calls() == {"Teams": 1, "Create": 1}


def test_nothing_is_sent_for_what_is_empty(linear: Bench):
    written = linear.connector().create_task(draft(description="  ", assignee=None), KEY)
    assert set(written.sent) == {"title", "status", "priority"}
    assert linear.read(written.remote.external_id).values["description"].there is None


def test_a_list_that_linear_writes_with_another_sign_reads_as_it_was_sent(linear: Bench):
    written = linear.connector().create_task(draft(description="- a\r\n- b  \n"), KEY)
    assert written.remote.values["description"].here == "* a\n* b"
    as_read(written.remote, written.sent)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_creation_whose_answer_was_lost_is_found_by_its_id_and_not_repeated(linear: Bench, when):
    linear.sandbox.faults.add(FaultKind.CUT, operation="Create", when=when)
    with pytest.raises(Transient) as caught:
        linear.connector().create_task(draft(), KEY)
    assert caught.value.maybe_done is True
    assert linear.calls()["Create"] == 1
    found = linear.connector().find_created(KEY)
    assert [task.key for task in found] == (["ENG-1"] if when == "after" else [])
    assert linear.connector().find_created(KEY.replace("018841", "018842")) == []


def test_creating_again_with_the_same_marker_makes_nothing_and_leaves_it_to_be_found(linear: Bench):
    linear.connector().create_task(draft(), KEY)
    with pytest.raises(Transient, match="ENG-1 was created before") as caught:
        linear.connector().create_task(draft(), KEY)
    assert caught.value.maybe_done is True
    assert linear.issues() == 1


def test_an_issue_that_somebody_trashed_keeps_its_id_and_the_next_generation_is_made(linear: Bench):
    first = linear.connector().create_task(draft(), KEY).remote
    linear.ann.delete(first.external_id)
    assert linear.connector().find_created(KEY) == []
    second = linear.connector().create_task(draft(), KEY).remote
    assert second.external_id != first.external_id
    assert second.create_key == KEY
    assert [task.key for task in linear.connector().find_created(KEY)] == [second.key]


def test_generations_end(linear: Bench):
    for generation in range(GENERATIONS):
        made = linear.sandbox.tracker.create(
            linear.ann.id, linear.sandbox.tracker.container("ENG").id, "T", item_id=id_of(KEY, generation)
        )
        linear.ann.delete(made.id)
    assert linear.connector().find_created(KEY) == []
    with pytest.raises(Rejected, match="in Linear's trash"):
        linear.connector().create_task(draft(), KEY)


def test_an_outage_before_the_creation_has_made_nothing(linear: Bench):
    linear.sandbox.faults.add(FaultKind.ERROR, operation="Teams")
    with pytest.raises(Transient) as caught:
        linear.connector().create_task(draft(), KEY)
    assert caught.value.maybe_done is False


def test_a_team_that_is_not_there_is_told_and_nothing_is_sent(linear: Bench):
    with pytest.raises(Rejected, match="no team NOPE"):
        linear.connector().create_task(draft(container="NOPE"), KEY)
    assert linear.calls() == {"Teams": 1}


def test_an_assignee_that_linear_refuses_is_left_out_with_its_words(linear: Bench):
    written = linear.connector().create_task(draft(assignee=RemoteUser("nobody")), KEY)
    assert written.refused["assignee"].code == "field_refused"
    assert "User" in written.refused["assignee"].text
    assert "assignee" not in written.sent
    assert linear.issues() == 1


def test_a_title_that_linear_refuses_stops_the_creation(linear: Bench):
    with pytest.raises(Rejected) as caught:
        linear.connector().create_task(draft(title=" "), KEY)
    assert caught.value.field == "title"
    assert linear.issues() == 0


def test_a_team_without_a_review_state_begins_elsewhere_and_says_why(linear: Bench):
    tracker = linear.sandbox.tracker
    team = tracker.container("ENG")
    plain = tuple(id_ for id_ in team.statuses if "Review" not in tracker.statuses[id_].name)
    tracker.containers[team.id] = replace(team, statuses=plain)
    written = linear.connector().create_task(draft(status=Status.IN_REVIEW), KEY)
    assert written.refused["status"].code == "no_path"
    assert "status" not in written.sent
    assert written.remote.values["status"].here == "backlog"


# --- update -----------------------------------------------------------------------------------------------


def test_only_the_changed_fields_are_sent_in_one_call(linear: Bench):
    issue = linear.ann.create("ENG", "Old", description="Kept", priority="Low")
    before = linear.read(issue.id)
    linear.sandbox.calls.reset()
    written = linear.connector().update_task(issue.id, {"title": "New", "priority": "critical"}, expected(before))
    assert linear.calls() == {"Update": 1}
    assert linear.sandbox.tracker.journal[-1].asked == {"title", "priority"}
    assert here(written.remote) == {"title": "New", "description": "Kept", "status": "backlog", "priority": "critical"}
    assert (dict(written.overwrote), dict(written.refused)) == ({}, {})
    as_read(written.remote, written.sent)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_reached_with_the_states_of_the_issues_own_team(linear: Bench, status):
    issue = linear.ann.create("OPS", "Old", status="Triage" if status is not Status.BACKLOG else "Done")
    before = linear.read(issue.id)
    linear.sandbox.calls.reset()
    written = linear.connector().update_task(issue.id, {"status": status}, expected(before))
    assert written.remote.values["status"].here == status
    as_read(written.remote, written.sent)
    assert linear.calls() == {"IssueWithStates": 1, "Update": 1}


def test_everything_can_be_changed_and_emptied(linear: Bench):
    issue = linear.ann.create("ENG", "Old", description="Text", assignee="Ann Archer")
    before = linear.read(issue.id)
    changes: dict[str, Any] = {"title": "New", "description": "- x", "assignee": person(linear), "status": "done"}
    written = linear.connector().update_task(issue.id, changes, expected(before))
    as_read(written.remote, written.sent)
    emptied = linear.connector().update_task(issue.id, {"description": "", "assignee": None}, expected(written.remote))
    as_read(emptied.remote, emptied.sent)
    assert emptied.remote.assignee is None
    assert linear.sandbox.tracker.item(issue.id).description == ""


def test_what_was_changed_meanwhile_and_replaced_is_told(linear: Bench):
    issue = linear.ann.create("ENG", "Old", description="First", status="Todo", assignee="Bob Baker")
    believed = linear.read(issue.id)
    linear.ann.edit(issue.id, title="Theirs", description="Their text", status="In Review", assignee="Ann Archer")
    changes: dict[str, Any] = {"title": "Ours", "description": "Our text", "status": "done", "assignee": None}
    written = linear.connector().update_task(issue.id, changes, expected(believed))
    assert {name: value.here for name, value in written.overwrote.items()} == {
        "title": "Theirs",
        "description": "Their text",
        "status": "in_review",
        "assignee": None,
    }
    assert written.overwrote["assignee"] == RemoteValue(None, linear.ann.id)
    as_read(written.remote, written.sent)


def test_what_was_changed_alike_meanwhile_was_not_replaced(linear: Bench):
    issue = linear.ann.create("ENG", "Old")
    believed = linear.read(issue.id)
    linear.ann.edit(issue.id, title="New", description="Only theirs")
    written = linear.connector().update_task(issue.id, {"title": "New"}, expected(believed))
    assert dict(written.overwrote) == {}
    assert written.remote.values["description"].here == "Only theirs"


def test_a_priority_that_means_the_same_already_is_left_alone_without_a_write(linear: Bench):
    issue = linear.ann.create("ENG", "Old")
    before = linear.read(issue.id)
    linear.sandbox.calls.reset()
    written = linear.connector().update_task(issue.id, {"priority": "medium"}, expected(before))
    assert written.sent == {"priority": "0:medium"}
    assert linear.calls() == {"Issue": 1}


def test_a_linear_that_refuses_to_update_nothing_is_asked_before_the_write(linear: Bench):
    linear.sandbox.settings.refuses_nothing = True
    issue = linear.ann.create("ENG", "Old")
    believed = linear.read(issue.id)
    linear.ann.edit(issue.id, title="Theirs")
    linear.sandbox.calls.reset()
    written = linear.connector().update_task(issue.id, {"title": "Ours"}, expected(believed))
    assert written.remote.values["title"].here == "Ours"
    assert written.overwrote["title"].here == "Theirs"
    assert linear.calls() == {"Update": 1, "Issue": 1, "UpdateOnly": 1}


@pytest.mark.parametrize("changes", [{"title": "New"}, {"status": "done"}, {"priority": "medium"}])
def test_an_issue_in_the_trash_is_not_written_to(linear: Bench, changes):
    issue = linear.ann.create("ENG", "Old")
    before = linear.read(issue.id)
    linear.ann.delete(issue.id)
    with pytest.raises(NotFound, match="trash"):
        linear.connector().update_task(issue.id, changes, expected(before))
    assert isinstance(linear.connector().fetch_tasks([issue.id])[issue.id], Gone)


@pytest.mark.parametrize("changes", [{"title": "New"}, {"status": "done"}])
def test_an_issue_that_is_gone_is_told(linear: Bench, changes):
    with pytest.raises(NotFound):
        linear.connector().update_task("9d3f1b7a-2c4e-4d6f-8a1b-3c5d7e9f1a2b", changes, Expected(0, {}))


def test_a_field_that_linear_refuses_is_named(linear: Bench):
    issue = linear.ann.create("ENG", "Old")
    before = linear.read(issue.id)
    with pytest.raises(Rejected) as caught:
        linear.connector().update_task(issue.id, {"assignee": RemoteUser("nobody")}, expected(before))
    assert caught.value.field == "assignee"
    assert linear.calls().get("UpdateOnly") is None


def test_a_status_no_state_means_is_refused_and_the_rest_is_written(linear: Bench):
    issue = linear.ann.create("ENG", "Old")
    before = linear.read(issue.id)
    narrow = linear.connector(status_map={"In Review": "in_progress"})
    written = narrow.update_task(issue.id, {"title": "New", "status": "in_review"}, expected(before))
    assert written.refused["status"].code == "no_path"
    assert written.remote.values["title"].here == "New"
    alone = narrow.update_task(issue.id, {"status": "in_review"}, expected(written.remote))
    assert (alone.sent, alone.refused["status"].code) == ({}, "no_path")


def test_an_update_whose_answer_was_lost_may_be_done(linear: Bench):
    issue = linear.ann.create("ENG", "Old")
    before = linear.read(issue.id)
    linear.sandbox.faults.add(FaultKind.CUT, operation="Update", when="after")
    with pytest.raises(Transient) as caught:
        linear.connector().update_task(issue.id, {"title": "New"}, expected(before))
    assert caught.value.maybe_done is True
    assert linear.sandbox.tracker.item(issue.id).title == "New"


def test_a_token_that_may_only_read_is_forbidden_to_write(linear: Bench):
    with pytest.raises(Forbidden, match="write"):
        linear.connector(linear.oauth(scopes=("read",))).create_task(draft(), KEY)


def test_people_who_make_issues_leave_no_marker(linear: Bench):
    assert key_of(linear.ann.create("ENG", "Theirs").id) is None
