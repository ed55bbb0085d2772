"""Bitbucket's JSON as code events, pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.bitbucket import mapping
from connectors.bitbucket.mapping import Landing
from connectors.bitbucket.shapes import Change, Commit, Deployment, Home, Pipeline, Row
from connectors.contract import (
    BadPayload,
    ChangeClosed,
    ChangeMerged,
    ChangeReady,
    Committed,
    Deployed,
    Person,
    PipelineRan,
    Reviewed,
    RunState,
)

REPO = "{7c1c6d3e-6a0b-4f0a-9d55-0b6f6e1d2a31}"
ANN = {"uuid": "{ann}", "display_name": "Ann Archer", "type": "user"}
BOB = {"uuid": "{bob}", "display_name": "Bob Baker", "type": "user"}
SHA = "4f1d2c3b5a69788796a5b4c3d2e1f00112233445"


def change(**more: Any) -> Change:
    usual = {
        "id": 7,
        "title": "Retry",
        "state": "OPEN",
        "author": ANN,
        "source": {"branch": {"name": "retries"}, "commit": {"hash": SHA[:12]}},
        "destination": {"branch": {"name": "main"}},
        "created_on": "2026-04-01T08:00:00.114873+00:00",
        "updated_on": "2026-04-09T12:00:00.000000+00:00",
        "links": {"html": {"href": "https://bitbucket.org/apex/shop/pull-requests/7"}},
    }
    return msgspec.convert(usual | more, Change)


def rows(*newest_first: dict[str, Any]) -> list[Row]:
    return msgspec.convert(list(newest_first), list[Row])


def update(day: int, **more: Any) -> dict[str, Any]:
    return {"update": {"date": f"2026-04-{day:02}T09:00:00.5+00:00", "state": "OPEN", "author": BOB, **more}}


def day(number: int, hour: int = 9) -> datetime:
    return datetime(2026, 4, number, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-01T10:00:00+00:00",
        "2026-04-01T12:00:00+02:00",
        "2026-04-01T10:00:00.999999+00:00",
        "2026-04-01T10:00:00.481279334Z",
        "2026-04-01T10:00:00Z",
    ],
)
def test_one_moment_is_one_time_however_precisely_it_is_told(text):
    assert mapping.when(text) == day(1, 10)


def test_a_time_without_an_offset_is_a_bad_payload():
    with pytest.raises(BadPayload):
        mapping.when("2026-04-01T10:00:00")


@pytest.mark.parametrize(
    ("account", "bot"),
    [
        ({"type": "app_user", "display_name": "Deploy token"}, True),
        ({"type": "user", "display_name": "renovate-bot"}, True),
        ({"type": "user", "display_name": "Snyk Bot"}, True),
        ({"type": "user", "display_name": "dependabot[bot]"}, True),
        ({"type": "user", "display_name": "Abbot"}, False),
        ({"type": "user", "display_name": "Ann Archer"}, False),
        ({"type": "team", "display_name": "Robotics"}, False),
    ],
)
def test_bots_are_known_by_their_kind_of_account_or_by_their_name(account, bot):
    told = change(author={"uuid": "{x}", **account})
    assert mapping.opened(REPO, told).what.author.bot is bot  # type: ignore[union-attr]


def test_an_empty_repository_has_no_default_branch():
    home = {"uuid": REPO, "full_name": "apex/shop", "mainbranch": None}
    assert mapping.repository(msgspec.convert(home, Home)).default_branch is None


def test_a_commit_by_somebody_without_an_account_has_a_name_and_an_address():
    raw = {
        "hash": SHA,
        "date": "2026-04-01T12:00:00+02:00",
        "message": "Fix it\n\nReally",
        "author": {"raw": "B <b@x.io>"},
    }
    event = mapping.committed(REPO, msgspec.convert(raw, Commit))
    assert event.what == Committed(SHA, "Fix it", Person(None, "B", "b@x.io"), day(1, 10))
    known = mapping.committed(REPO, msgspec.convert(raw | {"author": {"raw": "A <a@x.io>", "user": ANN}}, Commit))
    assert known.what.author == Person("{ann}", "Ann Archer", "a@x.io")  # type: ignore[union-attr]


# --- changes ----------------------------------------------------------------------------------------


def ready(told: Change, *newest_first: dict[str, Any]) -> datetime | None:
    events = mapping.of_change(REPO, told, rows(*newest_first))
    return next((event.at for event in events if isinstance(event.what, ChangeReady)), None)


def test_a_change_is_ready_from_its_beginning_unless_it_was_a_draft():
    draft, back = {"draft": {"old": True, "new": False}}, {"draft": {"old": False, "new": True}}
    assert ready(change()) == day(1, 8)
    assert ready(change(), update(2, changes={"title": {"old": "a", "new": "b"}}), update(1)) == day(1, 8)
    assert ready(change(draft=True), update(1)) is None
    assert ready(change(), update(3, changes=draft), update(1)) == day(3)
    assert ready(change(draft=True), update(3, changes=back), update(1)) == day(1, 8)
    assert ready(change(), update(6, changes=draft), update(5, changes=back), update(4, changes=draft)) == day(4)


def test_a_draft_is_known_as_well_where_each_step_says_what_it_was():
    assert ready(change(), update(3, draft=False), update(2, draft=True), update(1, draft=True)) == day(3)
    assert ready(change(draft=True), update(2, draft=True), update(1, draft=False)) == day(1, 8)
    assert ready(change(draft=True), update(2, draft=True)) is None


@pytest.mark.parametrize("state", ["DECLINED", "SUPERSEDED"])
def test_a_change_was_closed_when_its_activity_says_so_whatever_came_later(state):
    told = change(state=state)
    events = mapping.of_change(REPO, told, rows(update(5, state=state), update(3, state=state), update(1)))
    assert [event.what for event in events if isinstance(event.what, ChangeClosed)] == [ChangeClosed("7", day(3))]
    assert not [e for e in mapping.of_change(REPO, told, rows(update(1))) if isinstance(e.what, ChangeClosed)]


LANDING = Landing(SHA, SHA, [], None, None, None, "2026-04-06T09:00:00+00:00")


def test_a_change_was_merged_when_its_activity_says_so_by_whom_it_says():
    told = change(state="MERGED")
    event = mapping.merged(REPO, told, rows(update(8, state="MERGED"), update(4, state="MERGED"), update(1)), LANDING)
    assert event.at == day(4)
    assert isinstance(event.what, ChangeMerged)
    assert (event.what.by, event.what.first_commit_at, event.what.commits) == (Person("{bob}", "Bob Baker"), None, None)
    closer = mapping.merged(REPO, change(state="MERGED", closed_by=ANN), rows(update(4, state="MERGED")), LANDING)
    assert closer.what.by == Person("{ann}", "Ann Archer")  # type: ignore[union-attr]


def test_without_its_row_a_merge_is_dated_by_its_commit_and_not_by_the_last_comment():
    assert mapping.merged(REPO, change(state="MERGED"), [], LANDING).at == day(6)


def opinions(*newest_first: dict[str, Any]) -> list[tuple[str, str]]:
    events = mapping.of_change(REPO, change(), rows(*newest_first))
    return [(event.what.state.value, event.what.id) for event in events if isinstance(event.what, Reviewed)]


def test_opinions_of_others_are_reviews_and_the_authors_own_words_are_none():
    at = "2026-04-02T09:00:00.338172+00:00"
    seconds = int(day(2).timestamp())
    told = opinions(
        {"changes_requested": {"date": at, "user": BOB}},
        {"changes_request": {"date": at, "user": BOB}},
        {"approval": {"date": at, "user": BOB}},
        {"approval": {"date": at, "user": ANN}},
        {"comment": {"id": 5, "created_on": at, "user": BOB}},
        {"comment": {"id": 4, "created_on": at, "user": ANN}},
        {"comment": {"id": 3, "created_on": at, "user": BOB, "pending": True}},
        {"comment": {"id": 2, "created_on": at, "user": None}},
    )
    assert told == [
        ("commented", "comment:2"),
        ("commented", "comment:5"),
        ("approved", f"approved:{{bob}}:{seconds}"),
        ("changes_requested", f"changes_requested:{{bob}}:{seconds}"),
        ("changes_requested", f"changes_requested:{{bob}}:{seconds}"),
    ]


def test_a_change_of_a_deleted_fork_and_a_deleted_account_is_told():
    lost = {"branch": {"name": "retries"}, "commit": None, "repository": None}
    what = mapping.opened(REPO, change(source=lost, author=None)).what
    assert (what.author, what.source_branch) == (Person(None), "retries")  # type: ignore[union-attr]


# --- pipelines and deployments ----------------------------------------------------------------------


def run(state: dict[str, Any], **more: Any) -> Pipeline:
    usual = {
        "uuid": "{run}",
        "build_number": 186,
        "created_on": "2026-04-01T08:00:00.481279334Z",
        "target": {"ref_type": "branch", "ref_name": "main", "commit": {"hash": SHA}},
        "trigger": {"type": "pipeline_trigger_push"},
    }
    return msgspec.convert({**usual, "state": state, **more}, Pipeline)


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        ({"name": "PENDING"}, RunState.QUEUED),
        ({"name": "IN_PROGRESS", "stage": {"name": "RUNNING"}}, RunState.RUNNING),
        ({"name": "IN_PROGRESS", "stage": {"name": "PAUSED"}}, RunState.WAITING),
        ({"name": "IN_PROGRESS"}, RunState.RUNNING),
        ({"name": "COMPLETED", "result": {"name": "SUCCESSFUL"}}, RunState.SUCCESS),
        ({"name": "COMPLETED", "result": {"name": "FAILED"}}, RunState.FAILED),
        ({"name": "COMPLETED", "result": {"name": "ERROR"}}, RunState.FAILED),
        ({"name": "COMPLETED", "result": {"name": "STOPPED"}}, RunState.CANCELLED),
        ({"name": "COMPLETED", "result": {"name": "EXPIRED"}}, RunState.CANCELLED),
        ({"name": "COMPLETED", "result": {"name": "NEW_WORD"}}, RunState.CANCELLED),
        ({"name": "COMPLETED"}, RunState.CANCELLED),
    ],
)
def test_every_state_of_a_pipeline_is_one_of_ours(state, ours):
    assert mapping.run_state(run(state).state) is ours


def ran(told: Pipeline) -> PipelineRan:
    [event] = mapping.ran(REPO, "https://bitbucket.org/", "apex", told)
    assert isinstance(event.what, PipelineRan)
    assert event.at == (event.what.finished_at or event.what.created_at)
    return event.what


def test_a_run_has_a_page_that_outlives_a_rename_and_ends_when_it_is_completed():
    done = ran(run({"name": "COMPLETED", "result": {"name": "FAILED"}}, completed_on="2026-04-01T09:00:00Z"))
    assert done.url == "https://bitbucket.org/apex/%7B7c1c6d3e-6a0b-4f0a-9d55-0b6f6e1d2a31%7D/pipelines/results/186"
    assert (done.finished_at, done.trigger, done.branch, done.name) == (day(1), "push", "main", "default")
    assert ran(run({"name": "IN_PROGRESS"}, completed_on="2026-04-01T09:00:00Z")).finished_at is None


def test_a_run_of_a_tag_has_no_branch_one_of_a_change_has_its_source_and_one_of_nothing_is_not_told():
    tag = {"ref_type": "tag", "ref_name": "v1", "commit": {"hash": SHA}, "selector": {"pattern": "v*"}}
    tagged = ran(run({"name": "PENDING"}, target=tag))
    assert (tagged.branch, tagged.name) == (None, "v*")
    asked = {"type": "pipeline_pullrequest_target", "source": "retries", "commit": {"hash": SHA}}
    assert ran(run({"name": "PENDING"}, target=asked)).branch == "retries"
    assert mapping.ran(REPO, "https://bitbucket.org", "apex", run({"name": "PENDING"}, target=None)) == []


def deployment(**state: Any) -> Deployment:
    kind = {"environment_type": {"name": "Production"}}
    return msgspec.convert({"uuid": "{d}", "environment": {"name": "live", **kind}, "state": state}, Deployment)


def test_the_times_of_a_deployment_are_read_under_either_name():
    live = deployment(name="COMPLETED", started_on="2026-04-01T08:00:00Z", completed_on="2026-04-01T09:00:00Z")
    described = deployment(name="COMPLETED", start_date="2026-04-01T08:00:00Z", completion_date="2026-04-01T09:00:00Z")
    told = mapping.deployed(REPO, live, SHA, RunState.SUCCESS)
    assert told == mapping.deployed(REPO, described, SHA, RunState.SUCCESS)
    assert [event.at for event in told] == [day(1, 8), day(1, 8), day(1)]
    assert told[0].what == Deployed("{d}", SHA, None, "live", None, "production")


def test_a_deployment_that_was_stopped_before_it_began_was_made_when_it_was_stopped():
    stopped = deployment(name="COMPLETED", completed_on="2026-04-01T09:00:00Z")
    assert [event.at for event in mapping.deployed(REPO, stopped, SHA, RunState.CANCELLED)] == [day(1), day(1)]
    assert mapping.deployed(REPO, deployment(name="UNDEPLOYED"), SHA, None) == []


@pytest.mark.parametrize(
    ("pushes", "asked"),
    [
        ([], []),
        (["a:b"], [("a", "b")]),
        (["a:b", "b:c", "c:d"], [("a", "d")]),
        (["c:d", "a:b", "b:c"], [("a", "d")]),
        (["b:c", "c:d", "a:b"], [("a", "d")]),
        ([":a", "a:b"], [("", "b")]),
        (["a:b", "x:y"], [("a", "b"), ("x", "y")]),
        (["a:b", "b:c:forced", "c:d"], [("b", "c"), ("a", "b"), ("c", "d")]),
        (["a:b", "b:a:forced", "a:c"], [("b", "a"), ("a", "b"), ("a", "c")]),
    ],
)
def test_pushes_that_follow_each_other_are_asked_for_as_one(pushes: list[str], asked: list[tuple[str, str]]):
    assert mapping.chained(pushes) == asked
