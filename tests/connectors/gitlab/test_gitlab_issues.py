"""GitLab's issues as tasks: read, written, created once, and gone."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connectors.contract import (
    Conflict,
    Gone,
    GoneReason,
    Hint,
    Priority,
    Rejected,
    RemoteTask,
    RemoteUser,
    Status,
    TaskDraft,
)
from connectors.gitlab import GitLabConnector
from connectors.gitlab.config import TASK_CAPABILITIES
from tests.connectors.bench import everything, expected
from tests.connectors.gitlab.conftest import API, URL, WORKER, Bench

KEY = "scrums-tsk-26-018841-0a1b2c"


def connector(gitlab: Bench, **config: Any) -> GitLabConnector:
    return gitlab.connector(**{"sync_issues": True, **config})


def draft(**more: Any) -> TaskDraft:
    fields = {"container": API, "title": "The cart forgets", "description": "Every **night**."}
    return TaskDraft(**{**fields, "status": Status.BACKLOG, "priority": Priority.HIGH, **more})


def issue(gitlab: Bench, *labels: str, **fields: Any) -> str:
    """An issue somebody made; its id as the engine knows it."""
    made = gitlab.sandbox.person("Ann Archer").create(API, "Made there", extra={"labels": labels}, **fields)
    return f"{made.container}#{made.key}"


def fetched(gitlab: Bench, id_: str, **config: Any) -> RemoteTask:
    found = connector(gitlab, **config).fetch_tasks([id_])[id_]
    assert isinstance(found, RemoteTask)
    return found


def labels(gitlab: Bench, id_: str) -> list[str]:
    project, _, iid = id_.partition("#")
    return list(gitlab.sandbox.issues.shown(gitlab.sandbox.issues.find(project, iid))["labels"])


# --- config ---------------------------------------------------------------------------------------------


def test_without_the_switch_nothing_is_asked_of_issues(still: Bench):
    assert still.config().without() == TASK_CAPABILITIES
    assert still.config(sync_issues=True).without() == frozenset()


def test_the_projects_are_the_repositories_unless_they_are_named(still: Bench):
    assert [one.external for one in still.config(sync_issues=True).projects] == [API, WORKER]
    named = still.config(sync_issues=True, projects=[{"external": WORKER}])
    assert [one.external for one in named.projects] == [WORKER]
    with pytest.raises(ValidationError, match="name the projects"):
        still.config(sync_issues=True, repositories=[])


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "held", "status", "priority"),
    [
        ("open", (), Status.BACKLOG, Priority.MEDIUM),
        ("open", ("workflow::in progress", "priority::1"), Status.IN_PROGRESS, Priority.CRITICAL),
        ("open", ("Workflow::In Review", "priority::4"), Status.IN_REVIEW, Priority.LOW),
        ("open", ("workflow::in progress", "workflow::in review"), Status.IN_REVIEW, Priority.MEDIUM),
        ("open", ("cancelled",), Status.BACKLOG, Priority.MEDIUM),
        ("closed", (), Status.DONE, Priority.MEDIUM),
        ("closed", ("cancelled",), Status.CANCELLED, Priority.MEDIUM),
        ("closed", ("workflow::in review",), Status.DONE, Priority.MEDIUM),
    ],
)
def test_state_and_labels_together_are_the_status(still: Bench, state, held, status, priority):
    task = fetched(still, issue(still, *held, status=state))
    assert (task.values["status"].here, task.values["priority"].here) == (status, priority)


def test_a_pull_reads_every_issue_and_the_next_only_what_changed(still: Bench):
    still.sandbox.settings.page_limit = 15
    still.sandbox.plant(40, API)
    first = issue(still)
    found, last = everything(connector(still))
    assert len(found) == 41
    assert (found[first].container, found[first].key) == (API, f"{API}#41")
    assert sorted(id_ for ids in connector(still).all_ids() for id_ in ids) == sorted(found)
    still.clock.advance(3600)
    still.sandbox.person("Bob Baker").edit(still.sandbox.issues.find("1", "3").id, title="Changed")
    again, _ = everything(connector(still), last.cursor)
    assert [id_ for id_ in again if id_ != first and found[id_] != again[id_]] == ["1#3"]


def test_a_webhook_names_the_issue_to_read_again(still: Bench):
    connector(still).subscribe(URL, SecretStr("s"))
    id_ = issue(still)
    [delivery] = still.deliveries()
    assert GitLabConnector.parse(delivery, still.config(sync_issues=True)) == [Hint(id_)]


def test_what_is_gone_is_deleted_only_where_issues_can_still_be_seen(still: Bench):
    id_ = issue(still)
    still.sandbox.person("Ann Archer").delete(still.sandbox.issues.find(*id_.split("#")).id)
    both = connector(still)
    assert list(both.fetch_tasks([id_]).values()) == [
        Gone(id_, GoneReason.DELETED, both.fetch_tasks([id_])[id_].detail)  # type: ignore[union-attr]
    ]
    still.sandbox.settings.without = "issues"
    [gone] = connector(still).fetch_tasks([id_]).values()
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.UNREACHABLE


def test_an_issue_that_was_moved_goes_on_as_another_one(still: Bench):
    id_ = issue(still, status="closed")
    item = still.sandbox.issues.find(*id_.split("#"))
    still.sandbox.person("Ann Archer").edit(item.id, extra={"moved_to": 4711})
    [gone] = connector(still).fetch_tasks([id_]).values()
    assert isinstance(gone, Gone)
    assert (gone.reason, "4711" in gone.detail) == (GoneReason.DELETED, True)
    assert everything(connector(still))[0] == {}
    assert [ids for ids in connector(still).all_ids() if ids] == []


# --- writing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("priority", list(Priority))
def test_what_is_created_reads_back_as_it_was_meant(still: Bench, status, priority):
    bob = RemoteUser(still.bob)
    written = connector(still).create_task(draft(status=status, priority=priority, assignee=bob), KEY)
    task = fetched(still, written.remote.external_id)
    assert {name: value.here for name, value in task.values.items()} == {
        "title": "The cart forgets",
        "description": "Every **night**.",
        "status": status,
        "priority": priority,
    }
    held = {name: value.there for name, value in task.values.items()} | {"assignee": task.assignee and task.assignee.id}
    assert (dict(written.sent), written.refused) == (held, {})


def test_what_was_created_is_found_by_its_key_and_nothing_else_is(still: Bench):
    made = connector(still).create_task(draft(), KEY).remote
    connector(still).create_task(draft(), KEY + "d")
    assert [task.external_id for task in connector(still).find_created(KEY)] == [made.external_id]
    assert connector(still).find_created("scrums-tsk-26-000000-000000") == []


def test_an_edit_changes_what_it_names_and_leaves_other_labels_and_the_key(still: Bench):
    made = connector(still).create_task(draft(status=Status.IN_PROGRESS), KEY).remote
    item = still.sandbox.issues.find(*made.external_id.split("#"))
    still.sandbox.person("Ann Archer").edit(item.id, extra={"labels": ("bug", "workflow::in progress", "priority::2")})
    changes = {"status": "in_review", "priority": "low", "description": "Never mind."}
    known = fetched(still, made.external_id)
    written = connector(still).update_task(made.external_id, changes, expected(known))
    assert labels(still, made.external_id) == ["bug", "priority::4", "workflow::in review"]
    assert written.remote.create_key == KEY
    assert {name: written.remote.values[name].there for name in changes} == dict(written.sent)
    connector(still).update_task(made.external_id, {"status": "cancelled"}, expected(written.remote))
    assert labels(still, made.external_id) == ["bug", "cancelled", "priority::4"]
    assert fetched(still, made.external_id).values["status"].here == "cancelled"
    connector(still).update_task(made.external_id, {"status": "backlog"}, expected(fetched(still, made.external_id)))
    assert labels(still, made.external_id) == ["bug", "priority::4"]


def test_an_edit_costs_a_look_and_a_write_and_none_where_nothing_differs(still: Bench):
    id_ = issue(still)
    known, one = fetched(still, id_), connector(still)
    still.called()
    one.update_task(id_, {"title": "New", "status": "done"}, expected(known))
    assert still.called() == {"getIssue": 1, "updateIssue": 1}
    one.update_task(id_, {"title": "New"}, expected(known))
    assert still.called() == {"getIssue": 1}


def test_an_edit_that_meets_another_is_a_conflict(still: Bench):
    id_ = issue(still)
    known = fetched(still, id_)
    still.sandbox.person("Ann Archer").edit(still.sandbox.issues.find(*id_.split("#")).id, title="Theirs")
    with pytest.raises(Conflict):
        connector(still).update_task(id_, {"title": "Ours"}, expected(known))


def test_assigning_leaves_the_others_and_refuses_whom_they_precede(still: Bench):
    id_ = issue(still, assignee="Bob Baker")
    item = still.sandbox.issues.find(*id_.split("#"))
    still.sandbox.person("Ann Archer").edit(item.id, extra={"others": (still.cleo,)})
    known = fetched(still, id_)
    assert known.assignee is not None
    assert known.assignee.id == still.bob
    written = connector(still).update_task(id_, {"assignee": RemoteUser(still.ann)}, expected(known))
    assert written.remote.assignee == RemoteUser(still.ann, "Ann Archer")
    refused = connector(still).update_task(id_, {"assignee": RemoteUser(still.robot)}, expected(written.remote))
    assert refused.refused["assignee"].code == "needs_human"


def test_own_labels_are_the_words_of_the_config(still: Bench):
    own = {"status_map": {"Doing": "in_progress"}, "status_out": {"in_progress": "Doing"}}
    id_ = issue(still, "doing")
    assert fetched(still, id_, **own).values["status"].here == "in_progress"
    other = issue(still)
    connector(still, **own).update_task(other, {"status": "in_progress"}, expected(fetched(still, other, **own)))
    assert labels(still, other) == ["Doing"]


def test_a_status_no_word_means_is_refused_by_name(still: Bench):
    taken = {"status_map": {"cancelled": "done"}}
    id_ = issue(still)
    with pytest.raises(Rejected) as refused:
        connector(still, **taken).update_task(id_, {"status": "cancelled"}, expected(fetched(still, id_)))
    assert refused.value.field == "status"


def test_a_member_is_found_by_address_and_the_words_are_told(still: Bench):
    assert connector(still).find_user("ann@example.com", API) == RemoteUser(still.ann, "Ann Archer", "ann@example.com")
    assert connector(still).find_user("nobody@example.com", API) is None
    assert connector(still).find_user("example.com", API) is None
    words = list(connector(still).vocabularies())
    assert [one.container for one in words] == [API, WORKER]
    assert {value.here for value in words[0].statuses} == set(Status)
    assert {value.here for value in words[0].priorities} == set(Priority)
