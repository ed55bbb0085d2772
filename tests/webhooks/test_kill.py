"""A web process that is killed under load has stored, exactly once, everything it acknowledged."""

from __future__ import annotations

import http.client
import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from core.db import Database
from tests.services.process import ServiceProcess, free_port
from tests.webhooks.bell import PATH, signed, stored_keys

SENDERS = 24

LOADS = (0.35, 0.6, 0.45)
"""Seconds of load before each kill: the process dies at whatever point of its work it is at then."""


class Vendor:
    """Sends numbered deliveries over many connections, and keeps sending each until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self.acknowledged: set[str] = set()
        self.unclear: set[str] = set()
        self.statuses: Counter[int] = Counter()

    @contextmanager
    def sending(self) -> Iterator[None]:
        self._stop.clear()
        threads = [threading.Thread(target=self._run) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(10)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.is_set():
            self.send(connection, f"d-{next(self._numbers)}")
        connection.close()

    def send(self, connection: http.client.HTTPConnection, key: str) -> None:
        body = b'{"rung": "%s"}' % key.encode()
        try:
            connection.request("POST", PATH, body, signed(body, key=key))
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.unclear.add(key)
            time.sleep(0.01)  # it may be down
            return
        self.statuses[response.status] += 1
        (self.acknowledged if response.status == 202 else self.unclear).add(key)


def kill_at_any_moment(web: ServiceProcess, _: Database) -> None:
    web.kill()


def kill_before_the_commit(web: ServiceProcess, db: Database) -> None:
    """Whatever it writes must wait, so that requests are in hand which are not stored."""
    with db.write() as session:
        session.execute(text("LOCK TABLE delivery IN EXCLUSIVE MODE"))
        time.sleep(0.2)
        web.kill()


def test_kill_9_under_load_loses_nothing_acknowledged_and_stores_nothing_twice(bell_postgres_url: str) -> None:
    db = Database(bell_postgres_url)
    port = free_port()
    vendor = Vendor(port)
    command = [sys.executable, "-m", "tests.webhooks.serve", bell_postgres_url, str(port)]
    with ServiceProcess(command, ready=f"http://127.0.0.1:{port}/webhooks/", name="web") as web:
        for load in LOADS:
            with vendor.sending():
                time.sleep(load * random.uniform(0.5, 1.5))  # a moment nobody chose
                kill_at_any_moment(web, db)
            web.start()
        with vendor.sending():
            time.sleep(0.3)
            kill_before_the_commit(web, db)
        web.start()
        # What the vendor does not know of, it sends again; and some of what it does know of, too.
        connection = http.client.HTTPConnection("127.0.0.1", port)
        known = set(itertools.islice(vendor.acknowledged, 20))
        for key in [*itertools.islice(vendor.unclear, 200), *known]:
            vendor.send(connection, key)
        connection.close()
    stored = Counter(stored_keys(db))
    db.close()
    assert set(vendor.statuses) == {202}, "no answer but good ones"
    assert len(vendor.acknowledged) > 100, "there was load"
    assert vendor.unclear, "it was killed in the middle of it"
    assert {f"INT-1:{key}" for key in vendor.acknowledged} <= set(stored)
    assert set(stored.values()) == {1}
