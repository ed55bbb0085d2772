"""Titles and descriptions: whether two say the same."""

from __future__ import annotations

import pytest

from connectors.contract import BadPayload
from connectors.markup.markdown import Markdown
from connectors.texts import described, is_lossy, one_line, rich, stored, titled
from connectors.times import at_ms, epoch_ms, moment


def test_a_title_is_one_line_and_a_long_one_is_known_by_its_digest():
    assert titled(" a\n b ") == ("a b", "a b")
    long = titled("x" * 256)
    assert long.here == "x" * 256
    assert long.there is not None
    assert len(long.there) < 30
    assert long.there != titled("x" * 257).there
    assert one_line("ab cd", 3) == "ab"


@pytest.mark.parametrize(
    "value", [described("\r\n"), described(None), stored(None), stored(" "), rich(Markdown("", ()))]
)
def test_an_empty_description_has_no_value_there(value):
    assert value.there is None


def test_a_vendors_own_way_of_saying_the_same_is_no_change():
    assert described("- a\n- *b*").there == described("* a\n* _b_").there != described("- a").there
    assert stored("- a  \n- b\r\n").there == stored("* a\n+ b").there != stored("- a").there


def test_what_markdown_can_not_say_makes_another_text_that_is_marked():
    plain, panel, other = rich(Markdown("a", ())), rich(Markdown("a", ("panel",))), rich(Markdown("a", ("media",)))
    assert {plain.here, panel.here, other.here} == {"a"}
    assert len({plain.there, panel.there, other.there}) == 3
    assert [is_lossy(one.there) for one in (plain, panel, other)] == [False, True, True]
    assert rich(Markdown("", ("media",))).there is not None
    assert not is_lossy(None)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00.1234567Z", "2026-01-01T01:00:00.123456+01:00"])
def test_times_are_read_with_any_offset_and_number_of_digits(text):
    assert moment(text).isoformat() == "2026-01-01T00:00:00.123456+00:00"


def test_a_time_without_an_offset_is_none():
    with pytest.raises(BadPayload):
        moment("2026-01-01T00:00:00")


def test_milliseconds_are_read_exactly_as_number_or_digits_and_nothing_else_is_a_time():
    told = 1777384526679
    at = at_ms(told)
    assert at is not None
    assert (epoch_ms(at), at_ms(str(told))) == (told, at)
    assert [at_ms(odd) for odd in ("", "-1", -1, "1.5", "²", "9" * 15, 10**15)] == [None] * 7
