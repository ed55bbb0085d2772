"""`up` and `serve` as real processes."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.jira import JiraSandbox
from tests.cli.conftest import Place, Turnbuckle
from tests.services.process import ServiceProcess, free_port, wait_until

COMMAND = [sys.executable, "-m", "cli"]


class Server:
    """A running `up` or `serve`, and a token for it."""

    def __init__(self, process: ServiceProcess, url: str, token: str) -> None:
        self.process = process
        self._url = url
        self._token = token

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST a body; what is inside `data`."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]


@contextmanager
def running(command: str, home: Path, turnbuckle: Turnbuckle, place: Place) -> Iterator[Server]:
    token = turnbuckle.json("token", "create", "--workspace", place.workspace_id, "--user", place.ann_id)["token"]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    args = [*COMMAND, command, "--port", str(port)]
    env = {"TURNBUCKLE_DATABASE_URL": f"sqlite:///{home / 'turnbuckle.db'}"}
    with ServiceProcess(args, env=env, ready=f"{url}/readyz", name=command) as process:
        yield Server(process, url, token)


def test_up_survives_a_kill_and_goes_on(
    turnbuckle: Turnbuckle, home: Path, place: Place, jira: JiraSandbox, integration_id: str
) -> None:
    with running("up", home, turnbuckle, place) as server:
        tasks = f"/v1/tasks?workspace_id={place.workspace_id}"
        wait_until(lambda: len(server.call(tasks)) == 3, what="the first sync")
        wait_until(lambda: jira.hub.admin, what="the webhook")
        new = {"workspace_id": place.workspace_id, "service_line_id": place.line_id, "title": "Made before the kill"}
        made = server.call("/v1/tasks", new)

        server.process.kill()
        key = jira.state()["issues"][0]["key"]
        jira.person("bob@example.com").edit(key, summary="Edited while it was down")
        server.process.start()

        def summaries() -> set[str]:
            return {issue["summary"] for issue in jira.state()["issues"]}

        wait_until(lambda: "Made before the kill" in summaries(), what="the write-back")
        assert server.call(f"/v1/tasks/{made['id']}")["title"] == "Made before the kill"
        # Jira's webhook of that edit found nobody; whoever asks for a sync need not wait for the next poll.
        turnbuckle("integration", "sync", integration_id, "--wait")
        assert "Edited while it was down" in {task["title"] for task in server.call(tasks)}
        jira.person("bob@example.com").edit(key, summary="Edited after it came back")
        wait_until(
            lambda: "Edited after it came back" in {task["title"] for task in server.call(tasks)}, what="the webhook"
        )
        assert server.process.stop() == 0


def test_serve_answers_and_leaves_the_work_to_workers(
    turnbuckle: Turnbuckle, home: Path, place: Place, integration_id: str
) -> None:
    with running("serve", home, turnbuckle, place) as server:
        run = server.call(f"/v1/integrations/{integration_id}/sync", {})
        assert run["status"] == "running"
        assert "turnbuckle up" in server.process.log


def test_a_port_that_is_taken_is_told(turnbuckle: Turnbuckle, home: Path, place: Place) -> None:
    with running("up", home, turnbuckle, place) as server:
        port = server.process.args[-1]
        second = ServiceProcess([*COMMAND, "up", "--port", port], ready=None, name="second")
        with second:
            assert second.wait(timeout=30) == 1
            assert f"127.0.0.1:{port}" in second.log
            assert "Traceback" not in second.log
