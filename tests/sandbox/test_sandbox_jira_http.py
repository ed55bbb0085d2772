"""Over real HTTP: broken connections, the control endpoint, webhooks on the wire, the jira library."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jira import JIRA, JIRAError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.jira import JiraSandbox
from sandbox.server import ServerDidNotStart, ServerHandle, serve_in_thread
from sandbox.webhooks import HttpSender, SendFailed


class Receiver:
    """A webhook receiver with a socket."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.handle = serve_in_thread(Starlette(routes=[Route("/hook", self._take, methods=["POST"])]))

    async def _take(self, request: Request) -> Response:
        self.bodies.append(json.loads(await request.body()))
        return Response(status_code=self.answers.pop(0) if self.answers else 202)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[JiraSandbox, ServerHandle]]:
    sandbox = JiraSandbox(seed_issues=12, webhook_time_scale=0.0001)
    with sandbox.serve() as handle:
        yield sandbox, handle


@pytest.fixture
def sandbox(served: tuple[JiraSandbox, ServerHandle]) -> Iterator[JiraSandbox]:
    sandbox, _ = served
    sandbox.calls.reset()
    yield sandbox
    sandbox.faults.clear()
    sandbox.deliveries.clear_log()
    sandbox.hub.dynamic.clear()


@pytest.fixture
def url(served: tuple[JiraSandbox, ServerHandle]) -> str:
    return served[1].url


@pytest.fixture
def http(sandbox: JiraSandbox, url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, auth=sandbox.basic_auth, timeout=5) as client:
        yield client


def make(http: httpx.Client, summary: str) -> httpx.Response:
    fields = {"project": {"key": "APEX"}, "issuetype": {"id": "10002"}, "summary": summary}
    return http.post("/rest/api/3/issue", json={"fields": fields})


def titled(sandbox: JiraSandbox, summary: str) -> int:
    return sum(issue.summary == summary for issue in sandbox.site.issues.values())


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_connection_can_be_cut_before_or_after_the_write_took_effect(http, sandbox, when, made):
    sandbox.faults.add("cut", operation="createIssue", when=when)
    with pytest.raises(httpx.RemoteProtocolError):
        make(http, f"Cut {when}")
    assert titled(sandbox, f"Cut {when}") == made
    assert sandbox.calls.count("createIssue") == 1
    assert sandbox.calls.records("createIssue")[0].status is None
    assert make(http, "Fine again").status_code == 201


def test_a_5xx_can_come_after_the_write_took_effect(http, sandbox):
    sandbox.faults.add("error", operation="createIssue", when="after", status=502)
    assert make(http, "Ambiguous").status_code == 502
    assert titled(sandbox, "Ambiguous") == 1


def test_a_frozen_call_hangs_until_it_is_lifted(http, sandbox):
    sandbox.faults.add("freeze", operation="createIssue")
    threading.Timer(0.05, sandbox.faults.clear).start()
    began = time.monotonic()
    assert make(http, "Thawed").status_code == 201
    assert time.monotonic() - began >= 0.04


