"""Webhooks accepted under load, beside servers that do less or do it the usual way; and the inbox worked off.

One PostgreSQL with fsync on, one Redis, and all servers, each a process of its own, run throughout; the load is on one
of them at a time. At the end every delivery that was answered with 202 must be in the inbox exactly once.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
import redis

from benchmarks import child
from benchmarks.front_door import ground, servers, tables
from benchmarks.front_door.deliveries import body_of
from benchmarks.front_door.drain import Drain
from benchmarks.front_door.load import Load, send
from benchmarks.machine import tree_cpu
from benchmarks.pull import ground as workspace
from benchmarks.pull import vendor
from benchmarks.report import Report
from core import logs
from tests.services.process import ServiceProcess, free_port
from tests.services.servers import PostgresServer, RedisServer, fresh_database, postgres_server, redis_server

PAGE = 100
"""Of the integration; nothing is pulled here."""

PREBUILT = 20_000
"""Requests made beforehand per second of load: about what the leanest server answers. If they are used up, a stretch
ends early."""

OTHERS = [name for name in servers.SERVERS if name != tables.OURS]

_MIB = 1024 * 1024

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    group = parser.add_argument_group("front_door")
    group.add_argument("--beside", type=_names, default=OTHERS, help=f"servers to compare with: {', '.join(OTHERS)}")
    group.add_argument("--connections", type=int, default=64, help="that send at once (64)")
    group.add_argument("--seconds", type=float, default=4.0, help="of load per server and round, after a warm-up (4)")
    group.add_argument("--warm-up", type=float, default=1.0, metavar="SECONDS", help="before each round (1)")
    group.add_argument("--rounds", type=int, default=5, help="in which every server has its turn (5)")
    group.add_argument("--distinct", type=int, default=5_000, help="deliveries of distinct issues to drain (5000)")
    group.add_argument("--burst", type=int, default=100_000, help="deliveries of a burst to drain (100000)")
    group.add_argument("--burst-items", type=int, default=200, help="issues they name (200)")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(OTHERS):
        raise argparse.ArgumentTypeError(f"one of these is no server: {', '.join(names)}")
    return names


def run(options: argparse.Namespace, say: Say) -> Report:
    """Measure everything."""
    size = len(body_of(0))
    report = Report(f"front door: deliveries of {size:,} bytes into PostgreSQL (fsync on), HMAC-SHA256 checked")
    logs.set_up(as_json=False, level="WARNING")
    with postgres_server(durable=True) as postgres, redis_server() as broker:
        report.facts["PostgreSQL, connections"] = f"{_version(postgres)}, {options.connections}"
        rounds = _rounds(postgres, broker, options, say)
        drains = _drains(postgres, options, say)
    report.runs = [*rounds, *drains]
    report.tables = [tables.beside(rounds), tables.servers(rounds), tables.drained(drains)]
    report.notes = tables.NOTES
    return report


def _version(postgres: PostgresServer) -> str:
    with postgres.connect() as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return str(row[0])


# --- accepting ----------------------------------------------------------------------------------------


def _rounds(
    postgres: PostgresServer, broker: RedisServer, options: argparse.Namespace, say: Say
) -> list[dict[str, Any]]:
    runs = []
    names = [tables.OURS, *options.beside]
    with _stage(postgres, broker, names) as stage:
        for turn in range(options.rounds):
            for way in _order(names, turn):
                say(f"round {turn + 1} of {options.rounds}: {way}")
                runs.append(stage.contest(way, turn, options))
        stage.check()
    return runs


def _order(names: list[str], turn: int) -> list[str]:
    """Every round begins with another server, so that none always follows the same one."""
    first = turn % len(names)
    return names[first:] + names[:first]


@dataclass
class _Stage:
    """The servers under load, and what they have acknowledged."""

    postgres: PostgresServer
    broker: RedisServer
    url: str
    path: str
    queue: redis.Redis
    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)

    def contest(self, way: str, turn: int, options: argparse.Namespace) -> dict[str, Any]:
        """One server's turn. Raises RuntimeError if it answered anything but 202."""
        prefix = f"{way}-{turn}".replace(" ", "-")
        self.postgres.execute("CHECKPOINT")  # what was written for the one before is not this one's to flush
        before = self._cpu(way)
        told = send(self._load(way, prefix, options))
        after = self._cpu(way)
        sent = told["sent"]
        if told["statuses"] != {"202": sent}:
            raise RuntimeError(f"{way} did not answer everything with 202: {told['statuses']}")
        if way in servers.STORING:
            self.accepted.update({f"{prefix}-{number}": 1 for number in range(sent)})
        if way == servers.CELERY:
            self._check_queue(sent)
        cpu = {name: (after[name] - before[name]) / sent * 1e6 for name in after}
        rss = psutil.Process(self.pids[way]).memory_info().rss / _MIB
        return {"way": way, "round": turn, **told, **cpu, "rss": rss}

    def _cpu(self, way: str) -> dict[str, float]:
        """CPU seconds so far of the server, and of those that work for it."""
        return {
            "server_us": tree_cpu(self.pids[way]),
            "helpers_us": tree_cpu(self.postgres.process.pid) + tree_cpu(self.broker.process.pid),
        }

    def check(self) -> None:
        """Everything acknowledged is stored, once. Raises RuntimeError."""
        compare(self.accepted, Counter(ground.stored_keys(self.url)))

    def _load(self, way: str, prefix: str, options: argparse.Namespace) -> Load:
        return Load(
            port=self.ports[way],
            path=self.path,
            secret=ground.SECRET,
            prefix=prefix,
            connections=options.connections,
            warm_up=options.warm_up,
            seconds=options.seconds,
            prebuilt=int(PREBUILT * (options.warm_up + options.seconds)),
        )

    def _check_queue(self, sent: int) -> None:
        queued = self.queue.llen(servers.QUEUE)
        self.queue.delete(servers.QUEUE)
        if queued != sent:
            raise RuntimeError(f"{servers.CELERY} acknowledged {sent} deliveries and queued {queued}")


