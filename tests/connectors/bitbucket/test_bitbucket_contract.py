"""What the connector sends and the sandbox answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.contract import CodeRef, RefKind
from connectors.http import default_transport
from sandbox.bitbucket import BitbucketSandbox
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET
from tests.connectors.bitbucket.conftest import API, URL, Bench
from tests.connectors.bitbucket.test_bitbucket_both_ways import story


def drive(bench: Bench) -> None:
    """Every call, the right way; the fake one is served, so webhooks go to nobody."""
    bench.sandbox.plant_history(8)
    connector = bench.connector()
    connector.check()
    bench.subscribe()
    story(bench)
    _, cursor = bench.read()
    bench.host.repo(API).extra["silent_results"] = True
    open_run = bench.host.run(bench.ann, API, "build")
    _, cursor = bench.read(cursor)
    bench.host.move_run(bench.ann, API, open_run.id, "cancelled")
    for number in range(101):
        bench.host.run(bench.ann, API, f"build {number}")
    bench.read(cursor)
    bench.read(repositories=[API])
    bench.read(events=["pull_request"])  # without the commits there are, those that landed changes are asked for
    home = bench.repository().external_id
    connector.fetch_code([CodeRef(home, RefKind.DEPLOYMENT, "1"), CodeRef(home, RefKind.CHANGE, "404")])
    hooks(bench)


def hooks(bench: Bench) -> None:
    """Of the workspace, taken over; and of the repositories."""
    made = bench.connector().subscribe(URL, SecretStr("s"))
    assert bench.connector().renew(made, URL)
    bench.connector().unsubscribe(made)
    bench.sandbox.settings.workspace_hooks = False
    for _ in range(2):
        made = bench.connector().subscribe(URL, SecretStr("s"))
    bench.connector().renew(made, URL)
    bench.connector().unsubscribe(made)


def refresh(bench: Bench) -> None:
    """The token endpoint, as the engine calls it."""
    tokens = bench.sandbox.grant()
    http = bench.connector()._http
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert http.request("POST", f"{bench.url}/site/oauth2/access_token", form=form | app).status == 200


def test_every_call_is_one_bitbucket_describes(checker: ModuleType, tmp_path: Path):
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = BitbucketSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        bench = Bench(sandbox, server.url, transport, sandbox.clock)
        drive(bench)
        refresh(bench)
        transport.close()
    described = {endpoint.name for endpoint in sandbox.endpoints()}
    assert set(sandbox.calls.counts()) - {"oauth.token"} == described
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings] == []
    assert len(result.operations["bitbucket"]) == len(described) + 1
