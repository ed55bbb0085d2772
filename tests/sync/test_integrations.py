"""Connecting, changing and disconnecting integrations."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, field_validator
from sqlalchemy import func, select

from connectors.contract import Credentials, Manifest
from connectors.registry import Registry
from core import tasks, workspaces
from core.errors import Conflict, NotFound, PlatformError, Unprocessable
from core.models import (
    AuditRecord,
    Binding,
    Credential,
    Delivery,
    Event,
    Integration,
    OAuthAttempt,
    RateBudget,
    Subscription,
    SyncRun,
)
from core.tasks import NewTask
from simulation.toy import BASIC, ToyConnector, ToyVendor
from sync import farewell, integrations, oauth
from sync.credentials import load
from sync.failures import backoff
from sync.runtime import Lane, Runtime
from sync.sessions import open_session, with_refresh
from sync.subscriptions import subscribe
from tests.sync.conftest import START, ManualClock, Tenant, connect, make_tenant, toy_config


def row(rt: Runtime, integration: Integration) -> Integration:
    with rt.db.read() as session:
        return session.get_one(Integration, integration.id)


def count(rt: Runtime, model: Any) -> int:
    with rt.db.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def events(rt: Runtime) -> list[str]:
    with rt.db.read() as session:
        return list(session.scalars(select(Event.type).order_by(Event.id)))


def audits(rt: Runtime) -> list[AuditRecord]:
    with rt.db.read() as session:
        return list(session.scalars(select(AuditRecord).order_by(AuditRecord.id)))


def update(rt: Runtime, integration: Integration, **changes: Any) -> Integration:
    return integrations.update(rt, integration, actor="USR-26-000001", token_id="KEY-26-000001", **changes)


def disconnect(rt: Runtime, integration: Integration) -> Integration:
    return farewell.disconnect(rt, integration, actor="USR-26-000001", token_id="KEY-26-000001")


# --- connect ------------------------------------------------------------------------------------------


def test_a_proven_integration_is_active_and_due(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor, rings: list[tuple[Lane, str]]
) -> None:
    made = connect(runtime, tenant, token_id="KEY-26-000001", config=toy_config(tenant, "TOY", poll_seconds=60))
    assert vendor.calls == ["check", "vocabularies"]
    assert (made.id, made.status, made.sync_status) == ("INT-26-000001", "active", "healthy")
    assert (made.account_id, made.account_name) == ("acc-1", "Toy account")
    assert made.capabilities == ["task_source", "task_sink", "users", "vocabulary", "webhooks", "webhook_subscriptions"]
    assert made.routes == [
        {"external": "TOY", "service_line_id": tenant.line_id, "project_id": tenant.project_id, "create": True}
    ]
    assert (made.next_pull_at, made.next_subscription_at, made.poll_seconds) == (START, START, 60)
    assert len(made.hook_id) == 32
    assert rings == [(Lane.PULL, made.id)]
    assert events(runtime) == ["integration.created", "integration.connected"]
    [audit] = audits(runtime)
    assert (audit.action, audit.actor, audit.token_id) == ("integration.created", tenant.ann_id, "KEY-26-000001")


def test_the_config_is_kept_as_it_was_said(runtime: Runtime, tenant: Tenant) -> None:
    said = toy_config(tenant, status_map={"qa": "in_progress"})
    assert connect(runtime, tenant, config=said).config == said


def test_an_unknown_type_names_the_known_ones(runtime: Runtime, tenant: Tenant) -> None:
    with pytest.raises(Unprocessable, match=r"type: .*'trello'.* toy"):
        connect(runtime, tenant, type="trello")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, r"config\.projects: Field required"),
        ({"projects": [{}]}, r"config\.projects\.0\.external: Field required"),
        ({"projects": [{"external": "TOY"}], "poll_second": 5}, r"config\.poll_second: Extra"),
        ({"projects": [{"external": "TOY"}], "poll_seconds": 1}, r"config\.poll_seconds: .*greater"),
        ({"projects": [{"external": "TOY"}], "conflict": {"colour": "latest"}}, r"config\.conflict\.colour: .*shared"),
        (
            {"projects": [{"external": "TOY"}], "status_map": {"qa": "done"}, "status_out": {"in_review": "qa"}},
            r"config\.status_out\.in_review: 'qa' is sent for in_review, but config\.status_map reads it back as done",
        ),
    ],
)
def test_a_wrong_config_is_refused_with_the_path_of_what_is_wrong(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor, config: dict[str, Any], path: str
) -> None:
    with pytest.raises(Unprocessable, match=path):
        connect(runtime, tenant, config=config)
    assert count(runtime, Integration) == 0
    assert vendor.calls == []


@pytest.mark.parametrize("field", ["service_line_id", "project_id"])
def test_mappings_name_only_what_is_the_workspaces_own(runtime: Runtime, tenant: Tenant, field: str) -> None:
    with runtime.db.write() as session:
        organization = workspaces.create_organization(session, "Other", START)
        workspace = workspaces.create_workspace(session, organization.id, "Other", START)
        foreign = {
            "service_line_id": workspaces.create_service_line(session, workspace.id, "Other", START).id,
            "project_id": workspaces.create_project(session, organization.id, "Other", START).id,
        }
    for id_ in (foreign[field], "nonsense"):
        mapping = {"external": "TOY", "service_line_id": tenant.line_id, field: id_}
        with pytest.raises(Unprocessable, match=rf"config\.projects\.0\.{field}: {id_} is not a"):
            connect(runtime, tenant, config={"projects": [mapping]})


def test_a_mapping_needs_a_service_line_where_the_workspace_wants_one_for_every_task(
    runtime: Runtime, tenant: Tenant
) -> None:
    with pytest.raises(Unprocessable, match=r"config\.projects\.0\.service_line_id: required"):
        connect(runtime, tenant, config={"projects": [{"external": "TOY"}]})


def test_credentials_that_fit_no_way_are_refused_without_repeating_them(runtime: Runtime, tenant: Tenant) -> None:
    with pytest.raises(Unprocessable) as refused:
        connect(runtime, tenant, credentials={"login": "ann", "passwort": "hunter2-canary"})
    assert "oauth2: credentials.login: Extra" in refused.value.message
    assert "basic: credentials.password: Field required" in refused.value.message
    assert "canary" not in refused.value.message


def test_not_even_a_connectors_own_words_repeat_a_credential(runtime: Runtime, tenant: Tenant) -> None:
    class Key(Credentials):
        api_key: SecretStr

        @field_validator("api_key")
        @classmethod
        def _is_long(cls, value: SecretStr) -> SecretStr:
            raise ValueError(f"{value.get_secret_value()} is too short")

    class Careless(ToyConnector):
        manifest: ClassVar[Manifest] = replace(ToyConnector.manifest, type="careless", credentials={"key": Key})

    Careless.manifest = replace(Careless.manifest, oauth=None)
    registry = Registry()
    registry.register(Careless)
    with pytest.raises(Unprocessable, match=r"credentials\.api_key: \*\*\* is too short"):
        connect(replace(runtime, registry=registry), tenant, type="careless", credentials={"api_key": "my-canary"})


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, Unprocessable, "credentials do not work"),
        (403, Unprocessable, "credentials do not work"),
        (404, Unprocessable, "does not accept this configuration"),
        (422, Unprocessable, "does not accept this configuration"),
        (503, Conflict, "try again later"),
        (429, Conflict, "try again later"),
    ],
)
def test_what_the_vendor_refuses_is_not_stored(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor, status: int, error: type[PlatformError], words: str
) -> None:
    vendor.fail("check", status)
    with pytest.raises(error, match=words):
        connect(runtime, tenant)
    assert (count(runtime, Integration), count(runtime, Credential), count(runtime, Event)) == (0, 0, 0)


def test_what_the_vendor_has_not_confirmed_waits(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    vendor.installed = False
    made = connect(runtime, tenant)
    assert (made.status, made.status_code) == ("pending_auth", "consent_pending")
    assert made.status_text == "The app is not installed in Toy yet."
    assert made.next_pull_at == START + backoff(1)
    assert events(runtime) == ["integration.created"]


def test_tokens_brought_along_need_no_consent(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    issued = vendor.auth.issue()
    brought = {"access_token": issued["access_token"], "expires_at": "2026-04-15T11:00:00"}
    made = connect(runtime, tenant, credentials=brought)
    assert made.status == "active"
    with runtime.db.read() as session:
        opened = load(runtime, session, made)
    assert (opened.mode, opened.expires_at) == ("oauth2", START + timedelta(hours=1))
    assert opened.values["site"] == "toy-1"


def test_one_vendor_project_is_not_connected_twice_to_a_workspace(
    runtime: Runtime, tenant: Tenant, integration: Integration
) -> None:
    with pytest.raises(Conflict, match=rf"{integration.id} \(Toy\) already connects TOY"):
        connect(runtime, tenant, config=toy_config(tenant, "OTHER", "TOY"))
    assert connect(runtime, tenant, config=toy_config(tenant, "OTHER")).status == "active"
    assert count(runtime, Integration) == 2


def test_a_disconnected_integration_leaves_its_projects_free(
    runtime: Runtime, tenant: Tenant, integration: Integration
) -> None:
    disconnect(runtime, integration)
    assert connect(runtime, tenant).status == "active"


def test_consent_does_not_connect_a_project_twice_either(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    pending = connect(runtime, tenant, credentials=None)
    connect(runtime, tenant)
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, tenant.ann_id))
    with pytest.raises(Conflict, match="already connects"):
        oauth.complete(runtime, "toy", code, state)
    assert row(runtime, pending).status == "pending_auth"


def test_of_requests_at_the_same_moment_one_connects_the_project(
    any_runtime: Runtime, any_url: str, runtime_on: Callable[..., Runtime]
) -> None:
    workers = 4
    tenant = make_tenant(any_runtime)
    connector = any_runtime.registry.get("toy")
    check, proven = connector.check, Barrier(workers)

    def together(self: Any) -> Any:
        account = check(self)
        proven.wait()
        return account

    connector.check = together  # type: ignore[method-assign]

    def work(rt: Runtime) -> str:
        try:
            return connect(rt, tenant).status
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(work, [runtime_on(any_url) for _ in range(workers)])
        assert sorted(results) == ["active", *["conflict"] * (workers - 1)]
    assert count(any_runtime, Integration) == 1


# --- mappings against the vendor's words --------------------------------------------------------------


def test_a_status_the_vendor_does_not_have_is_refused_with_those_it_has(runtime: Runtime, tenant: Tenant) -> None:
    wrong = toy_config(tenant, status_out={"in_review": "in qa"})
    with pytest.raises(
        Unprocessable, match=r"config\.status_out\.in_review: .*'in qa'; there are: todo, doing, review"
    ):
        connect(runtime, tenant, config=wrong)
    assert count(runtime, Integration) == 0


def test_what_may_not_be_meant_is_kept_with_the_integration(runtime: Runtime, tenant: Tenant) -> None:
    made = connect(runtime, tenant, config=toy_config(tenant, status_map={"inqa": "in_review"}))
    [warning] = row(runtime, made).config_warnings
    assert warning["path"] == "config.status_map.inqa"
    assert row(runtime, update(runtime, made, name="Other")).config_warnings == [warning]
    assert row(runtime, update(runtime, made, config={"status_map": {}})).config_warnings == []


def test_a_change_is_compared_with_the_vendors_words_too(runtime: Runtime, integration: Integration) -> None:
    with pytest.raises(Unprocessable, match=r"config\.priority_out\.high: .*there are: p4, p3, p2, p1"):
        update(runtime, integration, name="Other", config={"priority_out": {"high": "urgent"}})
    assert (row(runtime, integration).name, row(runtime, integration).mapping_rev) == ("Toy", 1)


def test_a_vendor_that_is_down_does_not_stand_in_the_way_of_a_change(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("vocabularies", 503)
    changed = update(runtime, integration, config={"status_out": {"in_review": "qa"}})
    [warning] = row(runtime, changed).config_warnings
    assert warning["path"] == "config"
    assert "could not be compared with Toy's own words now" in warning["text"]


def test_a_new_pace_asks_the_vendor_nothing(runtime: Runtime, integration: Integration, vendor: ToyVendor) -> None:
    vendor.calls.clear()
    update(runtime, integration, config={"poll_seconds": 30})
    assert vendor.calls == []


def test_a_consent_is_not_lost_for_a_mapping_that_is_wrong(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    pending = connect(runtime, tenant, credentials=None, config=toy_config(tenant, status_out={"in_review": "in qa"}))
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, tenant.ann_id))
    oauth.complete(runtime, "toy", code, state)
    made = row(runtime, pending)
    assert made.status == "active"
    assert [warning["path"] for warning in made.config_warnings] == ["config.status_out.in_review"]


# --- change -------------------------------------------------------------------------------------------


def test_a_new_name_changes_nothing_else(
    runtime: Runtime, integration: Integration, rings: list[tuple[Lane, str]]
) -> None:
    rings.clear()
    changed = update(runtime, integration, name="Our toys")
    assert (changed.name, changed.mapping_rev, changed.config) == ("Our toys", 1, integration.config)
    assert rings == []
    assert events(runtime)[-1] == "integration.updated"
    assert audits(runtime)[-1].data == {"fields": ["name"]}


def test_config_is_merged_key_by_key_and_a_new_meaning_reads_everything_again(
    runtime: Runtime, integration: Integration, tenant: Tenant, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    with runtime.db.write() as session:
        found = session.get_one(Integration, integration.id)
        found.cursor, found.next_pull_at = {"version": 7}, START + timedelta(minutes=5)
    rings.clear()
    clock.advance(seconds=1)
    changed = update(runtime, integration, config={"status_map": {"qa": "in_progress"}})
    assert changed.config == {**toy_config(tenant), "status_map": {"qa": "in_progress"}}
    assert (changed.mapping_rev, changed.cursor, changed.next_pull_at) == (2, None, clock.now)
    assert rings == [(Lane.PULL, integration.id)]


def test_a_new_pace_reads_nothing_again(runtime: Runtime, integration: Integration) -> None:
    changed = update(runtime, integration, config={"poll_seconds": 30})
    assert (changed.poll_seconds, changed.mapping_rev) == (30, 1)


def test_new_projects_are_new_routes(runtime: Runtime, integration: Integration, tenant: Tenant) -> None:
    mapping = {"external": "NEW", "service_line_id": tenant.line_id, "create": False}
    changed = update(runtime, integration, config={"projects": [mapping]})
    assert changed.routes == [mapping | {"project_id": None}]


def test_the_same_again_is_no_change(runtime: Runtime, integration: Integration, tenant: Tenant) -> None:
    before = events(runtime)
    update(runtime, integration, name="Toy", config=toy_config(tenant))
    assert events(runtime) == before


def test_a_wrong_change_changes_nothing(runtime: Runtime, integration: Integration, vendor: ToyVendor) -> None:
    with pytest.raises(Unprocessable, match=r"config\.projects"):
        update(runtime, integration, name="New", config={"projects": []})
    vendor.fail("check", 401)
    with pytest.raises(Unprocessable, match="do not work"):
        update(runtime, integration, name="New", credentials=BASIC)
    assert row(runtime, integration).name == "Toy"
    with runtime.db.read() as session:
        assert load(runtime, session, integration).version == 1


def test_a_change_must_not_connect_a_project_twice(runtime: Runtime, tenant: Tenant, integration: Integration) -> None:
    other = connect(runtime, tenant, config=toy_config(tenant, "OTHER"))
    with pytest.raises(Conflict, match="already connects TOY"):
        update(runtime, other, config=toy_config(tenant, "OTHER", "TOY"))
    assert row(runtime, other).config == toy_config(tenant, "OTHER")


def test_of_two_changes_at_once_the_second_is_told(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    check = runtime.registry.get("toy").check

    def during(self: Any) -> Any:
        runtime.registry.get("toy").check = check  # type: ignore[method-assign]
        update(runtime, integration, config={"poll_seconds": 30})
        return check(self)

    runtime.registry.get("toy").check = during  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="meanwhile"):
        update(runtime, integration, config={"poll_seconds": 60}, credentials=BASIC)
    assert row(runtime, integration).poll_seconds == 30


def test_new_credentials_are_proven_and_bring_a_stopped_integration_back(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, rings: list[tuple[Lane, str]]
) -> None:
    vendor.password = "new at the vendor"
    with pytest.raises(Exception, match="401"):
        with_refresh(runtime, integration.id, Lane.PULL, lambda session: session.connector.all_ids().__next__())
    assert row(runtime, integration).status == "error"
    assert count(runtime, RateBudget) == 1
    rings.clear()
    back = update(runtime, integration, credentials={**BASIC, "password": "new at the vendor"})
    assert (back.status, back.status_code, back.sync_status) == ("active", None, "healthy")
    assert count(runtime, RateBudget) == 0  # what the vendor said of the old ones is forgotten
    assert rings == [(Lane.PULL, integration.id)]
    with open_session(runtime, integration.id, Lane.PULL) as session:
        assert session.credential_version == 2


def test_another_oauth_app_needs_a_new_consent(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    made = connect(runtime, tenant, credentials={"access_token": vendor.auth.issue()["access_token"]})
    waiting = update(runtime, made, credentials={"client_id": "own", "client_secret": "own-secret"})
    assert (waiting.status, waiting.next_pull_at) == ("pending_auth", None)


def test_a_disconnected_integration_can_not_be_changed(runtime: Runtime, integration: Integration) -> None:
    disconnect(runtime, integration)
    with pytest.raises(Conflict, match="disconnected"):
        update(runtime, integration, name="New")


# --- disconnect ---------------------------------------------------------------------------------------


def test_disconnecting_ends_everything_but_what_was_synced(
    runtime: Runtime, tenant: Tenant, integration: Integration, vendor: ToyVendor
) -> None:
    subscribe(runtime, integration.id)
    new = NewTask(tenant.workspace.id, "Owed", service_line_id=tenant.line_id, project_id=tenant.project_id)
    with runtime.db.write() as session:
        task = tasks.create(session, new, actor=tenant.ann_id, now=START).task
        session.add(waiting_delivery(integration))
    integrations.request_sync(runtime, integration.id, actor=tenant.ann_id)
    gone = disconnect(runtime, integration)
    assert (gone.status, gone.disconnected_at) == ("disconnected", START)
    dues = (gone.next_pull_at, gone.next_push_at, gone.next_inbox_at, gone.next_sweep_at, gone.next_subscription_at)
    assert set(dues) == {None}
    assert vendor.hooks == {}
    for model in (Credential, Subscription, OAuthAttempt, RateBudget):
        assert count(runtime, model) == 0
    with runtime.db.read() as session:
        binding = session.scalars(select(Binding)).one()
        delivery = session.scalars(select(Delivery)).one()
        run = session.scalars(select(SyncRun)).one()
    assert (binding.task_id, binding.owed, binding.reason_code) == (task.id, False, "disconnected")
    assert (delivery.state, delivery.error_code) == ("ignored", "disconnected")
    assert (run.status, run.error_code, run.finished_at) == ("failed", "disconnected", START)
    assert events(runtime)[-1] == "integration.disconnected"
    audit = audits(runtime)[-1]
    assert (audit.action, audit.token_id, audit.data) == ("integration.disconnected", "KEY-26-000001", {})


def waiting_delivery(integration: Integration) -> Delivery:
    return Delivery(
        integration_id=integration.id,
        dedupe_key=f"{integration.id}:1",
        event="item.changed",
        headers={},
        body=b"{}",
        received_at=START,
        state="pending",
        attempts=0,
        next_attempt_at=START,
    )


def test_disconnecting_gives_the_tokens_back(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> None:
    pending = connect(runtime, tenant, credentials=None)
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, tenant.ann_id))
    connected = oauth.complete(runtime, "toy", code, state)
    disconnect(runtime, connected)
    assert vendor.auth.families[0].revoked


def test_a_vendor_that_does_not_answer_does_not_stand_in_the_way(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor
) -> None:
    issued = vendor.auth.issue()
    made = connect(runtime, tenant, credentials={key: issued[key] for key in ("access_token", "refresh_token")})
    subscribe(runtime, made.id)
    vendor.fail("unsubscribe", 503)
    vendor.auth.failures = [(500, {"error_description": f"failed on {issued['refresh_token']}"})]
    assert disconnect(runtime, made).status == "disconnected"
    left = audits(runtime)[-1].data
    assert set(left) == {"webhook_left_at_vendor", "tokens_left_at_vendor"}
    assert "503" in left["webhook_left_at_vendor"]
    assert "canary" not in str(left)


def test_a_connector_or_key_that_is_gone_does_not_stand_in_the_way(runtime: Runtime, integration: Integration) -> None:
    subscribe(runtime, integration.id)
    assert disconnect(replace(runtime, registry=Registry()), integration).status == "disconnected"


def test_an_integration_that_does_not_exist_is_not_found(runtime: Runtime, integration: Integration) -> None:
    integration.id = "INT-26-000099"
    with pytest.raises(NotFound):
        update(runtime, integration, name="New")
    with pytest.raises(NotFound):
        disconnect(runtime, integration)
    with pytest.raises(NotFound):
        integrations.request_sync(runtime, integration.id, actor="USR-26-000001")


# --- sync ---------------------------------------------------------------------------------------------


def test_a_requested_sync_is_due_at_once(
    runtime: Runtime, integration: Integration, tenant: Tenant, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    rings.clear()
    clock.advance(minutes=1)
    run = integrations.request_sync(runtime, integration.id, actor=tenant.ann_id)
    assert (run.id, run.status, run.trigger) == ("SYNC-26-000001", "running", "manual")
    assert (run.requested_by, run.started_at) == (tenant.ann_id, clock.now)
    assert row(runtime, integration).next_pull_at == clock.now
    assert rings == [(Lane.PULL, integration.id)]
    assert audits(runtime)[-1].action == "integration.sync_requested"


def test_a_run_that_is_going_is_joined(any_runtime: Runtime, any_url: str, runtime_on: Callable[..., Runtime]) -> None:
    integration = connect(any_runtime, make_tenant(any_runtime))
    together = Barrier(3)

    def ask(rt: Runtime) -> str:
        together.wait()
        return integrations.request_sync(rt, integration.id, actor="USR-26-000001").id

    with ThreadPoolExecutor(3) as pool:
        ids = set(pool.map(ask, [runtime_on(any_url) for _ in range(3)]))
    assert len(ids) == 1
    assert count(any_runtime, SyncRun) == 1


def test_only_an_active_integration_syncs(runtime: Runtime, tenant: Tenant, integration: Integration) -> None:
    pending = connect(runtime, tenant, config=toy_config(tenant, "OTHER"), credentials=None)
    with pytest.raises(Conflict, match="pending_auth"):
        integrations.request_sync(runtime, pending.id, actor=tenant.ann_id)
    disconnect(runtime, integration)
    with pytest.raises(Conflict, match="disconnected"):
        integrations.request_sync(runtime, integration.id, actor=tenant.ann_id)


def test_a_connector_without_items_has_nothing_to_sync(runtime: Runtime, integration: Integration) -> None:
    with runtime.db.write() as session:
        session.get_one(Integration, integration.id).capabilities = ["webhooks"]
    with pytest.raises(Conflict, match="nothing to sync"):
        integrations.request_sync(runtime, integration.id, actor="USR-26-000001")
