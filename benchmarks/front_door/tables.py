"""What the runs come to: medians, ratios and whether the goals are met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.report import Table

OURS = "ours"

GOALS = {"limit": 0.6, "bare ASGI": 0.5, "FastAPI": 1.0, "FastAPI + Celery": 6.0}
"""Ours / the other's accepted deliveries a second, at least."""

P99_MS = 100.0
"""Goal for ours: under this many milliseconds."""

FIRST_SHARE = 10
"""The memory after this part (a tenth) of a drain is what later growth is counted from: by then every kind of work has
been done."""

NOTES = [
    "ratio: ours / the other, of the medians; the servers take turns on one machine, which load and PostgreSQL share.",
    "ours: `turnbuckle serve`: signature checked and row committed before the answer. limit: the least that does so: "
    "bare ASGI, HMAC, one raw statement per group. groups of one: ours without sharing a commit. bare ASGI, FastAPI: "
    "read the body and do nothing. FastAPI + Celery: checks the signature, reads the JSON, calls .delay() (Redis). "
    "FastAPI + commit: checks the signature, a SQLAlchemy session per request.",
    "by CPU: the other's CPU time per delivery, with what PostgreSQL and Redis used for it, / ours; what else runs on "
    "the machine moves it less. The rates may differ from it, since PostgreSQL works beside the server.",
    "load: how much of a core the sender took. CPU µs: per delivery, of the server; then of PostgreSQL and Redis.",
    "Every delivery answered with 202 was found in the inbox (for Celery: in Redis) exactly once.",
    "distinct: each delivery names an issue not seen before. burst: many deliveries for each of a few issues. "
    "MiB: resident before, after a tenth of the time, at the end, at the most; growth is from the second to the third.",
]


def beside(runs: Sequence[dict[str, Any]]) -> Table:
    """Ours against every other server, with the goals."""
    rows: list[dict[str, Any]] = []
    ours = _of(runs, OURS)
    for way in _ways(runs):
        if way == OURS:
            continue
        theirs = _of(runs, way)
        ratio = _median(ours, "rate") / _median(theirs, "rate")
        goal = GOALS.get(way)
        pairs = sorted(mine["rate"] / other["rate"] for mine, other in zip(ours, theirs, strict=True))
        rows.append(
            {
                "beside": way,
                "ratio": f"{ratio:.2f}",
                "lowest and highest round": f"{pairs[0]:.2f} to {pairs[-1]:.2f}",
                "by CPU": f"{_cpu(theirs) / _cpu(ours):.2f}",
                "goal": "" if goal is None else f"{goal:g} or more",
                "met": "" if goal is None else _met(ratio >= goal),
            }
        )
    p99 = _median(ours, "p99_ms")
    spread = f"{min(run['p99_ms'] for run in ours):.0f} to {max(run['p99_ms'] for run in ours):.0f}"
    rows.append(
        {
            "beside": "p99 of ours in ms",
            "ratio": f"{p99:.1f}",
            "lowest and highest round": spread,
            "by CPU": "",
            "goal": f"under {P99_MS:g}",
            "met": _met(p99 < P99_MS),
        }
    )
    return Table("Ours beside the others", rows)


def _met(holds: bool) -> str:
    return "yes" if holds else "NO"


def servers(runs: Sequence[dict[str, Any]]) -> Table:
    """Medians of everything, a row per server."""
    rows = []
    for way in _ways(runs):
        of = _of(runs, way)
        rows.append(
            {
                "server": way,
                "accepted/s": _median(of, "rate"),
                "p50 ms": _median(of, "p50_ms"),
                "p99 ms": _median(of, "p99_ms"),
                "max ms": max(run["max_ms"] for run in of),
                "CPU µs": round(_median(of, "server_us")),
                "of helpers": round(_median(of, "helpers_us")),
                "load": f"{_median(of, 'busy'):.0%}",
                "MiB": round(max(run["rss"] for run in of)),
                "accepted in all": sum(run["sent"] for run in of),
            }
        )
    return Table("Accepting", rows)


def drained(runs: Sequence[dict[str, Any]]) -> Table:
    """A row per inbox."""
    return Table("Draining", [_drained(run) for run in runs])


def _drained(run: dict[str, Any]) -> dict[str, Any]:
    samples = run["samples"]
    early, late = samples[len(samples) // FIRST_SHARE], samples[-1]
    return {
        "inbox": run["inbox"],
        "deliveries": run["finished"],
        "issues": run["items"],
        "tasks": run["tasks"],
        "s": run["seconds"],
        "deliveries/s": run["finished"] / run["seconds"],
        "vendor calls": run["calls"],
        "CPU s": f"{run['cpu']:.1f} {run['helper_cpu']:.1f}",
        "MiB": f"{run['rss_before']:.0f} {early:.0f} {late:.0f} {run['rss']:.0f}",
        "growth": f"{late - early:+.1f}",
    }


def _ways(runs: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(run["way"] for run in runs if run["round"] == 0))


def _of(runs: Sequence[dict[str, Any]], way: str) -> list[dict[str, Any]]:
    """A server's runs, in the order of the rounds."""
    return sorted((run for run in runs if run["way"] == way), key=lambda run: run["round"])


def _cpu(runs: Sequence[dict[str, Any]]) -> float:
    """CPU time per delivery, all told; never quite 0, since clocks are coarse."""
    return statistics.median(run["server_us"] + run["helpers_us"] for run in runs) + 1e-6


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)
