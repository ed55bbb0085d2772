"""What is said of a mapping when it is configured."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from connectors.contract import Status, TaskSyncConfig, VendorValue, Vocabulary
from sync.lint import contradictions, judge


class Told(TaskSyncConfig):
    """A vendor that has something else than the status to tell these apart."""

    told_apart: ClassVar[tuple[Status, ...]] = (Status.DONE, Status.CANCELLED)


def config(model: type[TaskSyncConfig] = TaskSyncConfig, **more: Any) -> TaskSyncConfig:
    return model.model_validate({"projects": [{"external": "APEX"}, {"external": "OPS"}], **more})


STATUSES = (
    VendorValue("1", "To Do", "backlog"),
    VendorValue("2", "Doing", "in_progress"),
    VendorValue("3", "In Review", "in_review"),
    VendorValue("4", "Done", "done"),
    VendorValue("5", "Won't Do", "cancelled"),
)
PRIORITIES = tuple(VendorValue(name, name, name.lower()) for name in ("Low", "Medium", "High", "Critical"))
APEX = Vocabulary("APEX", STATUSES, PRIORITIES)


def said(findings) -> list[str]:
    return [str(finding) for finding in findings]


# --- the config alone -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ({"conflict": {"labels": "latest"}}, "config.conflict.labels", "not a shared field"),
        (
            {"status_map": {"In QA": "in_review", "in qa": "done"}},
            "config.status_map.in qa",
            "claimed twice, as in_review and as done",
        ),
        (
            {"status_map": {"Won\N{RIGHT SINGLE QUOTATION MARK}t do": "done", "won't do": "cancelled"}},
            "config.status_map.won't do",
            "claimed twice",
        ),
        (
            {"status_out": {"done": "Closed"}, "status_map": {"closed": "cancelled"}},
            "config.status_out.done",
            "reads it back as cancelled",
        ),
        (
            {"status_out": {"backlog": "Open", "in_progress": "open"}},
            "config.status_out.in_progress",
            "is sent for backlog too",
        ),
        (
            {"priority_out": {"high": "P1"}, "priority_map": {"p1": "critical"}},
            "config.priority_out.high",
            "reads it back as critical",
        ),
        ({"priority_out": {"high": "P1", "critical": "P1"}}, "config.priority_out.critical", "is sent for high too"),
    ],
)
def test_a_contradiction_is_found_without_asking_the_vendor(more, path, words):
    [finding] = contradictions(config(**more))
    assert finding.path == path
    assert words in finding.text


def test_values_the_connector_tells_apart_may_be_sent_as_one_and_no_others():
    shared = {"status_out": {"done": "Closed", "cancelled": "Closed"}}
    assert list(contradictions(config(Told, **shared))) == []
    [finding] = contradictions(config(**shared))
    assert finding.path == "config.status_out.cancelled"
    [finding] = contradictions(config(Told, status_out={"done": "Closed", "in_review": "closed"}))
    assert finding.path == "config.status_out.in_review"


# --- against the vendor's words -------------------------------------------------------------------------


def test_a_sound_mapping_has_nothing_said_of_it():
    judgement = judge(config(status_map={"in review": "in_review"}, status_out={"done": "4"}), [APEX])
    assert said(judgement.errors) == []
    assert said(judgement.warnings) == []


def test_a_word_no_container_has_can_not_be_sent_and_the_known_ones_are_named():
    [error] = judge(config(status_out={"in_review": "In QA"}), [APEX]).errors
    assert error.path == "config.status_out.in_review"
    assert "there are: To Do, Doing, In Review, Done, Won't Do" in error.text


def test_a_word_only_one_of_the_containers_has_is_enough():
    other = Vocabulary("OPS", [*STATUSES, VendorValue("9", "In QA", "in_review")], PRIORITIES)
    assert judge(config(status_out={"in_review": "In QA"}), [APEX, other]).errors == []


def test_a_word_that_reads_back_as_something_else_is_refused():
    [error] = judge(config(status_out={"done": "Doing"}), [APEX]).errors
    assert str(error) == "config.status_out.done: 'Doing' is sent for done, but in APEX it is read back as in_progress"


def test_a_status_claimed_by_its_id_and_by_its_name_with_two_meanings_is_refused():
    [error] = judge(config(status_map={"3": "in_review", "In Review": "done"}), [APEX]).errors
    assert error.path == "config.status_map.In Review"
    assert "claimed twice: '3' makes it in_review" in error.text


def test_a_line_about_a_status_nobody_has_is_a_warning():
    judgement = judge(config(status_map={"In QAA": "in_review"}), [APEX])
    assert judgement.errors == []
    [warning] = judgement.warnings
    assert warning.path == "config.status_map.In QAA"
    assert "does nothing" in warning.text


def test_a_value_of_ours_no_status_means_is_a_warning_for_its_container():
    without = Vocabulary("OPS", [value for value in STATUSES if value.here != "in_review"], PRIORITIES)
    judgement = judge(config(), [APEX, without])
    assert judgement.errors == []
    [warning] = judgement.warnings
    assert warning.path == "config.status_out.in_review"
    assert "no status of OPS means in_review" in warning.text


def test_cancelled_needs_no_status_of_its_own_where_it_is_told_from_done_by_something_else():
    without = Vocabulary("APEX", [value for value in STATUSES if value.here != "cancelled"], PRIORITIES)
    assert judge(config(Told), [without]).warnings == []
    assert [finding.path for finding in judge(config(), [without]).warnings] == ["config.status_out.cancelled"]


def test_two_statuses_of_one_name_have_to_be_named_by_id():
    twice = Vocabulary("APEX", [*STATUSES, VendorValue("6", "DONE", "done")], PRIORITIES)
    [warning] = judge(config(status_out={"done": "Done"}), [twice]).warnings
    assert warning.path == "config.status_out.done"
    assert "name one by its id (4, 6)" in warning.text


def test_a_vendor_with_hundreds_of_words_is_not_recited():
    many = Vocabulary("APEX", [*STATUSES, *(VendorValue(f"x{n}", f"X{n}", "done") for n in range(200))], PRIORITIES)
    [error] = judge(config(status_out={"done": "Nowhere"}), [many]).errors
    assert "X6 and 193 more" in error.text
