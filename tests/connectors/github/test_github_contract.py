"""What the connector sends and the sandbox answers, against GitHub's own description of its API."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from connectors.contract import CodeRef, Priority, RefKind, RemoteUser, Status, Subscription, TaskDraft
from connectors.http import default_transport
from sandbox.github import GitHubSandbox
from tests.connectors.bench import expected
from tests.connectors.github.conftest import REPO, SECRET, URL, Bench, Post, story

OPERATIONS_USED = {
    "GET /app/hook/deliveries",
    "GET /app/installations/{installation_id}",
    "GET /installation/repositories",
    "GET /orgs/{org}/repos",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/assignees",
    "GET /repos/{owner}/{repo}/issues",
    "GET /repos/{owner}/{repo}/issues/{issue_number}",
    "PATCH /repos/{owner}/{repo}/issues/{issue_number}",
    "POST /repos/{owner}/{repo}/issues",
    "GET /repos/{owner}/{repo}/actions/runs",
    "GET /repos/{owner}/{repo}/actions/runs/{run_id}",
    "GET /repos/{owner}/{repo}/branches/{branch}",
    "GET /repos/{owner}/{repo}/commits",
    "GET /repos/{owner}/{repo}/compare/{basehead}",
    "GET /repos/{owner}/{repo}/deployments",
    "GET /repos/{owner}/{repo}/deployments/{deployment_id}",
    "GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    "GET /repos/{owner}/{repo}/hooks",
    "GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/timeline",
    "GET /repos/{owner}/{repo}/pulls",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/releases",
    "GET /repos/{owner}/{repo}/releases/{release_id}",
    "GET /user/repos",
    "GET /users/{username}",
    "PATCH /repos/{owner}/{repo}/hooks/{hook_id}",
    "POST /app/hook/deliveries/{delivery_id}/attempts",
    "POST /app/installations/{installation_id}/access_tokens",
    "POST /repos/{owner}/{repo}/hooks",
    "POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
    "DELETE /repos/{owner}/{repo}/hooks/{hook_id}",
}
"""Every call the connector makes."""

CUT_SHORT = "issues/list-events-for-timeline"
"""Of the forms that a line of the timeline has, the description at hand leaves out those of commits and reviews."""


def drive(github: Bench) -> None:
    """Every call, the right way."""
    story(github)
    github.sandbox.plant_history(105)
    for connector in (github.connector(), github.installed()):
        connector.check()
        list(connector.repositories())
        read = list(connector.code_events(github.repository(), None))
        list(connector.code_events(github.repository(), read[-1].cursor))
    repo, connector = github.host.repo(REPO), github.connector()
    ids = {RefKind.CHANGE: repo.pulls, RefKind.DEPLOYMENT: repo.deployments, RefKind.RUN: repo.runs}
    refs = [CodeRef(str(repo.id), kind, str(next(iter(rows)))) for kind, rows in ids.items()]
    refs.append(CodeRef(str(repo.id), RefKind.RELEASE, str(next(iter(repo.releases)))))
    list(connector.fetch_code(refs))
    cursor = {"commits": {"head": next(reversed(repo.history(repo.branches["main"]))).sha}}
    list(connector.code_events(github.repository(), cursor))
    github.sandbox.organization_is_a_person = True
    list(connector.repositories())
    github.sandbox.organization_is_a_person = False
    list(github.connector(repositories=[REPO]).repositories())
    issues(github)
    webhooks(github)


def issues(github: Bench) -> None:
    """Made, read, changed in every way, deleted."""
    connector = github.connector(sync_issues=True, repositories=[REPO])
    list(connector.vocabularies())
    draft = TaskDraft(REPO, "Café & co", "Text", Status.DONE, Priority.HIGH, RemoteUser(github.bob))
    made = connector.create_task(draft, "scrums-tsk-1").remote
    connector.find_created("scrums-tsk-1")
    changes = {"status": "cancelled", "priority": "medium", "assignee": None, "title": "New", "description": ""}
    connector.update_task(made.external_id, changes, expected(made))
    list(connector.changed_tasks(list(connector.changed_tasks(None))[-1].cursor))
    list(connector.all_ids())
    github.sandbox.person("Ann Archer").delete(next(iter(github.sandbox.tracker.items)))
    connector.fetch_tasks([made.external_id])


def webhooks(github: Bench) -> None:
    """Registered, set right, missed, sent again, removed."""
    github.sandbox.app_hook(URL + "app", SECRET)
    connector = github.connector()
    made = connector.subscribe(URL, SecretStr(SECRET))
    assert connector.renew(Subscription(made.external_ids, secret=SecretStr(SECRET)), URL) is not None
    connector.subscribe(URL, SecretStr(SECRET))
    github.post.status = 500
    github.host.push(github.ann, REPO, "main", "Lost")
    github.sandbox.deliveries.flush()
    for caller in (connector, github.installed()):
        lost = [one for batch in caller.missed(github.clock.now() - timedelta(hours=1)) for one in batch]
        caller.redeliver(lost[0])
    connector.unsubscribe(made)


def test_every_call_is_one_github_describes_and_so_is_every_answer(checker: ModuleType, tmp_path: Path) -> None:
    record, post = tmp_path / "exchanges.jsonl", Post()
    sandbox, transport = GitHubSandbox(record=record, sender=post), default_transport(["127.0.0.1"])
    with sandbox.serve() as server:
        drive(Bench(sandbox, server.url, transport, sandbox.clock, post))
        transport.close()
    exchanges = [json.loads(line) for line in record.read_text().splitlines()]
    result = checker.run(exchanges)
    wrong = [f for f in result.findings if f.level == "error" and f.operation != CUT_SHORT]
    assert [f"{f.code} {f.operation}: {f.message}" for f in wrong] == []
    assert set(result.operations["github"]) == OPERATIONS_USED
    assert "ghs_" not in record.read_text()
