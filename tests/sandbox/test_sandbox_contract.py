"""What the sandbox answers, against the vendor's own description of its API."""

import json
from typing import Any

from sandbox.clock import ManualClock
from sandbox.jira import CLIENT_ID, CLIENT_SECRET, JiraSandbox
from tests.sandbox.callers import SITE, Api, gateway


def doc(text: str) -> dict[str, Any]:
    content = [{"type": "paragraph", "content": [{"type": "text", "text": text}]}]
    return {"type": "doc", "version": 1, "content": content}


def drive(api: Api, oauth: Api) -> None:
    """Use every part of the API a connector might, the right way."""
    for path in (
        "/myself",
        "/serverInfo",
        "/user/search?query=ann",
        "/user/assignable/search?project=APEX",
        "/users/search",
        "/project/search",
        "/project/APEX",
        "/project/APEX/statuses",
        "/issue/createmeta/APEX/issuetypes",
        "/issue/createmeta/APEX/issuetypes/10002",
        "/priority/search",
        "/priority",
        "/status",
        "/issuetype",
        "/resolution/search",
        "/label",
        "/field",
        "/mypermissions?permissions=BROWSE_PROJECTS",
        "/search/jql?jql=project%20%3D%20APEX&fields=summary",
    ):
        assert api.get(path).status_code == 200, path
    account = api.get("/myself").json()["accountId"]
    api.get("/user", params={"accountId": account})
    api.get("/user/bulk", params={"accountId": account})
    parts(api, account)
    oauth.create()
    spec = {"events": ["jira:issue_updated"], "jqlFilter": "project = APEX"}
    made = oauth.post("/webhook", json={"url": "https://turnbuckle.example/hook", "webhooks": [spec]}).json()
    ids = {"webhookIds": [made["webhookRegistrationResult"][0]["createdWebhookId"]]}
    oauth.get("/webhook")
    oauth.put("/webhook/refresh", json=ids)
    oauth.request("DELETE", "/webhook", json=ids)


def parts(api: Api, account: str) -> None:
    """One issue's life."""
    fields = {
        "project": {"id": "10000"},
        "issuetype": {"id": "10002"},
        "summary": "Made",
        "description": doc("x"),
    }
    issue = api.post("/issue", json={"fields": fields, "properties": [{"key": "p", "value": 1}]}).json()
    url = f"/issue/{issue['key']}"
    api.post("/issue/bulk", json={"issueUpdates": [{"fields": fields}]})
    api.get(url, params={"expand": "changelog,transitions", "properties": "p"})
    api.put(url, json={"fields": {"summary": "New"}})
    api.put(url + "?returnIssue=true", json={"update": {"labels": [{"add": "x"}]}})
    api.put(url + "/assignee", json={"accountId": account})
    api.get(url + "/transitions?expand=transitions.fields")
    api.post(url + "/transitions", json={"transition": {"id": "31"}})
    comment = api.post(url + "/comment", json={"body": doc("Hi")}).json()["id"]
    api.get(url + "/comment?orderBy=created")
    api.get(f"{url}/comment/{comment}")
    api.put(f"{url}/comment/{comment}", json={"body": doc("Ho")})
    api.delete(f"{url}/comment/{comment}")
    for _ in range(2):
        api.put(url + "/properties/marker", json={"task": 1})
        api.post(url + "/remotelink", json={"globalId": "g", "object": {"url": "https://x.example", "title": "t"}})
    api.get(url + "/properties")
    api.get(url + "/properties/marker")
    api.delete(url + "/properties/marker")
    api.get(url + "/remotelink")
    api.get(url + "/remotelink?globalId=g")
    api.delete(url + "/remotelink?globalId=g")
    api.get(url + "/changelog")
    api.get(url + "/editmeta")
    api.post("/changelog/bulkfetch", json={"issueIdsOrKeys": [issue["id"]], "fieldIds": ["status"]})
    api.post("/issue/bulkfetch", json={"issueIdsOrKeys": [issue["id"]], "fields": ["*all"], "expand": ["names"]})
    jql = "project = APEX ORDER BY updated ASC, id ASC"
    page = api.search(jql, maxResults=1, expand="names,schema", properties=["p"]).json()
    api.search(jql, maxResults=1, nextPageToken=page["nextPageToken"])
    api.post("/search/approximate-count", json={"jql": "project = APEX"})
    api.delete(url)


def tokens(oauth: Api, refresh: str) -> None:
    """The OAuth side; the caller carries the access token."""
    body = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": refresh,
    }
    assert oauth.post(SITE + "/oauth/token", json=body).status_code == 200
    assert oauth.get(SITE + "/oauth/token/accessible-resources").status_code == 200


def test_requests_and_answers_keep_to_jiras_own_description(checker, tmp_path):
    record = tmp_path / "exchanges.jsonl"
    jira = JiraSandbox(clock=ManualClock(), seed_issues=3, record=record)
    granted = jira.grant()
    api, oauth = Api(jira, auth=jira.basic_auth), gateway(jira, granted["access_token"])
    drive(api, oauth)
    tokens(oauth, granted["refresh_token"])

    exchanges = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    findings = checker.check(exchanges)
    assert [f"{f.code} {f.operation}: {f.message}" for f in findings if f.level == "error"] == []
    assert len(exchanges) > 55


def test_a_recording_holds_no_secrets(tmp_path):
    record = tmp_path / "exchanges.jsonl"
    jira = JiraSandbox(clock=ManualClock(), record=record)
    granted = jira.grant()
    Api(jira, auth=jira.basic_auth).get("/myself")
    tokens(gateway(jira, granted["access_token"]), granted["refresh_token"])
    text = record.read_text(encoding="utf-8")
    assert "sandbox-access" not in text
    assert "sandbox-refresh" not in text
    assert CLIENT_SECRET not in text
    assert "authorization" not in text.lower()
