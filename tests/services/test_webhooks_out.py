"""Webhooks out as users run them: real processes, PostgreSQL and Redis, receivers over real HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.connectors.server import Seen, raw_answer, serving
from tests.services.stack import Stack, eventually, running

TASKS = 40
KILLS = 3


@pytest.fixture(scope="module")
def stack(postgres_url, redis_url):
    # Short leases: what a killed worker held is taken over while the test waits.
    with running("services", postgres_url, redis_url, lease_seconds=3) as made:
        yield made


class Receiver:
    """An endpoint that verifies everything with the official library and drops what it has had, as receivers should."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay, self.secret = delay, ""
        self.came: Counter[str] = Counter()
        self.titles: dict[str, str] = {}
        self.unverified = 0
        self._lock = threading.Lock()

    def reply(self, seen: Seen) -> bytes:
        try:
            payload = Webhook(self.secret).verify(seen.body, dict(seen.headers))
        except Exception:
            self.unverified += 1
            return raw_answer(401)
        time.sleep(self.delay)
        with self._lock:
            self.came[seen.headers["webhook-id"]] += 1
            if payload["type"] == "task.created":
                self.titles[seen.headers["webhook-id"]] = payload["data"]["data"]["title"]
        return raw_answer(204, b"")


@contextmanager
def listening(stack: Stack, receiver: Receiver, *events: str) -> Iterator[str]:
    """An endpoint at the receiver; deleted at the end."""
    with serving(receiver.reply) as server:
        made = stack.send("POST", "/webhooks", {"url": f"{server.url}/hook", "events": list(events)})
        receiver.secret = made["secret"]
        yield made["id"]
        stack.send("DELETE", f"/webhooks/{made['id']}")


def test_a_task_change_reaches_an_endpoint_within_seconds(stack: Stack) -> None:
    receiver = Receiver()
    with listening(stack, receiver, "task.created"):
        stack.create("Tell everybody")
        eventually(lambda: receiver.titles, "the webhook", timeout=15)
    assert list(receiver.titles.values()) == ["Tell everybody"]
    assert receiver.unverified == 0


def test_one_process_on_sqlite_does_it_too(tmp_path: Path) -> None:
    receiver = Receiver()
    with running("embedded", f"sqlite:///{tmp_path / 'turnbuckle.db'}", None) as stack:
        with listening(stack, receiver, "task.created"):
            stack.create("Tell everybody")
            eventually(lambda: receiver.titles, "the webhook", timeout=15)
    assert receiver.unverified == 0


def test_slow_endpoints_delay_no_other(stack: Stack) -> None:
    fast = Receiver()
    with ExitStack() as endpoints:
        slow = [Receiver(delay=12) for _ in range(4)]
        for each in slow:
            endpoints.enter_context(listening(stack, each, "task.created"))
        endpoints.enter_context(listening(stack, fast, "task.created"))
        for number in range(20):
            stack.create(f"Swift {number}")
        took = eventually(lambda: len(fast.titles) == 20, "all at the fast endpoint", timeout=11)
        assert took < 11
        assert not any(each.titles for each in slow), "they are still at their first messages"


def test_killed_again_and_again_a_notifier_loses_nothing_and_repeats_under_the_same_id(stack: Stack) -> None:
    receiver = Receiver(delay=0.05)
    with listening(stack, receiver, "task.created") as hook:
        titles = [f"Kept {number}" for number in range(TASKS)]
        for number, title in enumerate(titles):
            stack.create(title)
            if number % (TASKS // KILLS) == 1:
                notifier = stack.processes["notifier"]
                notifier.kill()
                notifier.start()
        eventually(lambda: len(receiver.titles) == TASKS, "every event", timeout=60)
        assert sorted(receiver.titles.values()) == sorted(titles), "one id per event, however often it came"
        eventually(lambda: not stack.get(f"/webhooks/{hook}/deliveries", state="pending"), "the record", timeout=30)
        listed = stack.get(f"/webhooks/{hook}/deliveries", limit=100)
    assert {each["state"] for each in listed} == {"delivered"}
    assert {each["id"] for each in listed} == set(receiver.came)
    assert receiver.unverified == 0
