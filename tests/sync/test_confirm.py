"""Integrations that wait for their vendor's word are asked about again, and start when it comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from connectors.contract import Account
from connectors.registry import Registry
from core.models import Event, Integration, SyncRun
from simulation.toy import BASIC, ToyConnector, ToyVendor
from sync import integrations
from sync.credentials import load, save
from sync.failures import RETRY_MOST, backoff
from sync.runtime import Lane, Runtime
from sync.scheduler import tick
from sync.work import work
from tests.sync.conftest import START, ManualClock, Tenant, connect, toy_config

WAITS = ("pending_auth", "consent_pending")


@pytest.fixture
def waiting(runtime: Runtime, tenant: Tenant, vendor: ToyVendor) -> Integration:
    """The vendor's app is not installed yet."""
    vendor.installed = False
    return connect(runtime, tenant)


def row(rt: Runtime, integration: Integration) -> Integration:
    with rt.db.read() as session:
        return session.get_one(Integration, integration.id)


def shown(rt: Runtime, integration: Integration) -> tuple[str, str | None]:
    found = row(rt, integration)
    return found.status, found.status_code


def rung(rt: Runtime, rings: list[tuple[Lane, str]]) -> bool:
    """A tick, and whether it rang for a pull; the work is done then."""
    rings.clear()
    tick(rt)
    pulls = [id_ for lane, id_ in rings if lane is Lane.PULL]
    for id_ in pulls:
        work(rt, Lane.PULL, id_)
    return bool(pulls)


def events(rt: Runtime) -> list[tuple[str, str]]:
    with rt.db.read() as session:
        return [(event.type, event.actor) for event in session.scalars(select(Event).order_by(Event.id))]


