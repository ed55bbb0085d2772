"""Creating once and changing only what differs, against the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.contract import Conflict, NotFound, Rejected, RemoteUser, Status, Transient
from sandbox.clickup import MARKER_FIELD
from sandbox.clickup.render import assignees, tags
from sandbox.faults import FaultKind
from sandbox.tracker import Status as VendorStatus
from tests.connectors.bench import expected
from tests.connectors.clickup.conftest import KEY, OPERATIONS, PLATFORM, Bench, draft

ANN, BOB, CLEO = RemoteUser("183"), RemoteUser("184"), RemoteUser("185")


def update(bench: Bench, task_id: str, **changes: Any):
    connector = bench.connector()
    return connector.update_task(task_id, changes, expected(bench.read(task_id)))


def rename_status(bench: Bench, status_id: str, name: str) -> None:
    statuses = bench.sandbox.tracker.statuses
    statuses[status_id] = VendorStatus(status_id, name, statuses[status_id].kind)


# --- create ---------------------------------------------------------------------------------------------


def test_a_new_task_has_every_field_and_the_marker_and_reads_as_it_was_sent(clickup: Bench):
    written = clickup.connector().create_task(draft(status=Status.IN_REVIEW, assignee=BOB), KEY)
    item = clickup.item(written.remote.external_id)
    assert (item.title, item.description, item.status) == ("Rotate keys", "All of **them**.", "p1_review")
    assert (item.priority, item.assignee, tags(item)) == ("2", "184", [KEY])
    assert written.remote.create_key == KEY
    assert written.sent == {name: value.there for name, value in written.remote.values.items()} | {"assignee": "184"}
    assert written.refused == {}
    assert clickup.called() == {"getList": 1, "createTask": 1, "getTask": 1}


def test_a_new_task_is_not_read_back_where_the_answer_tells_all(clickup: Bench):
    clickup.connector().create_task(draft(description=""), KEY)
    assert clickup.called() == {"getList": 1, "createTask": 1}
    clickup.sandbox.settings.answers_markdown = True
    clickup.connector().create_task(draft(), KEY)
    assert clickup.called() == {"getList": 1, "createTask": 1}


def test_a_status_the_list_has_not_is_refused_with_those_there_are_and_closes_nothing(clickup: Bench):
    written = clickup.connector().create_task(draft(container=OPERATIONS, status=Status.CANCELLED), KEY)
    assert clickup.item(written.remote.external_id).status == "p2_open"
    refusal = written.refused["status"]
    assert refusal.code == "no_path"
    assert "Open, In QA, Closed" in refusal.text
    assert "status" not in written.sent


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_create_whose_answer_is_lost_is_found_by_its_marker_or_was_not_made(clickup: Bench, when):
    clickup.sandbox.faults.add(FaultKind.CUT, operation="createTask", when=when)
    connector = clickup.connector()
    with pytest.raises(Transient) as lost:
        connector.create_task(draft(), KEY)
    assert lost.value.maybe_done
    assert len(connector.find_created(KEY)) == len(clickup.sandbox.tracker.items) == (when == "after")


def test_a_task_that_can_not_be_read_back_may_have_been_made(clickup: Bench):
    clickup.sandbox.faults.add(FaultKind.ERROR, operation="getTask", status=500)
    with pytest.raises(Transient, match="created the task 86c900001"):
        clickup.connector().create_task(draft(), KEY)
    assert [task.external_id for task in clickup.connector().find_created(KEY)] == ["86c900001"]


def test_of_two_with_the_marker_the_older_comes_first_closed_moved_or_a_subtask(still: Bench):
    old = still.ann.create(PLATFORM, "Old", status="complete", extra={"tags": (KEY,)})
    still.clock.advance(1)
    young = still.ann.create(OPERATIONS, "Young", extra={"tags": (KEY,), "parent": old.id})
    still.sandbox.settings.page_limit = 1
    assert [task.external_id for task in still.connector().find_created(KEY)] == [old.id, young.id]
    assert still.connector().find_created("scrums-tsk-26-000000-ffff") == []


def test_the_marker_may_be_a_custom_field_and_then_no_tag_is_made(clickup: Bench):
    connector = clickup.connector(marker_field=MARKER_FIELD)
    written = connector.create_task(draft(), KEY)
    item = clickup.item(written.remote.external_id)
    assert (item.extra["fields"], tags(item)) == ({MARKER_FIELD: KEY}, [])
    assert [task.external_id for task in connector.find_created(KEY)] == [item.id]


def test_a_custom_field_the_list_drops_is_made_good_by_a_tag(clickup: Bench):
    connector = clickup.connector(marker_field=MARKER_FIELD)
    written = connector.create_task(draft(container=OPERATIONS), KEY)
    assert tags(clickup.item(written.remote.external_id)) == [KEY]
    assert len(connector.find_created(KEY)) == 1


def test_a_task_that_can_not_be_marked_is_bound_at_once_though_reading_it_back_fails(clickup: Bench):
    for operation in ("addTag", "getTask"):
        clickup.sandbox.faults.add(FaultKind.ERROR, operation=operation, status=500)
    written = clickup.connector(marker_field=MARKER_FIELD).create_task(draft(container=OPERATIONS), KEY)
    assert written.remote.external_id == "86c900001"
    assert written.sent["description"] == written.remote.values["description"].there
    assert len(clickup.sandbox.tracker.items) == 1


def test_a_refused_create_says_why_and_was_sent_once(clickup: Bench):
    with pytest.raises(Rejected, match="no assignee '9'"):
        clickup.connector().create_task(draft(assignee=RemoteUser("9")), KEY)
    assert clickup.called() == {"getList": 2, "createTask": 1}
    with pytest.raises(NotFound, match="List not found"):
        clickup.connector().create_task(draft(container="404"), KEY)


# --- update ---------------------------------------------------------------------------------------------


def test_only_what_differs_is_sent_by_a_look_and_a_write(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Old", description="Same", priority="low")
    connector, known = clickup.connector(), expected(clickup.read(made.id))
    clickup.called()
    written = connector.update_task(made.id, {"title": "New  title", "priority": "low"}, known)
    assert clickup.called() == {"getTask": 1, "updateTask": 1}
    assert clickup.sandbox.tracker.journal[-1].asked == {"title"}
    assert written.sent == {"title": "New title", "priority": "4:low"}
    assert written.remote.values["title"].here == "New title"
    assert written.remote.values["description"].here == "Same"


def test_what_the_task_says_already_is_not_written(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Old", status="in progress")
    written = update(clickup, made.id, status="in_progress", priority="medium", title="Old")
    assert written.sent == {"status": "in progress:in_progress", "priority": "none:medium", "title": "Old"}
    assert "updateTask" not in clickup.called()


def test_a_field_somebody_set_meanwhile_is_a_conflict_and_others_are_not(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Old")
    connector, known = clickup.connector(), expected(clickup.read(made.id))
    clickup.ann.edit(made.id, title="Theirs")
    with pytest.raises(Conflict, match=r"title of PLA-1"):
        connector.update_task(made.id, {"title": "Ours"}, known)
    connector.update_task(made.id, {"priority": "high"}, known)
    assert (clickup.item(made.id).title, clickup.item(made.id).priority) == ("Theirs", "2")


def test_a_description_reads_back_as_it_was_sent_though_clickup_rewrites_it_and_can_be_cleared(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Text")
    written = update(clickup, made.id, description="- one\n- two\n\n**bold**")
    assert written.sent["description"] == written.remote.values["description"].there
    assert written.remote.values["description"].here == "* one\n* two\n\n**bold**"
    cleared = update(clickup, made.id, description="")
    assert clickup.item(made.id).description == ""
    assert cleared.sent["description"] is cleared.remote.values["description"].there is None


@pytest.mark.parametrize("markdown", [True, False])
def test_new_markup_of_the_same_words_is_a_change(clickup: Bench, markdown):
    clickup.sandbox.settings.answers_markdown = markdown
    made = clickup.ann.create(PLATFORM, "Text", description="bold")
    written = update(clickup, made.id, description="**bold**")
    assert written.remote.values["description"].here == "**bold**"
    assert written.sent["description"] == written.remote.values["description"].there


@pytest.mark.parametrize(("value", "name"), [("done", "complete"), ("cancelled", "cancelled"), ("backlog", "to do")])
def test_any_status_leads_to_any_other(clickup: Bench, value, name):
    made = clickup.ann.create(PLATFORM, "Moves", status="in review")
    written = update(clickup, made.id, status=value)
    assert clickup.sandbox.tracker.statuses[clickup.item(made.id).status].name == name
    assert written.sent["status"] == written.remote.values["status"].there == f"{name}:{value}"


def test_a_status_renamed_meanwhile_is_looked_up_once_more(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Moves")
    connector, known = clickup.connector(), expected(clickup.read(made.id))
    connector.update_task(made.id, {"status": "in_review"}, known)
    connector.update_task(made.id, {"status": "backlog"}, expected(clickup.read(made.id)))
    rename_status(clickup, "p1_review", "peer review")
    written = connector.update_task(made.id, {"status": "in_review"}, expected(clickup.read(made.id)))
    assert written.sent["status"] == "peer review:in_review"
    assert clickup.item(made.id).status == "p1_review"


def test_a_status_gone_meanwhile_is_refused_and_the_rest_is_written(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Old")
    connector = clickup.connector()
    connector.update_task(made.id, {"status": "in_review"}, expected(clickup.read(made.id)))
    connector.update_task(made.id, {"status": "backlog"}, expected(clickup.read(made.id)))
    rename_status(clickup, "p1_review", "doing more")
    written = connector.update_task(made.id, {"status": "in_review", "title": "New"}, expected(clickup.read(made.id)))
    assert written.refused["status"].code == "no_path"
    assert (clickup.item(made.id).title, clickup.item(made.id).status) == ("New", "p1_backlog")
    only = connector.update_task(made.id, {"status": "in_review"}, expected(clickup.read(made.id)))
    assert only.refused.keys() == {"status"}


def test_another_refusal_names_our_field_where_only_one_was_sent(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Old")
    with pytest.raises(Rejected) as refused:
        update(clickup, made.id, assignee=RemoteUser("9"))
    assert refused.value.field == "assignee"


def test_exchanging_the_assignee_leaves_the_others(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Shared", assignee="Ann Archer", extra={"others": (CLEO.id,)})
    written = update(clickup, made.id, assignee=BOB)
    assert assignees(clickup.item(made.id)) == [BOB.id, CLEO.id]
    assert written.remote.assignee is not None
    assert written.sent["assignee"] == written.remote.assignee.id == BOB.id


def test_who_would_not_be_the_first_of_several_can_not_be_set(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Shared", assignee="Ann Archer", extra={"others": (BOB.id,)})
    written = update(clickup, made.id, assignee=CLEO)
    assert written.refused["assignee"].code == "needs_human"
    assert "Bob Baker" in written.refused["assignee"].text
    assert assignees(clickup.item(made.id)) == [ANN.id, BOB.id]


def test_unassigning_takes_away_only_the_assignee_here(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Shared", assignee="Ann Archer", extra={"others": (BOB.id,)})
    written = update(clickup, made.id, assignee=None)
    assert assignees(clickup.item(made.id)) == [BOB.id]
    assert written.sent["assignee"] is None
    assert written.remote.assignee is not None  # Bob is the first now, and so the assignee here


def test_a_long_title_can_be_changed_again(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "x" * 300)
    update(clickup, made.id, title="y" * 300)
    assert clickup.item(made.id).title == "y" * 300


def test_a_deleted_task_is_not_found(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Doomed")
    known, connector = expected(clickup.read(made.id)), clickup.connector()
    clickup.ann.delete(made.id)
    with pytest.raises(NotFound):
        connector.update_task(made.id, {"title": "Too late"}, known)
