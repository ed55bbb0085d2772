"""Linear's answers and the platform's words, without any I/O."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.contract import BadPayload, Priority, RemoteUser, RemoteValue, Status
from connectors.linear.config import LinearConfig
from connectors.linear.mapping import Issue, Nodes, Reader, State, Team, User
from connectors.markup.stored import canonical
from connectors.texts import stored
from connectors.words import as_field

STATES = [
    State("s1", "Backlog", "backlog", 0),
    State("s2", "Todo", "unstarted", 1),
    State("s3", "Second", "started", 5),
    State("s4", "First", "started", 4),
    State("s5", "Code Review", "started", 6),
    State("s6", "Done", "completed", 7),
    State("s7", "Canceled", "canceled", 8),
    State("s8", "Duplicate", "duplicate", 2),
    State("s9", "Triage", "triage", -1),
]
TEAM = Team("t1", "ENG", Nodes(STATES))


def reader(**config) -> Reader:
    return Reader(LinearConfig(projects=[{"external": "ENG"}], **config))


def priority(reader: Reader, number: int) -> RemoteValue:
    return as_field(reader.priorities.value(str(number)))


def issue(**more) -> Issue:
    fields = {
        "id": "9d3f1b7a-2c4e-4d6f-8a1b-3c5d7e9f1a2b",
        "identifier": "ENG-42",
        "title": "Pay",
        "url": "https://linear.app/acme/issue/ENG-42/pay",
        "updated_at": "2026-04-15T09:59:58.640Z",
        "priority": 2.0,
        "state": STATES[4],
        "team": Team("t1", "ENG"),
    }
    return Issue(**{**fields, **more})


def test_an_issue_becomes_a_task():
    task = reader().task(issue(description="Text", assignee=User("u1", "Ann", "ann@example.com")))
    assert (task.external_id, task.key, task.container) == ("9d3f1b7a-2c4e-4d6f-8a1b-3c5d7e9f1a2b", "ENG-42", "ENG")
    assert (task.version, task.updated_at.isoformat()) == (1776247198640, "2026-04-15T09:59:58.640000+00:00")
    assert {name: value.here for name, value in task.values.items()} == {
        "title": "Pay",
        "description": "Text",
        "status": "in_review",
        "priority": "high",
    }
    assert task.assignee == RemoteUser("u1", "Ann", "ann@example.com")
    assert task.create_key is None


@pytest.mark.parametrize(
    ("type_", "name", "here"),
    [
        ("triage", "Triage", "backlog"),
        ("backlog", "Later review", "backlog"),
        ("unstarted", "Todo", "backlog"),
        ("started", "Doing", "in_progress"),
        ("started", "In Review", "in_review"),
        ("completed", "Reviewed", "done"),
        ("canceled", "Canceled", "cancelled"),
        ("duplicate", "Duplicate", "cancelled"),
        ("a type of tomorrow", "X", "backlog"),
    ],
)
def test_a_states_type_tells_its_meaning_and_review_in_a_started_ones_name(type_, name, here):
    assert as_field(reader().status(State("s", name, type_))) == (here, f"s:{here}")


def test_the_configs_words_come_before_linears_types():
    mapped = reader(status_map={"code review": "in_progress", "s4": "in_review"}, status_out={"done": "Todo"})
    assert mapped.status(STATES[4]).here == "in_progress"
    assert mapped.status(STATES[3]).here == "in_review"
    assert mapped.status(STATES[1]).here == "done"


@pytest.mark.parametrize(("number", "here"), list(enumerate(["medium", "critical", "high", "medium", "low"])))
def test_priorities_run_the_other_way_round_and_none_counts_as_medium(number, here):
    assert priority(reader(), number) == (here, f"{number}:{here}")


def test_a_priority_of_tomorrow_does_not_stop_anything():
    assert priority(reader(), 7) == ("medium", "7:medium")


def test_a_configured_priority_is_read_and_written_by_linears_name():
    mapped = reader(priority_map={"no priority": "low"}, priority_out={"critical": "urgent", "low": "No priority"})
    assert priority(mapped, 0).here == "low"
    edit = mapped.edit({"priority": "low"}, None, {})
    assert (edit.body, edit.sent) == ({"priority": 0}, {"priority": "0:low"})
    assert mapped.edit({"priority": "critical"}, None, {}).body == {"priority": 1}


@pytest.mark.parametrize("value", list(Priority))
def test_every_priority_reads_back_as_it_was_written(value):
    edit = reader().edit({"priority": value}, None, {})
    assert priority(reader(), edit.body["priority"]).here == value


@pytest.mark.parametrize(
    ("status", "state"),
    [("backlog", "s1"), ("in_progress", "s4"), ("in_review", "s5"), ("done", "s6"), ("cancelled", "s7")],
)
def test_of_the_states_of_a_meaning_the_first_of_the_workflow_is_written(status, state):
    edit = reader().edit({"status": status}, TEAM, {})
    assert (edit.body, edit.sent) == ({"stateId": state}, {"status": f"{state}:{status}"})


def test_a_team_without_backlog_states_takes_its_first_unstarted_one():
    assert reader().edit({"status": "backlog"}, Team("t", "X", Nodes(STATES[1:])), {}).body == {"stateId": "s2"}


def test_the_configured_state_is_written_where_the_team_has_it():
    mapped = reader(status_out={"in_progress": "second"})
    assert mapped.edit({"status": "in_progress"}, TEAM, {}).body == {"stateId": "s3"}
    other = Team("t2", "OPS", Nodes([State("o1", "Doing", "started")]))
    assert mapped.edit({"status": "in_progress"}, other, {}).body == {"stateId": "o1"}


def test_a_team_without_such_a_state_refuses_and_says_what_to_do():
    edit = reader().edit({"status": "in_review", "title": "T"}, Team("t", "X", Nodes(STATES[:3])), {})
    assert (edit.body, edit.sent) == ({"title": "T"}, {"title": "T"})
    assert edit.refused["status"].code == "no_path"
    assert "team X" in edit.refused["status"].text


def test_what_linear_means_already_is_left_alone():
    there = {"priority": "0:medium", "status": "s2:backlog", "title": "T"}
    edit = reader().edit({"priority": "medium", "status": "backlog", "title": "T"}, TEAM, there)
    assert edit.body == {"title": "T"}
    assert edit.sent == there


def test_an_assignee_is_set_and_taken_away():
    assert reader().edit({"assignee": RemoteUser("u1")}, None, {}).body == {"assigneeId": "u1"}
    assert reader().edit({"assignee": None}, None, {}).body == {"assigneeId": None}


def test_a_title_is_one_line():
    edit = reader().edit({"title": " Two\n lines "}, None, {})
    assert edit.body == edit.sent == {"title": "Two lines"}


def test_what_linear_changes_when_it_stores_a_text_is_no_change():
    ours = "# Head  \r\n- a\r\n  + b\r\n\r\n```\r\n- code  \r\n```\r\n"
    kept = "# Head\n* a\n  * b\n\n```\n- code  \n```"
    assert stored(ours).there == stored(kept).there
    assert canonical(kept) == "# Head\n- a\n  - b\n\n```\n- code  \n```"


@pytest.mark.parametrize("other", ["- a\n- c", "- a - b", "```\n* a\n* b\n```", "*a*\n- b", "- a\n\n- b"])
def test_another_text_is_a_change(other):
    assert stored("- a\n- b").there != stored(other).there


def test_an_empty_description_is_none():
    assert stored(" \r\n").there is None
    assert reader().task(issue()).values["description"] == ("", None)


@pytest.mark.parametrize("text", ["yesterday", "", "2026-04-15T09:59:58"])
def test_a_time_in_another_form_is_told(text):
    with pytest.raises(BadPayload, match="unknown form"):
        reader().task(issue(updated_at=text))


def test_a_project_that_is_no_key_is_refused_with_an_example():
    with pytest.raises(ValidationError, match="ENG-12"):
        LinearConfig(projects=[{"external": "Engineering team"}])


def test_each_of_our_statuses_can_be_written_to_an_ordinary_team():
    assert all(reader().edit({"status": status}, TEAM, {}).body for status in Status)
