"""What a plugin does wrong is a failed piece of work with a reason: never the end of a worker or a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from connectors.contract import Context
from connectors.http import HttpClient
from core.errors import PlatformError
from core.models import Binding, Delivery, Integration, Subscription, SyncRun
from core.vault import Vault
from simulation.toy import ToyConnector, ToyVendor
from sync import farewell
from sync.plan import plan
from sync.runtime import Lane, Runtime
from sync.work import work
from tests.sync.conftest import ManualClock, Tenant, connect
from tests.sync.engine import Both


def key_error() -> None:
    raise KeyError("nothing foreseen")


def leave() -> None:
    raise SystemExit(3)


def recurse() -> None:
    recurse()


class Own(Exception):
    """An error of the author's own."""


def own_error() -> None:
    raise Own("s3cret-canary")


FAULTS = pytest.mark.parametrize("fault", [key_error, leave, recurse, own_error])


@pytest.fixture
def both(runtime: Runtime, vendor: ToyVendor, tenant: Tenant, integration: Integration) -> Both:
    both = Both(runtime, vendor, tenant, integration)
    vendor.add(title="Known")
    both.poll()
    return both


def break_(patch: pytest.MonkeyPatch, method: str, fault: Callable[[], None]) -> None:
    """From now on the method does this."""

    def broken(*_: Any, **__: Any) -> Any:
        fault()

    plain = vars(ToyConnector)[method]
    patch.setattr(ToyConnector, method, staticmethod(broken) if isinstance(plain, staticmethod) else broken)


def run(both: Both, lane: Lane) -> None:
    """The lane as a worker runs it: a task may fail, the process may not."""
    with suppress(Exception):  # and nothing else: SystemExit would end the worker
        work(both.rt, lane, both.id)


def integration_of(both: Both) -> Integration:
    [row] = both.rows(Integration)
    return row


@FAULTS
@pytest.mark.parametrize("method", ["changed_tasks", "__init__"])
def test_a_fault_while_pulling_is_a_failed_run_with_a_reason(
    both: Both, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, method: str, fault: Callable[[], None]
) -> None:
    clock.advance(hours=1)
    break_(monkeypatch, method, fault)
    run(both, Lane.PULL)
    newest = both.rows(SyncRun)[-1]
    assert (newest.status, newest.error_code) == ("failed", "connector_fault")
    assert "worker's log" in newest.error_text
    assert "canary" not in newest.error_text
    assert integration_of(both).next_pull_at > clock()


@FAULTS
@pytest.mark.parametrize("method", ["create_task", "update_task"])
def test_a_fault_while_writing_is_a_reason_on_that_one_binding(
    both: Both, monkeypatch: pytest.MonkeyPatch, method: str, fault: Callable[[], None]
) -> None:
    both.change(both.task().id, title="Written")
    both.create("Created")
    break_(monkeypatch, method, fault)
    run(both, Lane.PUSH)
    reasons = {row.create_key is not None: row.reason_code for row in both.rows(Binding)}
    creating = method == "create_task"
    assert reasons == {creating: "connector_fault", not creating: None}


@FAULTS
def test_a_connector_that_can_not_be_made_makes_the_push_lane_wait(
    both: Both, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None]
) -> None:
    both.change(both.task().id, title="Written")
    break_(monkeypatch, "__init__", fault)
    run(both, Lane.PUSH)
    assert integration_of(both).next_push_at > clock()
    monkeypatch.undo()
    clock.advance(minutes=1)
    run(both, Lane.PUSH)
    both.assert_equal()


@FAULTS
@pytest.mark.parametrize("method", ["parse", "fetch_tasks"])
def test_a_fault_while_reading_a_delivery_is_written_on_it_and_it_is_tried_again(
    both: Both, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, method: str, fault: Callable[[], None]
) -> None:
    both.vendor.snapshots = False
    work(both.rt, Lane.PULL, both.id)
    both.vendor.edit("t1", title="Told")
    with monkeypatch.context() as patch:
        break_(patch, method, fault)
        both.deliver()
    [delivery] = both.rows(Delivery)
    assert (delivery.state, delivery.error_code) == ("pending", "connector_fault")
    clock.advance(minutes=1)
    run(both, Lane.INBOX)
    assert both.task().title == "Told"


@FAULTS
def test_a_fault_while_looking_for_deletions_is_a_failed_sweep(
    both: Both, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None]
) -> None:
    clock.advance(days=2)
    break_(monkeypatch, "all_ids", fault)
    run(both, Lane.PULL)
    [sweep] = [row for row in both.rows(SyncRun) if row.kind == "sweep"]
    assert (sweep.status, sweep.error_code) == ("failed", "connector_fault")
    assert integration_of(both).next_sweep_at > clock()


@FAULTS
def test_a_fault_while_registering_the_webhook_is_written_down_and_polling_goes_on(
    both: Both, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None]
) -> None:
    break_(monkeypatch, "subscribe", fault)
    both.vendor.add(title="Polled")
    clock.advance(hours=1)
    run(both, Lane.PULL)
    with both.rt.db.read() as session:
        subscription = session.get_one(Subscription, both.id)
    assert subscription.code == "connector_fault"
    assert integration_of(both).next_subscription_at > clock()
    both.assert_equal()


@FAULTS
def test_a_fault_does_not_keep_an_account_connected(
    both: Both, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None]
) -> None:
    work(both.rt, Lane.PULL, both.id)
    break_(monkeypatch, "unsubscribe", fault)
    row = farewell.disconnect(both.rt, integration_of(both), actor=both.tenant.ann_id, token_id=None)
    assert row.status == "disconnected"


@FAULTS
def test_a_fault_in_the_check_is_an_error_of_the_server_and_nothing_is_stored(
    runtime: Runtime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], None]
) -> None:
    break_(monkeypatch, "check", fault)
    with pytest.raises(PlatformError, match="Toy connector failed") as refused:
        connect(runtime, tenant)
    assert refused.value.status == 500
    assert "canary" not in str(refused.value)
    with runtime.db.read() as session:
        assert session.query(Integration).count() == 0


def test_a_plan_survives_a_connector_that_exits(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    break_(monkeypatch, "changed_tasks", leave)
    with pytest.raises(RuntimeError, match="exit"):
        plan(both.rt, both.id)


# --- what a plugin can reach --------------------------------------------------------------------------


def _public(thing: object, depth: int = 4) -> Iterator[object]:
    """All that can be reached by public attributes."""
    yield thing
    names = [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]
    for name in names if depth else ():
        if not name.startswith("_"):
            yield from _public(getattr(thing, name), depth - 1)


def test_a_connector_is_given_its_own_credentials_and_nothing_that_opens_others(
    both: Both, vendor: ToyVendor, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Context] = []
    real = ToyConnector.__init__

    def init(self: Any, context: Context) -> None:
        given.append(context)
        real(self, context)

    monkeypatch.setattr(ToyConnector, "__init__", init)
    both.poll()
    [context] = given
    reached = list(_public(context))
    assert any(isinstance(thing, HttpClient) for thing in reached)
    assert not any(isinstance(thing, Vault | Runtime) for thing in reached)
