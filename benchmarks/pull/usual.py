"""The usual way, for comparison: the `jira` library's objects, and an ORM `merge` per row, a commit per page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jira import JIRA, Issue
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.pull.job import Job, Phase, work
from core.db import make_engine
from core.models import Binding, Task

FIELDS = "summary,description,status,priority,assignee,project,resolution,updated"
STATUSES = {"new": "backlog", "indeterminate": "in_progress", "done": "done"}
PRIORITIES = {"Highest": "critical", "High": "high", "Medium": "medium", "Low": "low", "Lowest": "low"}


def contest(job: Job) -> list[Phase]:
    """The first pull, and a second one that finds nothing changed."""
    options: dict[str, Any] = {"server": job.site, "rest_api_version": "3"}
    jira = JIRA(options=options, basic_auth=("bench@bench.test", "x"), get_server_info=False, max_retries=0)
    jira.deploymentType = "Cloud"
    engine = make_engine(job.url)
    phases = []
    for name in ("first", "again"):
        with job.phase(name) as phase:
            for issues in _pages(jira, job):
                with Session(engine) as session, session.begin():
                    for issue in issues:
                        _merge(session, job, issue)
        phase.records = job.items
        phases.append(phase)
    return phases


def _pages(jira: JIRA, job: Job) -> Iterator[list[Issue]]:
    token, read = None, 0
    while read < job.items:
        page: Any = jira.enhanced_search_issues(
            'project in ("BENCH") ORDER BY updated ASC, id ASC', token, job.page_size, FIELDS, use_post=True
        )
        yield list(page)
        read += len(page)
        token = page.nextPageToken


def _merge(session: Session, job: Job, issue: Issue) -> None:
    key = f"{job.integration_id}:{issue.id}"
    known = session.scalar(select(Binding).where(Binding.binding_key == key))
    task = session.merge(_task(job, issue))
    session.flush()
    binding = _binding(job, issue, task, key)
    if known is not None:
        binding.id = known.id
    session.merge(binding)


def _task(job: Job, issue: Issue) -> Task:
    fields, at = issue.fields, _moment(issue)
    return Task(
        id=f"TSK-26-{issue.id}",
        workspace_id=job.workspace_id,
        service_line_id=job.line_id,
        project_id=job.project_id,
        title=fields.summary,
        description=_plain(issue.raw["fields"]["description"]),
        status=STATUSES[fields.status.statusCategory.key],
        priority=PRIORITIES[fields.priority.name],
        assignee_id=job.users.get(fields.assignee.emailAddress) if fields.assignee else None,
        external_id=issue.key,
        external_source="jira",
        external_url=f"{job.site}/browse/{issue.key}",
        changed_at=dict.fromkeys(
            ("title", "description", "status", "priority", "assignee"), int(at.timestamp() * 1000)
        ),
        version=1,
        created_by=job.integration_id,
        created_at=at,
        updated_at=at,
    )


def _binding(job: Job, issue: Issue, task: Task, key: str) -> Binding:
    digest = hashlib.sha256(task.description.encode()).hexdigest()
    base = {"title": task.title, "description": digest, "status": task.status, "priority": task.priority}
    return Binding(
        binding_key=key,
        integration_id=job.integration_id,
        task_id=task.id,
        state="bound",
        external_id=issue.id,
        external_key=issue.key,
        external_url=task.external_url,
        container=issue.fields.project.key,
        base=base | {"assignee": task.assignee_id},
        watermark=int(_moment(issue).timestamp() * 1000),
        mapping_rev=1,
        owed=False,
        refused={},
        attempts=0,
        searches=0,
        agreed_at=task.updated_at,
        created_at=task.created_at,
    )


def _moment(issue: Issue) -> datetime:
    return datetime.fromisoformat(issue.fields.updated).astimezone(UTC)


def _plain(node: dict[str, Any]) -> str:
    text = node.get("text", "") + "".join(map(_plain, node.get("content", ())))
    return text + "\n" if node["type"] == "paragraph" else text


if __name__ == "__main__":
    work(contest)
