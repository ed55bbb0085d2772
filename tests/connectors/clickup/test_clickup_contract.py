"""What the connector sends and the sandbox answers, against the vendor's own description of its API."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import RemoteTask, RemoteUser, Status
from connectors.http import default_transport
from sandbox.clickup import MARKER_FIELD, ClickUpSandbox
from tests.connectors.bench import expected
from tests.connectors.clickup.conftest import KEY, OPERATIONS, PLATFORM, Bench, draft
from tests.connectors.clickup.test_clickup_webhook import URL

OPERATIONS_USED = {
    "GET /api/v2/user",
    "GET /api/v2/team",
    "GET /api/v2/list/{list_id}",
    "GET /api/v2/list/{list_id}/task",
    "GET /api/v2/team/{team_Id}/task",
    "GET /api/v2/task/{task_id}",
    "POST /api/v2/list/{list_id}/task",
    "PUT /api/v2/task/{task_id}",
    "POST /api/v2/task/{task_id}/tag/{tag_name}",
    "GET /api/v2/team/{team_id}/webhook",
    "POST /api/v2/team/{team_id}/webhook",
    "PUT /api/v2/webhook/{webhook_id}",
    "DELETE /api/v2/webhook/{webhook_id}",
}
"""Every call the connector makes, but the statuses of a Space."""

KNOWN_MISTAKES = (
    ("response_type", "].priority is object"),  # recorded answers hold an object, as a single task does
    ("query_style", "custom_fields[]"),  # one JSON text, as ClickUp's guide to filters has it
)
"""Where the description of the Workspace's listing is wrong: the code of a finding, and what is in it."""


def drive(clickup: Bench) -> None:
    """Every call, the right way."""
    connector = clickup.connector(clickup.oauth())
    connector.check()
    list(connector.vocabularies())
    clickup.sandbox.plant(120)
    clickup.ann.create(PLATFORM, "Kept", extra={"archived": True})
    list(connector.changed_tasks(list(connector.changed_tasks(None))[-1].cursor))
    list(connector.all_ids())
    person = connector.find_user("ann@example.com", PLATFORM)
    written = connector.create_task(draft(title="Café & co + 1", status=Status.IN_REVIEW, assignee=person), KEY)
    connector.find_created(KEY)
    connector.fetch_tasks([written.remote.external_id, written.remote.key])
    by_field = clickup.connector(marker_field=MARKER_FIELD)
    by_field.create_task(draft(), KEY + "2")
    by_field.create_task(draft(container=OPERATIONS), KEY + "3")
    by_field.find_created(KEY + "3")
    edit(clickup)
    one = clickup.connector(projects=[{"external": PLATFORM}])
    made = one.subscribe(URL, SecretStr("s"))
    one.unsubscribe(made)
    made = connector.subscribe(URL, SecretStr("s"))
    [hook] = clickup.sandbox.hooks.live()
    clickup.sandbox.hooks.change(hook.id, enabled=False, extra={"status": "suspended", "fail_count": 100})
    connector.renew(made, URL)
    connector.subscribe(URL, SecretStr("s"))
    connector.renew(made, URL)
    connector.unsubscribe(made)


def edit(clickup: Bench) -> None:
    """A change of everything, and everything taken away."""
    task = clickup.ann.create(PLATFORM, "Old", assignee="Bob Baker", priority="low")
    known = clickup.connector().fetch_tasks([task.id])[task.id]
    assert isinstance(known, RemoteTask)
    connector = clickup.connector(priority_out={"medium": "none"})
    changes: dict[str, Any] = {"title": "New", "description": "# Head\n\n- a", "status": "done", "priority": "critical"}
    written = connector.update_task(task.id, {**changes, "assignee": RemoteUser("183")}, expected(known))
    less: dict[str, Any] = {"description": "", "priority": "medium", "assignee": None}
    connector.update_task(task.id, less, expected(written.remote))
    assert clickup.item(task.id).priority is clickup.item(task.id).assignee is None


def known(operation: str, code: str, message: str) -> bool:
    mistaken = any(code == name and part in message for name, part in KNOWN_MISTAKES)
    return operation == "GetFilteredTeamTasks" and mistaken


@pytest.mark.parametrize("markdown", [True, False])
def test_every_call_is_one_clickup_describes_and_so_is_every_answer(checker: ModuleType, tmp_path: Path, markdown):
    record = tmp_path / "exchanges.jsonl"
    sandbox, transport = ClickUpSandbox(record=record), default_transport(["127.0.0.1"])
    sandbox.settings.answers_markdown = markdown
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock))
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    wrong = [f for f in result.findings if f.level == "error" and not known(f.operation, f.code, f.message)]
    assert [f"{f.code} {f.operation}: {f.message}" for f in wrong] == []
    assert set(result.operations["clickup"]) == OPERATIONS_USED
