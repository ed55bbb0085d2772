"""What the connector sends and the sandbox answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.contract import CodeRef, Priority, RefKind, Status, TaskDraft
from connectors.gitlab.reading import push_id
from connectors.http import default_transport
from sandbox.gitlab import GitLabSandbox
from tests.connectors.bench import expected
from tests.connectors.gitlab.conftest import API, URL, Bench, Ear, read

P = "/api/v4/projects/{id}"
OPERATIONS_USED = {
    "GET /api/v4/user",
    "GET /api/v4/personal_access_tokens/self",
    "GET /api/v4/groups/{id}/projects",
    f"GET {P}",
    f"GET {P}/repository/commits",
    f"GET {P}/merge_requests",
    f"GET {P}/merge_requests/{{merge_request_iid}}",
    f"GET {P}/merge_requests/{{merge_request_iid}}/notes",
    f"GET {P}/merge_requests/{{merge_request_iid}}/commits",
    f"GET {P}/merge_requests/{{merge_request_iid}}/diffs",
    f"GET {P}/environments",
    f"GET {P}/deployments",
    f"GET {P}/deployments/{{deployment_id}}",
    f"GET {P}/pipelines",
    f"GET {P}/pipelines/{{pipeline_id}}",
    f"GET {P}/releases",
    f"GET {P}/releases/{{tag_name}}",
    f"GET {P}/issues",
    f"POST {P}/issues",
    f"GET {P}/issues/{{issue_iid}}",
    f"PUT {P}/issues/{{issue_iid}}",
    f"GET {P}/members/all",
    f"GET {P}/hooks",
    f"POST {P}/hooks",
    f"GET {P}/hooks/{{hook_id}}",
    f"PUT {P}/hooks/{{hook_id}}",
    f"DELETE {P}/hooks/{{hook_id}}",
    f"POST {P}/hooks/{{hook_id}}/test/{{trigger}}",
    f"GET {P}/hooks/{{hook_id}}/events",
    f"POST {P}/hooks/{{hook_id}}/events/{{hook_log_id}}/resend",
}
"""Every call the connector makes that the description knows."""

LEFT_OUT = ("/resource_state_events", "/events?action=")
"""What it leaves out: the states of merge requests, and the events of a project."""

MISTAKE = "alert_status is string, expected symbol"
"""The description names a type of the server's own language, which JSON does not have."""


def drive(gitlab: Bench) -> None:
    """Every call, the right way."""
    gitlab.sandbox.plant_history(120)
    gitlab.connector().check()
    everything = gitlab.connector(gitlab.oauth(), repositories=[])
    everything.check()
    repository = gitlab.project(repositories=[])
    connector = gitlab.connector(history_days=20)
    read(connector, repository, read(connector, repository)[-1].cursor)
    read(everything, repository, read(everything, repository)[-1].cursor)
    fetch(gitlab)
    sync_issues(gitlab)
    made = connector.subscribe(URL, SecretStr("s"))
    assert connector.renew(made, URL) is not None
    gitlab.ear.status = 500
    for _ in range(4):
        gitlab.host.tag(gitlab.ann, API, f"t{gitlab.host.number()}")
    assert gitlab.sandbox.deliveries.wait_idle()
    assert connector.renew(made, URL) is None
    missed = [one for batch in connector.missed(gitlab.clock.now() - timedelta(hours=1)) for one in batch]
    connector.redeliver(missed[0])
    connector.subscribe(URL, SecretStr("s"))
    connector.unsubscribe(made)


def sync_issues(gitlab: Bench) -> None:
    connector = gitlab.connector(sync_issues=True)
    gitlab.sandbox.plant(120, API)
    list(connector.changed_tasks(list(connector.changed_tasks(None))[-1].cursor))
    list(connector.all_ids())
    person = connector.find_user("ann@example.com", API)
    closed = TaskDraft(API, "Café & co + 1", "All of **them**.", Status.DONE, Priority.HIGH, person)
    made = connector.create_task(closed, "scrums-tsk-26-018841-0a1b2c").remote
    assert len(connector.find_created("scrums-tsk-26-018841-0a1b2c")) == 1
    less = {"title": "New", "description": "", "status": "in_review", "priority": "medium", "assignee": None}
    connector.update_task(made.external_id, less, expected(made))
    connector.fetch_tasks([made.external_id, f"{made.external_id}9"])


def fetch(gitlab: Bench) -> None:
    repo = gitlab.repo()
    firsts = {
        RefKind.CHANGE: next(iter(repo.pulls)),
        RefKind.DEPLOYMENT: next(iter(repo.deployments)),
        RefKind.RUN: next(iter(repo.runs)),
        RefKind.RELEASE: next(iter(repo.releases.values())).tag,
        RefKind.PUSH: push_id("refs/heads/main", next(iter(repo.commits)), repo.branches["main"], to_default=True),
    }
    for kind, id_ in firsts.items():
        assert gitlab.connector().fetch_code([CodeRef(str(repo.id), kind, str(id_))]), kind


def test_every_call_is_one_gitlab_describes_and_so_is_every_answer(checker: ModuleType, tmp_path: Path):
    record, ear = tmp_path / "exchanges.jsonl", Ear()
    sandbox, transport = GitLabSandbox(record=record, sender=ear), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock, ear))
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    described = [one for one in exchanges if not any(part in one["url"] for part in LEFT_OUT)]
    assert len(described) < len(exchanges)
    result = checker.run(described)
    wrong = [f for f in result.findings if f.level == "error" and MISTAKE not in f.message]
    assert [f"{f.code} {f.operation}: {f.message}" for f in wrong] == []
    assert set(result.operations["gitlab"]) == OPERATIONS_USED
