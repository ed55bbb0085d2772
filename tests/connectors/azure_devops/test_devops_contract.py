"""What the connector sends and the fake organization answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.http import default_transport
from sandbox.azure_devops import AzureDevOpsSandbox
from tests.connectors.azure_devops.conftest import SECRET, URL, Bench

REPO = "GET /{organization}/{project}/_apis/git/repositories/{repositoryId}"
PIPELINES = "GET /{organization}/{project}/_apis/pipelines"
OPERATIONS = {
    "GET /{organization}/_apis/connectionData",
    "GET /{organization}/_apis/projects/{projectId}",
    "GET /{organization}/{project}/_apis/git/repositories",
    f"{REPO}/pullrequests",
    f"{REPO}/pullrequests/{{pullRequestId}}",
    f"{REPO}/pullRequests/{{pullRequestId}}/threads",
    f"{REPO}/pullRequests/{{pullRequestId}}/commits",
    f"{REPO}/commits",
    f"{REPO}/pushes",
    f"{REPO}/pushes/{{pushId}}",
    "GET /{organization}/{project}/_apis/build/builds",
    "GET /{organization}/{project}/_apis/build/builds/{buildId}",
    f"{PIPELINES}/environments",
    f"{PIPELINES}/environments/{{environmentId}}/environmentdeploymentrecords",
    "GET /{organization}/_apis/hooks/subscriptions",
    "POST /{organization}/_apis/hooks/subscriptions",
    "PUT /{organization}/_apis/hooks/subscriptions/{subscriptionId}",
    "DELETE /{organization}/_apis/hooks/subscriptions/{subscriptionId}",
    "POST /{organization}/_apis/hooks/notificationsquery",
}
"""Every call the connector makes."""


def drive(azure: Bench) -> None:
    """Every call, the right way."""
    azure.sandbox.deliveries.pause()
    connector, start = azure.connector(), azure.clock.now()
    connector.check()
    _, cursor = azure.read()
    made = connector.subscribe(URL, SECRET)
    connector.subscribe(URL, SecretStr("another"))
    azure.sandbox.plant_history(30)
    azure.story()
    azure.heard(azure.told())
    azure.read(cursor)
    for delivery in azure.sandbox.deliveries.log():
        delivery.state = "failed"  # type: ignore[assignment]
    list(connector.missed(start))
    connector.renew(made, URL)
    connector.unsubscribe(made)


def test_every_call_is_one_azure_describes(checker: ModuleType, tmp_path: Path):
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = AzureDevOpsSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve():
        drive(Bench(sandbox, transport))
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings if f.level == "error"] == []
    assert set(result.operations["azure_devops"]) == OPERATIONS
