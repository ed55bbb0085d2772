"""The fake Bitbucket: pages, filters, partial answers, short hashes, limits, webhooks and who may do what."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.bitbucket import WORKSPACE, BitbucketSandbox
from sandbox.bitbucket.render import uuid
from sandbox.clock import ManualClock
from sandbox.code import REPOSITORIES, Repo
from sandbox.control import ControlError
from sandbox.inprocess import InProcessTransport
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.sandbox.callers import Inbox
from tests.services.process import ServiceProcess, free_port

API = REPOSITORIES[0]
REPO = f"/2.0/repositories/{WORKSPACE}/{API}"
ALL = {"state": ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"]}


class Bitbucket:
    """A sandbox, and somebody who calls it."""

    def __init__(self, **options: Any) -> None:
        self.clock, self.inbox = ManualClock(), Inbox()
        self.sandbox = BitbucketSandbox(clock=self.clock, sender=self.inbox, **options)
        self.host = self.sandbox.host
        self.ann = self.sandbox.tracker.user("Ann Archer").id
        self.http = httpx.Client(
            transport=InProcessTransport(self.sandbox.app),
            base_url="http://bitbucket.sandbox",
            headers={"Authorization": f"Bearer {API_TOKEN}"},
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        answer = self.http.request(method, path, **more)
        return answer.status_code, answer.json()["error"]["message"]

    def everything(self, path: str, **query: Any) -> list[Any]:
        page = self.get(path, **query)
        found = page["values"]
        while "next" in page:
            page = self.http.get(page["next"]).json()
            found += page["values"]
        return found

    def change(self, branch: str = "feature", merge: bool = False) -> int:
        self.host.push(self.ann, API, branch, f"On {branch}")
        number = self.host.open_pull(self.ann, API, branch, f"Of {branch}").number
        if merge:
            self.host.merge(self.ann, API, number)
        return number

    def hook(self, place: str = f"/2.0/workspaces/{WORKSPACE}", **more: Any) -> httpx.Response:
        body = {"url": "https://receiver.example/", "events": ["repo:push"], "secret": "s", "active": True, **more}
        return self.http.post(f"{place}/hooks", json=body)

    def told(self) -> list[tuple[dict[str, str], Any]]:
        self.sandbox.deliver()
        return [(headers, json.loads(body)) for _, headers, body in self.inbox.received]


@pytest.fixture
def bitbucket() -> Iterator[Bitbucket]:
    made = Bitbucket()
    yield made
    made.http.close()


# --- reading ----------------------------------------------------------------------------------------


def test_a_repository_is_found_by_name_and_by_id_wherever_it_is(bitbucket: Bitbucket) -> None:
    id_ = bitbucket.get(REPO)["uuid"]
    for place in (WORKSPACE, uuid("workspace", 1), "{}"):
        assert bitbucket.get(f"/2.0/repositories/{place}/{id_}")["full_name"] == f"{WORKSPACE}/{API}"
    bitbucket.host.rename(bitbucket.ann, API, "payments")
    assert bitbucket.get(f"/2.0/repositories/{WORKSPACE}/{id_}")["slug"] == "payments"
    assert bitbucket.refused("GET", REPO) == (404, f"Repository {WORKSPACE}/{API} not found")
    assert bitbucket.refused("GET", "/2.0/repositories/nowhere")[0] == 404


def test_only_open_changes_are_listed_unless_the_others_are_named(bitbucket: Bitbucket) -> None:
    numbers = [bitbucket.change("a"), bitbucket.change("b", merge=True), bitbucket.change("c")]
    bitbucket.host.close(bitbucket.ann, API, numbers[2])
    assert [row["id"] for row in bitbucket.get(f"{REPO}/pullrequests")["values"]] == [1]
    states = {row["id"]: row["state"] for row in bitbucket.get(f"{REPO}/pullrequests", **ALL)["values"]}
    assert states == {1: "OPEN", 2: "MERGED", 3: "DECLINED"}
    assert bitbucket.refused("GET", f"{REPO}/pullrequests?pagelen=51")[0] == 400
    assert bitbucket.refused("GET", f"{REPO}/pullrequests?sort=title")[0] == 400


def test_changes_are_filtered_and_sorted_by_their_last_update(bitbucket: Bitbucket) -> None:
    for number in range(3):
        bitbucket.change(f"b{number}")
        bitbucket.clock.advance(60)
    bitbucket.host.retitle(bitbucket.ann, API, 1, "Again")
    since = (bitbucket.clock.now() - timedelta(seconds=70)).isoformat()
    rows = bitbucket.get(f"{REPO}/pullrequests", q=f"updated_on >= {since}", sort="updated_on")["values"]
    assert [row["id"] for row in rows] == [3, 1]
    assert bitbucket.refused("GET", f"{REPO}/pullrequests?q=title ~ x")[0] == 400
    assert bitbucket.refused("GET", f"{REPO}/pullrequests?q=updated_on > 2026-04-01T00:00:00")[0] == 400


def test_hashes_are_short_in_changes_and_whole_in_commits(bitbucket: Bitbucket) -> None:
    number = bitbucket.change(merge=True)
    told = bitbucket.get(f"{REPO}/pullrequests/{number}")
    hashes = [told["merge_commit"]["hash"], told["source"]["commit"]["hash"], told["destination"]["commit"]["hash"]]
    assert [len(sha) for sha in hashes] == [12, 12, 12]
    whole = bitbucket.get(f"{REPO}/commit/{hashes[0]}")
    assert (len(whole["hash"]), whole["hash"][:12], len(whole["parents"])) == (40, hashes[0], 2)
    assert bitbucket.refused("GET", f"{REPO}/commit/{'0' * 12}")[0] == 404


def test_pages_are_followed_by_a_link_that_counts_only_where_bitbucket_counts(bitbucket: Bitbucket) -> None:
    bitbucket.host.push(bitbucket.ann, API, "main", *(f"Commit {number}" for number in range(25)))
    first = bitbucket.get(f"{REPO}/commits", include="main")
    assert (len(first["values"]), "size" in first, "ctx=2" in first["next"]) == (10, False, True)
    assert len(bitbucket.everything(f"{REPO}/commits", include="main")) == 26
    listed = bitbucket.get("/2.0/repositories/" + WORKSPACE, pagelen=1)
    assert (listed["size"], listed["page"], "page=2" in listed["next"]) == (2, 1, True)


def test_a_page_says_how_many_rows_it_has_at_most_as_clients_count_by_that(bitbucket: Bitbucket) -> None:
    bitbucket.sandbox.settings.page_limit = 1
    listed = bitbucket.get("/2.0/repositories/" + WORKSPACE, pagelen=100)
    assert (len(listed["values"]), listed["pagelen"], listed["size"]) == (1, 1, 2)


def test_the_listing_of_pipelines_forgets_its_link(bitbucket: Bitbucket) -> None:
    for _ in range(3):
        bitbucket.host.run(bitbucket.ann, API, "build")
    page = bitbucket.get(f"{REPO}/pipelines/", sort="-created_on", pagelen=2)
    assert ([row["build_number"] for row in page["values"]], page["size"], "next" in page) == ([3, 2], 3, False)
    bitbucket.sandbox.settings.numbered_pipelines = False
    assert "next" in bitbucket.get(f"{REPO}/pipelines/", pagelen=2)
    assert bitbucket.get(f"{REPO}/pipelines/2")["uuid"] == page["values"][1]["uuid"]
    for strange in ("0", "9", "x", "{x}"):
        assert bitbucket.refused("GET", f"{REPO}/pipelines/{strange}")[0] == 404


def test_an_answer_is_trimmed_to_the_fields_that_were_asked_for(bitbucket: Bitbucket) -> None:
    bitbucket.change("a")
    bitbucket.change("b", merge=True)
    told = bitbucket.get(
        f"{REPO}/pullrequests", fields="next,values.id,values.author.uuid,values.merge_commit.hash", **ALL
    )
    assert set(told) == {"values"}
    for row in told["values"]:
        assert set(row) == {"id", "author", "merge_commit"}
        assert set(row["author"]) == {"uuid"}


def test_the_activity_has_the_newest_first_and_forgets_what_was_withdrawn(bitbucket: Bitbucket) -> None:
    host, number = bitbucket.host, bitbucket.change()
    given = host.review(bitbucket.sandbox.robot.id, API, number, "changes_requested")
    host.set_draft(bitbucket.ann, API, number, draft=True)
    host.review(bitbucket.sandbox.robot.id, API, number, "commented", "So")
    host.close(bitbucket.ann, API, number)

    def kinds() -> list[str]:
        rows = bitbucket.everything(f"{REPO}/pullrequests/{number}/activity", pagelen=2)
        return [next(name for name in row if name != "pull_request") for row in rows]

    assert kinds() == ["update", "comment", "update", "changes_requested", "update"]
    newest = bitbucket.get(f"{REPO}/pullrequests/{number}/activity")["values"][0]["update"]
    assert newest["state"] == "DECLINED"
    host.dismiss(bitbucket.ann, API, given.id)
    assert kinds() == ["update", "comment", "update", "update"]
    [participant] = bitbucket.get(f"{REPO}/pullrequests/{number}")["participants"]
    assert (participant["state"], participant["user"]["type"]) == (None, "app_user")


def test_the_diffstat_of_a_change_is_found_by_a_redirect_and_is_that_of_its_merge(bitbucket: Bitbucket) -> None:
    number = bitbucket.change(merge=True)
    answer = bitbucket.http.get(f"{REPO}/pullrequests/{number}/diffstat")
    assert answer.status_code == 302
    [row] = bitbucket.get(answer.headers["location"])["values"]
    merged = bitbucket.get(f"{REPO}/pullrequests/{number}")["merge_commit"]["hash"]
    assert bitbucket.get(f"{REPO}/diffstat/{merged}")["values"] == [row]
    assert row["lines_added"] == len("On feature") * 3
    first = bitbucket.host.repo(API).branches["main"]
    assert len(bitbucket.get(f"{REPO}/diffstat/{first}..{'0' * 12}".replace(f"..{'0' * 12}", ""))["values"]) == 1


def test_a_deployment_has_no_time_before_it_begins_and_its_own_words_for_how_it_is(bitbucket: Bitbucket) -> None:
    host, ann = bitbucket.host, bitbucket.ann
    run = host.run(ann, API, "build")
    made = host.deploy(ann, API, "staging", run=run.id)

    def state() -> Any:
        [row] = bitbucket.get(f"{REPO}/deployments/")["values"]
        assert (row["release"]["name"], row["environment"]["environment_type"]["name"]) == ("#1", "Staging")
        return row["state"]

    assert set(state()) == {"type", "name"}
    host.move_deployment(ann, API, made.id, "running")
    assert (state()["name"], state()["started_on"][-11:]) == ("IN_PROGRESS", ".481279334Z")
    host.move_deployment(ann, API, made.id, "failed")
    assert (state()["name"], state()["status"]["name"]) == ("COMPLETED", "FAILED")
    [step] = bitbucket.get(f"{REPO}/pipelines/{uuid('pipeline', run.id)}/steps/")["values"]
    assert step["state"]["result"]["name"] == "FAILED"


def test_a_long_history_is_walked_once_for_all_its_pages(bitbucket: Bitbucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bitbucket.sandbox.plant_history(100)
    walked, walk = [], Repo.history
    monkeypatch.setattr(Repo, "history", lambda repo, *tips: walked.append(tips) or walk(repo, *tips))
    monkeypatch.setattr(Repo, "reviews_of", None)  # looks through all reviews there are
    assert len(bitbucket.everything(f"{REPO}/commits", include="main")) > 150
    for number in range(1, 101):
        bitbucket.get(f"{REPO}/pullrequests/{number}/activity")
    assert len(walked) == 1


def test_it_is_served_by_its_name() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    args = [sys.executable, "-m", "sandbox", "bitbucket", "--plant", "4", "--port", str(port)]
    with ServiceProcess(args, ready=f"{url}/_control/state", name="bitbucket") as process:
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        answer = httpx.get(f"{url}{REPO}/pullrequests", params=ALL, headers=headers).json()
        assert len(answer["values"]) == 4
        assert "OAuth app" in process.log


# --- who may, and how often -------------------------------------------------------------------------


def test_a_person_sends_their_address_with_their_token_and_a_stranger_nothing(bitbucket: Bitbucket) -> None:
    for auth, status in ((("ann@example.com", API_TOKEN), 200), (("ann@example.com", "x"), 401)):
        answer = httpx.Client(transport=InProcessTransport(bitbucket.sandbox.app), auth=auth).get(f"http://b{REPO}")
        assert answer.status_code == status


def test_the_consumer_sends_its_secret_as_basic_authorization(bitbucket: Bitbucket) -> None:
    tokens = bitbucket.sandbox.grant(scopes=("repository",))
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = bitbucket.http.post("/site/oauth2/access_token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert bitbucket.http.get(REPO, headers=headers).status_code == 200
    assert bitbucket.http.get(f"{REPO}/pipelines/", headers=headers).status_code == 403


def test_the_limit_is_told_without_what_is_left(bitbucket: Bitbucket) -> None:
    settings = bitbucket.sandbox.settings
    settings.enforce_limits, settings.limits_scale = True, 0.005
    answers = [bitbucket.http.get(REPO) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    near = [answer.headers["x-ratelimit-nearlimit"] for answer in answers]
    assert near == ["false"] * 4 + ["true"] * 2
    assert not any("x-ratelimit-remaining" in answer.headers for answer in answers)
    assert int(answers[-1].headers["retry-after"]) == 3600
    settings.tells_wait = False
    assert "retry-after" not in bitbucket.http.get(REPO).headers


def test_what_bitbucket_does_not_have_can_not_be_done(bitbucket: Bitbucket) -> None:
    number = bitbucket.change()
    bitbucket.sandbox.act("Ann Archer", "close", {"repo": API, "number": number})
    for action, arguments in (("reopen", {"number": number}), ("archive", {}), ("release", {"tag": "v1"})):
        with pytest.raises(ControlError, match="Bitbucket knows no"):
            bitbucket.sandbox.act("Ann Archer", action, {"repo": API, **arguments})


def test_planting_makes_a_history(bitbucket: Bitbucket) -> None:
    assert bitbucket.sandbox.plant(3) == []
    assert len(bitbucket.host.repo(API).pulls) == 3


# --- webhooks ---------------------------------------------------------------------------------------


def test_a_webhook_never_tells_its_secret_and_keeps_one_that_is_not_named(bitbucket: Bitbucket) -> None:
    made = bitbucket.hook()
    assert (made.status_code, made.json()["secret_set"], "secret" in made.json()) == (201, True, False)
    path = f"/2.0/workspaces/{WORKSPACE}/hooks/{made.json()['uuid']}"
    body = {"url": "https://other.example/", "events": ["repo:push", "repo:created"], "active": False}
    changed = bitbucket.http.put(path, json=body).json()
    assert (changed["secret_set"], changed["active"], changed["url"]) == (True, False, "https://other.example/")
    assert bitbucket.http.put(path, json={"secret": None}).json()["secret_set"] is False
    assert bitbucket.http.delete(path).status_code == 204
    assert bitbucket.refused("DELETE", path)[0] == 404


def test_what_can_not_be_subscribed_to_is_refused(bitbucket: Bitbucket) -> None:
    assert bitbucket.hook(events=["repo:created"]).status_code == 201
    assert bitbucket.hook(REPO, events=["repo:created"]).status_code == 400
    assert bitbucket.hook(events=[]).status_code == 400
    assert bitbucket.hook(secret="x" * 129).status_code == 400
    events = {row["event"] for row in bitbucket.everything("/2.0/hook_events/repository")}
    assert {"repo:push", "pullrequest:fulfilled"} <= events
    assert bitbucket.refused("GET", "/2.0/hook_events/team")[0] == 404


def test_a_webhook_of_a_repository_is_none_of_another(bitbucket: Bitbucket) -> None:
    made = bitbucket.hook(REPO).json()
    other = f"/2.0/repositories/{WORKSPACE}/{REPOSITORIES[1]}"
    assert bitbucket.refused("DELETE", f"{other}/hooks/{made['uuid']}")[0] == 404
    bitbucket.host.push(bitbucket.ann, REPOSITORIES[1], "main", "Elsewhere")
    assert bitbucket.told() == []


def test_a_push_is_signed_and_tells_at_most_five_commits_the_newest_first(bitbucket: Bitbucket) -> None:
    bitbucket.hook()
    bitbucket.host.push(bitbucket.ann, API, "main", *(f"Commit {number}" for number in range(7)))
    [(headers, body)] = bitbucket.told()
    raw = bitbucket.inbox.received[0][2]
    assert headers["X-Hub-Signature"] == "sha256=" + hmac.new(b"s", raw, hashlib.sha256).hexdigest()
    assert (headers["X-Event-Key"], headers["X-Attempt-Number"]) == ("repo:push", "1")
    [moved] = body["push"]["changes"]
    assert [commit["message"] for commit in moved["commits"]] == [f"Commit {number}\n" for number in (6, 5, 4, 3, 2)]
    assert (moved["truncated"], moved["created"], moved["new"]["target"]["hash"]) == (
        True,
        False,
        bitbucket.host.repo(API).branches["main"],
    )
    assert "mainbranch" not in body["repository"]


def test_without_a_secret_nothing_is_signed(bitbucket: Bitbucket) -> None:
    bitbucket.hook(secret="")
    bitbucket.host.push(bitbucket.ann, API, "main", "Unsigned")
    [(headers, _)] = bitbucket.told()
    assert "X-Hub-Signature" not in headers


def test_pipelines_are_told_by_the_status_of_their_commit_and_deployments_not_at_all(bitbucket: Bitbucket) -> None:
    bitbucket.hook(events=["repo:commit_status_created", "repo:commit_status_updated"])
    host, ann = bitbucket.host, bitbucket.ann
    run = host.run(ann, API, "build")
    host.move_run(ann, API, run.id, "running")
    host.deploy(ann, API, "test")
    host.move_run(ann, API, run.id, "cancelled")
    told = [(headers["X-Event-Key"].rpartition("_")[2], body["commit_status"]) for headers, body in bitbucket.told()]
    assert [(event, status["state"]) for event, status in told] == [
        ("created", "INPROGRESS"),
        ("updated", "INPROGRESS"),
        ("updated", "STOPPED"),
    ]
    assert {status["url"].rpartition("/")[2] for _, status in told} == {"1"}


def test_a_renamed_repository_is_told_with_both_names(bitbucket: Bitbucket) -> None:
    bitbucket.hook(events=["repo:updated", "repo:deleted"])
    bitbucket.host.rename(bitbucket.ann, API, "payments")
    bitbucket.host.delete_repo(bitbucket.ann, "payments")
    (_, renamed), (headers, deleted) = bitbucket.told()
    assert renamed["changes"]["full_name"] == {"old": f"{WORKSPACE}/{API}", "new": f"{WORKSPACE}/payments"}
    assert (headers["X-Event-Key"], deleted["repository"]["uuid"]) == ("repo:deleted", renamed["repository"]["uuid"])