def compare(accepted: Counter[str], stored: Counter[str]) -> None:
    """Raises RuntimeError if a delivery was acknowledged and not stored, or is stored twice or unasked."""
    missing, more = accepted - stored, stored - accepted
    if missing or more:
        raise RuntimeError(f"{missing.total()} deliveries acknowledged and not stored, {more.total()} rows too many")


@contextmanager
def _stage(postgres: PostgresServer, broker: RedisServer, names: list[str]) -> Iterator[_Stage]:
    template = postgres.template("benchmark", workspace.prepare)
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(postgres, template=template))
        site = stack.enter_context(vendor.running(1))
        given = workspace.connect(url, site, PAGE, postgres.process.pid, 1)
        path = ground.subscribe(url, given.key, given.integration_id)
        queue = stack.enter_context(redis.Redis.from_url(broker.url()))
        stage = _Stage(postgres, broker, url, path, queue)
        env = servers.environment(url, broker.url(), given.key, ground.SECRET, given.integration_id)
        for way in names:
            port = stage.ports[way] = free_port()
            command = [sys.executable, "-m", "benchmarks.front_door.servers", way, str(port)]
            server = ServiceProcess(command, env=env, ready=f"http://127.0.0.1:{port}/", name="bench-server")
            stage.pids[way] = stack.enter_context(server).pid
        yield stage


# --- draining -----------------------------------------------------------------------------------------


def _drains(postgres: PostgresServer, options: argparse.Namespace, say: Say) -> list[dict[str, Any]]:
    """Deliveries of distinct issues that are not known yet; then a burst, many for each issue."""
    runs = []
    jobs = {"distinct": (options.distinct, options.distinct), "burst": (options.burst, options.burst_items)}
    with vendor.running(max(items for _, items in jobs.values())) as site:
        for name, (count, items) in jobs.items():
            say(f"draining {count:,} deliveries of {items:,} issues")
            runs.append({"inbox": name, "items": items, **_drain(postgres, site, count, items)})
    return runs


def _drain(postgres: PostgresServer, site: str, count: int, items: int) -> dict[str, Any]:
    """One inbox drained in a fresh database. Raises RuntimeError unless everything was finished and bound."""
    template = postgres.template("benchmark", workspace.prepare)
    with fresh_database(postgres, template=template) as url:
        given = workspace.connect(url, site, PAGE, postgres.process.pid, items)
        ground.fill(url, given.integration_id, count, items)
        job = Drain(url, site, given.key, postgres.process.pid, given.integration_id, count)
        vendor.control(site)
        told: dict[str, Any] = child.run("benchmarks.front_door.drain", asdict(job))
        calls = vendor.control(site)
        found = ground.found(url)
    if found != ground.Found({"done": count}, min(items, count)):
        raise RuntimeError(f"{count} deliveries of {items} issues were drained to {found}")
    return {**told, "calls": calls, "tasks": found.bound}
