"""The doorbell rings at once, seldom, and never last before the last delivery."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.services.process import wait_until
from tests.webhooks.bell import signed, stored_count
from tests.webhooks.conftest import MakeDoor
from webhooks.doorbell import Doorbell

GAP = 0.05


class Rings:
    """When it rang, by integration."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, integration_id: str) -> None:
        self.times.setdefault(integration_id, []).append(time.monotonic())

    def of(self, integration_id: str) -> list[float]:
        return self.times.get(integration_id, [])


@pytest.fixture
def rings() -> Rings:
    return Rings()


@pytest.fixture
def doorbell(rings: Rings) -> Iterator[Doorbell]:
    bell = Doorbell(rings, min_gap=GAP)
    bell.start()
    yield bell
    bell.stop(timeout=5)


def test_the_first_press_rings_at_once(rings: Rings) -> None:
    bell = Doorbell(rings, min_gap=3600)
    bell.start()
    bell.press({"INT-1", "INT-2"})
    wait_until(lambda: rings.of("INT-1") and rings.of("INT-2"))
    bell.stop(timeout=5)


def test_many_presses_are_few_rings_and_the_last_press_is_heard(doorbell: Doorbell, rings: Rings) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 4 * GAP:
        doorbell.press(["INT-1"])
        pressed = time.monotonic()
    wait_until(lambda: rings.of("INT-1")[-1] > pressed)
    times = rings.of("INT-1")
    assert len(times) <= (times[-1] - began) / GAP + 1


def test_a_quiet_bell_does_not_ring_again(doorbell: Doorbell, rings: Rings) -> None:
    doorbell.press(["INT-1"])
    time.sleep(3 * GAP)
    assert len(rings.of("INT-1")) == 1


def test_what_is_still_due_is_rung_at_the_end(rings: Rings) -> None:
    bell = Doorbell(rings, min_gap=60)
    bell.start()
    bell.press(["INT-1"])
    wait_until(lambda: rings.of("INT-1"))
    bell.press(["INT-1"])
    bell.stop(timeout=5)
    assert len(rings.of("INT-1")) == 2


def test_a_ring_that_fails_is_told_and_is_not_the_end() -> None:
    heard: list[str] = []

    def ring(integration_id: str) -> None:
        heard.append(integration_id)
        if len(heard) == 1:
            raise ConnectionError("no broker")

    bell = Doorbell(ring, min_gap=0)
    with capture_logs() as logs:
        bell.start()
        bell.press(["INT-1"])
        wait_until(lambda: heard)
        bell.press(["INT-2"])
        bell.stop(timeout=5)
    assert heard == ["INT-1", "INT-2"]
    assert [(line["event"], line["integration_id"]) for line in logs] == [("doorbell_failed", "INT-1")]


def test_a_broker_that_hangs_holds_up_no_delivery(sqlite_url: str, make_door: MakeDoor) -> None:
    broker = threading.Event()
    door = make_door(sqlite_url, ring=lambda _: broker.wait(10))
    try:
        began = time.monotonic()
        assert {door.post().status for _ in range(20)} == {202}
        assert time.monotonic() - began < 5
    finally:
        broker.set()


def test_two_hundred_deliveries_ring_a_few_times_and_duplicates_do_not(any_url: str, make_door: MakeDoor) -> None:
    door = make_door(any_url)
    requests: list[dict[str, Any]] = [{"headers": signed(), "body": b"{}"} for _ in range(200)]
    assert set(door.post_all(requests)) == {202}
    wait_until(lambda: door.rings)
    door.settle()
    rung = len(door.rings)
    assert rung <= 5
    assert set(door.rings) == {"INT-1"}
    door.runner.run(door.receiver.start())
    assert set(door.post_all(requests)) == {202}
    door.settle()
    assert len(door.rings) == rung
    assert stored_count(door.db) == 200
