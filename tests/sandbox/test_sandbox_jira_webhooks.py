"""Webhooks: registering, expiry, signatures, bodies, retries, faults."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from sandbox.jira import CLIENT_ID, CLIENT_SECRET, OAuthApp
from sandbox.jira.webhooks import _BodySigner

HOOK = "https://turnbuckle.example/hook"
ALL_EVENTS = [
    "jira:issue_created",
    "jira:issue_updated",
    "jira:issue_deleted",
    "comment_created",
    "issue_property_set",
]


def register(app: Any, **more: Any) -> Any:
    spec = {"events": ALL_EVENTS, "jqlFilter": "project IN (10000)", **more}
    answer = app.post("/webhook", json={"url": HOOK, "webhooks": [spec]})
    assert answer.status_code == 200
    return answer.json()["webhookRegistrationResult"][0]


def bodies(jira: Any, inbox: Any) -> list[dict[str, Any]]:
    jira.deliver()
    return [json.loads(body) for _, _, body in inbox.received]


def test_a_dynamic_webhook_carries_a_jwt_of_the_client_secret(app, jira, inbox, clock):
    hook_id = register(app)["createdWebhookId"]
    jira.person("Ann Archer").create("APEX", "New")
    (body,) = bodies(jira, inbox)
    url, headers, _ = inbox.received[0]
    assert url == HOOK
    assert body["matchedWebhookIds"] == [hook_id]
    token = headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, CLIENT_SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert claims["iss"] == CLIENT_ID
    assert claims["exp"] - claims["iat"] == 180
    assert claims["iat"] == int(clock.now().timestamp())
    assert headers["X-Atlassian-Webhook-Flow"] == "Primary"
    assert headers["X-Atlassian-Webhook-Identifier"]
    assert "X-Atlassian-Webhook-Retry" not in headers


def test_an_update_tells_the_change_in_v2_wiki_shape(app, jira, inbox):
    register(app)
    ann = jira.person("Ann Archer")
    key = ann.create("APEX", "New", description="Plain\nwords").key
    ann.transition(key, "In Review")
    created, updated = bodies(jira, inbox)
    assert created["webhookEvent"] == "jira:issue_created"
    assert updated["webhookEvent"] == "jira:issue_updated"
    assert updated["issue_event_type_name"] == "issue_generic"
    assert updated["issue"]["self"] == "http://jira.sandbox/rest/api/2/10001"
    assert updated["issue"]["fields"]["description"] == "Plain\n\nwords"
    assert "emailAddress" not in updated["user"]
    (item,) = updated["changelog"]["items"]
    assert item == {
        "field": "status",
        "fieldtype": "jira",
        "fieldId": "status",
        "from": "10000",
        "fromString": "To Do",
        "to": "10001",
        "toString": "In Review",
    }


def test_our_own_writes_echo(app, jira, inbox):
    register(app)
    key = app.create()["key"]
    app.put(f"/issue/{key}", json={"fields": {"summary": "Ours"}})
    assert [b["user"]["displayName"] for b in bodies(jira, inbox)] == ["Sync Service"] * 2


def test_a_comment_event_has_no_top_level_user_and_a_cut_down_issue(app, jira, inbox):
    register(app, events=["comment_created"])
    ann = jira.person("Ann Archer")
    ann.comment(ann.create("APEX", "New").key, "Hello")
    (body,) = bodies(jira, inbox)
    assert "user" not in body
    assert body["comment"]["author"]["displayName"] == "Ann Archer"
    assert body["comment"]["body"] == "Hello"
    assert set(body["issue"]["fields"]) == {"summary", "status", "issuetype"}


def test_a_delete_event_has_no_type_name(app, jira, inbox):
    register(app, events=["jira:issue_deleted"])
    ann = jira.person("Ann Archer")
    ann.delete(ann.create("APEX", "New").key)
    (body,) = bodies(jira, inbox)
    assert body["webhookEvent"] == "jira:issue_deleted"
    assert "issue_event_type_name" not in body


def test_the_filter_the_fields_and_the_properties_choose(app, jira, inbox):
    register(app, events=["jira:issue_updated"], fieldIdsFilter=["priority"])
    register(app, events=["issue_property_set"], issuePropertyKeysFilter=["scrums.task"])
    ann = jira.person("Ann Archer")
    key, other = ann.create("APEX", "New").key, ann.create("OPS", "Elsewhere").key
    ann.edit(key, summary="Not of interest")
    ann.edit(other, labels=["x"])
    ann.edit(key, priority="High")
    app.put(f"/issue/{key}/properties/other", json=1)
    app.put(f"/issue/{key}/properties/scrums.task", json=1)
    assert [b["webhookEvent"] for b in bodies(jira, inbox)] == ["jira:issue_updated", "issue_property_set"]


@pytest.mark.parametrize(
    "spec",
    [
        {"jqlFilter": "updated > -1d"},
        {"jqlFilter": "project >= APEX"},
        {"jqlFilter": ""},
        {"jqlFilter": "project = NOPE"},
        {"events": ["jira:nonsense"]},
        {"events": []},
    ],
)
def test_a_bad_webhook_is_refused_inside_a_200(app, spec):
    assert register(app, **spec)["errors"]


def test_an_app_has_one_url_and_five_webhooks_a_user(app):
    assert all("createdWebhookId" in register(app) for _ in range(5))
    assert register(app)["errors"]
    spec = {"events": ALL_EVENTS, "jqlFilter": "project = APEX"}
    answer = app.post("/webhook", json={"url": HOOK + "2", "webhooks": [spec]}).json()
    assert "single URL" in answer["webhookRegistrationResult"][0]["errors"][0]


def test_a_dynamic_webhook_expires_after_thirty_days_unless_refreshed(app, jira, inbox, clock):
    hook_id = register(app)["createdWebhookId"]
    clock.advance(timedelta(days=29).total_seconds())
    fresh = jira.grant()["access_token"]
    app.headers["Authorization"] = f"Bearer {fresh}"
    expires = app.put("/webhook/refresh", json={"webhookIds": [hook_id, 424242]}).json()["expirationDate"]
    assert expires == int((clock.now() + timedelta(days=30)).timestamp() * 1000)
    assert app.get("/webhook").json()["values"][0]["expirationDate"] == expires
    clock.advance(timedelta(days=30).total_seconds())
    app.headers["Authorization"] = f"Bearer {jira.grant()['access_token']}"
    assert app.get("/webhook").json()["values"] == []
    jira.person("Ann Archer").create("APEX", "Unheard")
    assert bodies(jira, inbox) == []


def test_webhooks_are_deleted_with_202(app):
    hook_id = register(app)["createdWebhookId"]
    answer = app.request("DELETE", "/webhook", json={"webhookIds": [hook_id]})
    assert answer.status_code == 202
    assert app.get("/webhook").json()["total"] == 0


def test_another_app_sees_none_of_our_webhooks(app, jira):
    register(app)
    other = OAuthApp("other", "another-client-secret-0123456789abcdef")
    assert jira.hub.owned(other, jira.site.user("sync@example.com").account_id) == []


def test_api_tokens_cannot_register_webhooks(api):
    spec = {"events": ALL_EVENTS, "jqlFilter": "project = APEX"}
    assert api.post("/webhook", json={"url": HOOK, "webhooks": [spec]}).status_code == 403


def test_the_list_of_failed_webhooks_is_not_for_oauth_apps(app):
    assert app.get("/webhook/failed").status_code == 403


def test_the_published_signature_vector_holds():
    signed = _BodySigner("It's a Secret to Everybody").headers(b"Hello World!", None)  # type: ignore[arg-type]
    assert signed == {"X-Hub-Signature": "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"}


def test_an_admin_webhook_signs_its_body(api, jira, inbox):
    url = "http://jira.sandbox/rest/webhooks/1.0/webhook"
    body = {
        "name": "Turnbuckle",
        "url": HOOK,
        "events": ["jira:issue_created"],
        "filters": {"issue-related-events-section": "project = APEX"},
        "secret": "hush",
    }
    assert api.post(url, json=body).status_code == 403
    jira.hub.add_admin(
        jira.site.user("ann@example.com").account_id,
        name="T",
        url=HOOK,
        events=body["events"],
        jql="project = APEX",
        secret="hush",
    )
    ann = jira.person("Ann Archer")
    ann.create("OPS", "Filtered out")
    ann.create("APEX", "New")
    jira.deliver()
    ((_, headers, raw),) = inbox.received
    expected = hmac.new(b"hush", raw, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature"] == f"sha256={expected}"
    assert "matchedWebhookIds" not in json.loads(raw)


# Retries and faults


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_a_failed_delivery_is_retried_with_the_same_identifier(app, jira, inbox, clock, status):
    register(app)
    inbox.answers = [status, status]
    jira.person("Ann Archer").create("APEX", "New")
    for _ in range(3):
        jira.deliver()
        clock.advance(900)
    identifiers = {headers["X-Atlassian-Webhook-Identifier"] for _, headers, _ in inbox.received}
    retries = [headers.get("X-Atlassian-Webhook-Retry") for _, headers, _ in inbox.received]
    assert len(identifiers) == 1
    assert retries == [None, "1", "2"]
    assert jira.deliveries.log()[0].state == "delivered"


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_other_refusals_are_never_retried(app, jira, inbox, clock, status):
    register(app)
    inbox.answers = [status]
    jira.person("Ann Archer").create("APEX", "New")
    jira.deliver()
    clock.advance(3600)
    assert jira.deliver() == 0
    assert jira.deliveries.log()[0].state == "failed"


def test_after_half_an_hour_of_failures_deliveries_get_one_attempt_until_one_succeeds(app, jira, inbox, clock):
    register(app)
    ann = jira.person("Ann Archer")
    inbox.answers = [500] * 8
    ann.create("APEX", "First")
    for _ in range(8):
        jira.deliver()
        clock.advance(900)
    first = len(inbox.received)
    assert 3 <= first <= 6
    inbox.answers = [500]
    ann.create("APEX", "Second")
    jira.deliver()
    clock.advance(900)
    assert jira.deliver() == 0
    ann.create("APEX", "Third")
    assert jira.deliver() == 1
    assert [d.state for d in jira.deliveries.log()] == ["failed", "failed", "delivered"]


def summaries(jira: Any, inbox: Any) -> list[str]:
    return [body["issue"]["fields"]["summary"] for body in bodies(jira, inbox)]


def test_a_delivery_can_be_dropped_doubled_delayed_and_reordered(app, jira, inbox, clock):
    register(app)
    ann = jira.person("Ann Archer")
    for kind in ("webhook_drop", "webhook_double", "webhook_delay", "webhook_reorder"):
        jira.faults.add(kind, seconds=60)
        ann.create("APEX", kind)
        if kind == "webhook_double":
            assert summaries(jira, inbox) == ["webhook_double"] * 2
            twins = {headers["X-Atlassian-Webhook-Identifier"] for _, headers, _ in inbox.received}
            assert len(twins) == 1
            inbox.received.clear()
    ann.create("APEX", "overtaking")
    assert summaries(jira, inbox) == ["overtaking", "webhook_reorder"]
    clock.advance(60)
    assert summaries(jira, inbox)[-1] == "webhook_delay"
    assert jira.deliveries.log()[0].state == "dropped"


def test_paused_webhooks_wait_and_flush_sends_them_all(app, jira, inbox):
    register(app)
    jira.deliveries.pause()
    jira.person("Ann Archer").create("APEX", "Held")
    assert jira.deliver() == 0
    assert jira.deliveries.pending() == 1
    assert jira.deliveries.flush() == 1
    jira.deliveries.resume()
    assert len(inbox.received) == 1
