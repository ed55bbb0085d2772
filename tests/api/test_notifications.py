"""Notification routes and notifications over the API: what is taken and refused, tests, and saying it again."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.contract import NotFound
from core import events
from core.events import Fact
from core.models import AuditRecord, Integration, NotificationMessage, NotificationRoute
from sync import farewell
from sync.notifications.fanout import fan_out
from sync.notifications.routes import MOST_ROUTES
from sync.runtime import NEWS, Lane, Runtime
from sync.work import work
from tests.api.conftest import Caller, Tenant, error_of, owed_to_channel, rows, second_workspace, stored
from tests.sync.conftest import ManualClock
from tests.sync.notifications.conftest import connect
from tests.sync.notifications.megaphone import TOKEN, Megaphone


@pytest.fixture
def notifier(rt: Runtime, tenant: Tenant, megaphone: Megaphone) -> str:
    """An integration that says things."""
    return connect(rt, tenant)


def new_route(api: TestClient, notifier: str, **fields: Any) -> dict[str, Any]:
    body = {"integration_id": notifier, "channel": "ops", "events": ["incident.*"]} | fields
    response = api.post("/v1/notification-routes", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["data"]
    return made


def send(rt: Runtime, integration_id: str) -> None:
    work(rt, Lane.MESSAGES, NEWS)
    work(rt, Lane.MESSAGES, integration_id)


# --- routes -------------------------------------------------------------------------------------------


def test_a_route_is_made_shown_changed_and_deleted_and_each_is_recorded(
    api: TestClient, rt: Runtime, tenant: Tenant, notifier: str
) -> None:
    made = new_route(api, notifier, name="On call", digest_minutes=15, least_severity="high")
    path = f"/v1/notification-routes/{made['id']}"
    assert made["workspace_id"] == tenant.workspace.id
    assert api.get(path).json()["data"] == made
    assert api.get("/v1/notification-routes").json()["data"] == [made]
    changed = api.patch(path, json={"channel": "bosses", "enabled": False}).json()["data"]
    assert (changed["channel"], changed["enabled"], changed["name"]) == ("bosses", False, "On call")
    assert api.delete(path).json()["data"] == changed
    assert error_of(api.get(path))["code"] == "not_found"
    trail = [row for row in rows(rt, AuditRecord) if row.subject_id == made["id"]]
    assert [row.action.split(".")[1] for row in trail] == ["created", "updated", "deleted"]
    assert trail[1].data == {"fields": ["channel", "enabled"]}
    assert {row.actor for row in trail} == {tenant.ann_id}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("events", []),
        ("events", ["tsk.created"]),
        ("least_severity", "awful"),
        ("digest_minutes", -1),
        ("digest_minutes", 1441),
        ("channel", "x" * 256),
        ("colour", "red"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: Any, api: TestClient, rt: Runtime, notifier: str) -> None:
    before = stored(rt)
    body = {"integration_id": notifier, "events": ["*"]} | {field: value}
    refused = error_of(api.post("/v1/notification-routes", json=body))
    assert refused["status"] == 422
    assert field in refused["message"]
    assert stored(rt) == before


def test_only_what_can_say_something_is_routed_to(api: TestClient, integration: Integration, notifier: str) -> None:
    refused = error_of(api.post("/v1/notification-routes", json={"integration_id": integration.id, "events": ["*"]}))
    assert (refused["status"], "no notifier" in refused["message"]) == (422, True)
    made = new_route(api, notifier)
    refused = error_of(api.patch(f"/v1/notification-routes/{made['id']}", json={"integration_id": integration.id}))
    assert refused["status"] == 422


def test_an_integration_of_another_workspace_is_refused(
    api: TestClient, rt: Runtime, tenant: Tenant, notifier: str
) -> None:
    elsewhere = second_workspace(rt, tenant)
    body = {"integration_id": notifier, "workspace_id": elsewhere, "events": ["*"]}
    refused = error_of(api.post("/v1/notification-routes", json=body))
    assert (refused["status"], elsewhere in refused["message"]) == (422, True)
    made = new_route(api, notifier)
    with rt.db.write() as session:
        session.get_one(NotificationRoute, made["id"]).workspace_id = elsewhere
    refused = error_of(api.patch(f"/v1/notification-routes/{made['id']}", json={"integration_id": notifier}))
    assert refused["status"] == 422


def test_a_disconnected_integration_is_refused(api: TestClient, rt: Runtime, tenant: Tenant, notifier: str) -> None:
    with rt.db.read() as session:
        row = session.get_one(Integration, notifier)
    farewell.disconnect(rt, row, actor=tenant.ann_id, token_id=None)
    refused = error_of(api.post("/v1/notification-routes", json={"integration_id": notifier, "events": ["*"]}))
    assert "disconnected" in refused["message"]


def test_a_workspace_has_so_many_routes_and_no_more(api: TestClient, notifier: str) -> None:
    for _ in range(MOST_ROUTES):
        new_route(api, notifier)
    body = {"integration_id": notifier, "events": ["*"]}
    assert error_of(api.post("/v1/notification-routes", json=body))["code"] == "conflict"


def test_a_route_is_made_once_for_its_key(api: TestClient, rt: Runtime, notifier: str) -> None:
    body, key = {"integration_id": notifier, "events": ["*"]}, {"Idempotency-Key": "one"}
    first = api.post("/v1/notification-routes", json=body, headers=key).json()
    assert api.post("/v1/notification-routes", json=body, headers=key).json() == first
    assert len(rows(rt, NotificationRoute)) == 1


# --- tests --------------------------------------------------------------------------------------------


def test_a_test_is_said_at_once_also_by_a_disabled_route(api: TestClient, megaphone: Megaphone, notifier: str) -> None:
    made = new_route(api, notifier, enabled=False, name="On call")
    answer = api.post(f"/v1/notification-routes/{made['id']}/test").json()["data"]
    assert (answer["state"], answer["kind"], answer["event_type"]) == ("sent", "test", "test")
    assert answer["message"] == {"channel": "there:ops", "id": "m1"}
    assert megaphone.ids() == [answer["id"]]
    assert error_of(api.post(f"/v1/notifications/{answer['id']}/resend"))["code"] == "conflict"


def test_a_test_that_does_not_arrive_says_why_and_is_not_tried_again(
    api: TestClient, rt: Runtime, megaphone: Megaphone, notifier: str, clock: ManualClock
) -> None:
    made = new_route(api, notifier)
    megaphone.broken["ops"] = NotFound("channel_not_found")
    answer = api.post(f"/v1/notification-routes/{made['id']}/test").json()["data"]
    assert (answer["state"], answer["error"]) == ("failed", {"code": "not_found", "text": "channel_not_found"})
    clock.advance(hours=1)
    send(rt, notifier)
    assert len(megaphone.calls) == 1


def test_a_test_that_arrives_mends_the_channel(
    api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone
) -> None:
    route_id, notification_id = owed_to_channel(rt, tenant)
    integration_id = api.get(f"/v1/notifications/{notification_id}").json()["data"]["integration_id"]
    megaphone.broken["ops"] = NotFound("channel_not_found")
    send(rt, integration_id)
    assert api.get(f"/v1/integrations/{integration_id}").json()["data"]["sync_status"] == "degraded"
    megaphone.broken.clear()
    api.post(f"/v1/notification-routes/{route_id}/test")
    assert api.get(f"/v1/integrations/{integration_id}").json()["data"]["sync_status"] == "healthy"


# --- notifications ------------------------------------------------------------------------------------


def test_what_was_said_is_listed_and_can_be_narrowed(
    api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone
) -> None:
    route_id, notification_id = owed_to_channel(rt, tenant)
    [listed] = api.get("/v1/notifications").json()["data"]
    assert (listed["id"], listed["state"], listed["title"]) == (notification_id, "pending", "x")
    for query in (f"route_id={route_id}", "state=pending,failed", f"event_id={listed['event_id']}"):
        assert len(api.get(f"/v1/notifications?{query}").json()["data"]) == 1
    for query in ("state=sent", "route_id=NRT-26-000099", "digest_id=NTF-26-000099"):
        assert api.get(f"/v1/notifications?{query}").json()["data"] == []
    send(rt, listed["integration_id"])
    said = api.get(f"/v1/notifications/{notification_id}").json()["data"]
    assert (said["state"], said["message"], said["next_attempt_at"]) == (
        "sent",
        {"channel": "there:ops", "id": "m1"},
        None,
    )
    assert error_of(api.get("/v1/notifications?state=lost"))["status"] == 422


def test_lists_without_a_filter_hold_what_the_token_sees(
    api: TestClient, caller: Caller, rt: Runtime, tenant: Tenant, stranger: Tenant, megaphone: Megaphone
) -> None:
    ours = owed_to_channel(rt, tenant)
    theirs = owed_to_channel(rt, stranger)
    narrowed = caller(workspace_id=second_workspace(rt, tenant))
    for path, number in (("/v1/notification-routes", 0), ("/v1/notifications", 1)):
        assert [row["id"] for row in api.get(path).json()["data"]] == [ours[number]]
        assert narrowed.get(path).json()["data"] == []
    assert api.get(f"/v1/notifications?route_id={theirs[0]}").json()["data"] == []


def test_what_failed_is_said_again_where_its_route_leads_now(
    api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone, rings: list[tuple[Lane, str]]
) -> None:
    route_id, notification_id = owed_to_channel(rt, tenant)
    [message] = rows(rt, NotificationMessage)
    megaphone.broken["ops"] = NotFound("channel_not_found")
    send(rt, message.integration_id)
    api.patch(f"/v1/notification-routes/{route_id}", json={"channel": "new"})
    rings.clear()
    response = api.post(f"/v1/notifications/{notification_id}/resend")
    assert (response.status_code, response.json()["data"]["state"]) == (202, "pending")
    assert rings == [(Lane.MESSAGES, message.integration_id)]
    assert error_of(api.post(f"/v1/notifications/{notification_id}/resend"))["code"] == "conflict"
    send(rt, message.integration_id)
    assert megaphone.said("new") == ["x"]
    again = api.get(f"/v1/notifications/{notification_id}").json()["data"]
    assert (again["state"], again["attempts"], again["error"]) == ("sent", 2, None)


def test_an_old_message_said_again_does_not_make_the_root_say_what_was(
    api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone
) -> None:
    _, notification_id = owed_to_channel(rt, tenant)
    fact = Fact(tenant.organization_id, tenant.workspace.id, "incident.resolved", "INC-26-000009", "x", {"title": "x"})
    with rt.db.write() as session:
        events.append(session, [fact], rt.clock())
    fan_out(rt)
    integration_id = rows(rt, NotificationMessage)[0].integration_id
    send(rt, integration_id)
    assert api.post(f"/v1/notifications/{notification_id}/resend").status_code == 202
    send(rt, integration_id)
    assert megaphone.posts["m1"].says.title == "Resolved: x"
    assert [post.under for post in megaphone.posts.values()] == [None, "m1", "m1"]


def test_what_a_digest_said_is_said_again_by_the_digest(
    api: TestClient, rt: Runtime, tenant: Tenant, notifier: str, clock: ManualClock
) -> None:
    new_route(api, notifier, events=["task.*"], digest_minutes=5)
    task = ("task.created", "USR-26-000001", {})
    facts = [
        Fact(tenant.organization_id, tenant.workspace.id, task[0], f"TSK-26-00000{n}", task[1], task[2]) for n in (1, 2)
    ]
    with rt.db.write() as session:
        events.append(session, facts, rt.clock())
    send(rt, notifier)
    clock.advance(minutes=6)
    send(rt, notifier)
    [digest] = api.get("/v1/notifications?state=sent").json()["data"]
    members = api.get(f"/v1/notifications?digest_id={digest['id']}").json()["data"]
    assert [member["state"] for member in members] == ["gathered", "gathered"]
    refused = error_of(api.post(f"/v1/notifications/{members[0]['id']}/resend"))
    assert (refused["status"], digest["id"] in refused["message"]) == (409, True)


def test_the_meters_tell_what_waits(
    api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone, clock: ManualClock
) -> None:
    owed_to_channel(rt, tenant)
    clock.advance(seconds=40)
    lines = dict(line.rsplit(" ", 1) for line in api.get("/metrics").text.splitlines() if not line.startswith("#"))
    assert float(lines["turnbuckle_notifications_pending"]) == 1
    assert float(lines["turnbuckle_notifications_oldest_seconds"]) == 40


def test_nothing_is_said_again_by_a_disabled_route(
    api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone
) -> None:
    route_id, notification_id = owed_to_channel(rt, tenant)
    api.patch(f"/v1/notification-routes/{route_id}", json={"enabled": False})
    assert "disabled" in error_of(api.post(f"/v1/notifications/{notification_id}/resend"))["message"]


def test_no_credential_is_in_any_answer(api: TestClient, rt: Runtime, tenant: Tenant, megaphone: Megaphone) -> None:
    route_id, notification_id = owed_to_channel(rt, tenant)
    megaphone.dead_tokens.add(TOKEN["token"])
    test = api.post(f"/v1/notification-routes/{route_id}/test")
    assert test.json()["data"]["state"] == "failed"
    for path in (f"/v1/notification-routes/{route_id}", f"/v1/notifications/{notification_id}", "/v1/notifications"):
        assert TOKEN["token"] not in api.get(path).text + test.text
