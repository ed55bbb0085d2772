"""The words of vendors: what is said in an integration's config comes before what is usual."""

from __future__ import annotations

import pytest

from connectors.contract import Priority, ProjectMapping, Rejected, RemoteUser, RemoteValue, Status, TaskSyncConfig
from connectors.words import FieldWords, PriorityWords, StatusWords, Words, as_field, folded, sent, written

USUAL = {
    "To do": Status.BACKLOG,
    "Doing": Status.IN_PROGRESS,
    "Working": Status.IN_PROGRESS,
    "Review": Status.IN_REVIEW,
    "Done": Status.DONE,
    "Won't do": Status.CANCELLED,
}
PRIORITIES = {"P0": Priority.CRITICAL, "P1": Priority.HIGH, "P2": Priority.MEDIUM, "P3": Priority.LOW}


def statuses(read: dict[str, Status] | None = None, out: dict[Status, str] | None = None) -> Words[Status]:
    return Words(USUAL, Status.BACKLOG, read or {}, out or {})


BOTH: FieldWords = {"status": statuses(), "priority": Words(PRIORITIES, Priority.MEDIUM, {}, {})}


def test_names_are_compared_in_any_case_and_with_either_apostrophe() -> None:
    assert folded(" Won\u2019t Do ") == folded("won't do")
    assert statuses().here("WON\u2019T DO") is Status.CANCELLED


def test_the_first_usual_word_of_a_value_is_written() -> None:
    assert statuses().there("in_progress") == "Doing"


def test_the_config_comes_before_what_is_usual_and_reading_before_writing() -> None:
    words = statuses({"working": Status.IN_REVIEW}, {Status.DONE: "Shipped", Status.IN_REVIEW: "Working"})
    assert words.here("Working") is Status.IN_REVIEW
    assert words.here("shipped") is Status.DONE
    assert words.here("Done") is Status.DONE
    assert words.there("done") == "Shipped"


def test_an_id_counts_before_a_name_and_a_word_nobody_knows_is_the_default() -> None:
    words = statuses({"17": Status.DONE})
    assert words.here("17", "Doing") is Status.DONE
    assert words.here("18", "Doing") is Status.IN_PROGRESS
    assert words.here("18", "Frozen") is Status.BACKLOG
    assert words.read("18", "Doing") == RemoteValue("in_progress", "18:in_progress")


def test_a_word_whose_meaning_changed_is_another_value_there() -> None:
    assert statuses().read("Doing").there != statuses({"doing": Status.DONE}).read("Doing").there


def test_the_usual_words_are_told_with_what_they_mean_under_the_maps() -> None:
    told = {value.name: value.here for value in statuses({"review": Status.DONE}).values()}
    assert told["Review"] == "done"
    assert told["Done"] == "done"


def test_a_value_without_a_word_can_not_be_written() -> None:
    words = statuses({"review": Status.DONE})
    assert words.there("in_review") is None
    with pytest.raises(Rejected, match="No status there means in_review: name the one to write in status_out") as said:
        written({"status": "in_review"}, {"status": words})
    assert said.value.field == "status"


def test_changes_are_written_in_the_vendors_words_and_read_back_as_sent() -> None:
    changes = {"title": "A", "status": "done", "priority": "low", "assignee": RemoteUser("U1", "Ann")}
    assert written(changes, BOTH) == {"title": "A", "status": "Done", "priority": "P3", "assignee": "U1"}
    assert sent(changes, BOTH) == {"title": "A", "status": "Done:done", "priority": "P3:low", "assignee": "U1"}
    assert written({"assignee": None, "status": Status.DONE}, BOTH) == {"assignee": None, "status": "Done"}


def by_kind(**more: dict[str, str]) -> StatusWords:
    config = TaskSyncConfig(projects=[ProjectMapping(external="home")], **more)
    kinds = {"open": Status.IN_PROGRESS, "closed": Status.DONE}
    names = {Status.IN_PROGRESS: {Status.IN_REVIEW: ("check",)}}
    return StatusWords(kinds, config, usual={"Idea": Status.CANCELLED}, default=Status.BACKLOG, in_a_name=names)


def test_a_status_means_what_the_config_says_then_its_usual_name_then_its_kind_and_a_word_in_its_name() -> None:
    meant = {
        (name, kind): by_kind(status_map={"7": "done"}).value("7" if name == "Mine" else "1", name, kind).here
        for name, kind in [("Mine", "open"), ("Idea", "open"), ("Cross-Check", "open"), ("Check", "closed"), ("X", "?")]
    }
    assert list(meant.values()) == ["done", "cancelled", "in_review", "done", "backlog"]


def test_of_the_things_that_mean_a_value_the_configured_one_is_chosen_else_the_first() -> None:
    words = by_kind(status_out={"in_progress": "second"})
    first, second = words.value("1", "First", "open"), words.value("2", "Second", "open")
    assert words.choose("in_progress", [first, second]) == second
    assert words.choose("in_progress", [first]) == first
    assert words.choose("in_review", [first, second]) is None


def test_priorities_are_known_by_number_and_name_and_one_nobody_knows_is_medium() -> None:
    config = TaskSyncConfig(projects=[ProjectMapping(external="home")], priority_map={"low": Priority.HIGH})
    words = PriorityWords([("1", "urgent", Priority.CRITICAL), ("2", "low", Priority.LOW)], config)
    assert [(one.id, one.name, one.here) for one in words.values()] == [
        ("1", "urgent", "critical"),
        ("2", "low", "high"),
    ]
    assert as_field(words.value("9")) == RemoteValue("medium", "9:medium")
