"""What the connector sends and the sandbox answers, against what is known of the vendor's API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.http import default_transport
from sandbox.sonarcloud import SonarCloudSandbox
from tests.connectors.sonarcloud.conftest import API, SECRET, URL, WORKER, Bench

ONLY_SERVERS = {"searchComponents"}


def drive(sonar: Bench) -> None:
    """Every call, the right way."""
    metrics = ["coverage", "new_coverage", "software_quality_maintainability_issues"]
    connector = sonar.connector(metrics=metrics, branches=["release/*"])
    connector.check()
    for _ in range(2):
        made = connector.subscribe(URL, SecretStr(SECRET))
    assert connector.renew(made, URL) == made
    sonar.sandbox.plant(3)
    sonar.act("add_branch", project=API, branch="release/1")
    sonar.act("analyse", project=API, branch="release/1", bugs=1.0)
    *_, last = connector.measures(None)
    sonar.act("accept", project=API, branch="release/1")
    sonar.act("fail", project=WORKER)
    sonar.act("analyse", project=WORKER)
    sonar.act("fail", project=WORKER)
    list(connector.measures(last.cursor))
    list(connector.measure([API]))
    connector.unsubscribe(made)
    of_projects = sonar.connector(projects=[API])
    of_projects.unsubscribe(of_projects.subscribe(URL, SecretStr(SECRET)))


def test_every_call_is_one_sonarcloud_has(checker: ModuleType, tmp_path: Path) -> None:
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = SonarCloudSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock))
        transport.close()
    described = {endpoint.name for endpoint in sandbox.endpoints()} - ONLY_SERVERS
    assert set(sandbox.calls.counts()) == described
    text = record.read_text()
    assert SECRET not in text
    result = checker.run([json.loads(line) for line in text.splitlines()])
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings] == []
    assert len(result.operations["sonarcloud"]) == len(described)
