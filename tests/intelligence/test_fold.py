"""The fold: whatever the order and however often events are seen, the same rows come of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import iso
from core.models import CodeChange, CodeCommit, CodeDeployment, CodePipelineRun, CodeRelease, CodeReview
from intelligence.facts import Facts, Seen, fold, is_production, touched

START = datetime(2026, 4, 15, 10, tzinfo=UTC)

ANN = {"id": "u1", "name": "Ann", "email": None, "bot": False}
BOB = {"id": "u2", "name": "Bob", "email": None, "bot": False}
BOT = {"id": "u3", "name": "renovate[bot]", "email": None, "bot": True}


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def seen(type_: str, minutes: int, **data: Any) -> Seen:
    return Seen(f"code.{type_}", "WS-1", "INT-1", "RPO-1", at(minutes), data)


def opened(minutes: int, author: Any = ANN, number: str = "7") -> Seen:
    return seen("pull_request_opened", minutes, number=number, title="T", url="u", source_branch="topic", author=author)


def reviewed(minutes: int, id_: str, author: Any = BOB, state: str = "approved", number: str = "7") -> Seen:
    return seen("review_submitted", minutes, number=number, id=id_, author=author, state=state)


def merged(minutes: int, number: str = "7") -> Seen:
    told = {"merge_sha": "m", "head_sha": "h", "target_branch": "main", "by": None, "first_commit_at": iso(at(-60))}
    counts = dict.fromkeys(("additions", "deletions", "changed_files", "commits"), 3)
    return seen("pull_request_merged", minutes, number=number, **told, **counts)


def closed(minutes: int, number: str = "7") -> Seen:
    return seen("pull_request_closed", minutes, number=number, at=iso(at(minutes)))


def reopened(minutes: int, number: str = "7") -> Seen:
    return seen("pull_request_reopened", minutes, number=number, at=iso(at(minutes)))


def deployed(minutes: int, environment: str = "production", tier: str | None = None) -> Seen:
    return seen("deployment", minutes, id="d1", sha="s", ref="main", environment=environment, by=None, tier=tier)


def moved(minutes: int, state: str, started: int | None = None) -> Seen:
    began = iso(at(started)) if started is not None else None
    return seen("deployment_status", minutes, id="d1", state=state, started_at=began)


def ran(minutes: int, state: str, attempt: int = 1) -> Seen:
    told = {"name": "ci", "sha": "s", "branch": "main", "trigger": "push", "url": "u"}
    times = {"created_at": iso(at(0)), "started_at": None, "finished_at": iso(at(minutes))}
    return seen("pipeline_run", minutes, id="r1", attempt=attempt, state=state, **told, **times)


def rows(*events: Seen, patterns: Any = None) -> Facts:
    return fold(Facts(), events, patterns or {})


def change(*events: Seen) -> dict[str, Any]:
    return rows(*events).rows[CodeChange]["RPO-1:7"]


def test_a_change_is_told_from_its_first_commit_to_its_merge() -> None:
    ready = seen("pull_request_ready", 2, number="7")
    row = change(merged(30), reviewed(10, "a"), ready, opened(1))
    assert (row["opened_at"], row["ready_at"], row["first_review_at"], row["merged_at"]) == (
        at(1),
        at(2),
        at(10),
        at(30),
    )
    assert (row["first_commit_at"], row["author_id"], row["is_bot"], row["merge_sha"]) == (at(-60), "u1", False, "m")
    assert row["additions"] == 3


def test_only_a_review_of_somebody_else_who_is_no_bot_and_was_not_dismissed_is_the_first() -> None:
    own, bots = reviewed(2, "a", ANN, "commented"), reviewed(3, "b", BOT)
    dismissed = [reviewed(4, "c"), reviewed(4, "c", state="dismissed")]
    events = [opened(1), own, bots, *dismissed, reviewed(9, "d")]
    assert change(*events)["first_review_at"] == at(9)
    assert change(*events[:-1])["first_review_at"] is None
    assert change(*events[1:])["first_review_at"] is None, "whose it is has to be known"
    assert rows(*events).rows[CodeReview]["RPO-1:7:c"]["dismissed"] is True


def test_a_change_that_was_reopened_later_is_not_closed() -> None:
    assert change(opened(0), closed(5))["closed_at"] == at(5)
    assert change(opened(0), closed(5), reopened(6))["closed_at"] is None
    assert change(opened(0), closed(5), reopened(6), closed(9))["closed_at"] == at(9)
    assert change(opened(0), closed(5), reopened(6), merged(9))["closed_at"] is None


def test_a_deployments_final_state_stands_and_the_latest_of_two() -> None:
    def state(*events: Seen) -> tuple[Any, ...]:
        row = rows(deployed(0), *events).rows[CodeDeployment]["RPO-1:d1"]
        return row["state"], row["started_at"], row["finished_at"]

    assert state() == (None, None, None)
    assert state(moved(3, "running"), moved(1, "queued")) == ("running", at(3), None)
    assert state(moved(9, "success"), moved(10, "running")) == ("success", at(10), at(9))
    assert state(moved(9, "failed", started=4), moved(12, "success", started=4)) == ("success", at(4), at(12))


def test_a_run_is_as_its_highest_attempt_left_it() -> None:
    row = rows(ran(50, "failed"), ran(60, "success", 2), ran(55, "running", 2)).rows[CodePipelineRun]["RPO-1:r1"]
    assert (row["attempt"], row["state"], row["finished_at"]) == (2, "success", at(60))


def test_commits_and_releases_are_told_with_their_times() -> None:
    commit = seen("commit", 5, sha="c1", title="T", author=BOT, authored_at=iso(at(-5)))
    release = seen("release", 6, id="9", tag="v1", name="One", url="u", prerelease=True)
    facts = rows(commit, release, seen("push", 7, ref="refs/heads/main", before=None, after="c1", by=ANN, forced=False))
    row = facts.rows[CodeCommit]["RPO-1:c1"]
    assert (row["authored_at"], row["committed_at"], row["is_bot"]) == (at(-5), at(5), True)
    assert facts.rows[CodeRelease]["RPO-1:9"]["released_at"] == at(6)


def test_production_is_told_by_the_integrations_patterns_or_by_the_tier() -> None:
    def tells(environment: str, tier: str | None = None, **patterns: Any) -> bool:
        facts = rows(deployed(0, environment, tier), patterns=patterns.get("patterns"))
        return bool(facts.rows[CodeDeployment]["RPO-1:d1"]["is_production"])

    assert tells("Production")
    assert tells("prod-eu")
    assert not tells("staging")
    assert tells("live", "production")
    assert tells("LIVE-eu", patterns={"INT-1": ["live-*"]})
    assert not tells("production", patterns={"INT-1": ["live-*"]})
    assert not is_production(None, None, ["*"])


def test_what_was_known_is_not_changed_in_place() -> None:
    known = rows(opened(0))
    before = {model: {id_: dict(row) for id_, row in found.items()} for model, found in known.rows.items()}
    fold(known, [merged(5)], {})
    assert known.rows == before


NUMBERS = st.sampled_from(["7", "8"])
MINUTES = st.integers(0, 3)
"""Few, so that many happen at once."""
PEOPLE = st.sampled_from([ANN, BOB, BOT, {**ANN, "id": None}])
STATES = st.sampled_from(["queued", "waiting", "running", "success", "failed", "cancelled"])


def reviews(number: str, author: Any, minutes: int, state: str) -> Seen:
    """A review's id tells all of it but whether it was dismissed: one key, one happening."""
    return reviewed(minutes, f"{author['name']}{author['id']}{minutes}", author, state, number)


