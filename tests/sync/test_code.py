"""Code events stored once, histories read in a lane of their own and resumed, and what fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event as sql

from connectors.contract import (
    AuthFailed,
    CodeHeard,
    Committed,
    Forbidden,
    Person,
    Pushed,
    RateFacts,
    RateLimited,
    Transient,
)
from core.models import Event, SyncCause
from sync import reading
from sync.backfill import backfill
from sync.budget import SharedBudget
from sync.code import store_events
from sync.runtime import Lane
from tests.sync.conftest import make_tenant
from tests.sync.forge import ANN, Following, rung

# --- stored once --------------------------------------------------------------------------------------


def test_a_history_and_what_comes_after_it_are_in_the_stream_each_once(any_rt, forge, clock):
    forge.repo("r1", events=25)
    forge.repo("r2", events=3)
    following = Following(any_rt, forge, make_tenant(any_rt))
    following.follow()
    following.assert_complete()
    clock.advance(minutes=5)
    forge.opens("r1", 26)
    run = following.poll()
    assert (run.status, run.counts["events_new"], run.counts["repositories"]) == ("success", 1, 2)
    following.assert_complete()


def test_an_event_says_what_happened_where_and_when(rt, forge, team, clock):
    forge.repo("r1", "apex/payments-api")
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=1)
    forge.opens("r1", 7)
    following.poll()
    [event] = following.events()
    repository = following.repository("r1")
    assert event.type == "code.pull_request_opened"
    assert (event.subject_id, event.actor, event.workspace_id) == (repository.id, following.id, team.workspace.id)
    assert (event.occurred_at, event.backfilled) == (clock(), False)
    assert event.data == {
        "number": "7",
        "title": "Change 7",
        "url": "https://forge.test/r1/7",
        "author": {"id": "u1", "name": "Ann", "email": "ann@apex.test", "bot": False},
        "source_branch": "topic",
        "occurred_at": "2026-04-15T10:01:00Z",
        "repository": {"id": repository.id, "external_id": "r1", "name": "apex/payments-api"},
    }


def test_two_workers_that_store_the_same_at_once_store_it_once(any_rt, forge):
    forge.repo("r1", events=400)
    following = Following(any_rt, forge, make_tenant(any_rt))
    following.poll()
    integration, repository = following.integration(), following.repository("r1")
    events = forge.repos["r1"].events

    def store(part):
        with any_rt.db.write() as db:  # a transaction that met another would be run again by `run`, and hide it
            return store_events(db, integration, {"r1": repository}, part, any_rt.clock())

    with ThreadPoolExecutor(4) as workers:
        done = list(workers.map(store, [events, events[::-1], events[100:], events * 2]))
    following.assert_complete()
    assert sum(len(stored.new) for stored in done) == 400
    assert sum(stored.known for stored in done) == 400 * 3 - 100


def test_events_that_are_known_use_up_no_ids(rt, forge, team):
    forge.repo("r1", events=3)
    following = Following(rt, forge, team)
    following.follow()
    for event in forge.repos["r1"].events * 5:
        following.hear(CodeHeard(event))
    last = following.hear(CodeHeard(forge.opens("r1", 4))).outcome["events"]
    assert last == {"new": 1, "known": 0}
    numbers = [int(event.id.rsplit("-", 1)[1]) for event in following.rows(Event)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_number_of_statements_for_a_page_of_events_does_not_depend_on_its_size(any_rt, forge):
    forge.page_size = 10_000
    forge.repo("r1")
    following = Following(any_rt, forge, make_tenant(any_rt))
    following.follow()
    statements: list[str] = []
    sql.listen(any_rt.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def cost(number: int) -> int:
        for _ in range(number):
            forge.opens("r1", len(forge.repos["r1"].events) + 1)
        statements.clear()
        following.poll()
        return len(statements)

    assert cost(2) == cost(500)


def test_a_text_no_database_takes_and_a_ref_longer_than_an_index_holds_are_stored(any_rt, forge):
    forge.repo("r1")
    following = Following(any_rt, forge, make_tenant(any_rt))
    following.follow()
    for end in ("a", "b"):
        forge.happens("r1", Pushed("refs/heads/" + "x" * 4000 + end, None, "c1", Person(None, "A\0nn")))
    assert following.poll().counts["events_new"] == 2
    assert following.poll().counts.get("events_new", 0) == 0
    assert [event.data["by"]["name"] for event in following.events()] == ["Ann", "Ann"]


# --- resumed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", range(1, 7))
def test_a_backfill_killed_before_any_page_loses_and_doubles_nothing(rt, forge, team, clock, page):
    """The worker dies with the lease in hand: no word of what went wrong, and nobody to free anything."""
    forge.repo("r1", events=55)
    following = Following(rt, forge, team)
    following.poll()
    forge.fails("page", *[None] * (page - 1), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        following.backfill()
    stored = len(following.events())
    assert stored == (page - 1) * 10
    assert following.repository("r1").cursor == ({"after": stored} if stored else None)
    clock.advance(minutes=2)
    assert (Lane.BACKFILL, following.id) in rung(rt)
    before = forge.calls.count("page")
    following.backfill()
    assert forge.calls.count("page") - before == 6 - (page - 1)
    following.assert_complete()
    [run] = following.runs("backfill")
    assert (run.status, run.done, run.total) == ("success", 55, 55)
    assert run.counts == {"records": 55, "pages": 6, "events_new": 55}


def test_a_page_whose_transaction_fails_is_read_again(rt, forge, team, clock, monkeypatch):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()

    def dies(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reading, "summed", dies)
        with pytest.raises(KeyboardInterrupt):
            following.backfill()
    assert following.events() == []
    assert following.repository("r1").cursor is None
    clock.advance(minutes=2)
    following.backfill()
    following.assert_complete()


def test_a_backfill_yields_after_its_slice_and_is_rung_for_again(rt, forge, team, clock, rings):
    forge.repo("r1", events=60)
    forge.repo("r2", events=60)
    following = Following(rt, forge, team)
    following.poll()
    forge.before_page = lambda: clock.advance(seconds=6)
    rings.clear()
    assert backfill(rt, following.id)
    assert (Lane.BACKFILL, following.id) in rings
    assert [following.repository(name).done for name in ("r1", "r2")] == [20, None]
    assert backfill(rt, following.id)
    assert [following.repository(name).done for name in ("r1", "r2")] == [20, 20], "they take turns"
    following.backfill()
    following.assert_complete()


def test_pages_are_fetched_while_others_are_written(with_forge, sqlite_url, forge):
    rt = with_forge(sqlite_url, threads=True)
    forge.repo("r1", events=95)
    following = Following(rt, forge, make_tenant(rt))
    following.follow()
    following.assert_complete()
    [run] = following.runs("backfill")
    assert run.counts == {"records": 95, "pages": 10, "events_new": 95}


def test_a_history_whose_end_takes_longer_to_find_than_a_turn_ends_all_the_same(rt, forge, team, clock):
    forge.repo("r1", events=20)
    following = Following(rt, forge, team)
    following.poll()
    forge.before_page = lambda: clock.advance(seconds=11)
    for _ in range(3):  # a page each, and the look that finds nothing more
        backfill(rt, following.id)
    assert following.repository("r1").state == "live"
    following.assert_complete()


def test_no_page_is_asked_for_twice_because_a_turn_was_over(with_forge, sqlite_url, forge, clock):
    rt = with_forge(sqlite_url, threads=True)
    forge.repo("r1", events=195)
    following = Following(rt, forge, make_tenant(rt))
    following.poll()
    forge.before_page = lambda: clock.advance(seconds=11)
    turns = 0
    while following.repository("r1").state == "backfilling" and turns < 50:
        backfill(rt, following.id)
        turns += 1
    assert turns > 1
    following.assert_complete()
    [run] = following.runs("backfill")
    assert run.counts["records"] == 195
    # One more for a turn that began at the end.
    assert forge.calls.count("page") <= 20 + 1


# --- failures -----------------------------------------------------------------------------------------


def test_a_repository_that_fails_does_not_stop_the_others_and_says_so(rt, forge, team, clock):
    for name in ("r1", "r2", "r3"):
        forge.repo(name, events=1)
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=5)
    for name in ("r1", "r2", "r3"):
        forge.opens(name, 2)
    forge.broken["r2"] = Forbidden("Reading pull requests is not allowed.")
    run = following.poll()
    assert run.status == "partial"
    assert len(following.events()) == 5
    [cause] = following.rows(SyncCause)
    assert (cause.cause, cause.code) == ("reading", "forbidden")
    assert cause.text == "apex/r2 can't be read: Reading pull requests is not allowed."
    assert following.integration().sync_status == "degraded"
    assert following.repository("r2").next_poll_at > clock()
    forge.broken.clear()
    clock.advance(minutes=5)
    assert following.poll().status == "success"
    following.assert_complete()
    assert following.integration().sync_status == "healthy"


def test_one_passing_failure_of_a_repository_is_no_cause(rt, forge, team, clock):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    forge.broken["r1"] = Transient("502")
    for expected in ("healthy", "healthy", "degraded"):
        clock.advance(minutes=20)
        following.poll()
        assert following.integration().sync_status == expected


def test_a_vendor_that_is_down_is_not_asked_for_every_repository(rt, forge, team, clock):
    for number in range(10):
        forge.repo(f"r{number}")
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=5)
    forge.fails("page", *[Transient("502")] * 10)
    forge.calls.clear()
    assert following.poll().status == "failed"
    assert forge.calls.count("page") == 3


def test_the_accounts_rate_limit_parks_the_pull_and_the_backfill(rt, forge, team, clock):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()
    until = clock() + timedelta(minutes=40)
    forge.fails("page", None, RateLimited("5000 an hour", until))
    following.backfill()
    [run] = following.runs("backfill")
    assert (run.status, run.error_code) == ("running", "rate_limited")
    assert following.integration().next_backfill_at == until
    assert not backfill(rt, following.id)
    assert following.integration().sync_status == "healthy"
    clock.now = until
    following.backfill()
    following.assert_complete()
    [run] = following.runs("backfill")
    assert (run.status, run.error_code) == ("success", None)
    forge.fails("page", RateLimited("5000 an hour", until + timedelta(hours=1)))
    assert following.poll().status == "running"
    assert following.integration().next_pull_at == until + timedelta(hours=1)


def test_a_page_that_takes_many_calls_is_read_with_a_small_budget(rt, forge, team, clock, monkeypatch):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()
    called = forge.called

    def called_often(operation: str) -> None:
        called(operation)
        budget = SharedBudget(rt, following.id, RateFacts(per_second=0.2, burst=10), Lane.BACKFILL)
        for _ in range(6 if operation == "page" else 0):
            budget.take(1)

    monkeypatch.setattr(forge, "called", called_often)
    for _ in range(30):
        following.backfill()
        if following.repository("r1").state == "live":
            break
        clock.now = following.integration().next_backfill_at
    following.assert_complete()
    assert forge.calls.count("page") < 12


def test_dead_credentials_stop_the_integration(rt, forge, team, clock):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=5)
    forge.fails("repositories", AuthFailed("401"), AuthFailed("401"))
    following.poll()
    assert following.integration().status == "error"


def test_a_backfill_that_fails_says_why_and_when_it_is_tried_next(rt, forge, team, clock):
    forge.repo("r1", events=5)
    forge.repo("r2", events=5)
    forge.broken["r1"] = Forbidden("No.")
    following = Following(rt, forge, team)
    following.follow()
    first, second = following.runs("backfill")
    assert (first.status, first.error_code, second.status) == ("running", "forbidden", "success")
    assert following.repository("r1").next_poll_at == clock() + timedelta(seconds=5)
    assert [cause.cause for cause in following.rows(SyncCause)] == ["reading"]
    forge.broken.clear()
    clock.advance(seconds=6)
    assert (Lane.BACKFILL, following.id) in rung(rt)
    following.backfill()
    following.assert_complete()
    assert following.rows(SyncCause) == []


def test_a_fault_of_the_connector_is_the_repositorys_and_hides_its_text(rt, forge, team):
    forge.repo("r1", events=5)
    forge.repo("r2", events=5)
    forge.broken["r1"] = ZeroDivisionError("secret")
    following = Following(rt, forge, team)
    following.follow()
    assert following.repository("r1").reason_code == "connector_fault"
    assert "secret" not in following.repository("r1").reason_text
    assert following.repository("r2").state == "live"


# --- history is no news -------------------------------------------------------------------------------


def test_what_a_backfill_brings_of_before_is_history_and_what_happened_since_is_news(rt, forge, team, clock):
    forge.repo("r1", events=12)
    following = Following(rt, forge, team)
    following.poll()
    clock.advance(minutes=1)
    forge.opens("r1", 13)
    following.backfill()
    assert [event.backfilled for event in following.events()] == [True] * 12 + [False]


def test_a_commit_that_reached_the_branch_days_after_it_was_made_is_news_once_the_history_is_read(
    rt, forge, team, clock
):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    long_ago = clock() - timedelta(days=9)
    forge.happens("r1", Committed("c1", "Old work", ANN, long_ago), long_ago)
    forge.opens("r1", 1, long_ago)
    clock.advance(minutes=5)
    following.poll()
    assert {event.type: event.backfilled for event in following.events()} == {
        "code.commit": False,
        "code.pull_request_opened": True,
    }
