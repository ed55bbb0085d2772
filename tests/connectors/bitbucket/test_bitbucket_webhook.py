"""Bitbucket's deliveries, pure; and registering webhooks, against the sandbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import connectors.bitbucket
from connectors.bitbucket import BitbucketConnector
from connectors.bitbucket.config import BitbucketConfig
from connectors.bitbucket.webhook import EVENTS
from connectors.contract import (
    BadPayload,
    ChangeOpened,
    ChangeReady,
    CodeHeard,
    CodeHint,
    Forbidden,
    Ignored,
    LookAgain,
    Pushed,
    RawDelivery,
    RefKind,
    Reviewed,
    ReviewState,
    Signal,
)
from connectors.signing import hmac_hex_sign
from sandbox.bitbucket.webhooks import MOST_BYTES
from sandbox.webhooks import DeliveryState
from tests.connectors.bitbucket.conftest import API, SECRET, URL, WORKER, Bench

FIXTURES = Path(connectors.bitbucket.__file__).with_name("fixtures")
AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
CONFIG = BitbucketConfig(workspace="apex-digital")
WORDS = {CodeHeard: "event", CodeHint: "ask", LookAgain: "look_again"}
HASH = {name: digits * 20 for name, digits in (("old", "0a"), ("new", "1b"))}


def recorded(name: str) -> tuple[str, dict[str, Any]]:
    recording = json.loads((FIXTURES / f"{name}.json").read_text())
    return recording["headers"]["X-Event-Key"], recording["body"]


def delivery(event: str, content: Any) -> RawDelivery:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    signed = {"x-hub-signature": hmac_hex_sign(raw, SECRET, prefix="sha256=")}
    return RawDelivery({"x-event-key": event, "x-request-uuid": "r-1", **signed}, raw, AT)


def parse(name: str, config: BitbucketConfig = CONFIG, **changed: Any) -> list[Signal]:
    event, content = recorded(name)
    return list(BitbucketConnector.parse(delivery(event, content | changed), config))


def heard(name: str, **changed: Any) -> list[Any]:
    return [signal.event.what for signal in parse(name, **changed) if isinstance(signal, CodeHeard)]


# --- parse ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_delivery_means_what_it_says(path):
    first = parse(path.stem)[0]
    expected = json.loads(path.read_text())["expect"]
    assert (f"ignored:{first.code}" if isinstance(first, Ignored) else WORDS[type(first)]) == expected


def test_a_request_is_known_by_its_id_over_all_attempts():
    event, content = recorded("push")
    verified = BitbucketConnector.verify(delivery(event, content), {"signing": ["old", SECRET]})
    assert (verified.key, verified.event) == ("r-1", "repo:push")
    assert BitbucketConnector.handshake(delivery(event, content), {"signing": [SECRET]}) is None


def test_a_push_to_a_branch_is_told_and_its_commits_are_asked_for():
    [told, hint] = parse("push")
    assert isinstance(told, CodeHeard)
    assert isinstance(told.event.what, Pushed)
    assert (told.event.what.ref, told.event.what.by.name) == ("refs/heads/main", "Ann Archer")
    assert told.event.at == datetime(2026, 4, 15, 9, 55, 2, tzinfo=UTC)
    assert isinstance(hint, CodeHint)
    assert hint.ref.kind is RefKind.PUSH
    assert hint.ref.id == f"main:{told.event.what.before}:{told.event.what.after}"


def test_deleted_branches_and_tags_bring_no_commits():
    deleted, tagged = heard("push_of_a_deleted_branch_and_a_tag")
    assert (deleted.ref, deleted.after) == ("refs/heads/feature/old", None)
    assert (tagged.ref, tagged.before) == ("refs/tags/v1.4", None)
    assert len(parse("push_of_a_deleted_branch_and_a_tag")) == 2


def test_a_push_that_tells_no_time_is_only_asked_for():
    node = {"type": "branch", "name": "main", "target": {"hash": HASH["new"]}}
    changes = [{"old": None, "new": node, "forced": True}, {"old": None, "new": None}]
    [hint] = parse("push", push={"changes": changes})
    assert isinstance(hint, CodeHint)
    assert hint.ref.id == f"main::{HASH['new']}:forced"


def test_an_opened_change_is_ready_unless_it_is_a_draft():
    assert [type(what) for what in heard("pull_request_created")] == [ChangeOpened, ChangeReady]
    assert [type(what) for what in heard("pull_request_created_as_a_draft")] == [ChangeOpened]


def test_what_was_withdrawn_is_dismissed_under_the_id_it_was_given_under():
    [given], [withdrawn] = heard("approved"), heard("approval_withdrawn")
    assert isinstance(given, Reviewed)
    assert (given.state, withdrawn.state) == (ReviewState.APPROVED, ReviewState.DISMISSED)
    assert withdrawn.key() == f"{given.key()}:dismissed"


def test_the_status_of_a_pipeline_asks_for_the_run_and_its_deployments():
    hints = [
        (signal.ref.kind, signal.ref.id) for signal in parse("status_of_a_pipeline") if isinstance(signal, CodeHint)
    ]
    assert hints == [(RefKind.RUN, "186"), (RefKind.DEPLOYMENT, "186")]
    only = BitbucketConfig(workspace="apex-digital", events=["deployment"])
    [hint] = parse("status_of_a_pipeline", config=only)
    assert isinstance(hint, CodeHint)
    assert hint.ref.kind is RefKind.DEPLOYMENT


@pytest.mark.parametrize(
    "url",
    [
        "https://jenkins.example/results/4",
        "https://bitbucket.org.evil.example/a/b/results/4",
        "javascript:results/4",
        "",
    ],
)
def test_what_only_looks_like_a_pipeline_is_none(url):
    [ignored] = parse("status_of_a_pipeline", commit_status={"url": url})
    assert isinstance(ignored, Ignored)
    assert ignored.code == "other_status"


@pytest.mark.parametrize("event", ["repo:created", "repo:imported", "repo:transfer", "repo:deleted"])
def test_what_happens_to_a_repository_is_a_reason_to_look_again(event):
    _, content = recorded("repository_deleted")
    [look] = BitbucketConnector.parse(delivery(event, content), CONFIG)
    assert isinstance(look, LookAgain)
    assert "apex-digital/payments-api was " in look.text


def test_repositories_and_kinds_that_are_not_followed_are_ignored():
    others = BitbucketConfig(workspace="apex-digital", repositories=["payments-worker"])
    mine = BitbucketConfig(workspace="apex-digital", repositories=["Payments"])
    few = BitbucketConfig(workspace="apex-digital", events=["pipeline"])
    assert parse("push", config=others) == [Ignored("other_repository", "apex-digital/payments-api")]
    assert parse("push", config=few) == [Ignored("not_followed", "repo:push")]
    assert isinstance(parse("repository_renamed", config=mine)[0], LookAgain)
    assert isinstance(parse("repository_deleted", config=few)[0], LookAgain)


BODIES = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b"\xff\xfe",
    b"[" * 5000,
    b'{"repository": 7}',
    b'{"repository": {"uuid": 1}}',
]


@pytest.mark.parametrize("event", sorted(EVENTS))
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_malformed_body_is_a_bad_payload(event, body):
    with pytest.raises(BadPayload):
        BitbucketConnector.parse(delivery(event, body), CONFIG)


@pytest.mark.parametrize("event", sorted(event for event in EVENTS if event.startswith(("pullrequest:", "repo:push"))))
def test_a_body_without_what_it_is_about_is_a_bad_payload(event):
    _, content = recorded("repository_deleted")
    with pytest.raises(BadPayload, match=event):
        BitbucketConnector.parse(delivery(event, content), CONFIG)


def test_an_opinion_that_is_not_said_is_a_bad_payload():
    with pytest.raises(BadPayload, match="does not say what was said"):
        parse("approved", approval=None)


def test_a_status_that_is_none_is_of_no_pipeline():
    _, content = recorded("repository_deleted")
    [ignored] = BitbucketConnector.parse(delivery("repo:commit_status_created", content), CONFIG)
    assert isinstance(ignored, Ignored)


def test_an_event_nobody_knows_is_unsupported_whatever_it_holds():
    assert BitbucketConnector.parse(delivery("repo:new_thing", b"{"), CONFIG) == [
        Ignored("unsupported", "repo:new_thing")
    ]


# --- registering ------------------------------------------------------------------------------------


def hooks(bench: Bench) -> list[Any]:
    return bench.sandbox.hooks.live()


def test_one_webhook_of_the_workspace_serves_all_repositories(still: Bench):
    made = still.connector().subscribe(URL, SecretStr(SECRET))
    [hook] = hooks(still)
    assert (hook.url, hook.secret, hook.container, hook.enabled) == (URL, SECRET, None, True)
    assert hook.events == frozenset(EVENTS)
    still.host.push(still.ann, WORKER, "main", "There")
    assert any(isinstance(signal, CodeHeard) for signal in still.heard())
    assert made.expires_at is not None
    renewed = still.connector().renew(made, URL)
    assert renewed is not None
    assert renewed.external_ids == made.external_ids


def test_only_what_is_followed_is_subscribed_to(still: Bench):
    still.connector(events=["pipeline"]).subscribe(URL, SecretStr(SECRET))
    [hook] = hooks(still)
    statuses = {"repo:commit_status_created", "repo:commit_status_updated"}
    assert hook.events == statuses | {event for event, (kinds, _) in EVENTS.items() if not kinds}


def test_a_webhook_there_already_is_taken_over_with_the_new_secret_and_doubles_go(still: Bench):
    first = still.connector().subscribe(URL, SecretStr("old"))
    still.sandbox.hooks.change(hooks(still)[0].id, enabled=False)
    still.sandbox.hooks.register(URL, still.ann)
    still.sandbox.hooks.register("https://elsewhere.example/", still.ann)
    assert still.connector().subscribe(URL, SecretStr("new")).external_ids == first.external_ids
    assert [(hook.url, hook.secret) for hook in hooks(still)] == [(URL, "new"), ("https://elsewhere.example/", "")]


def test_without_rights_in_the_workspace_each_repository_has_one_and_a_new_one_gets_its_own(still: Bench):
    still.sandbox.settings.workspace_hooks = False
    made = still.connector().subscribe(URL, SecretStr(SECRET))
    assert {hook.container for hook in hooks(still)} == {str(repo.id) for repo in still.host.repos.values()}
    assert still.connector().renew(made, URL) is not None
    still.sandbox.add_repo("payments-web")
    assert still.connector().renew(made, URL) is None
    more = still.connector().subscribe(URL, SecretStr(SECRET))
    assert (len(made.external_ids), len(more.external_ids)) == (2, 3)
    assert set(made.external_ids) < set(more.external_ids)


def test_the_webhook_of_a_repository_that_is_gone_is_forgotten(still: Bench):
    still.sandbox.settings.workspace_hooks = False
    made = still.connector().subscribe(URL, SecretStr(SECRET))
    still.host.delete_repo(still.ann, WORKER)
    renewed = still.connector().renew(made, URL)
    assert renewed is not None
    assert len(renewed.external_ids) == 1
    still.connector().unsubscribe(made)
    assert {hook.container for hook in hooks(still)} == {str(id_) for id_ in still.host.gone}


@pytest.mark.parametrize("how", ["removed", "off", "elsewhere"])
@pytest.mark.parametrize("workspace", [True, False])
def test_a_webhook_that_does_not_work_any_more_is_noticed(still: Bench, how, workspace):
    still.sandbox.settings.workspace_hooks = workspace
    made = still.connector(repositories=[API]).subscribe(URL, SecretStr(SECRET))
    [hook] = hooks(still)
    if how == "removed":
        still.sandbox.hooks.remove(hook.id)
    else:
        change = {"enabled": False} if how == "off" else {"url": "https://elsewhere.example/"}
        still.sandbox.hooks.change(hook.id, **change)
    assert still.connector(repositories=[API]).renew(made, URL) is None


def test_who_may_not_register_any_is_told_what_is_needed(still: Bench):
    still.sandbox.settings.workspace_hooks = still.sandbox.settings.repository_hooks = False
    with pytest.raises(Forbidden, match=r"Only an administrator .* Bitbucket said: .*privileges"):
        still.connector().subscribe(URL, SecretStr(SECRET))


def test_unsubscribing_removes_ours_and_one_already_gone_is_fine(still: Bench):
    made = still.connector().subscribe(URL, SecretStr(SECRET))
    for _ in range(2):
        still.connector().unsubscribe(made)
    assert hooks(still) == []


# --- what the vendor does besides -------------------------------------------------------------------


def test_an_event_that_is_too_large_never_comes_and_its_commits_are_polled(still: Bench):
    _, cursor = still.read()
    still.subscribe()
    still.host.push(still.ann, API, "main", "x" * MOST_BYTES)
    assert still.heard() == []
    assert [event.what.type for event in still.read(cursor)[0]] == ["code.commit"]


def test_a_delivery_that_failed_comes_again_under_the_same_id_three_times_in_all(still: Bench):
    still.subscribe()
    still.inbox.answers = [503, 500, 502]
    still.host.push(still.ann, API, "main", "Told in vain")
    for seconds in (0, 60, 60, 60):
        still.clock.advance(seconds)
        still.sandbox.deliver()
    headers = [sent for _, sent, _ in still.inbox.received]
    assert [sent["X-Attempt-Number"] for sent in headers] == ["1", "2", "3"]
    assert len({sent["X-Request-UUID"] for sent in headers}) == 1
    assert [sent.state for sent in still.sandbox.deliveries.log()] == [DeliveryState.FAILED]
