"""A connector with its credentials, and what happens when the vendor does not accept them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import inspect, select, text
from structlog.testing import capture_logs

from connectors.contract import AuthFailed, Context, RateLimited, Transient
from core.errors import Conflict, NotFound, Unprocessable
from core.models import Event, Integration, RateBudget
from core.settings import OAuthApp
from simulation.toy import BASIC, ToyVendor
from simulation.toy.auth import CLIENT_SECRET
from sync import farewell, integrations, oauth
from sync.credentials import load
from sync.oauth import PAUSE
from sync.runtime import Lane, Runtime
from sync.sessions import Session, open_session, with_refresh
from tests.sync.conftest import START, ManualClock, Tenant, connect, toy_config

CANARY = "canary"
"""In every secret of the toy vendor."""


@pytest.fixture
def connected(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> Integration:
    """An integration connected by OAuth."""
    pending = connect(runtime, tenant, credentials=None)
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, tenant.ann_id))
    return oauth.complete(runtime, "toy", code, state)


def row(rt: Runtime, integration: Integration) -> Integration:
    with rt.db.read() as session:
        return session.get_one(Integration, integration.id)


def events(rt: Runtime) -> list[str]:
    with rt.db.read() as session:
        return list(session.scalars(select(Event.type).order_by(Event.id)))


def read_items(session: Session) -> int:
    return sum(len(page.tasks) for page in session.connector.changed_tasks(None))


def known_app(rt: Runtime, monkeypatch: pytest.MonkeyPatch, *asked: str, **fields: str) -> Runtime:
    """An engine whose operator set these fields of an app of which the connector asks those."""
    toy = rt.registry.get("toy")
    monkeypatch.setattr(toy, "manifest", replace(toy.manifest, app=asked))
    app = OAuthApp(client_id="c", fields={name: SecretStr(value) for name, value in fields.items()})
    return replace(rt, settings=rt.settings.model_copy(update={"oauth_apps": {"toy": app}}))


def test_a_connector_gets_what_it_asks_of_the_operators_app_and_no_more(
    runtime: Runtime, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Context] = []
    toy = runtime.registry.get("toy")
    init = toy.__init__
    monkeypatch.setattr(toy, "__init__", lambda self, context: (given.append(context), init(self, context))[1])
    rt = known_app(runtime, monkeypatch, "number", "key", number="42", key=CANARY * 4, other="x")
    with open_session(rt, integration.id, Lane.PULL) as session:
        assert session.http.redact(f"42 {CANARY * 4}") == "42 ***"
    assert {name: value.get_secret_value() for name, value in given[-1].app.items()} == {
        "number": "42",
        "key": CANARY * 4,
    }
    with open_session(runtime, integration.id, Lane.PULL):
        assert given[-1].app == {}


def test_an_app_that_is_set_up_in_part_is_not_used(
    runtime: Runtime, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    rt = known_app(runtime, monkeypatch, "number", "key", number="42")
    with pytest.raises(Conflict, match="set TURNBUCKLE_OAUTH_APPS__TOY__FIELDS__KEY, too"):
        with open_session(rt, integration.id, Lane.PULL):
            pass


def test_a_session_has_all_that_work_at_the_vendor_needs(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.add(title="One")
    with open_session(runtime, integration.id, Lane.PULL) as session:
        assert read_items(session) == 1
    assert session.integration.name == "Toy"
    assert session.config.poll_seconds == 300
    assert session.credential_version == 1


def test_no_transaction_is_open_while_the_vendor_is_called(runtime: Runtime, integration: Integration) -> None:
    with open_session(runtime, integration.id, Lane.PULL), runtime.db.write() as session:
        session.get_one(Integration, integration.id).name = "SQLite has one writer: this would wait for any other"


def test_the_calls_of_a_session_come_out_of_the_integrations_budget(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("changed_tasks", 429, headers={"Retry-After": "600"})
    with pytest.raises(RateLimited):
        with_refresh(runtime, integration.id, Lane.PULL, read_items)
    with runtime.db.read() as session:
        budget = session.get_one(RateBudget, integration.id)
    assert budget.parked_until == START + timedelta(minutes=10)
    with pytest.raises(RateLimited):
        with_refresh(runtime, integration.id, Lane.PUSH, read_items)
    assert vendor.calls.count("changed_tasks") == 1


def test_an_operator_can_point_a_vendor_elsewhere(runtime: Runtime, integration: Integration) -> None:
    elsewhere = {"toy": {"api": "https://proxy.test/toy"}}
    rt = replace(runtime, settings=runtime.settings.model_copy(update={"vendor_endpoints": elsewhere}))
    with open_session(rt, integration.id, Lane.PULL) as session:
        endpoints = session.connector.context.endpoints
    assert endpoints == {"api": "https://proxy.test/toy", "auth": "https://auth.toy.test"}


def test_the_operators_app_fills_in_for_a_missing_one(runtime: Runtime, connected: Integration) -> None:
    with open_session(runtime, connected.id, Lane.PULL) as session:
        assert session.connector.context.credentials.client_secret.get_secret_value() == CLIENT_SECRET
    with runtime.db.read() as db:
        assert "client_secret" not in load(runtime, db, connected).values


def test_the_vendors_clock_is_remembered(runtime: Runtime, integration: Integration, vendor: ToyVendor) -> None:
    vendor.skew = timedelta(minutes=7)
    with open_session(runtime, integration.id, Lane.PULL) as session:
        assert session.clock_offset() == timedelta(0)
        read_items(session)
        assert session.clock_offset() == timedelta(minutes=7)
    assert row(runtime, integration).clock_offset == 7 * 60 * 1000
    with open_session(runtime, integration.id, Lane.PUSH) as session:
        assert session.clock_offset() == timedelta(minutes=7)


# --- what can't be used -------------------------------------------------------------------------------


def test_an_integration_that_does_not_exist_is_not_found(runtime: Runtime) -> None:
    with pytest.raises(NotFound, match="INT-26-000099"), open_session(runtime, "INT-26-000099", Lane.PULL):
        pass


def test_one_that_waits_for_consent_says_so(runtime: Runtime, tenant: Tenant) -> None:
    pending = connect(runtime, tenant, credentials=None)
    with pytest.raises(Conflict, match="consent"), open_session(runtime, pending.id, Lane.PULL):
        pass


def test_a_disconnected_one_says_so(runtime: Runtime, integration: Integration, tenant: Tenant) -> None:
    farewell.disconnect(runtime, integration, actor=tenant.ann_id, token_id=None)
    with pytest.raises(Conflict, match="disconnected"), open_session(runtime, integration.id, Lane.PULL):
        pass


def test_a_connector_that_is_gone_is_named(runtime: Runtime, integration: Integration) -> None:
    from connectors.registry import Registry

    rt = replace(runtime, registry=Registry())
    with pytest.raises(Unprocessable, match="toy"), open_session(rt, integration.id, Lane.PULL):
        pass


def test_a_key_that_is_gone_is_the_operators_matter(runtime: Runtime, integration: Integration) -> None:
    from core.vault import Vault, new_key

    rt = replace(runtime, vault=Vault.parse(new_key("other")))
    with pytest.raises(Conflict, match="TURNBUCKLE_SECRETS_KEYS"), open_session(rt, integration.id, Lane.PULL):
        pass


# --- tokens that end ----------------------------------------------------------------------------------


def test_a_token_about_to_end_is_renewed_before_the_vendor_is_called(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    clock.advance(minutes=53)
    with_refresh(runtime, connected.id, Lane.PULL, read_items)
    assert vendor.auth.answers.count("refresh_token") == 0
    clock.advance(minutes=2)  # less than a tenth of the hour is left
    with_refresh(runtime, connected.id, Lane.PULL, read_items)
    assert vendor.auth.answers.count("refresh_token") == 1


def test_a_token_of_a_short_life_is_renewed_a_minute_before_its_end(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.auth.lifetime = timedelta(minutes=5)
    oauth.refresh(runtime, connected.id, 2)
    clock.advance(minutes=4)
    with_refresh(runtime, connected.id, Lane.PULL, read_items)
    assert vendor.auth.answers.count("refresh_token") == 1
    clock.advance(seconds=1)
    with_refresh(runtime, connected.id, Lane.PULL, read_items)
    assert vendor.auth.answers.count("refresh_token") == 2


def test_while_a_token_is_good_an_outage_of_its_server_stops_nothing(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.add(title="One")
    vendor.auth.failures = [(503, {})] * 9
    clock.advance(minutes=55)
    for _ in range(3):
        assert with_refresh(runtime, connected.id, Lane.PULL, read_items) == 1
    assert vendor.auth.answers.count("refresh_token") == 1  # and it is not asked at every call
    clock.advance(seconds=PAUSE.total_seconds())
    assert with_refresh(runtime, connected.id, Lane.PULL, read_items) == 1
    assert vendor.auth.answers.count("refresh_token") == 2
    clock.advance(minutes=5)
    with pytest.raises(Transient):
        with_refresh(runtime, connected.id, Lane.PULL, read_items)
    vendor.auth.failures = []
    assert with_refresh(runtime, connected.id, Lane.PULL, read_items) == 1


# --- credentials the vendor refuses -------------------------------------------------------------------


def test_a_refused_token_is_renewed_once_and_the_work_runs_again(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    vendor.add(title="One")
    vendor.auth.kill_access()
    assert with_refresh(runtime, connected.id, Lane.PULL, read_items) == 1
    assert vendor.calls == ["check", "vocabularies", "changed_tasks", "changed_tasks"]
    assert row(runtime, connected).status == "active"


def test_a_second_refusal_stops_the_integration_and_says_what_to_do(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("changed_tasks", 401, times=2)
    with pytest.raises(AuthFailed):
        with_refresh(runtime, connected.id, Lane.PULL, read_items)
    stopped = row(runtime, connected)
    assert (stopped.status, stopped.status_code) == ("error", "reauth_required")
    assert (stopped.sync_status, stopped.sync_code) == ("failed", "reauth_required")
    assert stopped.status_text is not None
    assert f"GET /v1/integrations/{connected.id}/oauth/start" in stopped.status_text
    assert events(runtime)[-2:] == ["integration.sync_status_changed", "integration.auth_failed"]


def test_direct_credentials_get_a_second_chance_and_then_are_to_be_set_anew(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("changed_tasks", 401)
    assert with_refresh(runtime, integration.id, Lane.PULL, read_items) == 0
    vendor.password = "changed at the vendor"
    with pytest.raises(AuthFailed):
        with_refresh(runtime, integration.id, Lane.PULL, read_items)
    stopped = row(runtime, integration)
    assert stopped.status_code == "reauth_required"
    assert f"PATCH /v1/integrations/{integration.id}" in (stopped.status_text or "")


def test_in_error_only_a_pull_asks_the_vendor_again(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.password = "changed at the vendor"
    with pytest.raises(AuthFailed):
        with_refresh(runtime, integration.id, Lane.PULL, read_items)
    asked = len(vendor.calls)
    for lane in (Lane.PUSH, Lane.INBOX):
        with pytest.raises(AuthFailed, match="PATCH"):
            with_refresh(runtime, integration.id, lane, read_items)
    assert len(vendor.calls) == asked
    with pytest.raises(AuthFailed):
        with_refresh(runtime, integration.id, Lane.PULL, read_items)
    assert len(vendor.calls) == asked + 2
    assert events(runtime).count("integration.auth_failed") == 1


def test_an_integration_recovers_when_the_vendor_accepts_its_credentials_again(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("changed_tasks", 401, times=2)
    with pytest.raises(AuthFailed):
        with_refresh(runtime, integration.id, Lane.PULL, read_items)
    with_refresh(runtime, integration.id, Lane.PULL, read_items)
    well = row(runtime, integration)
    assert (well.status, well.status_code, well.status_text) == ("active", None, None)
    assert events(runtime)[-1] == "integration.recovered"


def test_a_refusal_of_credentials_replaced_meanwhile_does_not_stop_the_new_ones(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, tenant: Tenant
) -> None:
    def replaced_meanwhile(_session: Session) -> None:
        integrations.update(runtime, integration, actor=tenant.ann_id, token_id=None, credentials=BASIC)
        raise AuthFailed("the old ones do not work")

    with pytest.raises(AuthFailed):
        with_refresh(runtime, integration.id, Lane.PULL, replaced_meanwhile)
    assert row(runtime, integration).status == "active"


# --- secrets ------------------------------------------------------------------------------------------


@contextmanager
def everything_said(caplog: pytest.LogCaptureFixture) -> Iterator[list[Any]]:
    """What is logged in the block, at every level."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        said: list[Any] = [lines, caplog.messages]
        yield said


