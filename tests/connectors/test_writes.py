"""What differs between an item and what is to be written, and what connectors share about titles and credentials."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.contract import (
    Conflict,
    ConsentPending,
    Expected,
    Priority,
    Refusal,
    Rejected,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    Status,
    TaskDraft,
    TaskSyncConfig,
)
from connectors.credentials import ApiToken, EmailToken, OAuthTokens
from connectors.response import Response, words_of
from connectors.words import PriorityWords, as_field
from connectors.writes import FieldsRefused, Write, created, differing, drafted, replaced, taken

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
    assert EmailToken(email="a@b.io", api_token="t").authorization() == "Basic YUBiLmlvOnQ="
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


DRAFT = TaskDraft("home", "T", " ", Status.DONE, Priority.LOW)


@pytest.mark.parametrize(
    ("more", "besides", "names"),
    [
        ({}, (), ["title", "priority"]),
        ({}, ("status", "description"), ["title", "description", "status", "priority"]),
        ({"description": "Text", "assignee": RemoteUser("ann")}, (), ["title", "description", "priority", "assignee"]),
    ],
)
def test_a_draft_sets_what_it_has_and_what_is_asked_for(more, besides, names):
    assert list(drafted(replace(DRAFT, **more), *besides)) == names


def both() -> Write:
    write = Write({"project": "P"})
    write.send("title", "T", {"summary": "T"})
    write.send("priority", "1:low", {"prio": 1})
    return write


def refusing(*refusals: dict[str, str]) -> tuple[Any, list[dict[str, Any]]]:
    left, sent = list(refusals), []

    def send(body: dict[str, Any]) -> str:
        sent.append(dict(body))
        if left:
            raise FieldsRefused("It says no.", left.pop(0))
        return "done"

    return send, sent


def test_a_field_that_is_refused_is_left_out_and_the_rest_is_sent_again():
    write = both()
    send, sent = refusing({"prio": "Not on the screen."})
    assert taken(send, write, {"priority": "Put it there."}, {"title"}) == "done"
    assert sent == [{"project": "P", "summary": "T", "prio": 1}, {"project": "P", "summary": "T"}]
    assert write.sent == {"title": "T"}
    assert write.refused == {"priority": Refusal("field_refused", "Not on the screen. Put it there.")}


def test_a_status_that_is_refused_needs_a_human():
    write = Write()
    write.send("status", "2:done", {"state": 2})
    send, sent = refusing({"state": "A rule."})
    assert taken(send, write, {}) is None
    assert (len(sent), write.refused) == (1, {"status": Refusal("needs_human", "A rule.")})


@pytest.mark.parametrize(
    ("refused", "field"), [({"project": "No such."}, None), ({"summary": "Long."}, "title"), ({}, None)]
)
def test_what_can_not_be_left_out_is_rejected(refused, field):
    write = both()
    send, sent = refusing(refused)
    with pytest.raises(Rejected, match="It says no") as said:
        taken(send, write, {}, {"title"})
    assert (said.value.field, len(sent), write.refused) == (field, 1, {})


def test_a_new_item_is_nothing_without_its_title():
    write = both()
    assert created(refusing({"prio": "No."})[0], write, {}) == "done"
    with pytest.raises(Rejected, match="It says no"):
        created(refusing({"summary": "Long."})[0], write, {})


def test_nothing_is_sent_where_nothing_of_ours_is_written():
    write = Write({"project": "P"})
    send, sent = refusing()
    assert (taken(send, write, {}), sent) == (None, [])


def test_a_value_no_thing_there_means_is_refused_with_what_there_is():
    config = TaskSyncConfig(projects=[{"external": "home"}], priority_map={"high": "low"})
    words = PriorityWords([("1", "high", Priority.HIGH), ("2", "low", Priority.LOW)], config)
    write = Write()
    assert write.choose("priority", words, "high", "the shop") is None
    assert write.refused["priority"].code == "no_path"
    for said in ("No priority of the shop means high", "high, low", "priority_map or priority_out"):
        assert said in write.refused["priority"].text
    chosen = write.choose("priority", words, "low", "the shop", words.values())
    assert chosen is not None
    assert as_field(chosen) == ("low", "1:low")


def test_a_write_that_replaced_what_nobody_expected_tells_it():
    held = {"title": "Theirs", "status": "S", "priority": "9"}
    before = replace(HELD, values={name: RemoteValue(there, there) for name, there in held.items()})
    sent: dict[str, str | None] = {"title": "Ours", "status": "S", "priority": "1", "assignee": "cid"}
    expected = Expected(1, {"title": "Old", "status": "R", "priority": "9", "assignee": "bob"})
    theirs = {"title": RemoteValue("Theirs", "Theirs"), "assignee": RemoteValue(None, "ann")}
    assert replaced(before, sent, expected) == theirs


def test_a_value_that_means_it_already_is_left_alone_and_counts_as_sent():
    write = Write()
    assert write.keep("priority", Priority.LOW, "lowest:low")
    assert not write.keep("status", "done", "4:backlog")
    assert not write.keep("assignee", "bob", None)
    assert (write.sent, write.body) == ({"priority": "lowest:low"}, {})
