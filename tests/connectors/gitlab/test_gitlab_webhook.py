"""GitLab's deliveries: what they mean, how hooks are registered and looked after, and what their logs hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import connectors.gitlab
from connectors.contract import (
    BadPayload,
    BadSignature,
    ChangeOpened,
    ChangeReady,
    CodeHeard,
    CodeHint,
    CodeKind,
    CodeRef,
    Forbidden,
    Hint,
    Ignored,
    LookAgain,
    NotFound,
    RawDelivery,
    RefKind,
    Signal,
    Subscription,
)
from connectors.gitlab import GitLabConnector
from connectors.gitlab.config import GitLabConfig
from sandbox.auth import ApiToken
from sandbox.code import OWNER
from tests.connectors.gitlab.conftest import API, URL, WORKER, Bench

NOW = datetime(2026, 4, 15, 10, tzinfo=UTC)
FIXTURES = sorted(Path(connectors.gitlab.__file__).with_name("fixtures").glob("*.json"))
CONFIG = GitLabConfig(group=OWNER, repositories=[API], sync_issues=True)
SECRET = SecretStr("a secret of the platform's")


def recorded(name: str) -> RawDelivery:
    recording = json.loads(Path(connectors.gitlab.__file__).with_name("fixtures").joinpath(f"{name}.json").read_text())
    return RawDelivery(recording["headers"], json.dumps(recording["body"]).encode(), NOW)


def parse(name: str, **config: Any) -> list[Signal]:
    return list(GitLabConnector.parse(recorded(name), GitLabConfig(group=OWNER, **config)))


def meaning(signal: Signal) -> str:
    match signal:
        case CodeHeard():
            return "event"
        case CodeHint():
            return "ask"
        case Hint():
            return "hint"
        case LookAgain():
            return "look_again"
        case Ignored(code):
            return f"ignored:{code}"
    return type(signal).__name__


# --- what they mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FIXTURES, ids=lambda file: file.stem)
def test_every_recording_means_what_it_says(file):
    assert meaning(parse(file.stem, repositories=[API], sync_issues=True)[0]) == json.loads(file.read_text())["expect"]


def test_an_opened_request_is_told_whole_and_a_draft_is_not_ready():
    [opened, ready] = parse("merge_request_opened")
    assert isinstance(opened, CodeHeard)
    assert isinstance(ready, CodeHeard)
    assert isinstance(opened.event.what, ChangeOpened)
    assert (opened.event.repository, opened.event.at) == ("15", datetime(2026, 4, 1, 8, tzinfo=UTC))
    assert (opened.event.what.number, opened.event.what.title) == ("7", "Add the cart")
    assert ready.event.what == ChangeReady("7")
    [draft] = parse("merge_request_opened_as_draft")
    assert draft == opened


def test_a_request_of_a_fork_belongs_to_where_it_is_to_be_merged():
    heard = parse("merge_request_opened_from_a_fork")[0]
    assert isinstance(heard, CodeHeard)
    assert heard.event.repository == "15"


@pytest.mark.parametrize(
    ("name", "kind", "id_"),
    [
        ("merge_request_merged", RefKind.CHANGE, "7"),
        ("review_comment", RefKind.CHANGE, "7"),
        ("deployment_succeeded", RefKind.DEPLOYMENT, "15"),
        ("pipeline_succeeded", RefKind.RUN, "3000000031"),
        ("release_created", RefKind.RELEASE, "v1.0"),
        ("tag_pushed", RefKind.PUSH, f"refs/tags/v1.0 {'0' * 40} 1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e -"),
        ("branch_deleted", RefKind.PUSH, f"refs/heads/cart 8f3c2d1e0b9a87766554433221100ffeeddccbba {'0' * 40} -"),
    ],
)
def test_what_is_told_in_part_is_asked_for(name, kind, id_):
    assert parse(name) == [CodeHint(CodeRef("15", kind, id_))]


def test_only_a_push_to_the_default_branch_brings_commits():
    [hint] = parse("pushed")
    assert isinstance(hint, CodeHint)
    assert hint.ref.id.split(" ")[0::3] == ["refs/heads/main", "commits"]


@pytest.mark.parametrize("kind", list(CodeKind))
def test_what_is_not_followed_is_told_in_no_way(kind):
    told = {file.stem for file in FIXTURES if meaning(parse(file.stem, events=[kind])[0]) in ("event", "ask")}
    others = {file.stem for file in FIXTURES if meaning(parse(file.stem)[0]) in ("event", "ask")} - told
    assert told
    assert others
    assert {meaning(parse(name, events=[kind])[0]) for name in others} == {"ignored:not_followed"}


def test_a_renamed_project_is_looked_for_and_the_operator_reads_both_names():
    [look] = parse("project_renamed")
    assert look == LookAgain("GitLab says project_rename: grp/shop (before: grp/app)")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b"[" * 5000, b'{"project": 7, "object_attributes": []}']
)
@pytest.mark.parametrize("event", connectors.gitlab.webhook.EVENTS)
def test_a_body_of_another_shape_is_a_bad_payload_and_nothing_worse(event, body):
    with pytest.raises(BadPayload, match=event):
        GitLabConnector.parse(RawDelivery({"x-gitlab-event": event}, body, NOW), CONFIG)


@pytest.mark.parametrize("headers", [{}, {"x-gitlab-event": "Emoji Hook"}])
def test_an_event_nobody_knows_is_unsupported_whatever_is_in_it(headers):
    [signal] = GitLabConnector.parse(RawDelivery(headers, b"{", NOW), CONFIG)
    assert meaning(signal) == "ignored:unsupported"


# --- registering ----------------------------------------------------------------------------------------


def secrets(made: Subscription) -> dict[str, list[str]]:
    assert made.secret is not None
    return {"signing": [made.secret.get_secret_value()]}


def test_each_project_gets_a_hook_that_signs_what_it_sends(still: Bench):
    connector = still.connector(events=["pull_request"])
    made = connector.subscribe(URL, SECRET)
    assert len(made.external_ids) == 2
    assert {hook.extra["token"] for hook in still.sandbox.hooks.live()} == {""}
    still.host.push(still.ann, API, "cart", "One")
    still.host.open_pull(still.ann, API, "cart", "Cart")
    [delivery] = still.deliveries()
    assert GitLabConnector.verify(delivery, secrets(made)).event == "Merge Request Hook"
    with pytest.raises(BadSignature):
        GitLabConnector.verify(RawDelivery(delivery.headers, delivery.body + b" ", NOW), secrets(made))


def test_a_server_that_cannot_sign_sends_the_secret(still: Bench):
    still.sandbox.settings.signs = False
    made = still.connector().subscribe(URL, SECRET)
    still.host.push(still.ann, API, "main", "One")
    [delivery] = still.deliveries()
    assert GitLabConnector.verify(delivery, secrets(made)).key == delivery.headers["idempotency-key"]
    with pytest.raises(BadSignature):
        GitLabConnector.verify(delivery, {"signing": ["whsec_another"]})


def test_a_hook_there_is_already_is_adopted_and_told_what_we_follow_now(still: Bench):
    first = still.connector().subscribe(URL, SECRET)
    assert first.secret is not None
    again = still.connector(events=["release"]).subscribe(URL, first.secret)
    assert (again.external_ids, again.secret) == (first.external_ids, first.secret)
    assert {hook.events for hook in still.sandbox.hooks.live()} == {frozenset({"Release Hook"})}


def test_a_project_that_comes_later_is_subscribed_when_the_hooks_are_renewed_and_one_that_goes_is_forgotten(
    still: Bench,
):
    connector = still.connector(repositories=[])
    made = connector.subscribe(URL, SECRET)
    still.sandbox.add_repo("late")
    still.host.archive(still.ann, WORKER)
    renewed = connector.renew(made, URL)
    assert renewed is not None
    assert [id_.partition("/")[0] for id_ in renewed.external_ids] == ["1", str(still.repo("late").id)]
    assert renewed.secret == made.secret
    assert renewed.expires_at == still.clock.now() + timedelta(minutes=30)
    still.host.push(still.ann, "late", "main", "One")
    [delivery] = still.deliveries()
    assert GitLabConnector.verify(delivery, secrets(renewed)).event == "Push Hook"


def test_looking_after_hooks_that_work_changes_nothing(still: Bench):
    made = still.connector().subscribe(URL, SECRET)
    still.called()
    assert still.connector().renew(made, URL) is not None
    assert still.called() == {"getProject": 2, "getHook": 2}


def test_a_paused_hook_lost_deliveries_and_is_set_going_by_subscribing_again(still: Bench):
    connector = still.connector()
    made = connector.subscribe(URL, SECRET)
    still.host.push(still.ann, API, "cart", "One")
    still.host.open_pull(still.ann, API, "cart", "Cart")
    still.ear.status = 500
    for number in range(4):
        still.host.retitle(still.ann, API, 1, f"Cart {number}")
    still.deliveries()
    assert connector.renew(made, URL) is None
    still.ear.status = 200
    assert connector.subscribe(URL, secrets_of(made)).external_ids == made.external_ids
    [sample] = still.deliveries()
    [signal] = GitLabConnector.parse(sample, still.config())
    assert signal == CodeHint(CodeRef("1", RefKind.CHANGE, "1"))
    assert connector.renew(made, URL) is not None


def secrets_of(made: Subscription) -> SecretStr:
    assert made.secret is not None
    return made.secret


def test_a_project_without_merge_requests_is_tested_with_its_last_push(still: Bench):
    connector = still.connector(repositories=[WORKER])
    made = connector.subscribe(URL, SECRET)
    still.ear.status = 500
    for number in range(4):
        still.host.push(still.ann, WORKER, "main", f"Commit {number}")
    still.deliveries()
    still.ear.status = 200
    connector.subscribe(URL, secrets_of(made))
    assert [delivery.headers["x-gitlab-event"] for delivery in still.deliveries()] == ["Push Hook"]


def test_a_hook_somebody_removed_is_made_again(still: Bench):
    connector = still.connector()
    made = connector.subscribe(URL, SECRET)
    still.sandbox.hooks.remove(still.sandbox.hooks.live()[0].id)
    assert connector.renew(made, URL) is None
    assert len(connector.subscribe(URL, secrets_of(made)).external_ids) == 2


def test_without_the_right_to_make_hooks_it_says_which_is_needed(still: Bench):
    still.sandbox.door.add(ApiToken("reader", still.robot, frozenset({"read_api"})))
    with pytest.raises(Forbidden, match="scope api and the role of a maintainer"):
        still.connector(still.oauth("read_api")).subscribe(URL, SECRET)


def test_unsubscribing_removes_every_hook_and_one_that_is_gone_already_is_fine(still: Bench):
    connector = still.connector()
    made = connector.subscribe(URL, SECRET)
    for _ in range(2):
        connector.unsubscribe(made)
        assert still.sandbox.hooks.live() == []


# --- the log --------------------------------------------------------------------------------------------


def test_the_log_holds_what_could_not_be_handed_over_oldest_first(still: Bench):
    connector = still.connector()
    made = connector.subscribe(URL, SECRET)
    begun = still.clock.now()
    still.host.push(still.ann, API, "main", "Heard")
    still.deliveries()
    still.ear.status = 502
    for message in ("First", "Second"):
        still.clock.advance(60)
        still.host.push(still.ann, API, "main", message)
        lost = still.deliveries()
    found = [missed for batch in connector.missed(begun) for missed in batch]
    bodies = [json.loads(missed.delivery.body) for missed in found if missed.delivery]
    assert [body["commits"][0]["title"] for body in bodies] == ["First", "Second"]
    assert (found[-1].key, found[-1].event) == (GitLabConnector.verify(lost[0], secrets(made)).key, "Push Hook")
    assert found[-1].delivery is not None
    assert GitLabConnector.parse(found[-1].delivery, CONFIG) == GitLabConnector.parse(lost[0], CONFIG)
    later = still.clock.now()
    assert [missed for batch in connector.missed(later) for missed in batch] == found[-1:]


def test_a_server_that_keeps_no_log_has_missed_nothing(still: Bench):
    still.connector().subscribe(URL, SECRET)
    still.sandbox.settings.logs = False
    assert [missed for batch in still.connector().missed(NOW) for missed in batch] == []


def test_hooks_of_others_are_none_of_our_affair(still: Bench):
    still.sandbox.hooks.register(
        "http://elsewhere.example",
        still.ann,
        container="1",
        extra={
            "name": "Somebody else's",
            "token": "",
            "signing_token": "",
            "failures": 0,
            "disabled_until": None,
            "enable_ssl_verification": True,
        },
    )
    still.ear.status = 500
    still.host.push(still.ann, API, "main", "One")
    still.deliveries()
    assert [missed for batch in still.connector().missed(NOW) for missed in batch] == []


def test_what_the_log_holds_can_be_sent_again_while_it_does(still: Bench):
    connector = still.connector()
    connector.subscribe(URL, SECRET)
    still.ear.status = 502
    still.host.push(still.ann, API, "main", "One")
    [lost] = still.deliveries()
    [missed] = [missed for batch in connector.missed(NOW - timedelta(days=9999)) for missed in batch]
    still.ear.status = 200
    connector.redeliver(missed)
    [again] = still.deliveries()
    assert (again.headers["idempotency-key"], again.body) == (lost.headers["idempotency-key"], lost.body)
    still.sandbox.hooks.remove(missed.ref.split("/")[1])
    with pytest.raises(NotFound):
        connector.redeliver(missed)