def stored(rt: Runtime) -> str:
    """Every column of every row as text."""
    with rt.db.read() as session:
        tables = inspect(rt.db.engine).get_table_names()
        return "\n".join(str(line) for name in tables for line in session.execute(text(f"SELECT * FROM {name}")))


def test_no_secret_shows_in_what_is_stored_logged_raised_or_printed(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Every refusal of the toy vendor repeats the credentials it was sent."""
    shown: list[object] = []

    def refused(rt: Runtime, integration: Integration) -> None:
        with pytest.raises(AuthFailed) as error:
            with_refresh(rt, integration.id, Lane.PULL, read_items)
        shown.append(error.value.text)

    with everything_said(caplog) as said:
        basic = connect(runtime, tenant)
        vendor.password = "changed at the vendor"
        refused(runtime, basic)
        with pytest.raises(Unprocessable) as wrong:
            connect(runtime, tenant, config=toy_config(tenant, "OTHER"))
        shown.append(wrong.value.message)
        with pytest.raises(Unprocessable) as unfit:
            connect(runtime, tenant, credentials={**BASIC, "shoe-size": "canary"})
        shown.append(unfit.value.message)

        pending = connect(runtime, tenant, config=toy_config(tenant, "NEW"), credentials=None)
        code, state = vendor.auth.consent(oauth.start(runtime, pending.id, tenant.ann_id))
        connected = oauth.complete(runtime, "toy", code, state)
        with open_session(runtime, connected.id, Lane.PULL) as session:
            shown += [session, session.connector.context, session.connector.context.credentials]
        with runtime.db.read() as db:
            shown.append(load(runtime, db, connected))
        clock.advance(minutes=55)
        with_refresh(runtime, connected.id, Lane.PULL, read_items)
        vendor.auth.families[0].revoked = True  # its refusal repeats the refresh token
        vendor.auth.kill_access()
        refused(runtime, connected)
        farewell.disconnect(runtime, connected, actor=tenant.ann_id, token_id=None)
    shown += said
    assert "***" in stored(runtime)  # the vendor's echo was there, and was taken out
    assert CANARY not in stored(runtime)
    assert CANARY not in repr(shown)
    assert code not in repr(shown) + stored(runtime)
