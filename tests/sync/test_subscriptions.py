"""The webhook at the vendor: made once, kept alive, made again when it was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.contract import WebhookFacts
from core.models import Integration, Subscription
from simulation.toy import ToyConnector, ToyVendor
from sync import farewell, integrations
from sync.runtime import Lane, Runtime
from sync.subscriptions import (
    LOOK_AGAIN,
    RETRY,
    keep_subscription,
    new_secret,
    next_look,
    stored_secrets,
    subscribe,
    webhook_url,
)
from tests.sync.conftest import START, ManualClock, Tenant, connect, toy_config


def row(rt: Runtime, integration: Integration) -> Integration:
    with rt.db.read() as session:
        return session.get_one(Integration, integration.id)


def stored(rt: Runtime, integration: Integration) -> Subscription:
    with rt.db.read() as session:
        return session.get_one(Subscription, integration.id)


def secrets(rt: Runtime, integration: Integration) -> list[str]:
    return stored_secrets(rt, stored(rt, integration))


def test_a_new_integration_gets_its_webhook(runtime: Runtime, integration: Integration, vendor: ToyVendor) -> None:
    keep_subscription(runtime, integration.id)
    [hook] = vendor.hooks.values()
    assert (
        hook.url == f"https://turnbuckle.test/webhooks/toy/{integration.hook_id}" == webhook_url(runtime, integration)
    )
    subscription = stored(runtime, integration)
    assert (subscription.state, subscription.external_ids) == ("active", ["h1"])
    assert secrets(runtime, integration) == [hook.secret]
    assert row(runtime, integration).next_subscription_at == START + LOOK_AGAIN


def test_its_deliveries_verify_with_the_stored_secret(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    subscribe(runtime, integration.id)
    vendor.add(title="One")
    [(_, delivery)] = vendor.outbox
    assert ToyConnector.verify(delivery, {"signing": secrets(runtime, integration)}).event == "item.changed"


def test_nothing_is_asked_before_it_is_due(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    keep_subscription(runtime, integration.id)
    asked = list(vendor.calls)
    keep_subscription(runtime, integration.id)
    keep_subscription(runtime, "INT-26-000099")
    assert vendor.calls == asked
    clock.advance(days=1)
    keep_subscription(runtime, integration.id)
    assert vendor.calls == [*asked, "renew"]


def test_the_secret_is_stored_before_the_vendor_knows_it(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("subscribe", None)  # registered, but the answer never comes
    subscribe(runtime, integration.id)
    [hook] = vendor.hooks.values()
    assert secrets(runtime, integration) == [hook.secret]
    assert stored(runtime, integration).state == "creating"
    assert row(runtime, integration).next_subscription_at == START + RETRY
    subscribe(runtime, integration.id)
    assert len(vendor.hooks) == 1
    assert stored(runtime, integration).external_ids == [hook.id]


def test_an_expiring_webhook_is_renewed_in_time(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.hook_lifetime = timedelta(days=30)
    subscribe(runtime, integration.id)
    for _ in range(40):
        clock.advance(days=1)
        keep_subscription(runtime, integration.id)
    assert stored(runtime, integration).expires_at == clock.now + timedelta(days=30)
    assert vendor.calls.count("subscribe") == 1


@pytest.mark.parametrize(
    ("life", "renew_before", "wait"),
    [
        (None, timedelta(days=7), LOOK_AGAIN),
        (timedelta(days=30), timedelta(days=7), LOOK_AGAIN),
        (timedelta(hours=30), timedelta(hours=10), timedelta(hours=20)),
        (timedelta(hours=3), timedelta(days=7), timedelta(minutes=90)),  # shorter than the lead time: half of it
    ],
)
def test_the_next_look_is_in_time_and_never_at_once(
    life: timedelta | None, renew_before: timedelta, wait: timedelta
) -> None:
    facts = WebhookFacts(renew_before=renew_before)
    assert next_look(START + life if life else None, facts, START) == START + wait


def test_a_webhook_the_vendor_lost_is_made_again_and_a_pull_looks_for_what_was_missed(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    subscribe(runtime, integration.id)
    before = secrets(runtime, integration)
    vendor.hooks.clear()
    rings.clear()
    clock.advance(days=1)
    subscribe(runtime, integration.id)
    [hook] = vendor.hooks.values()
    assert secrets(runtime, integration) == before == [hook.secret]
    assert row(runtime, integration).next_pull_at == clock.now
    assert rings == [(Lane.PULL, integration.id)]


def test_a_secret_the_vendor_chose_is_kept_and_the_one_before_still_verifies(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.secret_of_hook = "first choice"
    subscribe(runtime, integration.id)
    assert secrets(runtime, integration)[0] == "first choice"
    vendor.hooks.clear()
    vendor.secret_of_hook = "second choice"
    subscribe(runtime, integration.id)
    assert secrets(runtime, integration) == ["second choice", "first choice"]


@pytest.mark.parametrize("status", [403, 400, 404])
def test_a_vendor_that_allows_no_webhook_is_asked_again_tomorrow(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, clock: ManualClock, status: int
) -> None:
    vendor.fail("subscribe", status)
    keep_subscription(runtime, integration.id)
    refused = stored(runtime, integration)
    assert refused.state == "unavailable"
    assert refused.text is not None
    assert str(status) in refused.text
    assert row(runtime, integration).status == "active"  # polling goes on
    assert row(runtime, integration).next_subscription_at == START + LOOK_AGAIN
    clock.advance(days=1)
    keep_subscription(runtime, integration.id)
    assert (stored(runtime, integration).state, stored(runtime, integration).text) == ("active", None)


def test_an_outage_keeps_a_live_webhook_and_is_tried_again_soon(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    subscribe(runtime, integration.id)
    vendor.fail("renew", 503)
    subscribe(runtime, integration.id)
    assert stored(runtime, integration).state == "active"
    assert row(runtime, integration).next_subscription_at == START + RETRY


def test_a_rate_limit_is_waited_for(runtime: Runtime, integration: Integration, vendor: ToyVendor) -> None:
    vendor.fail("subscribe", 429, headers={"Retry-After": "3600"})
    subscribe(runtime, integration.id)
    assert row(runtime, integration).next_subscription_at == START + timedelta(hours=1)


def test_dead_credentials_stop_the_integration_here_too(
    runtime: Runtime, integration: Integration, vendor: ToyVendor
) -> None:
    vendor.fail("subscribe", 401, times=2)
    keep_subscription(runtime, integration.id)
    assert row(runtime, integration).status == "error"
    assert row(runtime, integration).next_subscription_at == START + LOOK_AGAIN


def test_a_changed_config_makes_the_webhook_anew(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, tenant: Tenant
) -> None:
    subscribe(runtime, integration.id)
    integrations.update(
        runtime, integration, actor=tenant.ann_id, token_id=None, config=toy_config(tenant, "TOY", "MORE")
    )
    keep_subscription(runtime, integration.id)
    assert vendor.calls[-2:] == ["unsubscribe", "subscribe"]
    assert stored(runtime, integration).state == "active"
    assert len(vendor.hooks) == 1


def test_two_workers_register_one_webhook(runtime: Runtime, integration: Integration, vendor: ToyVendor) -> None:
    connector = vendor.connector()
    register = connector.subscribe

    def during(self: ToyConnector, *arguments: object) -> object:
        subscribe(replace(runtime, worker="second"), integration.id)
        return register(self, *arguments)  # type: ignore[arg-type]

    runtime.registry.get("toy").subscribe = during  # type: ignore[attr-defined]
    subscribe(runtime, integration.id)
    assert vendor.calls.count("subscribe") == 1


def test_an_integration_disconnected_while_its_webhook_was_made_stays_disconnected(
    runtime: Runtime, tenant: Tenant, vendor: ToyVendor
) -> None:
    integration = connect(runtime, tenant)
    connector = runtime.registry.get("toy")
    register = connector.subscribe  # type: ignore[attr-defined]

    def during(self: ToyConnector, *arguments: object) -> object:
        farewell.disconnect(runtime, integration, actor=tenant.ann_id, token_id=None)
        return register(self, *arguments)

    connector.subscribe = during  # type: ignore[attr-defined]
    subscribe(runtime, integration.id)
    gone = row(runtime, integration)
    assert (gone.status, gone.next_subscription_at) == ("disconnected", None)


def test_a_new_secret_makes_our_webhook_anew_and_the_old_one_still_verifies(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, tenant: Tenant
) -> None:
    subscribe(runtime, integration.id)
    (before,) = vendor.hooks.values()
    secret = new_secret(runtime, integration.id, actor=tenant.ann_id, token_id=None)
    keep_subscription(runtime, integration.id)
    (hook,) = vendor.hooks.values()
    assert hook.secret == secret != before.secret
    with runtime.db.read() as session:
        assert stored_secrets(runtime, session.get_one(Subscription, integration.id)) == [secret, before.secret]


def test_a_secret_can_be_had_for_a_webhook_that_a_person_registers(
    runtime: Runtime, integration: Integration, vendor: ToyVendor, tenant: Tenant
) -> None:
    vendor.fail("subscribe", 403)
    subscribe(runtime, integration.id)
    secret = new_secret(runtime, integration.id, actor=tenant.ann_id, token_id=None)
    with runtime.db.read() as session:
        stored = session.get_one(Subscription, integration.id)
    assert stored.state == "unavailable"
    assert stored_secrets(runtime, stored)[0] == secret