def test_a_freeze_outlasts_a_clients_patience(http, sandbox):
    sandbox.faults.add("freeze", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        http.get("/rest/api/3/myself", timeout=0.05)
    sandbox.faults.clear()


def test_latency_is_waited_for(http, sandbox):
    sandbox.faults.add("latency", seconds=0.03, path="*/myself")
    began = time.monotonic()
    assert http.get("/rest/api/3/myself").status_code == 200
    assert time.monotonic() - began >= 0.03


def test_unknown_paths_and_methods_have_jiras_error_shape(http):
    for answer in (http.get("/rest/api/3/nothing"), http.patch("/rest/api/3/issue/1")):
        assert answer.status_code in (404, 405)
        assert set(answer.json()) == {"errorMessages", "errors", "status"}


def test_a_taken_port_is_reported(url):
    with pytest.raises(ServerDidNotStart):
        serve_in_thread(Starlette(), port=int(url.rsplit(":", 1)[1]))


# Webhooks on the wire


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.handle.close()


@pytest.fixture
def receiver(listening: Receiver) -> Receiver:
    listening.bodies.clear()
    return listening


def subscribe(url: str, sandbox: JiraSandbox, hook: str) -> None:
    headers = {"Authorization": f"Bearer {sandbox.grant()['access_token']}"}
    spec = {"events": ["jira:issue_updated"], "jqlFilter": "project = APEX"}
    base = f"{url}/ex/jira/{sandbox.site.cloud_id}/rest/api/3"
    made = httpx.post(f"{base}/webhook", headers=headers, json={"url": hook, "webhooks": [spec]})
    assert "createdWebhookId" in made.json()["webhookRegistrationResult"][0]


def test_webhooks_arrive_in_the_background_and_are_retried(sandbox, url, receiver):
    receiver.answers = [503]
    subscribe(url, sandbox, receiver.handle.url + "/hook")
    sandbox.person("Ann Archer").edit("APEX-1001", summary="Over the wire")
    deadline = time.monotonic() + 5
    while sandbox.deliveries.pending() and time.monotonic() < deadline:
        time.sleep(0.005)
    (delivery,) = sandbox.deliveries.log()
    assert [attempt.status for attempt in delivery.attempts] == [503, 202]
    assert receiver.bodies[1]["issue"]["fields"]["summary"] == "Over the wire"


def test_a_receiver_that_is_not_there_never_delays_an_answer(http, sandbox, url):
    subscribe(url, sandbox, "http://127.0.0.1:9/hook")
    began = time.monotonic()
    http.put("/rest/api/3/issue/APEX-1001", json={"fields": {"summary": "Nobody listens"}})
    assert time.monotonic() - began < 1
    assert sandbox.deliveries.wait_idle()
    assert "ConnectError" in (sandbox.deliveries.log()[0].attempts[0].error or "")


def test_a_url_that_is_none_counts_as_a_failed_attempt():
    with pytest.raises(SendFailed):
        HttpSender().send("nonsense", {}, b"")


# The control endpoint


def test_the_control_endpoint_acts_as_people(http):
    act = {"as": "ann@example.com", "do": "create", "project": "APEX", "summary": "By hand"}
    key = http.post("/_control/act", json={**act, "fields": {"priority": "High"}}).json()["key"]
    for step in (
        {"do": "transition", "issue": key, "status": "In Review"},
        {"do": "assign", "issue": key, "who": "Bob Baker"},
        {"do": "comment", "issue": key, "text": "Hello"},
        {"do": "move", "issue": key, "project": "OPS"},
    ):
        answer = http.post("/_control/act", json={"as": "Ann Archer", **step})
        assert answer.status_code == 200, answer.text
    issue = next(i for i in http.get("/_control/state").json()["issues"] if i["summary"] == "By hand")
    assert issue["project"] == "OPS"
    assert issue["comments"] == ["Hello"]
    assert issue["priority"] == "High"
    assert http.post("/_control/act", json={"as": "Ann Archer", "do": "delete", "issue": key}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/_control/act", {"as": "Ann Archer", "do": "fly"}, "unknown action"),
        ("/_control/act", {"as": "Nobody", "do": "delete", "issue": "APEX-1001"}, "does not exist"),
        ("/_control/act", {"as": "Ann Archer", "do": "edit", "issue": "APEX-1"}, "does not exist"),
        ("/_control/act", {"as": "Ann Archer", "do": "move", "to": "OPS"}, "argument"),
        ("/_control/act", {"do": "edit"}, "missing"),
        ("/_control/faults", {"kind": "earthquake"}, "unknown fault kind"),
        ("/_control/faults", {"kind": "cut", "wher": "after"}, "unknown fault settings"),
        ("/_control/faults", {"kind": "cut", "when": "later"}, "before"),
        ("/_control/clock", {"seconds": 1}, "advance_seconds"),
    ],
)
def test_a_senseless_control_request_says_what_to_change(http, path, body, text):
    answer = http.post(path, json=body)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_the_control_endpoint_breaks_things_and_counts_calls(http):
    fault = http.post("/_control/faults", json={"kind": "error", "status": 500, "operation": "getCurrentUser"}).json()
    assert http.get("/rest/api/3/myself").status_code == 500
    assert http.get("/rest/api/3/myself").status_code == 200
    assert http.get("/_control/faults").json()["faults"][0]["hits"] == 1
    assert http.delete(f"/_control/faults/{fault['id']}").json() == {"removed": 1}
    calls = http.get("/_control/calls", params={"operation": "getCurrentUser"}).json()
    assert calls["counts"] == {"getCurrentUser": 2}
    assert [(c["status"], c["faults"]) for c in calls["calls"]] == [(500, ["error/before"]), (200, [])]
    http.delete("/_control/calls")
    assert http.get("/_control/calls").json()["counts"] == {}


def test_settings_are_read_and_changed_by_name(http):
    assert http.patch("/_control/settings", json={"search_lag_seconds": 1}).json()["search_lag_seconds"] == 1
    http.patch("/_control/settings", json={"search_lag_seconds": 0})
    assert http.patch("/_control/settings", json={"lag": 1}).status_code == 400
    assert http.patch("/_control/settings", json={"consent": 1}).status_code == 400


