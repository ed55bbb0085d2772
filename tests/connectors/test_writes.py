"""What differs between an item and what is to be written, and what connectors share about titles and credentials."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.contract import Conflict, ConsentPending, Expected, RemoteTask, RemoteUser, RemoteValue
from connectors.credentials import ApiToken, OAuthTokens
from connectors.response import Response, words_of
from connectors.writes import Write, differing

HELD = RemoteTask(
    "1",
    "K-1",
    "https://vendor.example/1",
    "home",
    7,
    datetime(2026, 5, 4, tzinfo=UTC),
    {"title": RemoteValue("T", "T"), "priority": RemoteValue("low", "lowest:low")},
    RemoteUser("ann"),
)
KNOWN = Expected(7, {"title": "T", "priority": "lowest:low", "assignee": "ann"})


def test_what_the_item_says_already_counts_as_sent_in_the_items_own_words():
    write = Write()
    changes = {"title": "New", "priority": "low", "assignee": RemoteUser("ann")}
    assert list(differing(HELD, changes, KNOWN, write)) == [("title", "New")]
    assert write.sent == {"priority": "lowest:low", "assignee": "ann"}


def test_what_somebody_else_set_to_the_same_is_no_conflict_and_anything_else_is():
    stale = Expected(6, {"title": "Old", "assignee": None})
    assert list(differing(HELD, {"title": "T"}, stale, Write())) == []
    for changes in ({"title": "New"}, {"assignee": RemoteUser("bob")}, {"assignee": None}):
        with pytest.raises(Conflict, match="K-1"):
            list(differing(HELD, changes, stale, Write()))


def test_a_refusal_takes_back_what_was_to_be_sent():
    write = Write()
    write.send("status", "done:done", {"state": "done"})
    write.refuse("status", "no_path", "Add one.")
    written = write.done(HELD)
    assert (written.sent, written.refused["status"].code) == ({}, "no_path")


def test_credentials_make_their_header_and_say_when_consent_is_missing():
    assert ApiToken(api_token="pk_1").authorization() == "pk_1"
    assert OAuthTokens(access_token="t").authorization() == "Bearer t"
    with pytest.raises(ConsentPending):
        OAuthTokens().authorization()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"err": "Team not authorized", "ECODE": "OAUTH_027"}', "Team not authorized OAUTH_027"),
        (b'{"message": "else"}', "else"),
        (b"[1]", "[1]"),
        (b"gateway says no", "gateway says no"),
    ],
)
def test_a_vendors_words_are_read_from_its_own_fields_or_as_any_vendors(body, words):
    assert words_of("err", "ECODE")(Response(400, {}, body, "https://vendor.example")) == words
