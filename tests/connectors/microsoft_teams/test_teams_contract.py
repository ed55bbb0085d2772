"""What the connector sends and the sandbox answers, against a description of the vendor's API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from connectors.http import default_transport
from sandbox.microsoft_teams import TeamsSandbox
from tests.connectors.microsoft_teams.conftest import Bench, notification


def drive(teams: Bench) -> None:
    """Every call, the right way."""
    flows, bot = teams.flows(), teams.bot()
    flows.send(notification(), "")
    flows.send(notification(), "incidents")
    bot.check()
    root = bot.send(notification(), "")
    bot.send(notification(2), "", under=root)
    bot.update(root, notification(over=True))


def test_every_call_is_one_that_is_described(checker: ModuleType, tmp_path: Path) -> None:
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = TeamsSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock))
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    # Public keys are no call of the API.
    result = checker.run([one for one in exchanges if "/.well-known/" not in one["url"]])
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings] == []
    assert len(result.operations["microsoft_teams"]) == 7
    assert any("%3Bmessageid%3D" in one["url"] for one in exchanges), "ids hold what a path can't"
