"""GitHub's deliveries: what is believed, and what each event means."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import connectors.github
from connectors.contract import (
    BadPayload,
    BadSignature,
    CodeHeard,
    CodeHint,
    CodeRef,
    Hint,
    Ignored,
    LookAgain,
    Pushed,
    RawDelivery,
    RefKind,
    Signal,
)
from connectors.github import GitHubConnector
from connectors.github.config import GitHubConfig
from tests.connectors.github.conftest import REPO, SECRET, URL, Bench, story

AT = datetime(2026, 4, 1, tzinfo=UTC)
CONFIG = GitHubConfig(organization="apex-digital")
REPOSITORY = {
    "id": 11,
    "name": "app",
    "full_name": "apex-digital/app",
    "default_branch": "main",
    "pushed_at": 1775037600,
}
PULL = {
    "number": 7,
    "title": "t",
    "html_url": "https://github.com/apex-digital/app/pull/7",
    "created_at": "2026-04-01T08:00:00Z",
    "updated_at": "2026-04-01T12:00:00Z",
    "head": {"ref": "f", "sha": "b" * 40, "repo": None},
    "base": {"ref": "main", "sha": "a" * 40},
    "user": None,
    "draft": False,
}


def parse(event: str, body: Any, config: GitHubConfig = CONFIG) -> list[Signal]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(GitHubConnector.parse(RawDelivery({"x-github-event": event}, raw, AT), config))


def of(**more: Any) -> dict[str, Any]:
    return {"repository": REPOSITORY, **more}


def push(**more: Any) -> dict[str, Any]:
    ends = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40}
    return of(**{**ends, "sender": {"id": 4, "login": "ann", "type": "User"}, **more})


FIXTURES = sorted((Path(connectors.github.__file__).parent / "fixtures").glob("*.json"))
MEANINGS: dict[type, str] = {CodeHeard: "event", CodeHint: "ask", Hint: "hint", LookAgain: "look_again"}
SYNCED = GitHubConfig.model_validate(
    {"organization": "apex-digital", "repositories": ["payments-api"], "sync_issues": True}
)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_each_recording_means_what_it_says(fixture: Path) -> None:
    recording = json.loads(fixture.read_text())
    signal = parse(recording["headers"]["x-github-event"], recording["body"], SYNCED)[0]
    meant = f"ignored:{signal.code}" if isinstance(signal, Ignored) else MEANINGS[type(signal)]
    assert meant == recording["expect"]


def test_what_the_sandbox_signs_is_believed_and_its_id_is_the_same_for_every_hook(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    github.sandbox.hooks.register(URL, github.ann, secret=SECRET, container=github.repository().external_id)
    github.host.push(github.ann, REPO, "main", "One")
    github.sandbox.deliver()
    first, second = (GitHubConnector.verify(one, {"signing": (SECRET,)}) for one in github.post.got)
    assert first == second
    assert first.event == "push"
    with pytest.raises(BadSignature):
        GitHubConnector.verify(github.post.got[0], {"signing": ("another",)})


def test_an_apps_deliveries_say_whose_they_are(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    story(github)
    github.sandbox.suspend(github.ann)
    github.sandbox.deliver()
    assert {GitHubConnector.account(one) for one in github.post.got} == {"12345678"}


def test_a_push_is_heard_and_its_commits_are_asked_for() -> None:
    heard, hint = parse("push", push())
    assert isinstance(heard, CodeHeard)
    assert heard.event.at == datetime.fromtimestamp(1775037600, UTC)
    assert isinstance(heard.event.what, Pushed)
    assert heard.event.key == f"11:push:refs/heads/main:{'a' * 40}:{'b' * 40}"
    assert hint == CodeHint(CodeRef("11", RefKind.PUSH, f"{'a' * 40}...{'b' * 40}"))


@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/tags/v1"])
def test_a_push_elsewhere_has_no_commits_to_ask_for(ref: str) -> None:
    [heard] = parse("push", push(ref=ref, forced=True))
    assert isinstance(heard, CodeHeard)
    assert isinstance(heard.event.what, Pushed)
    assert (heard.event.what.ref, heard.event.what.forced) == (ref, True)


def test_a_branch_that_was_deleted_or_made_has_one_end_only() -> None:
    [deleted] = parse("push", push(after="0" * 40))
    made, hint = parse("push", push(before="0" * 40, repository=REPOSITORY | {"pushed_at": "2026-04-01T10:00:00Z"}))
    assert isinstance(deleted, CodeHeard)
    assert isinstance(made, CodeHeard)
    assert deleted.event.what.after is None  # type: ignore[union-attr]
    assert made.event.what.before is None  # type: ignore[union-attr]
    assert made.event.at == deleted.event.at
    assert hint == CodeHint(CodeRef("11", RefKind.PUSH, f"...{'b' * 40}"))


def test_a_pull_request_of_nobody_from_a_fork_that_is_gone_is_heard() -> None:
    opened, ready = parse("pull_request", of(action="opened", pull_request=PULL))
    assert isinstance(opened, CodeHeard)
    assert isinstance(ready, CodeHeard)
    assert [opened.event.key, ready.event.key] == ["11:change:7:opened", "11:change:7:ready"]
    [draft] = parse("pull_request", of(action="opened", pull_request=PULL | {"draft": True}))
    assert isinstance(draft, CodeHeard)


@pytest.mark.parametrize("action", ["closed", "reopened", "ready_for_review"])
def test_a_turn_of_a_pull_request_is_asked_for(action: str) -> None:
    assert parse("pull_request", of(action=action, pull_request=PULL)) == [CodeHint(CodeRef("11", RefKind.CHANGE, "7"))]


@pytest.mark.parametrize("action", ["synchronize", "edited", "labeled", "converted_to_draft", "enqueued"])
def test_other_changes_of_a_pull_request_are_no_news(action: str) -> None:
    assert parse("pull_request", of(action=action, pull_request=PULL)) == [
        Ignored("nothing_new", f"pull_request {action}")
    ]


def test_a_review_is_heard_and_its_end_asked_for() -> None:
    review = {"id": 5, "state": "APPROVED", "submitted_at": "2026-04-01T11:00:00Z", "user": {"id": 6, "login": "bob"}}
    [heard] = parse("pull_request_review", of(action="submitted", review=review, pull_request={"number": 7}))
    assert isinstance(heard, CodeHeard)
    assert heard.event.key == "11:review:7:5"
    body = of(action="dismissed", review=review, pull_request={"number": 7})
    assert parse("pull_request_review", body) == [CodeHint(CodeRef("11", RefKind.CHANGE, "7"))]
    pending = review | {"state": "pending", "submitted_at": None}
    [ignored] = parse("pull_request_review", of(action="submitted", review=pending, pull_request={"number": 7}))
    assert isinstance(ignored, Ignored)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("installation", {"action": "suspend", "installation": {"id": 1, "account": {"login": "apex-digital"}}}),
        ("installation_repositories", {"action": "added", "installation": {"account": {"login": "apex-digital"}}}),
        ("repository", of(action="renamed")),
        ("repository", of(action="archived")),
        ("meta", {"action": "deleted", "hook_id": 1}),
    ],
)
def test_what_is_about_the_connection_is_a_reason_to_look_again(event: str, body: dict[str, Any]) -> None:
    [signal] = parse(event, body)
    assert isinstance(signal, LookAgain)
    assert f"{event} {body['action']}" in signal.text


def test_the_sandbox_tells_of_the_connection(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    github.host.rename(github.ann, REPO, "payments")
    github.host.archive(github.ann, "payments")
    github.host.delete_repo(github.ann, "payments")
    github.sandbox.select(github.ann, "payments-worker")
    github.sandbox.suspend(github.ann)
    texts = [signal.text for signal in github.signals() if isinstance(signal, LookAgain)]
    assert texts == [
        "GitHub: repository renamed (apex-digital/payments)",
        "GitHub: repository archived (apex-digital/payments)",
        "GitHub: repository deleted (apex-digital/payments)",
        "GitHub: installation_repositories added (apex-digital)",
        "GitHub: installation suspend (apex-digital)",
    ]


def test_what_is_not_followed_or_not_known_is_ignored() -> None:
    few = GitHubConfig(organization="apex-digital", events=["push"])
    assert parse("release", of(action="published"), few) == [
        Ignored("not_followed", "release is not among the events of the config")
    ]
    assert parse("ping", {"zen": "z"}) == [Ignored("ping", "The hook was made.")]
    assert parse("star", {"action": "created"}) == [Ignored("unsupported", "star")]
    assert parse("", {}) == [Ignored("unsupported", "")]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"repository": 1}'])
@pytest.mark.parametrize("event", ["push", "pull_request", "deployment", "workflow_run", "release"])
def test_a_body_of_another_shape_is_a_bad_payload(event: str, body: bytes) -> None:
    with pytest.raises(BadPayload):
        parse(event, body)


def test_a_push_without_a_time_is_a_bad_payload() -> None:
    with pytest.raises(BadPayload, match="when"):
        parse("push", push(repository=REPOSITORY | {"pushed_at": None}))
