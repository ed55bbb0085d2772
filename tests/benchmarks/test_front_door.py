"""The benchmark runs, gives its rows, and can tell when something is wrong. Nothing here says how fast anything is."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.front_door import benchmark, deliveries, load, tables
from benchmarks.pull.issues import FIRST_ID
from connectors.contract import Hint, ProjectMapping, RawDelivery
from connectors.jira import webhook
from connectors.jira.config import JiraConfig

SERVERS = ["ours", "limit", "FastAPI + Celery", "FastAPI + commit"]
"""Those that check what they are sent; each takes a few seconds to start."""

SIZES = "--rounds 1 --seconds 0.2 --warm-up 0.1 --connections 4 --distinct 30 --burst 60 --burst-items 7"


@pytest.mark.service
def test_a_small_load_is_put_on_each_server_and_small_inboxes_are_drained(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    main(["front_door", "--beside", ",".join(SERVERS[1:]), *SIZES.split(), "--json", str(out)])
    measured = json.loads(out.read_text())["benchmarks"]["front_door"]
    beside, accepting, draining = (table["rows"] for table in measured["tables"])
    assert [row["server"] for row in accepting] == SERVERS
    assert [row["beside"] for row in beside] == [*SERVERS[1:], "p99 of ours in ms"]
    rounds = [run for run in measured["runs"] if "way" in run]
    assert all(run["statuses"] == {"202": run["sent"]} and run["answered"] > 0 for run in rounds)
    assert [(row["deliveries"], row["issues"], row["tasks"]) for row in draining] == [(30, 30, 30), (60, 7, 7)]
    assert all(row["vendor calls"] == 1 for row in draining)  # a batch, however many deliveries


CONFIG = JiraConfig(site_url="https://acme.atlassian.net", projects=[ProjectMapping(external="APEX")])


def test_every_request_is_signed_has_an_id_of_its_own_and_names_an_issue() -> None:
    before, _ = deliveries.body_ends()
    seen = set()
    for head, end in deliveries.requests("/webhooks/jira/x", "secret", "run", 3):
        lines = head.decode().strip().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        delivery = RawDelivery(headers, before + end, datetime.now(UTC))
        assert int(headers["content-length"]) == len(delivery.body) > deliveries.BODY_BYTES
        seen.add((webhook.verify(delivery, {"signing": ["secret"]}).key, headers["x-hub-signature"]))
        assert webhook.parse(delivery, CONFIG) == [Hint(str(FIRST_ID))]
    assert {key for key, _ in seen} == {"run-0", "run-1", "run-2"}
    assert len({signature for _, signature in seen}) == 3


def test_an_answer_that_comes_in_parts_is_read_whole_before_the_next_request_is_sent() -> None:
    ours, servers_end = socket.socketpair()
    with ours, servers_end:
        servers_end.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n")
        rest = threading.Timer(0.05, servers_end.sendall, [b"\r\n{  }"])
        rest.start()
        assert load._status(ours) == 202
        rest.join()
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)


def test_a_server_that_hangs_up_in_the_middle_of_an_answer_is_an_error() -> None:
    ours, servers_end = socket.socketpair()
    with ours:
        with servers_end:
            servers_end.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\n{")
        with pytest.raises(ConnectionError, match="hung up"):
            load._status(ours)


@pytest.mark.parametrize(
    ("stored", "words"),
    [({"a": 1}, "1 deliveries acknowledged and not stored"), ({"a": 1, "b": 2}, "1 rows too many")],
)
def test_a_delivery_that_was_lost_or_stored_twice_ends_the_benchmark(stored: dict[str, int], words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        benchmark.compare(Counter("ab"), Counter(stored))
    benchmark.compare(Counter("ab"), Counter("ba"))


def test_a_goal_that_was_missed_is_said_to_be_missed() -> None:
    runs = [_run("ours", 500), _run("limit", 834), _run("bare ASGI", 1000), _run("FastAPI", 501)]
    rows = {row["beside"]: row["met"] for row in tables.beside(runs).rows}
    assert rows == {"limit": "NO", "bare ASGI": "yes", "FastAPI": "NO", "p99 of ours in ms": "NO"}


def _run(way: str, rate: float) -> dict[str, Any]:
    return {"way": way, "round": 0, "rate": rate, "p99_ms": 100.0, "server_us": 100.0, "helpers_us": 0.0}
