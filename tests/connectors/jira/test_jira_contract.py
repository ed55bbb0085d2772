"""What the connector sends, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import SecretStr

from connectors.contract import RemoteTask, RemoteUser, Status
from connectors.http import default_transport
from sandbox.faults import FaultKind
from sandbox.jira import JiraSandbox
from tests.connectors.bench import expected
from tests.connectors.jira.conftest import KEY, Bench, draft
from tests.connectors.jira.test_jira_webhook import URL, admin

OPERATIONS = {
    "GET /rest/api/3/myself",
    "GET /oauth/token/accessible-resources",
    "POST /rest/api/3/search/jql",
    "POST /rest/api/3/search/approximate-count",
    "POST /rest/api/3/issue/bulkfetch",
    "GET /rest/api/3/issue/{issueIdOrKey}",
    "GET /rest/api/3/project/{projectIdOrKey}",
    "POST /rest/api/3/issue",
    "PUT /rest/api/3/issue/{issueIdOrKey}",
    "GET /rest/api/3/issue/{issueIdOrKey}/transitions",
    "POST /rest/api/3/issue/{issueIdOrKey}/transitions",
    "GET /rest/api/3/user/assignable/search",
    "GET /rest/api/3/webhook",
    "POST /rest/api/3/webhook",
    "PUT /rest/api/3/webhook/refresh",
    "DELETE /rest/api/3/webhook",
    "GET /rest/webhooks/1.0/webhook",
    "POST /rest/webhooks/1.0/webhook",
    "DELETE /rest/webhooks/1.0/webhook/{id}",
}
"""Every call the connector makes."""


def drive(jira: Bench) -> None:
    """Every call, the right way."""
    jira.connector(jira.oauth(cloud_id=None)).check()
    connector = jira.connector(jira.oauth(), page_size=2)
    jira.sandbox.plant(5)
    list(connector.changed_tasks(list(connector.changed_tasks(None))[-1].cursor))
    list(connector.all_ids())
    person = connector.find_user("ann@example.com", "APEX")
    written = connector.create_task(draft(status=Status.IN_REVIEW, assignee=person), KEY)
    connector.find_created(KEY)
    connector.find_created("scrums-tsk-26-000000")
    lost = jira.ann.create("APEX", "Lost")
    jira.ann.delete(lost.key)
    connector.fetch_tasks([written.remote.external_id, str(lost.id)])
    edit(jira)
    made = connector.subscribe(URL, SecretStr("s"))
    connector.subscribe(URL, SecretStr("s"))
    connector.renew(made, URL)
    connector.unsubscribe(made)
    as_admin = jira.connector(admin(jira))
    as_admin.unsubscribe(as_admin.subscribe(URL, SecretStr("s")))


def edit(jira: Bench) -> None:
    """A change of everything, over one somebody else made, by way of a screen."""
    issue = jira.ann.create("OPS", "Old", assignee="Bob Baker")
    believed = jira.connector().fetch_tasks([str(issue.id)])[str(issue.id)]
    assert isinstance(believed, RemoteTask)
    jira.ann.transition(issue.key, "In Progress")
    connector = jira.connector()  # one that has not seen that status
    rich = "# Head\n\n- [ ] a\n\n1. b\n\n> c\n\n`d` **e** [f](https://g.example) <https://h.example>\n\n| i |\n|---|"
    person = RemoteUser(jira.ann.account_id)
    changes: dict[str, Any] = {"title": "New", "description": rich, "assignee": person, "status": "cancelled"}
    written = connector.update_task(str(issue.id), changes, expected(believed))
    assert written.overwrote["status"].here == "in_progress"
    connector.update_task(str(issue.id), {"description": "", "assignee": None}, expected(written.remote))


def test_every_call_is_one_jira_describes(checker: ModuleType, tmp_path: Path):
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = JiraSandbox(record=record), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        jira = Bench(sandbox, server.url, transport, sandbox.clock)
        sandbox.faults.add(FaultKind.EMPTY_PAGE, operation="searchJql")
        drive(jira)
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    assert [f"{f.code} {f.operation}: {f.message}" for f in result.findings if f.level == "error"] == []
    assert set(result.operations["jira"]) == OPERATIONS
