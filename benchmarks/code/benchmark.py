"""A repository's history read into the platform: ours beside the bare fetch of the same pages.

Every run has a fresh database with the same tables on one PostgreSQL with fsync on, and a process of its own. The
vendor is the GitHub sandbox over HTTP, in a process of its own too, without rate limits; the contestants take turns.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.code import ground, job, vendor
from benchmarks.code.job import Job
from benchmarks.code.vendor import Vendor
from benchmarks.report import Report, Table
from core import logs
from tests.services.servers import PostgresServer, fresh_database, postgres_server

WAYS = ("fetch", "read", "ours")

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    group = parser.add_argument_group("code")
    group.add_argument("--pulls", type=_numbers, default=[2000, 10_000], help="pull requests: 2000,10000")
    group.add_argument("--turns", type=int, default=3, help="of every way with each history (3)")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def run(options: argparse.Namespace, say: Say) -> Report:
    """Measure everything."""
    report = Report("code: a repository's history from the GitHub sandbox into PostgreSQL (fsync on)")
    logs.set_up(as_json=False, level="WARNING")
    # Without autovacuum every run meets tables nobody has analyzed, which is the harder case and the same for all.
    with postgres_server(durable=True, settings={"autovacuum": "off"}) as postgres:
        for pulls in options.pulls:
            with vendor.running(pulls) as github:
                report.facts[f"{pulls:,} pull requests"] = f"{github.events:,} events"
                report.runs += _rounds(_Stage(postgres, github, pulls), options.turns, say)
    report.tables = [_ratios(report.runs), _details(report.runs), _memory(report.runs)]
    report.notes = NOTES
    return report


NOTES = [
    "fetch: the requests a reading makes, in the same order, one at a time over one connection of the same HTTP "
    "library, each answer decoded by json.loads; nothing else. read: the connector through our client, nothing kept, "
    "no budget. ours: what a worker runs, with budget, leases, cursor, events and the run's progress.",
    "ratio: ours / the other, medians of rounds in turn. All three wait for the sandbox most of the time: its share is "
    "the CPU time it used, of the whole time. ratio by CPU: the other's CPU seconds (its own and PostgreSQL's) / ours.",
    "The sandbox's rate limit and the connector's own budget are lifted, to 10,000 calls a second, for they would "
    "bound the run: GitHub allows 5,000 calls an hour, and this history takes more than four hours there.",
    "events: those stored (fetch: those its answers tell of). facts: the tables made of the events, all at once.",
    "writes: transactions of ours that stored pages; statements/write: within one of them. commits: with those of the "
    "budget (every 8 calls), leases and claims.",
    "MiB: resident before, and at the most meanwhile.",
]


@dataclass
class _Stage:
    """The vendor and the database server all contestants meet."""

    postgres: PostgresServer
    github: Vendor
    pulls: int

    @contextmanager
    def ground(self) -> Iterator[Job]:
        """A fresh database, in which a history is due to be read."""
        template = self.postgres.template("code", ground.prepare)
        with fresh_database(self.postgres, template=template) as url:
            yield ground.connect(url, self.github, self.postgres.process.pid)

    def contest(self, way: str, urls: list[str]) -> list[dict[str, Any]]:
        """One run of one contestant; a row for each of its phases."""
        with self.ground() as given:
            self.github.calls()
            phases = job.run(way, replace(given, urls=urls if way == "fetch" else []))
        about = {"way": way, "pulls": self.pulls, "calls": self.github.calls()}
        return [about | self._checked(way, phase) for phase in phases]

    def _checked(self, way: str, phase: dict[str, Any]) -> dict[str, Any]:
        if way == "fetch":
            return phase | {"events": self.github.events}
        if phase["phase"] == "backfill" and phase["events"] != self.github.events:
            raise RuntimeError(f"{way} has {phase['events']} events of {self.github.events}")
        return phase


def _rounds(stage: _Stage, rounds: int, say: Say) -> Iterator[dict[str, Any]]:
    with stage.ground() as given:
        urls = job.run("urls", given)
    for turn in range(rounds):
        for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
            say(f"{stage.pulls:,} pull requests: {way}, round {turn + 1} of {rounds}")
            yield from stage.contest(way, urls)


# --- the tables ---------------------------------------------------------------------------------------


def _ratios(runs: Sequence[dict[str, Any]]) -> Table:
    """Ours against the others."""
    rows = []
    for pulls, way in _keys(runs, "pulls", "way"):
        if way == "ours":
            continue
        ours, other = (_where(runs, way=one, pulls=pulls, phase="backfill") for one in ("ours", way))
        rows.append(
            {
                "pull requests": pulls,
                "beside": way,
                "ours, events/s": statistics.median(map(_speed, ours)),
                "events/s": statistics.median(map(_speed, other)),
                "ratio": round(statistics.median(map(_speed, ours)) / statistics.median(map(_speed, other)), 2),
                "lowest and highest pair": _spread(ours, other),
                "ratio by CPU": round(statistics.median(map(_cpu, other)) / statistics.median(map(_cpu, ours)), 2),
            }
        )
    return Table("Ours beside the others", rows)


def _spread(ours: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> str:
    pairs = sorted(_speed(a) / _speed(b) for a, b in zip(ours, other, strict=True))
    return f"{pairs[0]:.2f} to {pairs[-1]:.2f}"


def _details(runs: Sequence[dict[str, Any]]) -> Table:
    """Medians of everything."""
    rows = []
    for pulls, way, phase in _keys(runs, "pulls", "way", "phase"):
        of = _where(runs, pulls=pulls, way=way, phase=phase)
        seconds = _median(of, "seconds")
        rows.append(
            {
                "way": way if phase == "backfill" else phase,
                "pull requests": pulls,
                "events": of[0]["events"],
                "s": seconds,
                "events/s": statistics.median(map(_speed, of)),
                "calls": of[0]["calls"] if phase == "backfill" else None,
                "sandbox": f"{_median(of, 'vendor_cpu') / seconds:.0%}",
                "writes": of[0].get("writes"),
                "statements /write": of[0].get("statements_per_write"),
                "statements": of[0].get("statements"),
                "commits": of[0].get("commits"),
                "CPU s": f"{_median(of, 'cpu'):.2f} {_median(of, 'helper_cpu'):.2f}",
                "MiB": f"{_median(of, 'rss_before'):.0f} {_median(of, 'rss'):.0f}",
            }
        )
    return Table("Every way", rows)


def _memory(runs: Sequence[dict[str, Any]]) -> Table:
    """How the most of a worker's memory grows with the history."""
    rows = []
    for phase in ("backfill", "facts"):
        found = {
            pulls: _median(_where(runs, way="ours", phase=phase, pulls=pulls), "rss")
            for (pulls,) in _keys(runs, "pulls")
        }
        least, most = min(found), max(found)
        row = {"": phase} | {f"MiB at {pulls:,}": round(peak) for pulls, peak in found.items()}
        rows.append(row | {"growth, MiB": round(found[most] - found[least], 1)})
    return Table("Our memory at the most", rows)


def _keys(runs: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """The combinations there are, in the order of their first run."""
    return list(dict.fromkeys(tuple(run[name] for name in names) for run in runs))


def _where(runs: Sequence[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    return [run for run in runs if all(run[name] == value for name, value in values.items())]


def _speed(run: dict[str, Any]) -> float:
    return float(run["events"] / run["seconds"])


def _cpu(run: dict[str, Any]) -> float:
    """CPU seconds of the process and of PostgreSQL; never quite 0, since clocks are coarse."""
    return float(run["cpu"] + run["helper_cpu"]) + 1e-6


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)
