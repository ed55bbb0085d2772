"""The same event, whoever tells it: a webhook, a hint that is asked for, a reading from the start, or one increment."""

from __future__ import annotations

from typing import get_args

from connectors.contract import (
    ChangeClosed,
    ChangeMerged,
    ChangeReady,
    ChangeReopened,
    CodeEvent,
    Committed,
    Happening,
    Reviewed,
    ReviewState,
    RunState,
)
from tests.connectors.github.conftest import SECRET, URL, Bench, facts, kinds, only_heard, story


def listen(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)


def test_webhook_and_poll_of_the_same_history_give_equal_events(github: Bench) -> None:
    listen(github)
    before = set(facts(github.read()))
    story(github)
    heard, read = facts(github.heard()), facts(github.read())
    assert kinds(list(heard.values())) == set(get_args(Happening))
    assert {key for key in heard if key not in read} == {key for key, event in heard.items() if only_heard(event)}
    assert {key for key in read if key not in heard} == before
    assert {key: heard[key] for key in heard.keys() & read.keys()} == {
        key: read[key] for key in heard.keys() & read.keys()
    }


def test_what_was_asked_while_it_happened_is_the_same_when_it_is_asked_at_the_end(github: Bench) -> None:
    """Deliveries are read at once, and hints asked for while the story goes on."""
    listen(github)
    early: list[CodeEvent] = []
    connector = github.connector()
    github.host.listeners.append(lambda deed: early.extend(github.heard(connector)))
    story(github)
    heard, read = facts(early), facts(github.read())
    assert all(read.get(key, event) == event for key, event in heard.items())
    assert set(read) - set(heard) == {f"1:commit:{next(iter(github.host.repo('payments-api').commits))}"}


def test_increments_bring_what_a_reading_from_the_start_does(github: Bench) -> None:
    connector, found, cursor = github.connector(), [], None

    def poll() -> None:
        nonlocal cursor
        for page in connector.code_events(github.repository(), cursor):
            found.extend(page.events)
            cursor = page.cursor

    poll()
    github.host.listeners.append(lambda _deed: poll())
    story(github)
    github.host.listeners.pop()
    poll()
    assert facts([event for event in found if not only_heard(event)]) == facts(github.read())


def test_what_happened_is_told_in_full(github: Bench) -> None:
    listen(github)
    story(github)
    events = [event.what for event in facts(github.heard()).values()]
    merged = {what.number: what for what in events if isinstance(what, ChangeMerged)}
    first = merged["1"]
    assert first.first_commit_at is not None
    assert first.first_commit_at.month == 1
    assert (first.commits, first.target_branch) == (2, "main")
    assert first.by is not None
    assert (first.by.id, first.by.name, first.by.bot) == (github.bob, "bob-baker", False)
    assert (first.additions, first.deletions) == (123, 30)
    states = [what.state for what in events if isinstance(what, Reviewed) and what.number == "1"]
    assert sorted(states) == [ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED]
    assert [what.number for what in events if isinstance(what, ChangeReady)] == ["1", "2"]
    assert [what.number for what in events if isinstance(what, ChangeClosed)] == ["2", "3"]  # merging is no closing
    assert [what.number for what in events if isinstance(what, ChangeReopened)] == ["2"]
    bumped = next(what for what in events if isinstance(what, Committed) and what.title == "Bump the library (#2)")
    assert (bumped.author.id, bumped.author.name) == (github.ann, github.ann)
    assert len([what for what in events if getattr(what, "state", None) is RunState.FAILED]) == 2
