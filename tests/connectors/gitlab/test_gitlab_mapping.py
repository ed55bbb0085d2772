"""What GitLab's answers mean, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from connectors.contract import (
    BadPayload,
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    ChangeReopened,
    Committed,
    Deployed,
    DeploymentMoved,
    PipelineRan,
    Pushed,
    Reviewed,
    ReviewState,
    RunState,
)
from connectors.gitlab import mapping
from connectors.gitlab.mapping import Brought, when
from connectors.gitlab.shapes import (
    Commit,
    Deployment,
    Diff,
    MergeRequest,
    Note,
    Pipeline,
    PushEvent,
    Release,
    StateEvent,
    User,
)

ANN = {"id": 5, "username": "ann", "name": "Ann"}
BOB = {"id": 6, "username": "bob", "name": "Bob"}
NONE = Brought(None, 0, 0, 0, 0)


def at(minute: int) -> datetime:
    return datetime(2026, 4, 1, 8, minute, tzinfo=UTC)


def iso(minute: int) -> str:
    return f"2026-04-01T08:{minute:02}:00.417Z"


def request(**more: Any) -> MergeRequest:
    fields = {
        "iid": 7,
        "title": "Cart",
        "state": "opened",
        "created_at": iso(0),
        "updated_at": iso(50),
        "author": ANN,
        "source_branch": "cart",
        "target_branch": "main",
        "web_url": "https://gitlab.com/grp/app/-/merge_requests/7",
        "draft": False,
        "sha": "head",
    }
    return msgspec.convert({**fields, **more}, MergeRequest)


def note(id_: int, body: str, minute: int, who: dict[str, Any] = BOB, system: bool = True) -> Note:
    return Note(id_, body, msgspec.convert(who, User), iso(minute), system)


def told(mr: MergeRequest, *notes: Note, states: tuple[tuple[str, int], ...] = (), of: Any = None) -> list[Any]:
    events = [StateEvent(state, iso(minute)) for state, minute in states]
    return [(event.at, event.what) for event in mapping.change("15", mr, notes, events, of)]


def told_of(kind: type, *arguments: Any, **more: Any) -> list[Any]:
    return [(moment, what) for moment, what in told(*arguments, **more) if isinstance(what, kind)]


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-01T08:00:00.417Z",
        "2026-04-01T08:00:00Z",
        "2026-04-01 08:00:00 UTC",
        "2026-04-01 10:00:00 +0200",
        "2026-04-01T10:00:00.4170001+02:00",
        "2026-04-01 08:00:00",
    ],
)
def test_every_form_of_a_time_is_the_same_moment_in_whole_seconds(text):
    assert when(text) == at(0)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-04-01 08:00:00 CET", "1775030400"])
def test_what_is_no_time_is_a_bad_payload(text):
    with pytest.raises(BadPayload):
        when(text)


@pytest.mark.parametrize(
    ("username", "bot"),
    [
        ("project_12_bot_0a1b2c", True),
        ("group_3_bot", True),
        ("renovate-bot", True),
        ("dependabot", True),
        ("service_account_12", True),
        ("talbot", False),
        ("bottomley", False),
        ("ann", False),
    ],
)
def test_robots_are_known_by_what_they_are_called(username, bot):
    assert mapping.person(User(1, username, "N")).bot is bot


# --- changes --------------------------------------------------------------------------------------------


def test_a_change_opened_ready_is_ready_at_once():
    assert told(request()) == [
        (
            at(0),
            ChangeOpened("7", "Cart", "https://gitlab.com/grp/app/-/merge_requests/7", mapping.person(ann()), "cart"),
        ),
        (at(0), ChangeReady("7")),
    ]


def ann() -> User:
    return msgspec.convert(ANN, User)


def test_a_draft_is_ready_when_it_was_marked_so_for_the_first_time():
    ready, draft = "marked this merge request as **ready**", "marked this merge request as **draft**"
    assert told_of(ChangeReady, request(draft=True)) == []
    assert told_of(ChangeReady, request(), note(1, ready, 9)) == [(at(9), ChangeReady("7"))]
    assert told_of(ChangeReady, request(), note(1, ready, 9), note(2, draft, 10), note(3, ready, 11))[0][0] == at(9)
    assert told_of(ChangeReady, request(), note(1, draft, 9), note(2, ready, 10))[0][0] == at(0)
    assert told_of(ChangeReady, request(draft=True), note(1, "unmarked as a **Work In Progress**", 9))[0][0] == at(9)


def test_what_a_person_writes_about_being_ready_marks_nothing():
    written = note(1, "marked this merge request as **ready**", 9, system=False)
    assert told_of(ChangeReady, request(draft=True), written) == []


@pytest.mark.parametrize("title", ["Draft: Cart", "[Draft] Cart", "(draft) Cart", "WIP: Cart", "Cart"])
def test_the_mark_of_a_draft_is_no_part_of_its_title(title):
    [(_, opened)] = told_of(ChangeOpened, request(title=title, draft=True))
    assert opened.title == "Cart"


def test_an_older_server_calls_a_draft_work_in_progress():
    assert told_of(ChangeReady, request(draft=None, work_in_progress=True)) == []


def test_reviews_are_told_by_gitlabs_notes_and_by_what_others_write():
    reviews = told_of(
        Reviewed,
        request(),
        note(1, "requested changes", 1),
        note(2, "Why?", 2, system=False),
        note(3, "Because.", 3, ANN, system=False),
        note(4, "approved this merge request", 4),
        note(5, "added 1 commit", 5),
    )
    assert [(moment, what.id, what.author.id, what.state) for moment, what in reviews] == [
        (at(1), "1", "6", ReviewState.CHANGES_REQUESTED),
        (at(2), "2", "6", ReviewState.COMMENTED),
        (at(4), "4", "6", ReviewState.APPROVED),
    ]


def test_an_approval_taken_back_is_that_approval_dismissed():
    approve, back = "approved this merge request", "unapproved this merge request"
    reviews = told_of(
        Reviewed,
        request(),
        note(1, back, 1),
        note(2, approve, 2),
        note(3, back, 3),
        note(4, back, 4),
        note(5, approve, 5),
    )
    assert [(moment, what.key()) for moment, what in reviews] == [
        (at(2), "review:7:2"),
        (at(3), "review:7:2:dismissed"),
        (at(5), "review:7:5"),
    ]


def test_a_change_is_closed_and_reopened_as_often_as_it_was():
    states = (("closed", 1), ("reopened", 2), ("closed", 3))
    turns = told_of(ChangeClosed | ChangeReopened, request(state="closed", closed_at=iso(3)), states=states)
    assert turns == [
        (at(1), ChangeClosed("7", at(1))),
        (at(2), ChangeReopened("7", at(2))),
        (at(3), ChangeClosed("7", at(3))),
    ]


def test_an_imported_change_has_only_the_time_it_was_closed_last():
    [(moment, _)] = told_of(ChangeClosed, request(state="closed", closed_at=iso(3)))
    assert moment == at(3)


@pytest.mark.parametrize(
    ("shas", "merged_by"),
    [
        ({"merge_commit_sha": "merge", "squash_commit_sha": "squash"}, "merge"),
        ({"squash_commit_sha": "squash"}, "squash"),
        ({}, "head"),
    ],
)
def test_the_merging_commit_is_the_merge_the_squash_or_the_last(shas, merged_by):
    mr = request(state="merged", merged_at=iso(9), merge_user=BOB, merged_by=ANN, **shas)
    [(moment, merged)] = told_of(ChangeMerged, mr, of=NONE)
    assert (moment, merged.merge_sha, merged.head_sha, merged.by.id) == (at(9), merged_by, "head", "6")


def test_a_merge_without_a_time_of_its_own_happened_when_its_state_changed():
    mr = request(state="merged", merged_by=ANN)
    [(moment, merged)] = told_of(ChangeMerged, mr, states=(("merged", 9),), of=NONE)
    assert (moment, merged.by.id) == (at(9), "5")


def commit(sha: str, minute: int, email: str = "ann@example.com") -> Commit:
    return Commit(sha, "Title", "Ann", iso(minute), iso(minute + 1), email)


def test_what_a_change_brings_is_counted_line_by_line():
    diffs = [[Diff("@@ -1 +1,2 @@\n-old\n+new\n+newer\n"), Diff("@@ -1 +0,0 @@\n--- a list item\n")], [Diff("")]]
    found = mapping.brought([commit("b", 5), commit("a", 3)], diffs, most=2)
    assert found == Brought(at(3), commits=2, files=3, additions=2, deletions=2)


def test_lines_that_are_not_shown_are_not_guessed():
    hidden = mapping.brought([], [[Diff("+new"), Diff("", collapsed=True)]], most=2)
    assert (hidden.files, hidden.additions, hidden.deletions) == (2, None, None)
    endless = mapping.brought([], [[Diff("+new")]] * 3, most=2)
    assert (endless.files, endless.additions) == (None, None)


# --- commits, pushes ------------------------------------------------------------------------------------


def test_a_commit_happened_when_it_was_committed_and_names_nobodys_account():
    event = mapping.committed("15", commit("abc", 3, "project_1_bot@noreply.gitlab.com"))
    assert isinstance(event.what, Committed)
    assert (event.at, event.what.authored_at, event.key) == (at(4), at(3), "15:commit:abc")
    assert (event.what.author.id, event.what.author.bot) == (None, True)


def push(**data: Any) -> Any:
    event = msgspec.convert({"created_at": iso(1), "author": ANN, "push_data": data}, PushEvent)
    return mapping.pushed("15", event)


def test_a_branch_is_made_moved_and_deleted():
    made = push(ref="main", ref_type="branch", commit_from=None, commit_to="b" * 40)
    gone = push(ref="v1", ref_type="tag", commit_from="b" * 40, commit_to="0" * 40)
    assert (made.at, made.what) == (at(1), Pushed("refs/heads/main", None, "b" * 40, mapping.person(ann())))
    assert (gone.what.ref, gone.what.after) == ("refs/tags/v1", None)


def test_a_push_of_many_branches_at_once_says_too_little():
    assert push(ref=None, commit_from=None, commit_to=None) is None


# --- deployments, pipelines, releases -------------------------------------------------------------------


def deployment(status: str, **more: Any) -> list[Any]:
    fields = {
        "id": 31,
        "sha": "abc",
        "ref": "main",
        "status": status,
        "created_at": iso(1),
        "updated_at": iso(8),
        "environment": {"name": "production"},
        "user": ANN,
    }
    row = msgspec.convert({**fields, **more}, Deployment)
    return [(event.at, event.what) for event in mapping.deployment("15", row, "production")]


def test_a_deployment_tells_every_state_its_times_prove():
    job = {"started_at": iso(2), "finished_at": iso(5)}
    assert deployment("success", deployable=job) == [
        (at(1), Deployed("31", "abc", "main", "production", mapping.person(ann()), "production")),
        (at(1), DeploymentMoved("31", RunState.QUEUED)),
        (at(2), DeploymentMoved("31", RunState.RUNNING, at(2))),
        (at(5), DeploymentMoved("31", RunState.SUCCESS, at(2))),
    ]


def test_a_deployment_without_a_job_moved_when_it_was_changed_last():
    assert deployment("failed", deployable=None)[-1] == (at(8), DeploymentMoved("31", RunState.FAILED))
    assert deployment("running")[-1] == (at(8), DeploymentMoved("31", RunState.RUNNING))
    assert deployment("blocked")[-1] == (at(8), DeploymentMoved("31", RunState.WAITING))


def test_a_state_nobody_knows_is_no_state():
    assert [what for _, what in deployment("evaporated")][1:] == [DeploymentMoved("31", RunState.QUEUED)]


def pipeline(status: str, **more: Any) -> list[Any]:
    fields = {"id": 31, "sha": "abc", "ref": "main", "status": status, "created_at": iso(1), "updated_at": iso(8)}
    row = msgspec.convert({**fields, "web_url": "https://…/31", "source": "push", **more}, Pipeline)
    return [(event.at, event.what) for event in mapping.pipeline("15", row)]


@pytest.mark.parametrize(
    ("status", "state"),
    [("success", RunState.SUCCESS), ("failed", RunState.FAILED), ("skipped", RunState.CANCELLED)],
)
def test_a_pipeline_is_queued_runs_and_ends(status, state):
    events = pipeline(status, started_at=iso(2), finished_at=iso(5), name="build")
    assert [(moment, what.state) for moment, what in events] == [
        (at(1), RunState.QUEUED),
        (at(2), RunState.RUNNING),
        (at(5), state),
    ]
    assert events[-1][1] == PipelineRan(
        "31", 1, "build", state, "abc", "main", "push", at(1), at(2), at(5), "https://…/31"
    )


def test_a_pipeline_that_waits_for_somebody_does_so_since_its_last_change():
    assert [(moment, what.state) for moment, what in pipeline("manual")][-1] == (at(8), RunState.WAITING)


@pytest.mark.parametrize("more", [{"tag": True}, {"ref": "refs/merge-requests/7/head"}])
def test_a_pipeline_of_a_tag_or_a_merge_request_is_on_no_branch(more):
    assert {what.branch for _, what in pipeline("running", **more)} == {None}


def test_a_release_is_known_by_its_tag():
    row = msgspec.convert({"tag_name": "v1", "created_at": iso(1), "released_at": iso(3)}, Release)
    event = mapping.released("15", row)
    assert (event.key, event.at, event.what.type) == ("15:release:v1", at(3), "code.release")
