"""The fake GitHub: its listings, errors, limits, tokens and webhooks, as one caller sees them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from sandbox.clock import ManualClock
from sandbox.faults import FaultKind
from sandbox.github import APP_ID, INSTALLATION, GitHubSandbox
from sandbox.inprocess import InProcessTransport
from sandbox.vendor import API_TOKEN
from tests.sandbox.callers import Inbox

URL = "http://github.sandbox"
HOOK = "https://receiver.test/hook"
REPO = "payments-api"
R = f"/repos/apex-digital/{REPO}"


@pytest.fixture
def github(clock: ManualClock, inbox: Inbox) -> GitHubSandbox:
    return GitHubSandbox(clock=clock, sender=inbox)


def caller(github: GitHubSandbox, authorization: str = f"Bearer {API_TOKEN}") -> httpx.Client:
    headers = {"Authorization": authorization}
    return httpx.Client(transport=InProcessTransport(github.app), base_url=URL, headers=headers)


@pytest.fixture
def api(github: GitHubSandbox) -> Iterator[httpx.Client]:
    with caller(github) as client:
        yield client


def signed(github: GitHubSandbox, issuer: str = APP_ID, iat: int = -60, exp: int = 540) -> str:
    now = int(github.clock.now().timestamp())
    claims = {"iss": issuer, "iat": now + iat, "exp": now + exp}
    return "Bearer " + jwt.encode(claims, github.github_app.private_key, algorithm="RS256")


def minted(github: GitHubSandbox) -> str:
    with caller(github, signed(github)) as app:
        answer = app.post(f"/app/installations/{INSTALLATION}/access_tokens")
    assert answer.status_code == 201
    return f"Bearer {answer.json()['token']}"


# --- pages and addresses ------------------------------------------------------------------------------


def test_pages_are_linked_until_the_last(github: GitHubSandbox, api: httpx.Client) -> None:
    github.plant_history(70)
    first = api.get(f"{R}/pulls", params={"state": "all", "per_page": 30})
    assert first.links["next"]["url"].endswith(f"{R}/pulls?state=all&per_page=30&page=2")
    assert first.links["last"]["url"].endswith("page=3")
    last = api.get(first.links["last"]["url"])
    assert (len(last.json()), "next" in last.links) == (10, False)


def test_pull_requests_come_in_the_order_asked_for(github: GitHubSandbox, api: httpx.Client) -> None:
    github.plant_history(5)
    github.host.retitle(github.robot.id, REPO, 2, "Later")
    by_update = api.get(f"{R}/pulls", params={"state": "all", "sort": "updated"}).json()
    by_birth = api.get(f"{R}/pulls", params={"state": "all", "direction": "asc"}).json()
    assert by_update[0]["number"] == 2
    assert [pull["number"] for pull in by_birth] == [1, 2, 3, 4, 5]
    assert api.get(f"{R}/pulls").json() == []  # none of them is open


def test_a_long_history_is_paged_through_whole(github: GitHubSandbox, api: httpx.Client) -> None:
    github.plant_history(420)
    url, numbers = f"{R}/pulls?state=all&direction=asc&per_page=100", list[int]()
    while url:
        page = api.get(url)
        numbers += [pull["number"] for pull in page.json()]
        url = page.links.get("next", {}).get("url", "")
    assert numbers == list(range(1, 421))


def test_a_repository_is_found_by_name_number_and_former_name(github: GitHubSandbox, api: httpx.Client) -> None:
    number = github.host.repo(REPO).id
    github.host.rename(github.robot.id, REPO, "payments")
    moved = api.get(R)
    assert (moved.status_code, moved.headers["location"]) == (301, f"{URL}/repositories/{number}")
    assert api.get(moved.headers["location"]).json()["full_name"] == "apex-digital/payments"
    assert api.get("/repos/apex-digital/payments/pulls").status_code == 200
    assert api.get("/repos/other/payments").status_code == 404


def test_a_list_that_is_as_it_was_is_not_sent_again(github: GitHubSandbox, api: httpx.Client) -> None:
    first = api.get(f"{R}/pulls", params={"state": "all"})
    tag = {"If-None-Match": first.headers["etag"]}
    again = api.get(f"{R}/pulls", params={"state": "all"}, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    github.plant_history(1)
    assert api.get(f"{R}/pulls", params={"state": "all"}, headers=tag).status_code == 200


# --- what is told of what -----------------------------------------------------------------------------


def test_only_a_single_pull_request_has_counts_and_only_a_merged_one_a_true_merge(
    github: GitHubSandbox, api: httpx.Client
) -> None:
    ann = github.tracker.user("Ann Archer").id
    github.host.push(ann, REPO, "f", "One", "Two")
    github.host.open_pull(ann, REPO, "f", "F")
    [listed] = api.get(f"{R}/pulls").json()
    assert "additions" not in listed
    assert listed["merge_commit_sha"] not in github.host.repo(REPO).commits
    github.host.merge(ann, REPO, 1)
    whole = api.get(f"{R}/pulls/1").json()
    assert (whole["merged"], whole["commits"], whole["state"]) == (True, 2, "closed")
    assert whole["merge_commit_sha"] in github.host.repo(REPO).mainline
    events = [line["event"] for line in api.get(f"{R}/issues/1/timeline").json()]
    assert events == ["committed", "committed", "merged", "closed"]


def test_a_dismissed_review_says_no_more_what_it_was(github: GitHubSandbox, api: httpx.Client) -> None:
    ann, bob = (github.tracker.user(name).id for name in ("Ann Archer", "Bob Baker"))
    github.host.push(ann, REPO, "f", "One")
    github.host.open_pull(ann, REPO, "f", "F")
    review = github.host.review(bob, REPO, 1, "approved")
    github.host.dismiss(ann, REPO, review.id)
    reviewed, dismissed = api.get(f"{R}/issues/1/timeline").json()[-2:]
    assert (reviewed["state"], reviewed["id"]) == ("dismissed", review.id)
    assert dismissed["dismissed_review"]["state"] == "approved"


def test_that_a_deployment_was_made_is_no_state_of_it(github: GitHubSandbox, api: httpx.Client) -> None:
    made = github.host.deploy(github.robot.id, REPO, "production")
    path = f"{R}/deployments/{made.id}/statuses"
    assert api.get(path).json() == []
    github.host.move_deployment(github.robot.id, REPO, made.id, "running")
    github.host.move_deployment(github.robot.id, REPO, made.id, "failed")
    assert [status["state"] for status in api.get(path).json()] == ["failure", "in_progress"]


# --- who may ------------------------------------------------------------------------------------------


def test_calls_without_a_name_a_token_or_a_known_version_are_refused(github: GitHubSandbox, api: httpx.Client) -> None:
    assert api.get(R, headers={"User-Agent": ""}).status_code == 403
    assert api.get(R, headers={"X-GitHub-Api-Version": "2019-01-01"}).status_code == 400
    assert api.get(R, headers={"Authorization": "Bearer nobody"}).status_code == 401


@pytest.mark.parametrize("wrong", [{"issuer": "1"}, {"iat": 60}, {"exp": 900}, {"exp": -1}])
def test_the_app_is_believed_only_with_a_short_token_of_its_own(github: GitHubSandbox, wrong: dict[str, Any]) -> None:
    path = f"/app/installations/{INSTALLATION}"
    with caller(github, signed(github, **wrong)) as app:
        assert app.get(path).status_code == 401
    with caller(github, "Bearer no.jwt.atall") as stranger:
        assert stranger.get(path).status_code == 401
    with caller(github, signed(github)) as app:
        assert app.get(path).json()["account"]["login"] == "apex-digital"
        assert app.get("/app/installations/5").status_code == 404


def test_an_installations_token_lives_an_hour_and_sees_what_was_chosen(github: GitHubSandbox) -> None:
    github.select("Ann Archer", "payments-worker")
    with caller(github, minted(github)) as client:
        listed = client.get("/installation/repositories").json()
        assert (listed["total_count"], listed["repositories"][0]["name"]) == (1, "payments-worker")
        assert client.get(R).status_code == 404
        github.clock.advance(3601)
        assert client.get("/installation/repositories").status_code == 401


def test_what_the_app_may_not_do_names_the_permission(github: GitHubSandbox) -> None:
    github.github_app.change(permissions={"contents": "read"})
    with caller(github, minted(github)) as client:
        refused = client.get(f"{R}/actions/runs")
    assert (refused.status_code, refused.headers["x-accepted-github-permissions"]) == (403, "actions=read")


def test_a_suspended_installation_is_refused_everywhere(github: GitHubSandbox) -> None:
    token = minted(github)
    github.suspend("Ann Archer")
    with caller(github, token) as client:
        assert client.get(R).status_code == 403
    with caller(github, signed(github)) as app:
        assert app.post(f"/app/installations/{INSTALLATION}/access_tokens").status_code == 403


def test_limits_come_as_403_with_the_time_they_end(github: GitHubSandbox, api: httpx.Client) -> None:
    github.settings.enforce_limits, github.settings.limits_scale = True, 1 / 5000
    assert api.get(R).headers["x-ratelimit-remaining"] == "0"
    refused = api.get(R)
    assert (refused.status_code, "secondary" in refused.json()["message"]) == (403, True)
    assert int(refused.headers["retry-after"]) == 3600


# --- webhooks -----------------------------------------------------------------------------------------


def hook(api: httpx.Client, *events: str, **config: str) -> int:
    given = {"url": HOOK, "content_type": "json", "secret": "s", **config}
    answer = api.post(f"{R}/hooks", json={"name": "web", "events": list(events), "config": given})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def test_a_hook_is_pinged_and_its_secret_not_shown(github: GitHubSandbox, api: httpx.Client, inbox: Inbox) -> None:
    number = hook(api, "push")
    [shown] = api.get(f"{R}/hooks").json()
    assert (shown["id"], shown["config"]["secret"]) == (number, "********")
    github.deliver()
    _, headers, body = inbox.received[0]
    assert headers["X-GitHub-Event"] == "ping"
    assert json.loads(body)["hook_id"] == number


def test_a_second_hook_for_the_same_address_is_refused(api: httpx.Client) -> None:
    hook(api, "push")
    again = api.post(f"{R}/hooks", json={"name": "web", "events": ["push"], "config": {"url": HOOK}})
    assert again.status_code == 422


def test_deliveries_are_signed_over_the_raw_body(github: GitHubSandbox, api: httpx.Client, inbox: Inbox) -> None:
    hook(api, "push")
    github.host.push(github.robot.id, REPO, "main", "Größe")
    github.deliver()
    _, headers, body = inbox.received[-1]
    digest = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    told = json.loads(body)
    assert isinstance(told["repository"]["pushed_at"], int)
    assert isinstance(told["repository"]["updated_at"], str)
    assert told["commits"][0]["timestamp"].endswith("+00:00")


def test_one_event_has_one_id_for_all_hooks(github: GitHubSandbox, api: httpx.Client, inbox: Inbox) -> None:
    hook(api, "push")
    github.app_hook(HOOK + "/app", "s")
    github.host.push(github.robot.id, REPO, "main", "One")
    github.deliver()
    pushes = [headers["X-GitHub-Delivery"] for _, headers, _ in inbox.received if headers["X-GitHub-Event"] == "push"]
    assert len(pushes) == 2
    assert len(set(pushes)) == 1


def test_nothing_is_sent_twice_but_when_asked_and_the_log_has_both(
    github: GitHubSandbox, api: httpx.Client, inbox: Inbox
) -> None:
    number = hook(api, "push")
    github.deliver()
    github.faults.add(FaultKind.WEBHOOK_DROP, count=1)
    github.host.push(github.robot.id, REPO, "main", "Lost")
    github.deliver()
    log = f"{R}/hooks/{number}/deliveries"
    lost, pinged = api.get(log).json()
    assert (lost["status"], pinged["status"], lost["event"]) == ("timed out", "OK", "push")
    assert api.post(f"{log}/{lost['id']}/attempts").status_code == 202
    github.deliver()
    again = api.get(log).json()[0]
    assert (again["guid"], again["redelivery"], again["status"]) == (lost["guid"], True, "OK")
    assert inbox.received[-1][1]["X-GitHub-Delivery"] == lost["guid"]


def test_a_release_is_told_by_three_events_and_a_waiting_run_by_none(
    github: GitHubSandbox, api: httpx.Client, inbox: Inbox
) -> None:
    hook(api, "release", "workflow_run")
    github.host.release(github.robot.id, REPO, "v1")
    run = github.host.run(github.robot.id, REPO, "build")
    for state in ("waiting", "running", "cancelled"):
        github.host.move_run(github.robot.id, REPO, run.id, state)
    github.deliver()
    actions = [json.loads(body).get("action") for _, _, body in inbox.received]
    assert actions == [None, "created", "published", "released", "requested", "in_progress", "completed"]
