"""The machine underneath: how fast it is at the moment, and what a process used of it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_TEXT = json.dumps([{"id": n, "name": f"item {n}", "tags": ["a", "b"], "open": True, "at": 1.5} for n in range(100)])
_MIB = 1024 * 1024

LIBRARIES = ("SQLAlchemy", "psycopg", "msgspec", "uvicorn", "httptools", "fastapi", "celery", "redis", "jira")
"""Whose versions the figures depend on."""


def calibrate(rounds: int = 5, repeat: int = 400) -> float:
    """How often a second a fixed JSON text of 8 KB can be read: the median of a few short rounds."""
    speeds = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(repeat):
            json.loads(_TEXT)
        speeds.append(repeat / (time.perf_counter() - started))
    return statistics.median(speeds)


def facts() -> dict[str, Any]:
    """What a reader of the figures has to know of the machine."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


@dataclass
class Usage:
    """What a stretch of work took. `cpu` is this process's own; `helper_cpu` that of the process tree it was told of
    (the database server). `rss` is the highest resident memory meanwhile, `rss_before` that at the start, in MiB."""

    seconds: float = 0.0
    cpu: float = 0.0
    helper_cpu: float = 0.0
    rss_before: float = 0.0
    rss: float = 0.0


@contextmanager
def measured(helper: int | None = None) -> Iterator[Usage]:
    """Measure the block. `helper` is the process id of a server that works for it."""
    usage = Usage()
    _forget_peak()
    usage.rss_before = psutil.Process().memory_info().rss / _MIB
    helped, cpu, started = tree_cpu(helper), time.process_time(), time.perf_counter()
    yield usage
    usage.seconds = time.perf_counter() - started
    usage.cpu = time.process_time() - cpu
    usage.helper_cpu = tree_cpu(helper) - helped
    usage.rss = _peak() / _MIB


def tree_cpu(pid: int | None) -> float:
    """CPU seconds of a process, its children, and those of them that have ended."""
    if pid is None:
        return 0.0
    root = psutil.Process(pid)
    while True:
        try:
            return sum(sum(process.cpu_times()[:4]) for process in [root, *root.children(recursive=True)])
        except psutil.NoSuchProcess:  # a child ended between the two looks: what it used is its parent's now
            if not root.is_running():
                raise


def _forget_peak() -> None:
    """Linux: let the high-water mark of this process start anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or not allowed: the peak is that of the whole process


def _peak() -> float:
    """The high-water mark of resident memory in bytes. Not `getrusage`: that one survives an exec."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float(psutil.Process().memory_info().rss)
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return float(line.split()[1]) * 1024
