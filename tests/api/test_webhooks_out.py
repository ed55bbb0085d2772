"""/v1/webhooks: endpoints, their secrets, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

import connectors.egress
from cli.worker import notify
from connectors.http import default_transport
from connectors.signing import standard_webhooks
from core.models import AuditRecord, Event, IdempotencyKey, WebhookEndpoint, WebhookMessage
from sync.runtime import NEWS, Lane, Runtime
from tests.api.conftest import Caller, Tenant, error_of, new_task, rows, second_workspace
from tests.connectors.server import LocalServer, raw_answer, serving
from tests.sync.conftest import ManualClock
from webhooks.outbound import endpoints

KEY = {"Idempotency-Key": "hook-1"}


@pytest.fixture
def rt(rt: Runtime) -> Iterator[Runtime]:
    """A runtime that may reach this machine."""
    transport = default_transport(["127.0.0.1"])
    settings = rt.settings.model_copy(update={"egress_allow": ["127.0.0.1"]})
    yield replace(rt, transport=transport, settings=settings)
    transport.close()


@pytest.fixture
def receiver() -> Iterator[LocalServer]:
    with serving(raw_answer(200)) as server:
        yield server


def create(api: TestClient, url: str, *events: str, **more: Any) -> dict[str, Any]:
    body = {"url": url, "events": list(events) or ["*"], **more}
    response = api.post("/v1/webhooks", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["data"]
    return made


def get(api: TestClient, path: str) -> Any:
    response = api.get(path)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def post(api: TestClient, path: str, body: Any = None, status: int = 200) -> Any:
    response = api.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()["data"]


# --- endpoints ------------------------------------------------------------------------------------------


def test_a_new_endpoint_shows_its_secret_once(
    api: TestClient, rt: Runtime, tenant: Tenant, receiver: LocalServer
) -> None:
    made = create(api, receiver.url, "task.*", "task.*", "alert.raised", description=" Portal ")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == get(api, f"/v1/webhooks/{made['id']}")
    assert (made["workspace_id"], made["enabled"], made["description"]) == (None, True, "Portal")
    assert made["events"] == ["task.*", "alert.raised"]
    assert get(api, "/v1/webhooks") == [made]
    [stored] = rows(rt, WebhookEndpoint)
    assert secret not in stored.sealed
    assert secret not in repr(rows(rt, AuditRecord)[-1].data)


def test_a_repetition_makes_one_endpoint_and_its_kept_answer_holds_no_secret(
    api: TestClient, rt: Runtime, receiver: LocalServer
) -> None:
    body = {"url": receiver.url, "events": ["*"]}
    first = api.post("/v1/webhooks", json=body, headers=KEY).json()["data"]
    again = api.post("/v1/webhooks", json=body, headers=KEY)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["data"] == first | {"secret": None}
    assert first["secret"] not in repr(rows(rt, IdempotencyKey)[0].body)
    assert len(rows(rt, WebhookEndpoint)) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/hook", "must be reached by https"),
        ("https://127.0.0.2/hook", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://[::1]/", "not a public address"),
        ("https://0x7f.1/", "plain host name"),
        ("https://user:pass@example.com/", "user name or password"),
        ("ftp://example.com/", "must begin with https"),
        ("https://example.com:22/", "port 443"),
        ("not a url", "begin with https"),
    ],
)
def test_an_address_nothing_may_be_sent_to_is_refused(
    url: str, words: str, api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    refused = error_of(api.post("/v1/webhooks", json={"url": url, "events": ["*"]}))
    assert (refused["status"], words in refused["message"]) == (422, True), refused
    assert rows(rt, WebhookEndpoint) == []


def test_a_name_that_leads_inside_is_refused_when_saved(
    api: TestClient, receiver: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(api, receiver.url)
    monkeypatch.setattr(connectors.egress, "_look_up", lambda _host: ["93.184.216.34", "10.0.0.5"])
    url = "https://inside.example/"
    for response in (
        api.post("/v1/webhooks", json={"url": url, "events": ["*"]}),
        api.patch(f"/v1/webhooks/{made['id']}", json={"url": url}),
    ):
        assert "not a public address" in error_of(response)["message"]
    assert get(api, f"/v1/webhooks/{made['id']}")["url"] == receiver.url


@pytest.mark.parametrize("events", [[], ["tasks.*"], ["task.created", "TASK"], "*", ["task.*"] * 51])
def test_a_filter_that_can_match_nothing_is_refused(events: Any, api: TestClient) -> None:
    refused = error_of(api.post("/v1/webhooks", json={"url": "https://example.com/", "events": events}))
    assert refused["code"] == "unprocessable"
    assert "events" in refused["message"]


def test_a_change_is_stored_and_recorded(api: TestClient, rt: Runtime, receiver: LocalServer) -> None:
    made = create(api, receiver.url)
    path = f"/v1/webhooks/{made['id']}"
    changed = api.patch(path, json={"events": ["alert.*"], "enabled": False}).json()["data"]
    assert (changed["events"], changed["enabled"]) == (["alert.*"], False)
    assert changed["disabled_reason"]["code"] == "by_hand"
    assert changed == get(api, path)
    assert api.patch(path, json={"enabled": False}).status_code == 200
    enabled = api.patch(path, json={"enabled": True}).json()["data"]
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["disabled_at"]) == (True, None, None)
    assert [(each.action, each.data.get("fields")) for each in rows(rt, AuditRecord)] == [
        ("webhook.created", None),
        ("webhook.updated", ["enabled", "events"]),
        ("webhook.updated", ["enabled"]),
    ]


def test_a_deleted_endpoint_takes_its_deliveries_along(api: TestClient, rt: Runtime, receiver: LocalServer) -> None:
    made = create(api, receiver.url)
    post(api, f"/v1/webhooks/{made['id']}/test")
    assert api.delete(f"/v1/webhooks/{made['id']}").json()["data"]["id"] == made["id"]
    assert error_of(api.get(f"/v1/webhooks/{made['id']}"))["code"] == "not_found"
    assert rows(rt, WebhookMessage) == []
    assert rows(rt, AuditRecord)[-1].action == "webhook.deleted"


def test_a_token_of_a_workspace_has_endpoints_of_that_workspace(
    api: TestClient, caller: Caller, rt: Runtime, tenant: Tenant, receiver: LocalServer
) -> None:
    whole = create(api, receiver.url)
    narrowed = caller(workspace_id=tenant.workspace.id)
    own = create(narrowed, receiver.url)
    assert own["workspace_id"] == tenant.workspace.id
    assert [each["id"] for each in get(narrowed, "/v1/webhooks")] == [own["id"]]
    assert error_of(narrowed.get(f"/v1/webhooks/{whole['id']}"))["code"] == "not_found"
    foreign = {"url": receiver.url, "events": ["*"], "workspace_id": second_workspace(rt, tenant)}
    assert error_of(narrowed.post("/v1/webhooks", json=foreign))["code"] == "not_found"


def test_endpoints_are_paged(api: TestClient, receiver: LocalServer) -> None:
    ids = [create(api, receiver.url)["id"] for _ in range(3)]
    first = api.get("/v1/webhooks?limit=2").json()
    second = api.get("/v1/webhooks", params={"limit": 2, "cursor": first["meta"]["cursor"]}).json()
    assert [each["id"] for each in first["data"] + second["data"]] == ids
    assert (first["meta"]["has_more"], second["meta"]["has_more"]) == (True, False)


def test_there_is_an_end_to_endpoints(api: TestClient, receiver: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.outbound.endpoints.MOST_ENDPOINTS", 1)
    create(api, receiver.url)
    refused = error_of(api.post("/v1/webhooks", json={"url": receiver.url, "events": ["*"]}))
    assert refused["code"] == "conflict"


# --- secrets --------------------------------------------------------------------------------------------


def test_a_rotation_happens_once_for_a_key_and_is_limited(
    api: TestClient, clock: ManualClock, receiver: LocalServer
) -> None:
    made = create(api, receiver.url)
    path = f"/v1/webhooks/{made['id']}/rotate-secret"
    first = api.post(path, headers=KEY).json()["data"]["secret"]
    assert first not in (None, made["secret"])
    assert api.post(path, headers=KEY).json()["data"]["secret"] is None
    assert len({post(api, path)["secret"] for _ in range(2)}) == 2
    assert error_of(api.post(path))["code"] == "conflict"
    clock.advance(hours=24)
    assert post(api, path)["secret"]


# --- deliveries -----------------------------------------------------------------------------------------


def test_a_test_answers_what_came_of_it(api: TestClient, receiver: LocalServer, clock: ManualClock) -> None:
    made = create(api, receiver.url)
    tested = post(api, f"/v1/webhooks/{made['id']}/test")
    assert (tested["state"], tested["type"], tested["status"]) == ("delivered", "webhook.test", 200)
    assert [(each["number"], each["outcome"]) for each in tested["attempt_log"]] == [(1, "delivered")]
    [seen] = receiver.seen
    headers = [seen.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
    standard_webhooks(*headers, seen.body, secrets=[made["secret"]], now=clock())
    assert headers[0] == tested["id"]


def test_a_task_change_arrives_and_is_listed(
    api: TestClient, rt: Runtime, tenant: Tenant, receiver: LocalServer
) -> None:
    made = create(api, receiver.url, "task.*")
    path = f"/v1/webhooks/{made['id']}/deliveries"
    task = new_task(api, tenant)
    notify(rt, NEWS)
    [owed] = get(api, path)
    assert (owed["state"], owed["attempts"], owed["type"]) == ("pending", 0, "task.created")
    notify(rt, made["id"])
    [delivered] = get(api, f"{path}?state=delivered")
    assert (delivered["id"], delivered["status"], delivered["next_attempt_at"]) == (owed["id"], 200, None)
    assert get(api, f"{path}?state=pending,failed") == []
    assert [each["id"] for each in get(api, f"{path}?event_id={owed['event_id']}")] == [owed["id"]]
    detail = get(api, f"{path}/{owed['id']}")
    assert [each["status"] for each in detail["attempt_log"]] == [200]
    assert task["id"].encode() in receiver.seen[0].body
    assert get(api, f"/v1/webhooks/{made['id']}")["last_delivered_at"] is not None


def test_redelivering_queues_and_rings(
    api: TestClient, rt: Runtime, tenant: Tenant, receiver: LocalServer, rings: list[tuple[Lane, str]]
) -> None:
    made = create(api, receiver.url)
    new_task(api, tenant)
    notify(rt, NEWS)
    notify(rt, made["id"])
    rings.clear()
    path = f"/v1/webhooks/{made['id']}"
    [delivery] = get(api, f"{path}/deliveries")
    again = post(api, f"{path}/deliveries/{delivery['id']}/redeliver", status=202)
    assert (again["id"], again["state"]) == (delivery["id"], "pending")
    assert rings == [(Lane.NOTIFY, made["id"])]
    notify(rt, made["id"])
    everything = {"from": "2026-04-15", "to": "2026-04-15", "only": "all"}
    assert post(api, f"{path}/redeliver", everything, status=202)["deliveries"] == 1
    assert post(api, f"{path}/redeliver", {}, status=202)["deliveries"] == 0
    notify(rt, made["id"])
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1
    assert len(receiver.seen) == 3
    assert [each.action for each in rows(rt, AuditRecord)].count("webhook.redelivered") == 3


def test_redelivering_everything_needs_a_beginning(api: TestClient, receiver: LocalServer) -> None:
    made = create(api, receiver.url)
    refused = error_of(api.post(f"/v1/webhooks/{made['id']}/redeliver", json={"only": "all"}))
    assert (refused["code"], "needs `from`" in refused["message"]) == ("unprocessable", True)


def test_a_disabled_endpoint_is_not_redelivered_to(api: TestClient, receiver: LocalServer) -> None:
    made = create(api, receiver.url, enabled=False)
    refused = error_of(api.post(f"/v1/webhooks/{made['id']}/redeliver", json={}))
    assert (refused["code"], "Enable it first" in refused["message"]) == ("conflict", True)


def test_an_unknown_delivery_is_not_found(api: TestClient, receiver: LocalServer) -> None:
    made = create(api, receiver.url)
    for method, path in (("GET", "EVT-26-000001-WHK-26-000009"), ("POST", "EVT-1/redeliver")):
        response = api.request(method, f"/v1/webhooks/{made['id']}/deliveries/{path}")
        assert error_of(response)["code"] == "not_found"


def test_the_backlog_of_webhooks_is_metered(
    api: TestClient, anyone: TestClient, rt: Runtime, tenant: Tenant, receiver: LocalServer, clock: ManualClock
) -> None:
    create(api, receiver.url)
    create(api, receiver.url, enabled=False)
    new_task(api, tenant)
    notify(rt, NEWS)
    clock.advance(seconds=40)
    lines = dict(line.rsplit(" ", 1) for line in anyone.get("/metrics").text.splitlines() if line[0] != "#")
    assert float(lines["turnbuckle_webhooks_pending"]) == 1
    assert float(lines["turnbuckle_webhooks_oldest_seconds"]) == 40
    assert float(lines["turnbuckle_webhooks_disabled"]) == 1


def test_no_event_of_an_endpoint_holds_its_address_or_secret(
    api: TestClient, rt: Runtime, receiver: LocalServer
) -> None:
    made = create(api, f"{receiver.url}/?token=hidden")
    with rt.db.write() as session:
        found = session.get_one(WebhookEndpoint, made["id"])
        endpoints.disable(session, found, "failing", "Nothing but failures for 5 days.", rt.clock())
    [told] = [each for each in rows(rt, Event) if each.type == "webhook.disabled"]
    assert "hidden" not in repr(told.data)
    assert made["secret"] not in repr(told.data)
    assert get(api, "/v1/events?type=webhook.*")[0]["workspace_id"] is None
