"""What the connector sends and the sandbox answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import graphql
import pytest
from graphql import build_schema, parse, validate
from pydantic import SecretStr

from connectors.contract import RemoteTask, Status
from connectors.http import default_transport
from connectors.linear.client import DOCUMENTS
from sandbox.faults import FaultKind
from sandbox.linear import LinearSandbox
from sandbox.linear.schema import MOST_POINTS, checked, points
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET
from tests.connectors.bench import expected
from tests.connectors.linear.conftest import KEY, URL, Bench, draft
from tests.contract import SHARED

SCHEMA = SHARED / "specs" / "linear.graphql"


@pytest.fixture
def checker(checker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(graphql, "parse", parsed)
    return checker


def parsed(source: str) -> graphql.DocumentNode:
    """A document as graphql-core 3.2 gave it, for which the checker was written: 3.3 has None for empty lists."""
    document = parse(source)
    for node in walk(document):
        for name in ("variable_definitions", "directives", "arguments"):
            if getattr(node, name, ()) is None:
                object.__setattr__(node, name, ())  # they are frozen
    return document


def walk(node: Any) -> Iterator[graphql.Node]:
    if isinstance(node, graphql.Node):
        yield node
        for name in node.keys:
            yield from walk(getattr(node, name))
    elif isinstance(node, list | tuple):
        for child in node:
            yield from walk(child)


def drive(linear: Bench) -> None:
    """Every document, the right way."""
    connector = linear.connector(page_size=2)
    linear.sandbox.plant(5)
    connector.check()
    list(connector.vocabularies())
    list(connector.changed_tasks(list(connector.changed_tasks(None))[-1].cursor))
    list(connector.all_ids())
    person = connector.find_user("ann@example.com", "ENG")
    written = connector.create_task(draft(status=Status.IN_REVIEW, assignee=person), KEY)
    lost = linear.ann.create("ENG", "Lost")
    linear.ann.delete(lost.id, forever=True)
    connector.fetch_tasks([written.remote.external_id, lost.id])
    connector.find_created(KEY)
    edit(linear, written.remote)
    made = connector.subscribe(URL, SecretStr("s"))
    connector.subscribe(URL, SecretStr("s"))
    connector.renew(made, URL)
    connector.unsubscribe(made)


def edit(linear: Bench, task: RemoteTask) -> None:
    changes: dict[str, Any] = {"title": "New", "description": "", "assignee": None, "status": "done", "priority": "low"}
    linear.connector().update_task(task.external_id, changes, expected(task))
    linear.sandbox.settings.refuses_nothing = True
    linear.connector().update_task(task.external_id, {"title": "Newer"}, expected(linear.read(task.external_id)))


def refresh(linear: Bench) -> None:
    """The token endpoint and revocation, as the engine calls them."""
    tokens = linear.sandbox.grant()
    http = linear.connector()._http
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **app}
    new = http.request("POST", f"{linear.url}/oauth/token", form=form).json()
    http.request("POST", f"{linear.url}/oauth/revoke", form={"token": new["access_token"], **app})


def test_every_call_is_one_linear_describes(checker: ModuleType, tmp_path: Path):
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = LinearSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        linear = Bench(sandbox, server.url, transport, sandbox.clock)
        sandbox.faults.add(FaultKind.EMPTY_PAGE, operation="Changed")
        drive(linear)
        refresh(linear)
        transport.close()
    assert set(sandbox.calls.counts()) >= set(DOCUMENTS)
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings] == []
    assert set(result.operations["linear"]) == {"POST /graphql", "POST /oauth/token", "POST /oauth/revoke"}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_document_fits_linears_schema(name):
    if not SCHEMA.exists():
        pytest.skip(f"no schema at {SCHEMA}; set TURNBUCKLE_SHARED to where specs/ is")
    assert validate(build_schema(SCHEMA.read_text()), parse(DOCUMENTS[name].text)) == []


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_document_costs_less_than_linear_allows(name):
    document = checked(DOCUMENTS[name].text)
    assert not isinstance(document, list)
    assert points(document, name, {"first": 10 if name == "Teams" else 250}) <= MOST_POINTS
