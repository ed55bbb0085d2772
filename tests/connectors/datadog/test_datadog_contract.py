"""What the connector sends and the sandbox answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.contract import AlertRef
from connectors.http import default_transport
from sandbox.datadog import DatadogSandbox
from tests.connectors.datadog.conftest import CPU, CPU_METRIC, SECRET, SLOW, URL, Bench


def drive(datadog: Bench) -> None:
    """Every call, the right way."""
    connector = datadog.connector(metrics=[CPU_METRIC], history_days=1, route="team:payments")
    connector.check()
    for _ in range(2):
        made = connector.subscribe(URL, SecretStr(SECRET))
    assert connector.renew(made, URL) == made
    datadog.act("trigger", monitor=SLOW, group="service:payments,zone:a")
    datadog.act("mute", monitor=CPU, downtime=True)
    datadog.firing()
    connector.fetch_alerts([AlertRef(str(SLOW), "service:payments,zone:a"), AlertRef("404", "")])
    list(connector.measures(None))
    client = connector._client
    [rule] = client.rules()
    client.put_rule(rule.id, {"name": "Theirs", "filter": rule.attributes.filter, "recipients": ["slack-payments"]})
    connector.subscribe(URL, SecretStr(SECRET))
    connector.unsubscribe(made)
    client.remove(f"/api/v2/monitor/notification_rule/{rule.id}")


def test_every_call_is_one_datadog_describes(checker: ModuleType, tmp_path: Path) -> None:
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = DatadogSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock))
        transport.close()
    described = {endpoint.name for endpoint in sandbox.endpoints()}
    assert set(sandbox.calls.counts()) == described
    text = record.read_text()
    assert SECRET not in text
    result = checker.run([json.loads(line) for line in text.splitlines()])
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings] == []
    assert len(result.operations["datadog"]) == len(described)
