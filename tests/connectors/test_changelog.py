"""What a write replaced, by a log of changes."""

from __future__ import annotations

import pytest

from connectors.changelog import Entry, overwritten
from connectors.contract import Expected, RemoteValue

KNOWN = Expected(1, {"title": "Old", "status": "1", "description": "d"})


def entry(new: str, before: str, field: str = "title") -> Entry:
    return Entry(field, new, RemoteValue(before.lower(), before))


def test_what_stood_before_our_change_is_told_where_nobody_expected_it():
    log = [entry("Later", "Ours"), entry("Ours", "Theirs"), entry("Theirs", "Old")]
    assert overwritten(log, {"title": ["Ours"]}, KNOWN) == {"title": ("theirs", "Theirs")}


@pytest.mark.parametrize("log", [[], [entry("Ours", "Old")], [entry("Theirs", "Old")], [entry("Ours", "X", "status")]])
def test_nothing_is_told_where_we_replaced_what_we_expected_or_nothing_at_all(log):
    assert overwritten(log, {"title": ["Ours"]}, KNOWN) == {}


def test_of_several_changes_of_ours_the_first_counts():
    log = [entry("4", "3", "status"), entry("3", "9", "status"), entry("9", "1", "status")]
    assert overwritten(log, {"status": ["3", "4"]}, KNOWN) == {"status": ("9", "9")}
    assert overwritten(log, {"status": []}, KNOWN) == {}


def test_where_the_logs_words_can_not_be_compared_a_second_change_is_somebody_elses():
    log = [entry("b", "a", "description"), entry("a", "x", "description")]
    assert overwritten(log, {"description": None}, KNOWN) == {"description": ("a", "a")}
    assert overwritten(log[:1], {"description": None}, KNOWN) == {}


def test_a_field_nothing_was_expected_of_is_not_told():
    assert overwritten([entry("x", "y", "priority")], {"priority": ["x"]}, KNOWN) == {}
