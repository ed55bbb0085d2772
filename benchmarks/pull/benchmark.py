"""Pulling a Jira project into the platform: ours beside the practical limit and the usual way.

Every run has a fresh database with the same tables on one PostgreSQL with fsync on, and a process of its own; the
vendor is a local server that is never the bottleneck. Ours and the limit take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import urllib3

from benchmarks.pull import ground, job, vendor
from benchmarks.report import Report, Table
from core import logs
from tests.services.servers import PostgresServer, fresh_database, postgres_server

DEFAULT_PAGE = 100
"""What the connector asks for unless configured otherwise, and all that Jira gives with these fields."""

LARGE_PAGE = 1000
"""The most that can be configured: shows what does not depend on the page's size."""

USUAL_ITEMS = 1000
"""The usual way is so slow that it reads fewer; its records/s do not depend on it."""

LIMITS = ("limit", "limit + markdown")
WAYS = ("ours", *LIMITS)

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    group = parser.add_argument_group("pull")
    group.add_argument("--items", type=int, default=10_000, help="issues in the project (10000)")
    group.add_argument("--latency", type=_numbers, default=[0, 80], help="of the vendor in ms: 0,80")
    group.add_argument("--pages", type=_numbers, default=[DEFAULT_PAGE, LARGE_PAGE], help="page sizes: 100,1000")
    group.add_argument("--runs", type=int, default=3, help="runs of ours and of the limit, in turn (3)")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


@dataclass(frozen=True)
class Setting:
    """What is the same for all contestants of a round."""

    latency: int
    page_size: int

    def __str__(self) -> str:
        return f"{self.latency} ms, {self.page_size} a page"


def run(options: argparse.Namespace, say: Say) -> Report:
    """Measure everything."""
    report = Report(f"pull: {options.items:,} Jira issues of 3.7 KB into PostgreSQL (fsync on)")
    logs.set_up(as_json=False, level="WARNING")
    with _stage(options.items) as stage:
        report.facts["the vendor alone, issues/s"] = stage.capacity_text(options.items)
        for setting in _settings(options):
            for turn in range(options.runs):
                for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
                    say(f"{setting}: {way}, run {turn + 1} of {options.runs}")
                    report.runs += stage.contest(way, setting, options.items)
        say(f"the usual way, {min(USUAL_ITEMS, options.items)} issues")
        usual = Setting(options.latency[0], options.pages[0])
        report.runs += stage.contest("usual", usual, min(USUAL_ITEMS, options.items))
    report.tables = [_ratios(report.runs), _details(report.runs)]
    report.notes = NOTES
    return report


NOTES = [
    "ratio: ours / limit, medians of runs in turn. The limit writes task and binding rows and nothing else: no "
    "look-up, reconcile, events, leases, budgets, cursor or run. Its second pull reads a page's versions and writes "
    "nothing. It makes plain text of descriptions; limit + markdown makes the same text of them as we do.",
    "ratio by CPU: the limit's CPU seconds (its own and PostgreSQL's) / ours; what else runs here hardly moves it.",
    "first: an empty database. again: everything is read once more, nothing has changed. since: the next poll, which "
    "looks back five minutes behind the newest change.",
    "writes: transactions of ours that stored pages, each all that had arrived; statements/write: within one of them.",
    "CPU s: of the process, then of PostgreSQL. MiB: resident before, and at the most meanwhile.",
    f"usual: jira objects and an ORM merge per row, with {USUAL_ITEMS:,} issues at most.",
]


def _settings(options: argparse.Namespace) -> list[Setting]:
    """Every latency with the first page size; the other page sizes with the first latency."""
    first = [Setting(latency, options.pages[0]) for latency in options.latency]
    return first + [Setting(options.latency[0], size) for size in options.pages[1:]]


# --- the stage ----------------------------------------------------------------------------------------


