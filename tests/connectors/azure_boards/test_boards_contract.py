"""What the connector sends and the fake organization answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import SecretStr

from connectors.contract import RemoteUser, Status
from connectors.http import HttpClient, Unlimited, default_transport
from sandbox.azure_boards import CLIENT_ID, CLIENT_SECRET, AzureBoardsSandbox
from tests.connectors.azure_boards.conftest import KEY, Bench, draft
from tests.connectors.azure_boards.test_boards_reading import principal
from tests.connectors.azure_boards.test_boards_webhook import SECRET, URL
from tests.connectors.bench import everything, expected

OPERATIONS = {
    "GET /{organization}/_apis/connectionData",
    "GET /{organization}/_apis/projects/{projectId}",
    "GET /{organization}/_apis/projects/{projectId}/teams",
    "GET /{organization}/_apis/projects/{projectId}/teams/{teamId}/members",
    "POST /{organization}/_apis/wit/wiql",
    "POST /{organization}/_apis/wit/workitemsbatch",
    "GET /{organization}/_apis/wit/workitems/{id}",
    "PATCH /{organization}/_apis/wit/workitems/{id}",
    "GET /{organization}/_apis/wit/recyclebin/{id}",
    "POST /{organization}/{project}/_apis/wit/workitems/${type}",
    "GET /{organization}/{project}/_apis/wit/workitemtypes",
    "GET /{organization}/{project}/_apis/wit/workitemtypes/{type}/states",
    "GET /{organization}/_apis/hooks/subscriptions",
    "POST /{organization}/_apis/hooks/subscriptions",
    "PUT /{organization}/_apis/hooks/subscriptions/{subscriptionId}",
    "DELETE /{organization}/_apis/hooks/subscriptions/{subscriptionId}",
    "POST /{organization}/_apis/hooks/notificationsquery",
    "POST /{tenant}/oauth2/v2.0/token",
}
"""Every call the connector makes, and the one for its tokens."""


def drive(boards: Bench) -> None:
    """Every call, the right way."""
    connector = boards.connector(boards.oauth())
    connector.check()
    boards.sandbox.plant(5)
    everything(connector, everything(connector)[1].cursor)
    list(connector.all_ids())
    list(connector.vocabularies())
    person = connector.find_user("ann@example.com", "Web")
    written = connector.create_task(draft(status=Status.IN_REVIEW, assignee=person), KEY)
    connector.find_created(KEY)
    lost = boards.ann.create("Web", "Lost")
    boards.ann.delete(lost.id)
    connector.fetch_tasks([written.remote.external_id, lost.id])
    changes: dict[str, Any] = {
        "title": "New",
        "description": "# Head\n\n- a",
        "status": "done",
        "priority": "low",
        "assignee": RemoteUser(boards.ann.id, "Ann Archer", "ann@example.com"),
    }
    written = connector.update_task(written.remote.external_id, changes, expected(written.remote))
    connector.update_task(written.remote.external_id, {"description": "", "assignee": None}, expected(written.remote))


def drive_hooks(boards: Bench) -> None:
    """The calls about service hooks, one of which failed."""
    connector = boards.connector()
    boards.sandbox.deliveries.pause()
    start = boards.clock.now()
    made = connector.subscribe(URL, SECRET)
    connector.subscribe(URL, SecretStr("another"))
    boards.ann.create("Web", "Told")
    boards.sandbox.deliveries.log()[-1].state = "failed"  # type: ignore[assignment]
    assert list(connector.missed(start))
    connector.renew(made, URL)
    connector.unsubscribe(made)


def renew_tokens(boards: Bench) -> None:
    """As the engine does."""
    http = HttpClient(transport=boards.transport, budget=Unlimited(), now=boards.clock.now)
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    form["refresh_token"] = boards.sandbox.grant()["refresh_token"]
    boards.connector(principal()).check()
    answer = http.request("POST", f"{boards.sandbox.url}/organizations/oauth2/v2.0/token", form=form)
    assert answer.json()["access_token"]


def test_every_call_is_one_azure_describes(checker: ModuleType, tmp_path: Path):
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = AzureBoardsSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve():
        boards = Bench(sandbox, transport)
        drive(boards)
        drive_hooks(boards)
        renew_tokens(boards)
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings if f.level == "error"] == []
    assert set(result.operations["azure_boards"]) == OPERATIONS