def test_the_clock_moves_and_webhooks_can_be_paused(http):
    before = http.get("/_control/clock").json()["now"]
    assert http.post("/_control/clock", json={"advance_seconds": 3600}).json()["now"] > before
    for step in ("pause", "resume", "flush"):
        assert http.post(f"/_control/webhooks/{step}").status_code == 200
    assert set(http.get("/_control/webhooks").json()) == {"pending", "deliveries"}
    assert http.delete("/_control/webhooks").status_code == 200


def test_a_link_to_an_issue_leads_somewhere(http):
    assert "APEX-1001" in http.get("/browse/APEX-1001").text
    assert http.get("/browse/APEX-1").status_code == 404


# The jira library


@pytest.fixture
def library(sandbox: JiraSandbox, url: str) -> Iterator[JIRA]:
    client = JIRA(
        options={"server": url, "rest_api_version": "3"},
        basic_auth=sandbox.basic_auth,
        max_retries=0,
        timeout=(5, 30),
        get_server_info=False,
    )
    client.deploymentType = "Cloud"
    client._fields_cache_value = {"summary": "summary"}
    yield client
    client.close()


def test_the_jira_library_creates_reads_edits_and_moves_an_issue(library, sandbox):
    fields = {"project": {"id": "10000"}, "issuetype": {"id": "10002"}, "summary": "By library"}
    key = library.create_issue(fields=fields, prefetch=False).key
    issue = library.issue(key)
    assert issue.fields.status.name == "To Do"
    issue.update(fields={"assignee": {"accountId": sandbox.site.user("Bob Baker").account_id}})
    assert issue.fields.assignee.displayName == "Bob Baker"
    ways = {t["to"]["name"]: t["id"] for t in library.transitions(key, expand="transitions.fields")}
    library.transition_issue(key, ways["In Review"])
    assert library.issue(key).fields.status.name == "In Review"


def test_the_jira_library_comments_links_and_sets_properties(library):
    body = {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Hi"}]}],
    }
    assert library.add_comment("APEX-1002", body).id
    assert len(library.comments("APEX-1002")) == 1
    library.add_simple_link("APEX-1002", {"url": "https://example.com", "title": "T"})
    assert library.remote_links("APEX-1002")[0].object.title == "T"
    library.add_issue_property("APEX-1002", "scrums.task", {"task_id": "TSK-26-018841"})
    assert library.issue_property("APEX-1002", "scrums.task").value.task_id == "TSK-26-018841"


def test_the_jira_library_searches_page_by_page_in_raw_json(library):
    jql, keys, token = "project = APEX AND issuekey in (APEX-1003, APEX-1004) ORDER BY id", [], None
    while True:
        page = library.enhanced_search_issues(
            jql, nextPageToken=token, maxResults=1, fields=["summary"], json_result=True, use_post=True
        )
        keys += [issue["key"] for issue in page["issues"]]
        token = page.get("nextPageToken")
        if not token:
            break
    assert keys == ["APEX-1003", "APEX-1004"]


def test_the_jira_library_sees_errors_as_jiras(library):
    with pytest.raises(JIRAError) as caught:
        library.issue("APEX-1")
    assert caught.value.status_code == 404
    assert "does not exist" in caught.value.text


def test_the_jira_library_with_retries_off_posts_once_when_cut(library, sandbox):
    sandbox.faults.add("cut", operation="createIssue", when="after")
    fields = {"project": {"id": "10000"}, "issuetype": {"id": "10002"}, "summary": "Once"}
    with pytest.raises(OSError):
        library.create_issue(fields=fields, prefetch=False)
    assert sandbox.calls.count("createIssue") == 1
    assert titled(sandbox, "Once") == 1


def test_the_jira_library_works_through_the_gateway_with_an_oauth_token(sandbox, url):
    client = JIRA(
        options={"server": f"{url}/ex/jira/{sandbox.site.cloud_id}", "rest_api_version": "3"},
        token_auth=sandbox.grant()["access_token"],
        max_retries=0,
        get_server_info=False,
    )
    client.deploymentType = "Cloud"
    try:
        issue = client.issue("APEX-1005", fields="summary")
        assert issue.self.startswith(f"{url}/ex/jira/{sandbox.site.cloud_id}/rest/api/3/issue/")
        assert client.myself()["displayName"] == "Sync Service"
    finally:
        client.close()
