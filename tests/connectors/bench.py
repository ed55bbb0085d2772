"""What every connector's tests need around a sandbox: a way to reach it, a whole pull, and what a write expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connectors.contract import Expected, RemoteTask, TaskPage
from connectors.http import Transport, default_transport
from sandbox.base import Sandbox
from sandbox.inprocess import InProcessTransport


@contextmanager
def over_http(sandbox: Sandbox) -> Iterator[tuple[str, Transport]]:
    """Its URL while it is served over real HTTP, and the way there."""
    transport = default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        yield server.url, transport
        transport.close()


@contextmanager
def in_process(sandbox: Sandbox) -> Iterator[Transport]:
    """The way to a sandbox that nobody serves."""
    transport = InProcessTransport(sandbox.app)
    yield transport
    transport.close()


def everything(connector: Any, cursor: Any = None) -> tuple[dict[str, RemoteTask], TaskPage]:
    """All that a pull brings, and its last page."""
    found: dict[str, RemoteTask] = {}
    for page in connector.changed_tasks(cursor):
        found |= {task.external_id: task for task in page.tasks}
    return found, page


def expected(task: RemoteTask) -> Expected:
    """What a write expects that was decided on seeing this."""
    there: dict[str, str | None] = {name: value.there for name, value in task.values.items()}
    return Expected(task.version, there | {"assignee": task.assignee.id if task.assignee else None})
