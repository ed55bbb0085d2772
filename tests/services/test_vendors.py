"""Every tracker at once, as users run it: each keeps its end true, and none gets in the way of the others."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from cli.demo.cast import VENDORS
from cli.demo.tool import Tool
from core import workspaces
from core.clock import utc_now
from core.db import Database
from tests.services.stack import Turnbuckle, eventually, started

ANN = "ann@example.com"
ITEMS = 5
TOOLS: list[type[Tool]] = [vendor for vendor in VENDORS if issubclass(vendor, Tool)]
SLOW_ANSWER = 5.0
"""Seconds the vendor takes to answer a creation it has already made: long enough to kill who waits for it."""


@dataclass
class End:
    """One tool and its integration in the running Turnbuckle."""

    turnbuckle: Turnbuckle
    tool: Tool
    line_id: str
    integration_id: str = ""

    def connect(self) -> None:
        """Through the public API, to the end of the first sync."""
        connection = self.tool.connection(self.line_id)
        connection["config"]["poll_seconds"] = 3600
        about = {"workspace_id": self.turnbuckle.ids["workspace"], "type": self.tool.type, "name": self.tool.label}
        self.integration_id = self.turnbuckle.send("POST", "/integrations", {**about, **connection})["id"]
        eventually(self.ready, f"the first sync with {self.tool.label}", timeout=60)

    def ready(self) -> bool:
        """Whether it is synced and hears of changes."""
        found = self.turnbuckle.get(f"/integrations/{self.integration_id}")
        return bool(found["last_synced_at"]) and self.tool.listened()

    def task(self, key: str) -> dict[str, Any] | None:
        """The task of an item."""
        mine = (t for t in self.turnbuckle.tasks() if t["external_source"] == self.tool.type)
        return next((task for task in mine if task["external_id"] == key), None)

    def new_item(self, title: str) -> tuple[str, dict[str, Any]]:
        """An item somebody made there, and its task: the key and the task."""
        priority = next(iter(self.tool.priorities))
        key = self.tool.create(ANN, title, "Words.", priority)
        eventually(lambda: self.task(key), "the new item's task")
        return key, self.task(key) or {}

    def titled(self, title: str) -> list[str]:
        """The keys of the items there with this title."""
        return [key for key, values in self.tool.items().items() if values["title"] == title]


@pytest.fixture(scope="module")
def ends(postgres_url: str, redis_url: str) -> Iterator[dict[str, End]]:
    """All tools connected to one workspace of one Turnbuckle, each to a service line of its own."""
    with ExitStack() as running:
        tools = [make(1, ITEMS) for make in TOOLS]
        for tool in tools:
            running.enter_context(tool.serve(0, "127.0.0.1"))
        endpoints = {tool.type: dict(tool.endpoints()) for tool in tools}
        turnbuckle = running.enter_context(started(Turnbuckle, "services", postgres_url, redis_url, 3, endpoints))
        made = {tool.type: End(turnbuckle, tool, _line(turnbuckle, tool.label)) for tool in tools}
        for end in made.values():
            end.connect()
        yield made


def _line(turnbuckle: Turnbuckle, name: str) -> str:
    database = Database(turnbuckle.database_url)
    with database.write() as session:
        line_id = workspaces.create_service_line(session, turnbuckle.ids["workspace"], name, utc_now()).id
    database.close()
    return line_id


@pytest.fixture(params=[make.type for make in TOOLS])
def end(request: pytest.FixtureRequest, ends: dict[str, End]) -> End:
    """Each tool in turn."""
    return ends[request.param]


def test_the_first_sync_brought_every_item_and_no_other_tools(end: End) -> None:
    mine = {t["external_id"] for t in end.turnbuckle.tasks() if t["external_source"] == end.tool.type}
    assert set(end.tool.items()) == mine
    assert len(mine) >= ITEMS


def test_an_edit_there_shows_here_within_a_second_through_its_webhook(end: End) -> None:
    key, task = end.new_item("Heard of")
    took = []
    for number in range(5):
        title = f"Edit {number} of {key}"
        end.tool.edit(ANN, key, "title", title)
        took.append(eventually(partial(_is, end, task, "title", title), "the edit"))
    assert statistics.median(took) < 1


def test_an_edit_whose_webhook_was_dropped_shows_with_one_poll(end: End) -> None:
    key, task = end.new_item("Unheard of")
    end.tool.sandbox.faults.add("webhook_drop", count=None)
    try:
        end.tool.edit(ANN, key, "title", "Found by polling")
        time.sleep(0.2)  # what the vendor sends a moment later is to be dropped, too
    finally:
        end.tool.sandbox.faults.clear()
    assert not _is(end, task, "title", "Found by polling")
    assert end.turnbuckle.sync(end.integration_id)["status"] == "success"
    assert _is(end, task, "title", "Found by polling")


def test_an_edit_here_reaches_the_tool_within_a_second(end: End) -> None:
    key, task = end.new_item("Written back")
    took = []
    for status in ("in_progress", "done", "backlog"):
        end.turnbuckle.send("PATCH", f"/tasks/{task['id']}", {"status": status})
        took.append(eventually(partial(_stands, end, key, "status", status), f"{status} there"))
    assert statistics.median(took) < 1


def test_a_task_created_here_becomes_one_item_in_the_mapped_tool_and_in_no_other(
    end: End, ends: dict[str, End]
) -> None:
    title = f"Made here for {end.tool.label}"
    task = _create(end, title)
    eventually(lambda: end.turnbuckle.get(f"/tasks/{task['id']}")["external_id"], "the item")
    assert len(end.titled(title)) == 1
    assert [other.tool.label for other in ends.values() if other is not end and other.titled(title)] == []


def test_a_worker_killed_between_the_creation_and_its_commit_leaves_one_item(end: End) -> None:
    title = f"Survivor in {end.tool.label}"
    end.tool.sandbox.faults.add("latency", operation=end.tool.creates, when="after", seconds=SLOW_ANSWER, count=1)
    worker = end.turnbuckle.processes["worker"]
    task = _create(end, title)
    eventually(lambda: end.titled(title), "the item there")
    worker.kill()
    worker.start()
    eventually(lambda: end.turnbuckle.get(f"/tasks/{task['id']}")["external_id"], "the adoption", timeout=90)
    assert len(end.titled(title)) == 1
    assert [t["title"] for t in end.turnbuckle.tasks()].count(title) == 1


def _create(end: End, title: str) -> dict[str, Any]:
    body = {"workspace_id": end.turnbuckle.ids["workspace"], "service_line_id": end.line_id, "title": title}
    return dict(end.turnbuckle.send("POST", "/tasks", body))


def _is(end: End, task: dict[str, Any], field: str, value: str) -> bool:
    return bool(end.turnbuckle.get(f"/tasks/{task['id']}")[field] == value)


def _stands(end: End, key: str, field: str, value: str) -> bool:
    return end.tool.items()[key][field] == value
