"""Azure's words for people, runs and times as ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.azure import Project
from connectors.azure_devops import mapping
from connectors.azure_devops.client import Build, Comment, Environment, Identity, Pull, Record, Repository, Thread
from connectors.contract import ChangeClosed, ChangeReopened, Person, ReviewState, RunState

REPO = Repository(
    "r1", "api", Project("p1", "Pay"), "refs/heads/main", web_url="https://dev.azure.com/acme/Pay/_git/api"
)
ANN = Identity("u1", "Ann", "ann@example.com")
BOB = Identity("u2", "Bob", "bob@example.com")


def pull(**more: Any) -> Pull:
    given = {"pull_request_id": 7, "status": "active", "title": "T", "created_by": ANN, **more}
    given |= {"creation_date": "2026-04-01T08:00:00.1234567Z", "source_ref_name": "refs/heads/f"}
    return Pull(**given, target_ref_name="refs/heads/main")


def note(number: int, hour: int, **properties: str) -> Thread:
    values = {name: {"$type": "System.String", "$value": value} for name, value in properties.items()}
    return Thread(number, f"2026-04-01T{hour:02}:00:00Z", properties=values)


def vote(number: int, hour: int, value: int, **more: str) -> Thread:
    who = more or {"CodeReviewVotedByTfId": "u2"}
    return note(number, hour, CodeReviewThreadType="VoteUpdate", CodeReviewVoteResult=str(value), **who)


def build(**more: Any) -> Build:
    given = {"id": 55, "status": "completed", "result": "succeeded", "queueTime": "2026-04-01T12:00:00Z", **more}
    given |= {"sourceBranch": "refs/heads/main", "sourceVersion": "a" * 40}
    return msgspec.convert({**given, "definition": {"name": "build"}}, Build)


def job(number: int, **more: Any) -> Record:
    owner: Any = build()  # has an id, too
    return Record(number, 1, owner, "2026-04-01T12:00:00Z", "Deploy", **more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-01T10:00:00.1234567Z", datetime(2026, 4, 1, 10, 0, 0, 123456, UTC)),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00Z", None),
        (None, None),
    ],
)
def test_a_time_may_have_seven_digits_or_be_none(text: str | None, expected: datetime | None):
    assert mapping.at(text) == expected


@pytest.mark.parametrize(
    ("identity", "person"),
    [
        (ANN, Person("u1", "Ann", "ann@example.com")),
        (Identity("u3", "Pay Build Service (acme)", "d0f1-22"), Person("u3", "Pay Build Service (acme)", bot=True)),
    ],
)
def test_pipelines_act_as_bots_without_an_address(identity: Identity, person: Person):
    assert mapping.person(identity) == person


def test_abandoned_and_taken_up_again_is_told_by_threads():
    status = {"CodeReviewThreadType": "StatusUpdate"}
    threads = [note(1, 9, CodeReviewStatus="Abandoned", **status), note(2, 10, CodeReviewStatus="Active", **status)]
    events = list(mapping.change_events(REPO, pull(), threads, []))
    assert [type(event.what) for event in events][2:] == [ChangeClosed, ChangeReopened]
    assert [event.at.hour for event in events][2:] == [9, 10]


def test_a_server_that_notes_no_status_tells_the_last_end():
    abandoned = pull(status="abandoned", closed_date="2026-04-01T11:00:00Z")
    events = list(mapping.change_events(REPO, abandoned, [], []))
    assert [event.what for event in events if isinstance(event.what, ChangeClosed)]


def test_a_voter_is_named_by_id_or_by_the_threads_own_list():
    by_list = vote(3, 9, 10, CodeReviewVotedByIdentity="1")
    by_list = Thread(by_list.id, by_list.published_date, [], by_list.properties, {"1": BOB})
    threads = [by_list, vote(4, 10, -5), vote(5, 11, 0), vote(6, 12, 0)]
    said = [event.what for event in mapping.change_events(REPO, pull(), threads, [])][2:]
    assert [(review.id, review.state, review.author.id) for review in said] == [
        ("3", ReviewState.APPROVED, "u2"),
        ("4", ReviewState.CHANGES_REQUESTED, "u2"),
        ("4", ReviewState.DISMISSED, "u2"),
    ]


def test_only_the_first_thread_of_each_other_person_is_a_review():
    def said(number: int, who: Identity) -> Thread:
        when = f"2026-04-01T09:00:{number:02}Z"
        return Thread(number, when, [Comment(who, when, "text")])

    events = list(mapping.change_events(REPO, pull(), [said(1, ANN), said(2, BOB), said(3, BOB)], []))[2:]
    assert [event.what.id for event in events] == ["2"]


@pytest.mark.parametrize(
    ("status", "result", "state"),
    [
        ("notStarted", None, RunState.QUEUED),
        ("inProgress", None, RunState.RUNNING),
        ("cancelling", None, RunState.RUNNING),
        ("completed", "partiallySucceeded", RunState.SUCCESS),
        ("completed", "failed", RunState.FAILED),
        ("completed", "canceled", RunState.CANCELLED),
        ("completed", "unheard of", None),
    ],
)
def test_every_state_of_a_build_has_a_word(status: str, result: str | None, state: RunState | None):
    assert mapping.run_state(build(status=status, result=result)) == state


@pytest.mark.parametrize(
    ("results", "state"),
    [
        (["succeeded", "failed"], "failed"),
        (["succeeded", "canceled"], "cancelled"),
        (["succeeded", None], "running"),
        (["failed", None], "running"),
        ([None], "queued"),
        (["succeeded", "skipped"], "success"),
        (["skipped"], None),
    ],
)
def test_a_stage_is_as_good_as_its_worst_job(results: list[str | None], state: str | None):
    jobs = [job(n, result=result) for n, result in enumerate(results)]
    events = list(mapping.deployment_events(REPO, "p1", Environment(1, "production"), jobs, build()))
    assert [event.what.state for event in events[1:]] == ([state] if state else [])


def test_a_stage_that_runs_bears_the_same_times_however_far_its_jobs_are():
    first = job(1, start_time="2026-04-01T12:01:00Z")
    told = [
        list(mapping.deployment_events(REPO, "p1", Environment(1, "production"), [first, second], build()))
        for second in (job(2), job(2, start_time="2026-04-01T12:05:00Z"))
    ]
    assert told[0] == told[1]
    assert (told[0][1].what.state, told[0][1].at) == ("running", datetime(2026, 4, 1, 12, 1, tzinfo=UTC))
