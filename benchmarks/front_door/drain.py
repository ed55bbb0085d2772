"""A worker that drains an inbox: `sync.inbound.drain` through the real connector, client, budget and leases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks import child
from benchmarks.machine import measured
from benchmarks.pull.ours import runtime
from core import logs
from sync.inbound import drain
from sync.runtime import Runtime, settle

SAMPLE = 0.05
"""Seconds between two looks at the resident memory: many per batch of deliveries."""

PAUSE = 0.1
"""Seconds before the inbox is looked at again when the rate budget has parked it, as a doorbell or a tick would."""

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Drain:
    """Where the inbox is, and how many deliveries are to be finished. `server_pid` is the database server's."""

    url: str
    site: str
    key: str
    server_pid: int
    integration_id: str
    deliveries: int


def run(job: Drain) -> dict[str, Any]:
    """Drain it and say what it took; `samples` is the resident memory in MiB, one every `SAMPLE` seconds."""
    logs.set_up(as_json=True)
    rt = runtime(job.url, job.key, job.site)
    settle()
    with measured(job.server_pid) as usage, _sampled() as samples:
        finished = _all(rt, job)
    return {"finished": finished, "samples": samples, **asdict(usage)}


def _all(rt: Runtime, job: Drain) -> int:
    finished = 0
    while finished < job.deliveries:
        some = drain(rt, job.integration_id)
        finished += some
        if not some:
            time.sleep(PAUSE)
    return finished


@contextmanager
def _sampled() -> Iterator[list[float]]:
    samples: list[float] = []
    process, over = psutil.Process(), threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE):
            samples.append(process.memory_info().rss / _MIB)

    thread = threading.Thread(target=sample, name="sampler", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
        samples.append(process.memory_info().rss / _MIB)


if __name__ == "__main__":
    child.answer(run(Drain(**child.given())))
