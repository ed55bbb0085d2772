"""Creating once and changing only what is still as it was, against the fake organization."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.contract import Conflict, NotFound, Priority, Rejected, RemoteUser, Status, TaskWritten, Transient
from sandbox.azure_boards.process import PROJECTS
from sandbox.faults import FaultKind
from tests.connectors.azure_boards.conftest import KEY, Bench, draft
from tests.connectors.bench import expected


def held(bench: Bench, written: TaskWritten) -> dict[str, Any]:
    """The work item as the organization has it."""
    item = bench.sandbox.tracker.items[written.remote.external_id]
    return bench.sandbox.item_json(item)


def honest(written: TaskWritten) -> bool:
    """What was sent is what is there."""
    there = {name: value.there for name, value in written.remote.values.items()}
    there["assignee"] = written.remote.assignee.id if written.remote.assignee else None
    return all(there[name] == value for name, value in written.sent.items())


def person(bench: Bench, name: str = "Ann Archer") -> RemoteUser:
    user = bench.sandbox.tracker.user(name)
    return RemoteUser(user.id, user.name, user.email)


# --- creating -------------------------------------------------------------------------------------------


def test_a_draft_becomes_a_work_item_with_all_it_says(boards: Bench):
    ann = person(boards)
    written = boards.connector().create_task(draft(status=Status.IN_REVIEW, assignee=ann), KEY)
    item = held(boards, written)
    assert (item["title"], item["status"], item["priority"], item["assignee"]) == (
        "Rotate keys",
        "Resolved",
        "1",
        "Ann Archer",
    )
    assert item["extra"] == {"type": "User Story", "tags": KEY}
    assert written.remote.values["description"].here == "All of **them**."
    assert written.remote.create_key == KEY
    assert set(written.sent) == {"title", "description", "status", "priority", "assignee"}
    assert honest(written)
    assert written.refused == {}


def test_a_draft_in_the_first_state_is_one_call(still: Bench):
    still.connector().create_task(draft(), KEY)
    assert still.counts() == {"createWorkItem": 1}


def test_a_work_item_is_made_in_its_area_with_what_its_process_asks_for(still: Bench):
    still.sandbox.settings.required_fields = "Custom.Team"
    config: dict[str, Any] = {"projects": [{"external": "Web\\Team A"}], "create_fields": {"Custom.Team": "Blue"}}
    written = still.connector(**config).create_task(draft(container="Web\\Team A"), KEY)
    extra = held(still, written)["extra"]
    assert (extra["area"], extra["others"]) == ("Web\\Team A", {"Custom.Team": "Blue"})
    assert written.remote.container == "Web\\Team A"


def test_a_field_that_is_asked_for_and_not_given_is_told(still: Bench):
    still.sandbox.settings.required_fields = "Custom.Team"
    with pytest.raises(Rejected, match=r"Custom\.Team"):
        still.connector().create_task(draft(), KEY)
    assert still.sandbox.tracker.items == {}


def test_a_bug_is_described_by_its_repro_steps(still: Bench):
    written = still.connector(work_item_type="Bug").create_task(draft(), KEY)
    assert written.remote.values["description"].here == "All of **them**."
    answer = still.connector()._client.call("GET", f"_apis/wit/workitems/{written.remote.external_id}").json()
    assert "Microsoft.VSTS.TCM.ReproSteps" in answer["fields"]
    assert "System.Description" not in answer["fields"]


@pytest.mark.parametrize("plain", [False, True])
def test_a_stranger_is_left_out_and_the_rest_is_made(still: Bench, plain):
    still.sandbox.settings.plain_rules = plain
    stranger = RemoteUser("guid", "Eve", "eve@elsewhere.example")
    written = still.connector().create_task(draft(assignee=stranger), KEY)
    assert len(still.sandbox.tracker.items) == 1
    assert written.refused["assignee"].code == "field_refused"
    assert "member of the organization" in written.refused["assignee"].text
    assert "assignee" not in written.sent
    assert honest(written)


def test_an_unknown_type_is_told(still: Bench):
    with pytest.raises(NotFound, match="VS402323"):
        still.connector(work_item_type="Saga").create_task(draft(), KEY)


def test_an_answer_that_is_lost_leaves_one_work_item_that_is_found_by_its_tag(boards: Bench):
    boards.sandbox.faults.add(FaultKind.CUT, operation="createWorkItem", when="after")
    with pytest.raises(Transient) as raised:
        boards.connector().create_task(draft(), KEY)
    assert raised.value.maybe_done
    [found] = boards.connector().find_created(KEY)
    assert found.values["title"].here == "Rotate keys"
    assert boards.count("createWorkItem") == 1


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.ERROR, FaultKind.RATE_LIMIT])
def test_a_state_that_can_not_be_set_now_is_not_said_to_be_sent(still: Bench, kind):
    still.sandbox.faults.add(kind, operation="updateWorkItem")
    written = still.connector().create_task(draft(status=Status.DONE), KEY)
    assert "status" not in written.sent
    assert written.remote.values["status"].here == "backlog"


def test_a_status_the_type_has_no_state_for_is_refused_with_what_there_is(still: Bench):
    written = still.connector(work_item_type="Task").create_task(draft(status=Status.IN_REVIEW), KEY)
    refusal = written.refused["status"]
    assert refusal.code == "no_path"
    assert "New, Active, Closed, Removed" in refusal.text


def test_a_long_title_is_cut_as_azure_would_refuse_it(still: Bench):
    written = still.connector().create_task(draft(title="x" * 300), KEY)
    assert written.sent["title"] == "x" * 255
    assert honest(written)


# --- changing -------------------------------------------------------------------------------------------


@pytest.fixture
def item(still: Bench) -> str:
    made = still.ann.create("Web", "Old", description="<div>old</div>", assignee="Bob Baker", extra={"tags": "urgent"})
    return made.id


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({"title": "New"}, {"updateWorkItem": 1}),
        ({"priority": Priority.LOW, "assignee": None}, {"updateWorkItem": 1}),
        ({"description": "# New"}, {"getWorkItem": 1, "updateWorkItem": 1}),
        ({"status": Status.IN_PROGRESS, "title": "New"}, {"getWorkItem": 1, "listStates": 1, "updateWorkItem": 1}),
    ],
)
def test_what_is_changed_is_changed_in_one_patch(still: Bench, item, changes, calls):
    before = still.read(item)
    still.counts()
    written = still.connector().update_task(item, changes, expected(before))
    assert still.counts() == calls
    assert set(written.sent) == set(changes)
    assert honest(written)
    untouched = {"title", "description", "status", "priority"} - set(changes)
    assert all(written.remote.values[name] == before.values[name] for name in untouched)
    assert written.remote.version == before.version + 1


def test_tags_are_left_as_they_are(still: Bench, item):
    written = still.connector().update_task(item, {"title": "New"}, expected(still.read(item)))
    assert held(still, written)["extra"]["tags"] == "urgent"


def test_a_description_and_a_person_can_be_taken_away(still: Bench, item):
    changes = {"description": "", "assignee": None}
    written = still.connector().update_task(item, changes, expected(still.read(item)))
    assert (written.remote.values["description"].there, written.remote.assignee) == (None, None)
    assert honest(written)


@pytest.mark.parametrize("changes", [{"title": "Ours"}, {"status": Status.DONE}])
def test_somebody_elses_change_is_not_written_over(still: Bench, item, changes):
    before = still.read(item)
    still.ann.edit(item, title="Theirs")
    with pytest.raises(Conflict):
        still.connector().update_task(item, changes, expected(before))
    assert still.read(item).values["title"].here == "Theirs"


def test_somebody_faster_between_the_look_and_the_write_is_not_written_over(still: Bench, item):
    before = still.read(item)
    connector = still.connector()
    real = connector._client.item

    def look(item_id: str) -> Any:
        found = real(item_id)
        still.ann.edit(item, title="Theirs")
        return found

    connector._client.item = look  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="VS403351"):
        connector.update_task(item, {"status": Status.DONE}, expected(before))
    assert still.read(item).values["status"].here == "backlog"


def test_a_test_that_failed_with_another_status_is_a_conflict_too(still: Bench, item):
    text = "VS403351: Test Operation for path /rev failed."
    still.sandbox.faults.add(FaultKind.ERROR, operation="updateWorkItem", status=400, reason=text)
    with pytest.raises(Conflict):
        still.connector().update_task(item, {"title": "New"}, expected(still.read(item)))


def test_a_refused_field_does_not_keep_the_others_back(still: Bench, item):
    stranger = RemoteUser("guid", "Eve", "eve@elsewhere.example")
    written = still.connector().update_task(item, {"title": "New", "assignee": stranger}, expected(still.read(item)))
    assert written.remote.values["title"].here == "New"
    assert list(written.refused) == ["assignee"]
    assert honest(written)


def test_when_all_is_refused_the_work_item_is_told_as_it_is(still: Bench, item):
    stranger = RemoteUser("guid", "Eve", "eve@elsewhere.example")
    written = still.connector().update_task(item, {"assignee": stranger}, expected(still.read(item)))
    assert (written.sent, written.remote.values["title"].here) == ({}, "Old")


def test_a_state_a_rule_forbids_needs_a_human(still: Bench, item):
    still.sandbox.faults.add(
        FaultKind.ERROR, operation="updateWorkItem", status=400, reason="TF401320: Rule Error for field State. x"
    )
    written = still.connector().update_task(item, {"status": Status.DONE}, expected(still.read(item)))
    assert written.refused["status"].code == "needs_human"


def test_a_refusal_that_names_no_field_of_ours_is_raised(still: Bench, item):
    still.sandbox.faults.add(FaultKind.ERROR, operation="updateWorkItem", status=400, reason="VS1: no.")
    with pytest.raises(Rejected, match="VS1"):
        still.connector().update_task(item, {"title": "New"}, expected(still.read(item)))


@pytest.mark.parametrize(
    ("project", "kind", "config", "status", "state"),
    [
        ("Web", "User Story", {}, Status.IN_REVIEW, "Resolved"),
        ("Web", "Task", {}, Status.DONE, "Closed"),
        ("Lab", "Product Backlog Item", {}, Status.IN_PROGRESS, "Committed"),
        ("Lab", "Product Backlog Item", {}, Status.IN_REVIEW, "In Test"),
        ("Lab", "Task", {}, Status.IN_PROGRESS, "In Progress"),
        ("Home", "Issue", {}, Status.DONE, "Done"),
        ("Home", "Issue", {"status_out": {"in_review": "doing"}}, Status.IN_REVIEW, "Doing"),
        (
            "Web",
            "User Story",
            {"status_map": {"Removed": "done"}, "status_out": {"done": "Removed"}},
            "done",
            "Removed",
        ),
    ],
)
def test_each_type_gets_a_state_of_its_own(still: Bench, project, kind, config, status, state):
    made = still.ann.create(project, "Typed", extra={"type": kind}, status=PROJECTS[project].types[kind][0])
    everywhere = {"projects": [{"external": project}], **config}
    before = still.read(made.id, **everywhere)
    written = still.connector(**everywhere).update_task(made.id, {"status": status}, expected(before))
    assert held(still, written)["status"] == state
    assert written.remote.values["status"].here == status
    assert honest(written)


def test_a_state_that_means_it_already_is_left_alone(still: Bench):
    made = still.ann.create("Lab", "Approved already", status="Approved")
    lab = {"projects": [{"external": "Lab"}]}
    before = still.read(made.id, **lab)
    written = still.connector(**lab).update_task(made.id, {"status": Status.BACKLOG}, expected(before))
    assert written.sent == {"status": "Approved:backlog"}
    assert still.count("updateWorkItem") == 0


def test_a_priority_nothing_means_is_refused(still: Bench, item):
    written = still.connector(priority_out={"low": "P4"}).update_task(
        item, {"priority": Priority.LOW}, expected(still.read(item))
    )
    assert written.refused["priority"].code == "no_path"


def test_one_that_is_gone_is_not_found(still: Bench, item):
    before = still.read(item)
    still.ann.delete(item)
    for changes in ({"title": "New"}, {"status": Status.DONE}):
        with pytest.raises(NotFound, match="TF401232"):
            still.connector().update_task(item, changes, expected(before))