@dataclass
class _Stage:
    """The vendor and the database server all contestants meet."""

    postgres: PostgresServer
    site: str

    def contest(self, way: str, setting: Setting, items: int) -> list[dict[str, Any]]:
        """One run of one contestant on a fresh database; a row for each of its pulls."""
        name, _, markdown = way.partition(" + ")
        template = self.postgres.template("benchmark", ground.prepare)
        with fresh_database(self.postgres, template=template) as url:
            vendor.control(self.site, latency_ms=0)
            given = ground.connect(url, self.site, setting.page_size, self.postgres.process.pid, items)
            vendor.control(self.site, setting.latency)
            phases = job.run(name, replace(given, markdown=bool(markdown)))
        about = {"way": way, "latency_ms": setting.latency, "page_size": setting.page_size}
        return [about | phase for phase in phases]

    def capacity_text(self, items: int) -> str:
        """How fast the vendor is for a client that only fetches."""
        return ", ".join(f"{self._capacity(items, size):,.0f} at {size} a page" for size in (DEFAULT_PAGE, LARGE_PAGE))

    def _capacity(self, items: int, size: int) -> float:
        http = urllib3.PoolManager()
        speeds = []
        for _ in range(3):  # the first one makes the pages
            started = time.perf_counter()
            for start in range(0, items, size):
                search = {"jql": "", "maxResults": size, "nextPageToken": str(start)}
                answer = http.request("POST", f"{self.site}/rest/api/3/search/jql", json=search)
                assert answer.status == 200
            speeds.append(items / (time.perf_counter() - started))
        return max(speeds)


@contextmanager
def _stage(items: int) -> Iterator[_Stage]:
    # Without autovacuum every run meets tables nobody has analyzed, which is the harder case and the same for all.
    with postgres_server(durable=True, settings={"autovacuum": "off"}) as postgres, vendor.running(items) as site:
        yield _Stage(postgres, site)


# --- the tables ---------------------------------------------------------------------------------------


def _ratios(runs: Sequence[dict[str, Any]]) -> Table:
    """Ours against the limit, for each setting and kind of pull that both know."""
    rows = []
    for way, latency, size, phase in _keys(runs, "way", "latency_ms", "page_size", "phase"):
        if way not in LIMITS:
            continue
        ours, limit = (_where(runs, way=w, latency_ms=latency, page_size=size, phase=phase) for w in ("ours", way))
        row: dict[str, Any] = {"pull": phase, "ms": latency, "page": size, "beside": way}
        row["ours, records/s"] = speed = statistics.median(map(_speed, ours))
        row["limit, records/s"] = most = statistics.median(map(_speed, limit))
        row["ratio"] = round(speed / most, 2)
        row["lowest and highest pair"] = _spread(ours, limit)
        row["ratio by CPU"] = round(statistics.median(map(_cpu, limit)) / statistics.median(map(_cpu, ours)), 2)
        rows.append(row)
    return Table("Ours beside the limit", rows)


def _spread(ours: Sequence[dict[str, Any]], limit: Sequence[dict[str, Any]]) -> str:
    pairs = sorted(_speed(a) / _speed(b) for a, b in zip(ours, limit, strict=True))
    return f"{pairs[0]:.2f} to {pairs[-1]:.2f}"


def _details(runs: Sequence[dict[str, Any]]) -> Table:
    """Medians of everything, a row per way, setting and kind of pull."""
    rows = []
    for way, latency, size, phase in _keys(runs, "way", "latency_ms", "page_size", "phase"):
        of = _where(runs, way=way, latency_ms=latency, page_size=size, phase=phase)
        rows.append(
            {
                "way": way,
                "pull": phase,
                "ms": latency,
                "page": size,
                "records": of[0]["records"],
                "s": _median(of, "seconds"),
                "records/s": statistics.median(map(_speed, of)),
                "vendor calls": of[0]["calls"],
                "writes": of[0].get("writes"),
                "statements /write": of[0].get("statements_per_write"),
                "all": of[0].get("statements"),
                "CPU s": f"{_median(of, 'cpu'):.2f} {_median(of, 'helper_cpu'):.2f}",
                "MiB": f"{_median(of, 'rss_before'):.0f} {_median(of, 'rss'):.0f}",
            }
        )
    return Table("Every way", rows)


def _keys(runs: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """The combinations there are, in the order of their first run."""
    return list(dict.fromkeys(tuple(run[name] for name in names) for run in runs))


def _where(runs: Sequence[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    return [run for run in runs if all(run[name] == value for name, value in values.items())]


def _speed(run: dict[str, Any]) -> float:
    return float(run["records"] / run["seconds"])


def _cpu(run: dict[str, Any]) -> float:
    """CPU seconds of the process and of PostgreSQL; never quite 0, since clocks are coarse."""
    return float(run["cpu"] + run["helper_cpu"]) + 1e-6


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)
