"""Rate limit headers, as the vendors send them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.limits import LONGEST_WAIT, retry_after, room
from tests.connectors.server import NOON

EPOCH = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Mon, 02 Nov 2026 12:00:45 GMT"}, 45),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Mon, 02 Nov 2026 11:00:00 GMT"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 90)}, 90),
        ({"x-ratelimit-reset": str((EPOCH + 90) * 1000)}, 90),
        ({"x-ratelimit-reset": "2026-11-02T12:01:30Z"}, 90),
        ({"x-ratelimit-reset": "2026-11-02T12:01Z"}, 60),
        ({"x-ratelimit-reset": "2026-11-02T12:00:30"}, 30),
        ({"x-ratelimit-reset": "3"}, 3),
        ({"ratelimit-remaining": "0", "ratelimit-reset": str(EPOCH + 12)}, 12),
        ({"x-ratelimit-requests-remaining": "0", "x-ratelimit-requests-reset": str((EPOCH + 7) * 1000)}, 7),
        ({"ratelimit": '"default";r=0;t=20'}, 20),
        ({"ratelimit": '"a";r=0;t=20, "b";r=0;t=40'}, 40),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"retry-after": "5", "x-ratelimit-reset": str(EPOCH + 3600)}, 5),
        ({}, None),
    ],
)
def test_every_documented_form_is_understood(headers, seconds):
    expected = None if seconds is None else NOON + timedelta(seconds=seconds)
    assert retry_after(headers, NOON) == expected


def test_a_window_with_room_left_is_not_what_stopped_us():
    headers = {"x-ratelimit-remaining": "4000", "x-ratelimit-reset": str(EPOCH + 3500)}
    assert retry_after(headers, NOON) == NOON + timedelta(seconds=60)


def test_the_exhausted_one_of_two_windows_counts():
    headers = {
        "x-ratelimit-requests-remaining": "900",
        "x-ratelimit-requests-reset": str((EPOCH + 3000) * 1000),
        "x-ratelimit-complexity-remaining": "0",
        "x-ratelimit-complexity-reset": str((EPOCH + 300) * 1000),
    }
    assert retry_after(headers, NOON) == NOON + timedelta(seconds=300)


def test_moments_are_read_on_the_vendors_clock():
    vendor_is_ten_minutes_ahead = {
        "date": "Mon, 02 Nov 2026 12:10:00 GMT",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(EPOCH + 600 + 30),
    }
    assert retry_after(vendor_is_ten_minutes_ahead, NOON) == NOON + timedelta(seconds=30)


def test_room_is_what_is_left_and_until_when():
    headers = {"x-ratelimit-remaining": "4999", "x-ratelimit-reset": str(EPOCH + 60)}
    assert room(headers, NOON) == (4999.0, NOON + timedelta(seconds=60))


def test_room_is_unknown_without_a_reset():
    assert room({"x-ratelimit-remaining": "4999"}, NOON) is None


@given(
    name=st.sampled_from(["retry-after", "x-ratelimit-reset", "ratelimit-reset", "ratelimit", "date"]),
    value=st.one_of(st.text(max_size=40), st.from_regex(r'("a";)?(r|t|reset|remaining)?=?[0-9:T .-]{1,30}')),
)
def test_nothing_a_vendor_writes_breaks_it_or_parks_us_for_years(name, value):
    headers = {"x-ratelimit-reset": "10", "x-ratelimit-remaining": "0", name: value}
    until = retry_after(headers, NOON)
    assert until is None or NOON <= until <= NOON + LONGEST_WAIT
    room(headers, NOON)


def test_a_naive_now_is_never_made():
    until = retry_after({"retry-after": "1"}, datetime(2026, 1, 1, tzinfo=UTC))
    assert until is not None
    assert until.tzinfo is UTC
