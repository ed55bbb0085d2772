"""The words of vendors: what is said in an integration's config comes before what is usual."""

from __future__ import annotations

import pytest

from connectors.contract import Priority, Rejected, RemoteUser, RemoteValue, Status
from connectors.words import FieldWords, Words, folded, sent, written

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
