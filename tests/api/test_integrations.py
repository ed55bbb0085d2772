"""Integrations through the API: connecting, changing, syncing, disconnecting, and never showing a secret."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from core.models import AuditRecord, Credential, Integration, Subscription, SyncRun
from simulation.toy import BASIC, ToyVendor
from sync.pull import pull
from sync.runtime import Lane, Runtime
from tests.api.conftest import Tenant, error_of, rows, toy_config
from tests.sync.conftest import ManualClock

GITHUB = {
    "organization": "apex-digital",
    "repositories": ["payments-api"],
    "events": ["push"],
}


def body(tenant: Tenant, **changed: Any) -> dict[str, Any]:
    usual = {
        "workspace_id": tenant.workspace.id,
        "type": "toy",
        "name": "Toy",
        "config": toy_config(tenant),
        "credentials": BASIC,
    }
    return usual | changed


def create(api: TestClient, tenant: Tenant, **changed: Any) -> dict[str, Any]:
    response = api.post("/v1/integrations", json=body(tenant, **changed))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["data"]
    return made


def test_credentials_that_work_make_an_active_integration(
    api: TestClient, tenant: Tenant, rings: list[tuple[Lane, str]]
) -> None:
    made = create(api, tenant)
    assert (made["status"], made["sync_status"], made["last_synced_at"]) == ("active", "healthy", None)
    assert made["account"] == {"id": "acc-1", "name": "Toy account"}
    assert made["config"] == toy_config(tenant)
    assert (made["has_credentials"], made["authorize_url"], made["status_reason"]) == (True, None, None)
    assert rings == [(Lane.PULL, made["id"])]


def test_credentials_are_in_no_answer(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant)
    path = f"/v1/integrations/{made['id']}"
    answers = [
        api.get(path),
        api.patch(path, json={"credentials": BASIC}),
        api.get("/v1/integrations", params={"workspace_id": tenant.workspace.id}),
        api.get("/v1/audit-logs"),
        api.get("/v1/events"),
        api.delete(path),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert BASIC["password"] not in answer.text


def test_credentials_that_do_not_work_are_refused_and_not_repeated(
    api: TestClient, tenant: Tenant, vendor: ToyVendor, nothing_stored: None
) -> None:
    vendor.password = "another"
    refused = api.post("/v1/integrations", json=body(tenant))
    assert error_of(refused)["code"] == "unprocessable"
    assert BASIC["password"] not in refused.text


def test_a_vendor_that_is_down_is_a_conflict(
    api: TestClient, tenant: Tenant, vendor: ToyVendor, nothing_stored: None
) -> None:
    vendor.fail("check", 503)
    assert error_of(api.post("/v1/integrations", json=body(tenant)))["code"] == "conflict"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a type nobody knows": ({"type": "trello"}, "type: There is no connector 'trello'; there are: github, toy."),
    "a config without projects": ({"config": {}}, "config.projects"),
    "an unknown config key": ({"config": {"projects": [{"external": "TOY"}], "colour": "red"}}, "config.colour"),
    "a foreign service line": (
        {"config": {"projects": [{"external": "TOY", "service_line_id": "LIN-26-999999"}]}},
        "config.projects.0.service_line_id",
    ),
    "credentials of no known shape": ({"credentials": {"passwort": "hunter2-canary"}}, "credentials.passwort"),
    "credentials of a wrong type": ({"credentials": {"login": "a", "password": {"p": "hunter2-canary"}}}, "password"),
    "credentials that are no object": ({"credentials": "hunter2-canary"}, "credentials"),
    "an empty name": ({"name": "  "}, "name"),
    "a name that is too long": ({"name": "x" * 256}, "name"),
    "a null config": ({"config": None}, "config"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_naming_the_field_but_not_the_secret(
    name: str, api: TestClient, tenant: Tenant, nothing_stored: None
) -> None:
    changed, named = WRONG[name]
    refused = api.post("/v1/integrations", json=body(tenant, **changed))
    assert error_of(refused)["code"] == "unprocessable"
    assert named in error_of(refused)["message"]
    assert "hunter2-canary" not in refused.text


def test_consent_is_asked_for_when_there_are_no_credentials(api: TestClient, tenant: Tenant) -> None:
    made = create(api, tenant, credentials=None)
    assert made["status"] == "pending_auth"
    assert made["authorize_url"].startswith("https://auth.toy.test/authorize?")
    assert made["status_reason"]["code"] == "consent_needed"


def test_an_app_that_is_not_installed_yet_leaves_it_pending(api: TestClient, tenant: Tenant, vendor: ToyVendor) -> None:
    vendor.installed = False
    made = create(api, tenant)
    assert (made["status"], made["status_reason"]["code"]) == ("pending_auth", "consent_pending")


def test_an_installation_of_githubs_app_waits_for_consent(api: TestClient, tenant: Tenant) -> None:
    made = create(api, tenant, type="github", config=GITHUB, credentials={"installation_id": "12345678"})
    assert (made["status"], made["authorize_url"]) == ("pending_auth", None)


def test_the_same_project_twice_is_a_conflict(api: TestClient, tenant: Tenant) -> None:
    create(api, tenant)
    assert error_of(api.post("/v1/integrations", json=body(tenant)))["code"] == "conflict"


def test_what_may_be_wrong_with_the_config_is_in_the_answer(api: TestClient, tenant: Tenant) -> None:
    made = create(api, tenant, config=toy_config(tenant, status_map={"inqa": "in_review"}))
    [warning] = made["warnings"]
    assert warning["path"] == "config.status_map.inqa"
    assert "does nothing" in warning["text"]
    shown = api.get(f"/v1/integrations/{made['id']}").json()["data"]
    assert shown["warnings"] == [warning]
    mended = api.patch(f"/v1/integrations/{made['id']}", json={"config": {"status_map": {"qa": "in_review"}}})
    assert mended.json()["data"]["warnings"] == []


def test_lists_are_narrowed_by_type_and_status(api: TestClient, tenant: Tenant) -> None:
    toy = create(api, tenant)
    github = create(api, tenant, type="github", config=GITHUB, credentials={"installation_id": "1"})

    def listed(**filters: str) -> list[str]:
        response = api.get("/v1/integrations", params={"workspace_id": tenant.workspace.id} | filters)
        return [row["id"] for row in response.json()["data"]]

    assert listed() == [toy["id"], github["id"]]
    assert listed(type="toy") == [toy["id"]]
    assert listed(status="pending_auth") == [github["id"]]
    assert listed(status="active,pending_auth", type="github") == [github["id"]]
    refused = api.get("/v1/integrations", params={"workspace_id": tenant.workspace.id, "status": "broken"})
    assert "active, pending_auth, error, disconnected" in error_of(refused)["message"]
    assert error_of(api.get("/v1/integrations"))["message"] == "workspace_id is required."


def test_a_patch_merges_the_config_and_replaces_the_name(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant)
    path = f"/v1/integrations/{made['id']}"
    changed = api.patch(path, json={"name": "Renamed", "config": {"poll_seconds": 60}}).json()["data"]
    assert changed["name"] == "Renamed"
    assert changed["config"] == made["config"] | {"poll_seconds": 60}
    assert api.get(path).json()["data"]["config"] == changed["config"]
    assert [record.action for record in rows(rt, AuditRecord)] == ["integration.created", "integration.updated"]


def test_an_empty_patch_changes_nothing(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant)
    same = api.patch(f"/v1/integrations/{made['id']}", json={}).json()["data"]
    assert same == {name: value for name, value in made.items() if name != "authorize_url"}
    assert len(rows(rt, AuditRecord)) == 1


@pytest.mark.parametrize("wrong", [{"name": None}, {"config": None}, {"credentials": None}, {"status": "active"}])
def test_a_patch_takes_no_null_and_no_status(wrong: dict[str, Any], api: TestClient, tenant: Tenant) -> None:
    made = create(api, tenant)
    assert error_of(api.patch(f"/v1/integrations/{made['id']}", json=wrong))["code"] == "unprocessable"


def test_disconnecting_answers_the_record_and_forgets_the_credentials(
    api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    made = create(api, tenant)
    path = f"/v1/integrations/{made['id']}"
    gone = api.delete(path)
    assert (gone.status_code, gone.json()["data"]["status"]) == (200, "disconnected")
    assert gone.json()["data"]["has_credentials"] is False
    with rt.db.read() as session:
        assert session.get(Credential, made["id"]) is None
    assert api.delete(path).json() == gone.json()
    assert api.get(path).json()["data"]["status"] == "disconnected"
    assert error_of(api.patch(path, json={"name": "back"}))["code"] == "conflict"
    assert error_of(api.post(f"{path}/sync"))["code"] == "conflict"


def test_a_sync_is_started_joined_and_followed_to_its_end(
    api: TestClient, rt: Runtime, tenant: Tenant, vendor: ToyVendor, rings: list[tuple[Lane, str]], clock: ManualClock
) -> None:
    made = create(api, tenant)
    path = f"/v1/integrations/{made['id']}"
    vendor.add(title="One")
    rings.clear()
    started = api.post(f"{path}/sync")
    assert started.status_code == 202
    assert rings == [(Lane.PULL, made["id"])]
    sync = started.json()["data"]
    assert api.post(f"{path}/sync").json()["data"] == sync
    assert api.get(f"{path}/syncs/{sync['sync_id']}").json()["data"]["status"] == "running"
    clock.advance(seconds=4)
    pull(rt, made["id"])
    done = api.get(f"{path}/syncs/{sync['sync_id']}").json()["data"]
    assert (done["status"], done["records_synced"], done["trigger"]) == ("success", 1, "manual")
    assert (done["requested_by"], done["finished_at"]) == (tenant.ann_id, "2026-04-15T10:00:04Z")
    assert api.get(f"{path}/syncs").json()["data"] == [done]
    detail = api.get(path).json()["data"]
    assert detail["sync_history"] == [{"at": "2026-04-15T10:00:04Z", "status": "success", "records_synced": 1}]
    assert detail["last_synced_at"] == "2026-04-15T10:00:04Z"


def test_a_sync_of_another_integration_is_not_found(api: TestClient, tenant: Tenant) -> None:
    one = create(api, tenant)
    other = create(api, tenant, config=toy_config(tenant, "OTHER"))
    sync = api.post(f"/v1/integrations/{one['id']}/sync").json()["data"]
    assert error_of(api.get(f"/v1/integrations/{other['id']}/syncs/{sync['sync_id']}"))["code"] == "not_found"


def test_what_can_not_be_pulled_can_not_be_synced(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant, type="github", config=GITHUB, credentials={"installation_id": "1"})
    with rt.db.write() as session:
        session.get_one(Integration, made["id"]).status = "active"
        session.get_one(Integration, made["id"]).capabilities = []
    assert error_of(api.post(f"/v1/integrations/{made['id']}/sync"))["code"] == "conflict"


def test_the_history_holds_the_last_ten_finished_syncs(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant)
    with rt.db.write() as session:
        for number in range(12):
            session.add(finished(made["id"], number, rt))
    history = api.get(f"/v1/integrations/{made['id']}").json()["data"]["sync_history"]
    assert [entry["records_synced"] for entry in history] == list(range(11, 1, -1))


def finished(integration_id: str, number: int, rt: Runtime) -> SyncRun:
    return SyncRun(
        id=f"SYNC-26-{number:06d}",
        integration_id=integration_id,
        kind="pull",
        trigger="schedule",
        requested_by=integration_id,
        status="success",
        counts={"updated": number, "unchanged": 100},
        total=None,
        attempts=1,
        started_at=rt.clock(),
        finished_at=rt.clock(),
    )


def test_the_webhook_address_is_shown_where_it_must_be_registered_by_hand(
    api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    made = create(api, tenant)
    assert made["webhook_url"] is None
    with rt.db.write() as session:
        hook_id = session.get_one(Integration, made["id"]).hook_id
        session.add(
            Subscription(
                integration_id=made["id"],
                state="unavailable",
                external_ids=[],
                sealed="",
                code="forbidden",
                text="No right to register webhooks.",
                updated_at=rt.clock(),
            )
        )
    shown = api.get(f"/v1/integrations/{made['id']}").json()["data"]["webhook_url"]
    assert shown == f"https://turnbuckle.test/webhooks/toy/{hook_id}"


def test_what_is_wrong_is_told_with_what_to_do(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant)
    with rt.db.write() as session:
        row = session.get_one(Integration, made["id"])
        row.status, row.status_code, row.status_text = "error", "reauth_required", "Give consent again."
        row.sync_status, row.sync_code, row.sync_text = "failed", "reauth_required", "Give consent again."
    detail = api.get(f"/v1/integrations/{made['id']}").json()["data"]
    expected = {"code": "reauth_required", "text": "Give consent again."}
    assert (detail["status"], detail["status_reason"], detail["sync_reason"]) == ("error", expected, expected)
    assert detail["sync_status"] == "failed"


def test_a_webhook_secret_is_shown_once_and_in_no_other_place(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = create(api, tenant)
    answer = api.post(f"/v1/integrations/{made['id']}/webhook-secret")
    assert answer.status_code == 201
    told = answer.json()["data"]
    assert told["webhook_url"].startswith("https://turnbuckle.test/webhooks/toy/")
    for path in (f"/v1/integrations/{made['id']}", "/v1/audit-logs", "/v1/events"):
        assert told["secret"] not in api.get(path).text
    again = api.post(f"/v1/integrations/{made['id']}/webhook-secret").json()["data"]
    assert again["secret"] != told["secret"]
