"""Webhooks that tell of code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.contract import (
    CodeHeard,
    CodeHint,
    CodeRef,
    Ignored,
    LookAgain,
    RefKind,
    Transient,
)
from core.models import Delivery
from sync.budget import BudgetSpent
from sync.inbound import drain
from sync.pull import pull
from sync.runtime import Lane
from tests.sync.forge import Following, rung

# --- webhooks -----------------------------------------------------------------------------------------


def test_events_told_whole_are_stored_once_and_the_delivery_says_so(rt, forge, team, clock):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=1)
    first, second = forge.opens("r1", 1), forge.opens("r1", 2)
    told = following.hear(CodeHeard(first), CodeHeard(second))
    assert (told.state, told.outcome) == ("done", {"items": {}, "events": {"new": 2, "known": 0}, "ignored": []})
    assert following.hear(CodeHeard(first), Ignored("noise")).outcome["events"] == {"new": 0, "known": 1}
    assert following.poll().counts["events_known"] == 2
    following.assert_complete()
    assert not any(event.backfilled for event in following.events())


def test_many_hints_of_one_thing_are_one_question(rt, forge, team, clock):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=1)
    forge.opens("r1", 1)
    for _ in range(50):
        following.tell(CodeHint(CodeRef("r1", RefKind.CHANGE, "1")))
    last = following.hear(CodeHint(CodeRef("r1", RefKind.DEPLOYMENT, "9")))
    assert forge.calls.count("fetch") == 1
    following.assert_complete()
    outcomes = [delivery.outcome["events"] for delivery in following.rows(Delivery)]
    assert outcomes == [{"new": 1, "known": 0}] + [{"new": 0, "known": 1}] * 49 + [{"new": 0, "known": 0}]
    assert last.state == "done"


def test_a_delivery_of_a_repository_that_is_not_ours_is_ignored_with_a_code(rt, forge, team):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    forge.repo("r9", events=1)
    delivery = following.hear(CodeHeard(forge.repos["r9"].events[0]), CodeHint(CodeRef("r9", RefKind.CHANGE, "1")))
    assert delivery.state == "ignored"
    assert [each["code"] for each in delivery.outcome["ignored"]] == ["other_repository"]
    assert "fetch" not in forge.calls
    assert following.events() == []


def test_look_again_makes_the_next_pull_due_now(rt, forge, team, clock, rings):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    rings.clear()
    delivery = following.hear(LookAgain("A repository was added."))
    assert delivery.state == "done"
    assert delivery.outcome["look_again"] == ["A repository was added."]
    assert following.integration().next_pull_at <= clock()
    assert (Lane.PULL, following.id) in rings


@pytest.mark.parametrize("answered", [True, False])
def test_look_again_while_a_pull_runs_is_not_answered_by_that_pull(rt, forge, team, clock, answered):
    """It may have asked for the repositories before: what it finds, and how it ends, is no word about the new one."""
    forge.repo("r1", events=1)
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=5)
    if answered:
        forge.opens("r1", 2)  # there is a page to store, which moves the run's claim

    def said() -> None:
        forge.before_page = lambda: None
        forge.repo("r2", events=3)
        following.hear(LookAgain("A repository was added."))

    forge.before_page = said
    following.poll()
    assert (Lane.PULL, following.id) in rung(rt)
    pull(rt, following.id)
    following.backfill()
    following.assert_complete()
    assert (Lane.PULL, following.id) not in rung(rt), "once is enough"


def test_hints_that_cant_be_asked_now_wait_and_are_asked_again(rt, forge, team, clock):
    forge.repo("r1")
    following = Following(rt, forge, team)
    following.follow()
    forge.opens("r1", 1)
    forge.fails("fetch", Transient("502"))
    assert following.hear(CodeHint(CodeRef("r1", RefKind.CHANGE, "1"))).state == "pending"
    clock.advance(minutes=1)
    assert following.hear().state == "ignored"
    assert [delivery.state for delivery in following.rows(Delivery)] == ["done", "ignored"]
    following.assert_complete()


def test_webhooks_of_a_repository_are_heard_while_its_history_is_read(rt, forge, team, clock):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()
    clock.advance(minutes=1)
    event = forge.opens("r1", 31)
    following.hear(CodeHeard(event))
    assert [event.backfilled for event in following.events()] == [False]
    following.backfill()
    following.assert_complete()
    assert following.runs("backfill")[0].counts["events_known"] == 1


class Bucket:
    """A budget that holds `most` calls and gets one a second; asking for so many things takes three calls each."""

    def __init__(self, clock, most: int) -> None:
        self.clock, self.most, self.left, self.at = clock, most, most, clock()

    def spend(self, things: int) -> None:
        now = self.clock()
        self.left, self.at = min(self.most, self.left + (now - self.at).total_seconds()), now
        if self.left < 3 * things:
            self.left = 0  # what was asked before the end is lost
            raise BudgetSpent(now + timedelta(seconds=1), now + timedelta(seconds=self.most))
        self.left -= 3 * things


def test_a_backlog_that_takes_more_calls_than_the_budget_holds_is_worked_off_part_by_part(
    rt, forge, team, clock, monkeypatch
):
    forge.repo("r1", events=5)
    following = Following(rt, forge, team)
    following.follow()
    for number in range(100, 160):
        forge.opens("r1", number)
        following.tell(CodeHint(CodeRef("r1", RefKind.CHANGE, str(number))))
    bucket = Bucket(clock, most=35)
    connector = rt.registry.get("forge")
    monkeypatch.setattr(connector, "manifest", replace(connector.manifest, refetch_batch=10))
    fetch = connector.fetch_code

    def limited(self, refs):
        bucket.spend(len(refs))
        return fetch(self, refs)

    monkeypatch.setattr(connector, "fetch_code", limited)
    tries = 0
    while following.rows(Delivery, Delivery.state == "pending"):
        drain(rt, following.id)
        tries += 1
        assert tries < 1000, "it is never worked off"
        clock.advance(seconds=1)
    following.assert_complete()
    assert {row.state for row in following.rows(Delivery)} == {"done"}
    assert {row.attempts for row in following.rows(Delivery)} == {1}, "a spent budget uses up no attempt"
    assert forge.asked_for == [10] * 6, "nothing was asked for twice"