HAPPENINGS = st.one_of(
    st.builds(opened, st.just(1), author=st.just(ANN), number=NUMBERS),
    st.builds(lambda number: seen("pull_request_ready", 2, number=number), NUMBERS),
    st.builds(merged, st.just(5), number=NUMBERS),
    st.builds(closed, MINUTES, number=NUMBERS),
    st.builds(reopened, MINUTES, number=NUMBERS),
    st.builds(reviews, NUMBERS, PEOPLE, MINUTES, st.sampled_from(["approved", "dismissed"])),
    st.just(deployed(0)),
    st.builds(moved, MINUTES, STATES, started=st.none()),
    st.builds(ran, MINUTES, STATES, attempt=st.integers(1, 3)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(HAPPENINGS, min_size=8, max_size=40), st.integers(0, 2**32), st.integers(1, 5))
def test_order_doubling_and_batches_change_nothing(events: list[Seen], seed: int, size: int) -> None:
    whole, chance = rows(*events), random.Random(seed)
    shuffled = events + chance.sample(events, len(events) // 2)
    chance.shuffle(shuffled)
    store = Facts()
    for start in range(0, len(shuffled), size):
        batch = shuffled[start : start + size]
        after = fold(_loaded(store, batch), batch, {})
        for model, found in after.rows.items():
            store.rows[model].update(found)
    assert store.rows == whole.rows


def _loaded(store: Facts, batch: list[Seen]) -> Facts:
    """What the projection would load for these events: their rows, and all the reviews of their changes."""
    ids = touched(batch)
    found = Facts()
    for model, stored in store.rows.items():
        if model is CodeReview:
            found.rows[model].update((k, row) for k, row in stored.items() if row["change_id"] in ids[CodeChange])
        else:
            found.rows[model].update((k, row) for k, row in stored.items() if k in ids[model])
    return found
