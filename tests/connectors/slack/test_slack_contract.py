"""What the connector sends and the sandbox answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from connectors.http import default_transport
from sandbox.slack import SlackSandbox
from tests.connectors.slack.conftest import Bench, notification


def drive(slack: Bench) -> None:
    """Every call, the right way."""
    connector = slack.connector()
    connector.check()
    root = connector.send(notification(), "")
    answer = connector.send(notification(2), "", under=root)
    connector.update(root, notification(over=True))
    assert connector.find_sent("NTF-26-000001", "", slack.clock.now()) == root
    assert connector.find_sent("NTF-26-000002", "", slack.clock.now(), under=root) == answer
    slack.act("open_channel", channel="C0PUBLIC", name="public")
    connector.send(notification(3), "C0PUBLIC")


def test_every_call_is_one_slack_describes(checker: ModuleType, tmp_path: Path) -> None:
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = SlackSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock))
        transport.close()
    result = checker.run([json.loads(line) for line in record.read_text().splitlines()])
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings] == []
    assert len(result.operations["slack"]) == 6