def test_what_the_vendor_confirms_later_starts_by_itself_and_is_read(
    runtime: Runtime, waiting: Integration, vendor: ToyVendor, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    clock.advance(seconds=5)
    assert rung(runtime, rings)
    assert shown(runtime, waiting) == WAITS
    vendor.installed = True
    clock.advance(minutes=15)
    assert rung(runtime, rings)
    found = row(runtime, waiting)
    assert (found.status, found.status_code, found.status_text) == ("active", None, None)
    assert (found.account_id, found.pull_failures) == ("acc-1", 0)
    assert events(runtime)[:2] == [
        ("integration.created", waiting.created_by),
        ("integration.connected", waiting.id),
    ]
    with runtime.db.read() as session:
        assert [run.status for run in session.scalars(select(SyncRun))] == ["success"]


def test_it_is_asked_ever_more_rarely_and_never_before_its_time(
    runtime: Runtime, waiting: Integration, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    assert not rung(runtime, rings)
    waits: list[timedelta] = []
    for _ in range(12):
        due = row(runtime, waiting).next_pull_at
        assert due is not None
        waits.append(due - clock.now)
        clock.now = due - timedelta(seconds=1)
        assert not rung(runtime, rings)
        clock.now = due
        assert rung(runtime, rings)
    assert waits == [backoff(1), *(backoff(count) for count in range(1, 12))]
    assert waits[-1] == RETRY_MOST


def test_consent_that_a_person_has_to_give_is_not_asked_for(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    made = connect(runtime, tenant, credentials=None)
    clock.advance(days=1)
    assert not rung(runtime, rings)
    work(runtime, Lane.PULL, made.id)
    assert (shown(runtime, made), vendor.calls) == (("pending_auth", "consent_needed"), [])


@pytest.mark.parametrize(("status", "code"), [(401, "auth_failed"), (403, "forbidden"), (422, "rejected")])
def test_what_the_vendor_says_instead_is_shown_until_it_is_mended(
    runtime: Runtime,
    waiting: Integration,
    vendor: ToyVendor,
    clock: ManualClock,
    rings: list[tuple[Lane, str]],
    status: int,
    code: str,
) -> None:
    vendor.installed = True
    vendor.fail("check", status)
    clock.advance(seconds=5)
    rung(runtime, rings)
    assert shown(runtime, waiting) == ("pending_auth", code)
    clock.advance(seconds=5)
    rung(runtime, rings)
    assert shown(runtime, waiting) == ("active", None)


def test_a_vendor_that_can_not_be_asked_says_nothing_new(
    runtime: Runtime, waiting: Integration, vendor: ToyVendor, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    vendor.installed = True
    vendor.fail("check", 503)
    clock.advance(seconds=5)
    rung(runtime, rings)
    assert shown(runtime, waiting) == WAITS


def test_a_rate_limit_is_waited_for(
    runtime: Runtime, waiting: Integration, vendor: ToyVendor, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    vendor.installed = True
    vendor.fail("check", 429, headers={"retry-after": "1200"})
    clock.advance(seconds=5)
    rung(runtime, rings)
    assert shown(runtime, waiting) == WAITS
    due = row(runtime, waiting).next_pull_at
    assert due is not None
    assert due >= START + timedelta(seconds=1205)


def test_a_project_that_was_connected_meanwhile_is_not_connected_twice(
    runtime: Runtime,
    tenant: Tenant,
    waiting: Integration,
    vendor: ToyVendor,
    clock: ManualClock,
    rings: list[tuple[Lane, str]],
) -> None:
    vendor.installed = True
    first = connect(runtime, tenant)
    clock.advance(seconds=5)
    rung(runtime, rings)
    found = row(runtime, waiting)
    assert (found.status, found.status_code, found.account_id) == ("pending_auth", "unusable", None)
    assert f"{first.id} (Toy) already connects TOY" in (found.status_text or "")


def test_a_changed_config_is_asked_about_at_once(
    runtime: Runtime,
    tenant: Tenant,
    waiting: Integration,
    vendor: ToyVendor,
    clock: ManualClock,
    rings: list[tuple[Lane, str]],
) -> None:
    for _ in range(8):
        clock.advance(minutes=15)
        rung(runtime, rings)
    vendor.installed = True
    assert not rung(runtime, rings)
    changed = {"config": toy_config(tenant, "OTHER"), "actor": tenant.ann_id, "token_id": None}
    integrations.update(runtime, waiting, **changed)
    assert rung(runtime, rings)
    assert shown(runtime, waiting) == ("active", None)


def test_credentials_that_were_replaced_meanwhile_are_not_started_by_the_answer_for_the_old_ones(
    runtime: Runtime, tenant: Tenant, waiting: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.installed = True

    class Replaced(ToyConnector):
        """While it asks, somebody enters other credentials."""

        manifest = vendor.connector().manifest

        def check(self) -> Account:
            with runtime.db.write() as session:
                opened = load(runtime, session, waiting)
                model = self.manifest.credentials[opened.mode].model_validate(opened.values)
                save(runtime, session, waiting.id, opened.mode, opened.values, model)
            return Account("acc-old", "Old")

    Replaced.vendor = vendor
    clock.advance(seconds=5)
    work(with_connector(runtime, Replaced), Lane.PULL, waiting.id)
    assert shown(runtime, waiting) == WAITS


def test_a_fault_of_the_connector_is_told_and_tried_again(
    runtime: Runtime, waiting: Integration, vendor: ToyVendor, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    class Broken(ToyConnector):
        manifest = vendor.connector().manifest

        def check(self) -> Account:
            raise SystemExit("hunter2-canary")

    clock.advance(seconds=5)
    with pytest.raises(RuntimeError, match="exit"):
        work(with_connector(runtime, Broken), Lane.PULL, waiting.id)
    found = row(runtime, waiting)
    assert (found.status, found.status_code) == ("pending_auth", "connector_fault")
    assert "canary" not in (found.status_text or "")
    vendor.installed = True
    clock.advance(seconds=5)
    rung(runtime, rings)
    assert shown(runtime, waiting) == ("active", None)


def test_credentials_given_again_are_asked_about_from_the_beginning(
    runtime: Runtime, tenant: Tenant, waiting: Integration, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    for _ in range(8):
        clock.advance(minutes=15)
        rung(runtime, rings)
    again: dict[str, Any] = {"credentials": BASIC, "actor": tenant.ann_id, "token_id": None}
    updated = integrations.update(runtime, waiting, **again)
    assert (updated.pull_failures, updated.next_pull_at) == (0, clock.now + backoff(1))


def with_connector(rt: Runtime, connector: type[ToyConnector]) -> Runtime:
    registry = Registry()
    registry.register(connector)
    return replace(rt, registry=registry)
