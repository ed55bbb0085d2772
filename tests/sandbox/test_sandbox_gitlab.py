"""The fake GitLab: its listings, formats, errors, limits, OAuth and webhooks, as one caller sees them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.clock import ManualClock
from sandbox.code import OWNER, REPOSITORIES
from sandbox.faults import FaultKind
from sandbox.gitlab import GitLabSandbox
from sandbox.inprocess import InProcessTransport
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.sandbox.callers import Inbox

URL = "http://gitlab.sandbox/api/v4"
API, WORKER = REPOSITORIES
TOKEN = "whsec_" + base64.b64encode(b"k" * 32).decode()
EVENTS = ("push", "tag_push", "merge_requests", "note", "deployment", "pipeline", "releases")
EVERYTHING = {f"{event}_events": True for event in EVENTS}


@pytest.fixture
def gitlab(clock: ManualClock, inbox: Inbox) -> GitLabSandbox:
    return GitLabSandbox(clock=clock, sender=inbox)


def caller(gitlab: GitLabSandbox, token: str = API_TOKEN) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(transport=InProcessTransport(gitlab.app), base_url=URL, headers=headers)


@pytest.fixture
def api(gitlab: GitLabSandbox) -> Iterator[httpx.Client]:
    with caller(gitlab) as made:
        yield made


def hook(api: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = api.post("/projects/1/hooks", json={"url": "http://here.example/hook", **EVERYTHING, **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def ann(gitlab: GitLabSandbox) -> str:
    return gitlab.tracker.user("Ann Archer").id


# --- access and listings --------------------------------------------------------------------------------


def test_a_wrong_token_is_401_and_a_reading_one_may_not_make_hooks(gitlab, api):
    assert caller(gitlab, "wrong").get("/user").json() == {"message": "401 The credentials are missing or wrong."}
    reader = caller(gitlab, gitlab.grant(scopes=("read_api",))["access_token"])
    assert reader.get("/projects/1").status_code == 200
    assert reader.post("/projects/1/hooks", json={"url": "http://here.example"}).status_code == 403


def test_a_refreshed_pair_ends_the_one_before_at_once(gitlab, api):
    pair = gitlab.grant()
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "grant_type": "refresh_token"}
    answers = [
        api.post("http://gitlab.sandbox/oauth/token", data={**app, "refresh_token": pair["refresh_token"]})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[0].json()["expires_in"] == 7200
    assert answers[1].json()["error"] == "invalid_grant"


def test_a_project_is_found_by_id_by_path_and_by_its_old_path_through_a_redirect(gitlab, api):
    path = f"/projects/{OWNER}%2F{API}"
    assert api.get("/projects/1").json()["path_with_namespace"] == api.get(path).json()["path_with_namespace"]
    gitlab.host.rename(ann(gitlab), API, "payments")
    moved = api.get(path)
    assert (moved.status_code, moved.headers["location"]) == (301, f"{URL}/projects/1")
    gitlab.host.delete_repo(ann(gitlab), "payments")
    assert api.get(path).json() == api.get("/projects/1").json() == {"message": "404 Project Not Found"}


def test_listings_are_paged_with_gitlabs_headers_and_sorted_by_the_last_change_when_asked(gitlab, api):
    gitlab.plant_history(30)
    page = api.get("/projects/1/merge_requests", params={"order_by": "updated_at", "sort": "asc", "page": 2})
    assert {name: page.headers[name] for name in ("x-total", "x-page", "x-next-page", "x-total-pages")} == {
        "x-total": "30",
        "x-page": "2",
        "x-next-page": "",
        "x-total-pages": "2",
    }
    times = [row["updated_at"] for row in page.json()]
    assert times == sorted(times)
    after = api.get("/projects/1/merge_requests", params={"updated_after": times[-1]}).json()
    assert [row["updated_at"] for row in after] == [times[-1]]


def test_commits_are_listed_between_two_the_last_first_and_never_counted(gitlab, api):
    old = gitlab.host.repo(API).branches["main"]
    made = gitlab.host.push(ann(gitlab), API, "main", "One", "Two")
    answer = api.get("/projects/1/repository/commits", params={"ref_name": f"{old}..main"})
    assert [commit["title"] for commit in answer.json()] == ["Two", "One"]
    assert answer.json()[0]["id"] == made.after
    assert "x-total" not in answer.headers
    assert api.get("/projects/1/repository/commits", params={"ref_name": "nowhere"}).status_code == 404


def test_the_api_tells_fractions_of_seconds_that_webhooks_leave_out(gitlab, api):
    hook(api)
    gitlab.host.push(ann(gitlab), API, "feature", "One")
    gitlab.host.open_pull(ann(gitlab), API, "feature", "Cart")
    gitlab.deliver()
    body = json.loads(gitlab.deliveries.sender.received[-1][2])["object_attributes"]
    shown = api.get("/projects/1/merge_requests/1").json()["created_at"]
    assert shown.endswith(".417Z")
    assert body["created_at"] == shown.replace("T", " ").replace(".417Z", " UTC")


def test_too_many_calls_are_answered_in_plain_text_with_the_limits_headers(gitlab, api):
    gitlab.settings.enforce_limits, gitlab.settings.limits_scale = True, 0.001
    answers = [api.get("/user") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-remaining"] == "1"
    assert answers[2].text.strip() == "Retry later"
    assert int(answers[2].headers["retry-after"]) > 0


def test_a_feature_that_is_switched_off_is_forbidden(gitlab, api):
    gitlab.settings.without = "pipelines"
    assert api.get("/projects/1/pipelines").status_code == 403
    assert api.get("/projects/1/deployments").status_code == 200


def test_a_planned_fault_is_answered_in_gitlabs_shape(gitlab, api):
    gitlab.faults.add(FaultKind.ERROR, status=502)
    assert api.get("/user").json()["message"].startswith("502 ")


# --- webhooks -------------------------------------------------------------------------------------------


def test_a_hook_with_a_signing_token_is_signed_by_standard_webhooks(gitlab, api, inbox):
    assert hook(api, signing_token=TOKEN)["signing_token_present"] is True
    gitlab.host.push(ann(gitlab), API, "main", "One")
    gitlab.deliver()
    [(_, headers, body)] = inbox.received
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert headers["webhook-id"] == headers["Idempotency-Key"]
    assert "X-Gitlab-Token" not in headers


def test_an_older_server_ignores_the_signing_token_and_sends_the_secret(gitlab, api, inbox):
    gitlab.settings.signs = False
    gitlab.settings.numbers_events = False
    assert "signing_token_present" not in hook(api, signing_token=TOKEN, token="secret")
    gitlab.host.push(ann(gitlab), API, "main", "One")
    gitlab.deliver()
    [(_, headers, _)] = inbox.received
    assert headers["X-Gitlab-Token"] == "secret"
    assert not {"webhook-id", "Idempotency-Key"} & headers.keys()


def test_each_deed_is_told_by_its_own_hook_with_its_own_form_of_time(gitlab, api, inbox):
    hook(api)
    host, one, two = gitlab.host, ann(gitlab), gitlab.tracker.user("Bob Baker").id
    host.push(one, API, "feature", *[f"Commit {n}" for n in range(25)])
    pull = host.open_pull(one, API, "feature", "Cart", draft=True)
    host.set_draft(one, API, pull.number, draft=False)
    host.review(two, API, pull.number, "commented", "Hm")
    approval = host.review(two, API, pull.number, "approved")
    host.dismiss(two, API, approval.id)
    host.merge(two, API, pull.number)
    deployment = host.deploy(one, API, "production")
    host.move_deployment(one, API, deployment.id, "success")
    host.run(one, API, "build")
    host.release(one, API, "v1")
    gitlab.deliver()
    told = [(headers["X-Gitlab-Event"], json.loads(body)) for _, headers, body in inbox.received]
    actions = [body["object_attributes"]["action"] for event, body in told if event == "Merge Request Hook"]
    assert actions == ["open", "update", "approved", "unapproved", "merge"]
    assert [event for event, _ in told if event != "Merge Request Hook"] == [
        "Push Hook",
        "Note Hook",
        "Push Hook",
        "Deployment Hook",
        "Deployment Hook",
        "Pipeline Hook",
        "Tag Push Hook",
        "Release Hook",
    ]
    push, deployed = told[0][1], next(body for event, body in told if event == "Deployment Hook")
    assert (len(push["commits"]), push["total_commits_count"]) == (20, 25)
    assert deployed["status_changed_at"].endswith(" +0200")
    assert "sha" not in deployed


def test_a_hook_is_paused_after_four_failures_logs_nothing_meanwhile_and_a_test_sets_it_going(gitlab, api, inbox):
    made = hook(api)
    gitlab.host.push(ann(gitlab), API, "feature", "One")
    gitlab.host.open_pull(ann(gitlab), API, "feature", "Cart")
    gitlab.deliver()
    inbox.answers = [500] * 4
    for number in range(6):
        gitlab.host.retitle(ann(gitlab), API, 1, f"Cart {number}")
        gitlab.deliver()
    path = f"/projects/1/hooks/{made['id']}"
    assert api.get(path).json()["alert_status"] == "temporarily_disabled"
    log = api.get(f"{path}/events").json()
    assert [entry["response_status"] for entry in log] == ["500"] * 4 + ["200"] * 2
    assert api.post(f"{path}/test/merge_requests_events").status_code == 201
    gitlab.deliver()
    assert api.get(path).json()["alert_status"] == "executable"


def test_a_pause_ends_by_itself_and_forty_failures_end_the_hook(gitlab, api, inbox, clock):
    made = hook(api)
    inbox.answers = [500] * 40
    for number in range(40):
        gitlab.host.push(ann(gitlab), API, "main", f"Commit {number}")
        gitlab.deliver()
        clock.advance(86_460)
    assert api.get(f"/projects/1/hooks/{made['id']}").json()["alert_status"] == "disabled"
    assert inbox.answers == []


def test_a_delivery_sent_again_bears_the_same_key_and_body(gitlab, api, inbox):
    made = hook(api)
    inbox.answers = [502]
    gitlab.host.push(ann(gitlab), API, "main", "One")
    gitlab.deliver()
    path = f"/projects/1/hooks/{made['id']}/events"
    [entry] = api.get(path).json()
    assert api.post(f"{path}/{entry['id']}/resend").status_code == 201
    gitlab.deliver()
    (_, before, body), (_, after, again) = inbox.received
    assert (before["Idempotency-Key"], body) == (after["Idempotency-Key"], again)


def test_a_hook_belongs_to_its_project_and_can_be_removed(gitlab, api, inbox):
    made = hook(api)
    assert api.get(f"/projects/{gitlab.host.repo(WORKER).id}/hooks/{made['id']}").status_code == 404
    assert api.delete(f"/projects/1/hooks/{made['id']}").status_code == 204
    gitlab.host.push(ann(gitlab), API, "main", "One")
    gitlab.deliver()
    assert inbox.received == []
