"""Everything in one process: the API with the front door, the worker and beat, on one database and no other service.

The same Celery tasks run as in production; only the broker is in memory, the worker's pool has threads, and beat is a
thread too.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from celery.beat import EmbeddedService, Scheduler
from celery.worker import WorkController
from sqlalchemy import exists, select, update

from cli.errors import Refused
from cli.web import web_server
from cli.worker import app as celery_app
from core.migrations import upgrade
from core.models import Integration, Lease, SyncRun
from core.settings import Settings
from sync.app import configure
from sync.runtime import Lane, Runtime

WORKERS = 8
"""Threads that work: enough that a few long pulls leave some for people's edits."""

START_SECONDS = 30.0
"""A start takes about a second; what takes longer than this will not come."""

STOP_SECONDS = 5.0
"""How long work in hand may take when stopping. What is cut off then is found again at the next start."""


@contextmanager
def embedded(settings: Settings, listening: socket.socket) -> Iterator[Runtime]:
    """Turnbuckle, running for the length of the block. Brings the database up to date first; frees the socket."""
    upgrade(settings.database_url)
    runtime = configure(settings)
    resume(runtime)
    with ExitStack() as running:
        running.callback(runtime.db.close)
        running.callback(runtime.transport.close)
        running.enter_context(worker())
        running.enter_context(beat())
        running.enter_context(server(runtime, listening))
        yield runtime


def resume(runtime: Runtime) -> None:
    """Take up at once what a killed process had in hand, without waiting for its leases and claims to run out.

    Nobody else works on an embedded database; and if somebody does, the leases' fences keep them apart.
    """
    left_open = exists().where(SyncRun.integration_id == Integration.id, SyncRun.status == "running")
    with runtime.db.write() as session:
        session.execute(update(Lease).values(holder=None))
        session.execute(
            update(Integration)
            .where(Integration.id.in_(select(Integration.id).where(left_open)))
            .values(next_pull_at=runtime.clock(), next_backfill_at=None)
        )


@contextmanager
def worker() -> Iterator[None]:
    """A Celery worker for every lane, in threads of this process."""
    ready = threading.Event()
    controller = WorkController(
        app=celery_app,
        pool_cls="threads",
        concurrency=WORKERS,
        queues=[lane.value for lane in Lane],
        ready_callback=lambda _consumer: ready.set(),
        # These talk to other workers, of which there are none.
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    thread = threading.Thread(target=controller.start, name="worker", daemon=True)
    thread.start()
    if not ready.wait(START_SECONDS):
        raise Refused("The worker did not start; the log above says why.")
    try:
        yield
    finally:
        stopping = threading.Thread(target=controller.stop, name="worker-stop", daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)


@contextmanager
def beat() -> Iterator[None]:
    """Celery beat in a thread. It remembers nothing: its one job is due at once, and then every few seconds."""
    service = EmbeddedService(celery_app, thread=True, scheduler_cls=Scheduler)
    service.daemon = True
    service.start()
    try:
        yield
    finally:
        service.stop()


@contextmanager
def server(runtime: Runtime, listening: socket.socket) -> Iterator[None]:
    """The API and the front door, in a thread with an event loop of its own."""
    http = web_server(runtime)
    thread = threading.Thread(target=http.run, args=([listening],), name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        http.should_exit = True
        thread.join(STOP_SECONDS)
