"""The Celery app: queues, the doorbell, and beat's single job.

Tasks carry ids only and are thin: each calls a plain function with this process's `Runtime`. Results are not kept,
prefetching is off (a worker that is busy with a long pull must not sit on a doorbell), and a task is acknowledged
when it is taken: if the worker dies, the work is found again by the next tick, not by the broker.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init
from kombu import Queue

from connectors.http import default_transport
from connectors.registry import Registry
from core import logs
from core.db import Database
from core.settings import Settings
from core.vault import Vault
from sync import scheduler
from sync.runtime import Lane, Runtime, settle
from sync.work import LANES

Work = Callable[[Runtime, str], None]
"""What a lane does for the subject of a doorbell."""

TICK_EXPIRES = 10
"""Seconds after which a tick that nobody took is dropped: the next one does the same."""

MEMORY_POLL = 0.005
"""Seconds between looks at the in-memory broker, whose default of a second people would feel."""


def make_app(settings: Settings) -> Celery:
    """A Celery app for these settings; its tasks need `runtime()`."""
    celery = Celery("turnbuckle")
    celery.conf.update(
        task_queues=[Queue(lane.value) for lane in Lane],  # type: ignore[no-untyped-call]  # kombu is untyped
        task_default_queue=Lane.PULL.value,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        timezone="UTC",
    )
    celery.conf.update(_chosen(settings))
    return celery


def _chosen(settings: Settings) -> dict[str, Any]:
    """What of Celery's configuration an operator chooses."""
    return {
        # Celery warns of a broker without a host, even of one in memory.
        "broker_url": "memory://here" if settings.embedded else settings.broker_url,
        "broker_transport_options": {"polling_interval": MEMORY_POLL} if settings.embedded else {},
        "beat_schedule": {
            "tick": {
                "task": "sync.tick",
                "schedule": settings.tick_seconds,
                "options": {"queue": Lane.INBOX.value, "expires": TICK_EXPIRES},
            }
        },
    }


_configured: Settings | None = None


def settings() -> Settings:
    """This process's settings: the environment's, unless `configure` gave it others."""
    return _configured or _from_environment()


@lru_cache(maxsize=1)
def _from_environment() -> Settings:
    return Settings()


app = make_app(settings())


def configure(chosen: Settings) -> Runtime:
    """Give this process other settings than the environment's, before it does any work. Returns its runtime."""
    global _configured
    _configured = chosen
    app.conf.update(_chosen(chosen))
    runtime.cache_clear()
    return runtime()


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """This process's runtime, made when the first task needs it (after the fork, so that no connection is shared)."""
    current = settings()
    made = Runtime(
        settings=current,
        db=Database(current.database_url),
        vault=Vault.parse(current.secrets_keys.get_secret_value()),
        registry=Registry.load(tiers_file=current.tiers_file),
        transport=default_transport(current.egress_allow),
        ring=ring,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )
    settle()
    return made


def ring(lane: Lane, subject: str) -> None:
    """Say that there may be work. A broker that is away is no error: the tick finds the work when it is back."""
    try:
        work.apply_async((lane.value, subject), queue=lane.value, retry=False)
    except work.OperationalError:
        pass  # nothing is lost: see above


_hands: dict[Lane, Work] = dict(LANES)


def take_on(lane: Lane, function: Work) -> None:
    """Give a lane that another room works its function, before the worker starts. See `cli.worker`."""
    _hands[lane] = function


@app.task(name="sync.work")
def work(lane: str, subject: str) -> None:
    """There may be work in this lane for this integration, or whatever else the lane is about.

    Raises LookupError in a worker that was started without the other rooms: what is due is found again by a tick.
    """
    function = _hands.get(Lane(lane))
    if function is None:
        raise LookupError(f"nobody here works the lane {lane}: start the worker with `celery -A cli.worker worker`")
    function(runtime(), subject)


@app.task(name="sync.tick")
def tick() -> None:
    """Find what is due."""
    scheduler.tick(runtime())


@setup_logging.connect
def _our_logging(**_: object) -> None:
    """Celery's own form of log lines would show the local variables of a traceback, and with them secrets."""
    logs.set_up(as_json=settings().log_json)
    logging.getLogger("celery.apps.worker").setLevel(logging.INFO)  # that it is ready


@worker_process_init.connect
def _fresh_runtime(**_: object) -> None:
    runtime.cache_clear()
