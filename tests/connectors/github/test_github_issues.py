"""Issues as tasks: read by the time of their change, created once, and written by labels."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.contract import (
    Conflict,
    Gone,
    GoneReason,
    Hint,
    Ignored,
    NotFound,
    RemoteTask,
    RemoteUser,
    Status,
    TaskDraft,
    TaskSink,
    TaskSource,
)
from connectors.github import GitHubConnector
from connectors.github.config import GitHubConfig
from sandbox.tracker import Item
from tests.connectors.bench import everything, expected
from tests.connectors.github.conftest import REPO, SECRET, URL, Bench

KEY = "scrums-tsk-26-018841-0a1b"
SYNCED: dict[str, Any] = {"sync_issues": True, "repositories": [REPO, "payments-worker"]}


def tasks(github: Bench, **config: Any) -> GitHubConnector:
    return github.connector(**{**SYNCED, **config})


def issue(github: Bench, title: str = "Pay twice", **fields: Any) -> Item:
    return github.sandbox.person("Ann Archer").create(REPO, title, **fields)


def id_of(github: Bench, item: Item) -> str:
    return f"{item.container}#{github.sandbox.issues.number(item)}"


def read(github: Bench, item: Item, **config: Any) -> RemoteTask:
    found = tasks(github, **config).fetch_tasks([id_of(github, item)])[id_of(github, item)]
    assert isinstance(found, RemoteTask)
    return found


def draft(**more: Any) -> TaskDraft:
    fields = {"container": REPO, "title": "Rotate keys", "description": "All of **them**."}
    return TaskDraft(**{**fields, "status": Status.BACKLOG, "priority": "medium", **more})


def write(github: Bench, item: Item, config: dict[str, Any] | None = None, **changes: Any) -> RemoteTask:
    """Change it; what was sent is what it then says."""
    connector = tasks(github, **(config or {}))
    held = read(github, item, **(config or {}))
    written = connector.update_task(held.external_id, changes, expected(held))
    assert written.refused == {}
    there = expected(written.remote).there
    assert {name: there[name] for name in written.sent} == written.sent
    assert written.remote == read(github, item, **(config or {}))
    return written.remote


def test_issues_are_left_alone_unless_they_are_wanted() -> None:
    plain = GitHubConfig(organization="apex-digital", repositories=[REPO])
    assert plain.without() == {"task_source", "task_sink", "vocabulary"}
    wanted = GitHubConfig(organization="apex-digital", **SYNCED)
    assert wanted.without() == frozenset()
    assert [project.external for project in wanted.projects] == [REPO, "payments-worker"]
    with pytest.raises(ValidationError, match="name the repositories"):
        GitHubConfig(organization="apex-digital", sync_issues=True)


def test_it_is_a_source_and_a_sink(github: Bench) -> None:
    assert isinstance(tasks(github), TaskSource)
    assert isinstance(tasks(github), TaskSink)


@pytest.mark.parametrize(
    ("status", "extra", "here", "priority"),
    [
        ("open", {}, "backlog", "medium"),
        ("open", {"labels": ("bug", "Status:In-Progress")}, "in_progress", "medium"),
        ("open", {"labels": ("status:in-review", "priority:critical")}, "in_review", "critical"),
        ("open", {"labels": ("In QA",)}, "in_review", "medium"),
        ("closed", {"labels": ("status:in-review",)}, "done", "medium"),
        ("closed", {"reason": "not_planned", "labels": ("priority:low",)}, "cancelled", "low"),
        ("closed", {"reason": "duplicate"}, "cancelled", "medium"),
    ],
)
def test_what_an_issue_says(github: Bench, status: str, extra: dict[str, Any], here: str, priority: str) -> None:
    item = issue(github, description="Text", status=status, extra=extra)
    task = read(github, item, status_map={"In QA": "in_review"})
    assert {name: value.here for name, value in task.values.items()} == {
        "title": "Pay twice",
        "description": "Text",
        "status": here,
        "priority": priority,
    }
    assert task.key == f"{REPO}#{github.sandbox.issues.number(item)}"


def test_every_issue_is_read_and_no_pull_request(github: Bench) -> None:
    github.sandbox.plant(230, REPO)
    github.sandbox.plant_history(5)
    github.sandbox.plant(3, "payments-worker")
    found, last = everything(tasks(github))
    assert len(found) == 233
    assert {task.container for task in found.values()} == {REPO, "payments-worker"}
    assert {id_ for ids in tasks(github).all_ids() for id_ in ids} == set(found)
    github.clock.advance(3600)
    item = issue(github)
    assert id_of(github, item) in everything(tasks(github), last.cursor)[0]


def test_many_of_one_moment_are_all_read(github: Bench) -> None:
    for number in range(120):
        issue(github, str(number))
    tracker = github.sandbox.tracker
    at = github.clock.now()
    for id_, item in list(tracker.items.items()):
        tracker.items[id_] = type(item)(**{**vars(item), "updated": at, "created": at})
    assert len(everything(tasks(github))[0]) == 120


def test_what_is_deleted_is_proven_and_what_is_hidden_is_not(github: Bench) -> None:
    deleted, kept = issue(github), issue(github)
    github.sandbox.person("Ann Archer").delete(deleted.id)
    ids = [id_of(github, deleted), id_of(github, kept), "1#777", "999#1"]
    found = tasks(github).fetch_tasks(ids)
    reasons = {id_: one.reason if isinstance(one, Gone) else None for id_, one in found.items()}
    assert list(reasons.values()) == [GoneReason.DELETED, None, GoneReason.UNREACHABLE, GoneReason.UNREACHABLE]


def test_an_issue_is_created_with_its_key_unseen_and_found_by_it(github: Bench) -> None:
    connector = tasks(github)
    github.sandbox.plant(150, REPO)
    written = connector.create_task(draft(priority="high", status=Status.IN_REVIEW), KEY)
    assert expected(written.remote).there.items() >= written.sent.items()
    assert [task.external_id for task in connector.find_created(KEY)] == [written.remote.external_id]
    assert connector.find_created(KEY[:-1]) == []
    item = list(github.sandbox.tracker.items.values())[-1]
    assert item.description == f"All of **them**.\n\n<!-- turnbuckle: {KEY} -->"
    assert sorted(item.extra["labels"]) == ["priority:high", "status:in-review"]
    assert read(github, item).values["description"].here == "All of **them**."


def test_an_issue_that_is_done_already_is_closed_when_it_is_created(github: Bench) -> None:
    written = tasks(github).create_task(draft(status=Status.CANCELLED, description=""), KEY)
    assert written.remote.values["status"].here == "cancelled"
    assert written.remote.create_key == KEY


def test_the_key_stays_when_the_text_is_changed(github: Bench) -> None:
    tasks(github).create_task(draft(), KEY)
    item = list(github.sandbox.tracker.items.values())[-1]
    assert write(github, item, description="Other").create_key == KEY
    assert write(github, item, description="").values["description"].here == ""


@pytest.mark.parametrize("status", [status.value for status in Status])
@pytest.mark.parametrize("before", ["backlog", "in_review", "done", "cancelled"])
def test_every_status_can_be_written_from_any_other(github: Bench, before: str, status: str) -> None:
    item = issue(github, extra={"labels": ("bug", "priority:low")})
    write(github, item, status=before)
    task = write(github, item, status=status, title="New")
    assert (task.values["status"].here, task.values["title"].here) == (status, "New")
    labels = github.sandbox.tracker.items[item.id].extra["labels"]
    assert {"bug", "priority:low"} <= set(labels)
    assert len([label for label in labels if label.startswith("status:")]) == (status in ("in_progress", "in_review"))


def test_a_label_of_the_configs_own_is_written(github: Bench) -> None:
    config = {"status_out": {"in_review": "In QA"}, "priority_out": {"critical": "P0"}}
    item = issue(github)
    write(github, item, config, status="in_review", priority="critical")
    assert github.sandbox.tracker.items[item.id].extra["labels"] == ("In QA", "P0")


def test_a_change_of_one_field_is_a_look_and_one_call(github: Bench) -> None:
    item = issue(github)
    held, connector = read(github, item), tasks(github)
    github.called()
    connector.update_task(held.external_id, {"status": "done", "priority": "high"}, expected(held))
    assert {name: count for name, count in github.called().items() if name != "getRepo"} == {
        "getIssue": 1,
        "updateIssue": 1,
    }


def test_somebody_elses_edit_is_not_written_over(github: Bench) -> None:
    item = issue(github)
    held = read(github, item)
    github.sandbox.person("Bob Baker").edit(item.id, title="Theirs")
    with pytest.raises(Conflict):
        tasks(github).update_task(held.external_id, {"title": "Ours"}, expected(held))
    github.sandbox.person("Bob Baker").delete(item.id)
    with pytest.raises(NotFound):
        tasks(github).update_task(held.external_id, {"title": "Ours"}, expected(held))


def test_an_assignee_is_exchanged_and_others_stay(github: Bench) -> None:
    item = issue(github, extra={"assignees": (github.ann, "1003")})
    cleo = RemoteUser("1003", "cleo-carter")
    assert read(github, item).assignee == RemoteUser(github.ann, "ann-archer")
    assert write(github, item, assignee=RemoteUser(github.bob)).assignee == RemoteUser(github.bob, "bob-baker")
    held = read(github, item)
    assert tasks(github).update_task(held.external_id, {"assignee": None}, expected(held)).remote.assignee == cleo
    held = read(github, item)
    refused = tasks(github).update_task(held.external_id, {"assignee": RemoteUser("42")}, expected(held)).refused
    assert refused["assignee"].code == "field_refused"


def test_the_words_are_those_that_may_be_written(github: Bench) -> None:
    first, _ = tasks(github, status_map={"In QA": "in_review"}).vocabularies()
    words = {word.name: word.here for word in first.statuses}
    assert (first.container, words["open"], words["In QA"], words["not_planned"]) == (
        REPO,
        "backlog",
        "in_review",
        "cancelled",
    )
    with pytest.raises(NotFound):
        list(tasks(github, repositories=["nothing"]).vocabularies())


def test_an_issues_webhook_is_a_reason_to_read_it(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    item = issue(github)
    github.sandbox.deliver()
    [delivery] = github.post.got
    assert GitHubConnector.parse(delivery, github.config(**SYNCED)) == [Hint(id_of(github, item))]
    other = github.config(sync_issues=True, repositories=["payments-worker"])
    [elsewhere] = GitHubConnector.parse(delivery, other)
    [off] = GitHubConnector.parse(delivery, github.config())
    assert isinstance(elsewhere, Ignored)
    assert isinstance(off, Ignored)
    assert (elsewhere.code, off.code) == ("other_repository", "not_followed")


def test_the_app_needs_to_write_issues_where_they_are_synced(github: Bench) -> None:
    github.sandbox.github_app.change(permissions={"contents": "read", "issues": "read"})
    assert github.installed(**SYNCED, events=["push"]).check().missing_scopes == ("issues:write",)
