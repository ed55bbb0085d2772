"""What every function of the engine is given, so that workers, tests and the simulator run the same code."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from connectors.http import Transport
from connectors.registry import Registry
from core.clock import Clock, utc_now
from core.db import Database
from core.settings import Settings
from core.vault import Vault


class Lane(StrEnum):
    """Kinds of work, most urgent first; each is a Celery queue, so that a backfill never delays a person's edit."""

    PUSH = "push"
    INBOX = "inbox"
    MESSAGES = "messages"
    NOTIFY = "notify"
    PULL = "pull"
    BACKFILL = "backfill"
    FACTS = "facts"
    AGENTS = "agents"


NEWS = "events"
"""What the lanes that read the stream are rung with when there are new events. The notify lane is also rung with the id
of a webhook endpoint, the messages lane with that of an integration."""

Ring = Callable[[Lane, str], None]
"""The doorbell: "there is work in this lane for this integration". Lost or doubled, it changes nothing."""


def no_ring(_lane: Lane, _integration_id: str) -> None:
    """A doorbell nobody hears: the next tick finds the work."""


@dataclass(frozen=True)
class Runtime:
    """The outside world of the engine.

    transport    the pooled HTTP transport all connectors share, with the egress guard in front
    worker       this process's name, as lease holder
    threads      pages are fetched while one is written, and several channels are told something at once; without, all
                 is done one after the other
    sleep        waits a short while (seconds); pacing only, never for a vendor's `Retry-After`
    """

    settings: Settings
    db: Database
    vault: Vault
    registry: Registry
    transport: Transport
    clock: Clock = utc_now
    ring: Ring = no_ring
    sleep: Callable[[float], None] = time.sleep
    worker: str = "worker"
    threads: bool = True


def settle() -> None:
    """Say that all code is loaded: the garbage collector need not look through it again. A pull makes so many objects
    that looking through a hundred megabytes of modules time and again cost it a tenth of its CPU."""
    gc.collect()
    gc.freeze()
