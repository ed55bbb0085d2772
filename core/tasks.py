"""The task service: what requests do to tasks. Every change leaves its trail (see `core.ledger`) in its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ids
from core.clock import epoch_ms
from core.errors import NotFound, Unprocessable
from core.ledger import COLUMNS as COLUMNS
from core.ledger import Change, Ledger, TaskRef
from core.models import Binding, Integration, ProjectLabel, ServiceLine, Task, User, Workspace
from core.workspaces import settings_of

STATUSES = ("backlog", "in_progress", "in_review", "done", "cancelled")
PRIORITIES = ("low", "medium", "high", "critical")
OWN_COLUMNS = ("service_line_id", "project_id")
"""Columns that only the platform has."""

MAX_TITLE = 255
"""The shortest limit among the trackers (Jira's summary), so that a title never has to be cut."""

MAX_DESCRIPTION = 100_000
"""Characters; generous for text, small enough for a page of a thousand tasks to fit in memory."""


# --- requests -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be made, as a request says it. `service_line_id` may be None where the workspace allows it."""

    workspace_id: str
    title: str
    description: str = ""
    status: str = "backlog"
    priority: str = "medium"
    service_line_id: str | None = None
    project_id: str | None = None
    assignee_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The task after a request, and the integrations to ring for."""

    task: Task
    owed: set[str]


def create(session: Session, new: NewTask, *, actor: str, now: datetime) -> Outcome:
    """Create a task, and owe it to the workspace's tracker if one is mapped for it.

    Raises Unprocessable for a reference that is not the workspace's, or a service line that is missing.
    """
    workspace = session.get_one(Workspace, new.workspace_id)
    if new.service_line_id is None and settings_of(workspace).require_task_service_line:
        raise Unprocessable(
            f"service_line_id is required: workspace {workspace.id} has require_task_service_line enabled."
        )
    references = {name: getattr(new, name) for name in ("service_line_id", "project_id", "assignee_id")}
    _check_references(session, workspace, references)
    moment = epoch_ms(now)
    task = Task(
        id=ids.take_one(session, "TSK", now),
        workspace_id=workspace.id,
        service_line_id=new.service_line_id,
        project_id=new.project_id,
        title=new.title,
        description=new.description,
        status=new.status,
        priority=new.priority,
        assignee_id=new.assignee_id,
        external_id=None,
        external_source=None,
        external_url=None,
        changed_at=dict.fromkeys(COLUMNS, moment),
        version=1,
        created_by=actor,
        created_at=now,
        updated_at=now,
    )
    session.add(task)
    session.flush()
    ledger = Ledger(now, actor)
    ledger.created(_ref(task, workspace), task.title, task.status)
    owed = ledger.write(session) | _owe_creation(session, task, now)
    return Outcome(task, owed)


def change(session: Session, task_id: str, values: Mapping[str, str | None], *, actor: str, now: datetime) -> Outcome:
    """Set columns of a task. What already has the value is not a change and leaves no trail.

    `values` may hold the columns of COLUMNS and OWN_COLUMNS. Raises NotFound, Unprocessable.
    """
    task = session.get(Task, task_id, with_for_update=True)
    if task is None:
        raise NotFound(f"Task {task_id} not found.")
    workspace = session.get_one(Workspace, task.workspace_id)
    _check_references(session, workspace, values)
    unlinked = "service_line_id" in values and values["service_line_id"] is None
    if unlinked and settings_of(workspace).require_task_service_line:
        raise Unprocessable(f"service_line_id can't be removed: workspace {workspace.id} requires one for every task.")
    fields = {column: name for name, column in COLUMNS.items()}
    changes = [
        Change(fields.get(column, column), getattr(task, column), value)
        for column, value in values.items()
        if getattr(task, column) != value
    ]
    if not changes:
        return Outcome(task, set())
    for column, value in values.items():
        setattr(task, column, value)
    moment = epoch_ms(now)
    task.changed_at = task.changed_at | {c.field: moment for c in changes if c.field in COLUMNS}
    task.version += 1
    task.updated_at = now
    session.flush()
    ledger = Ledger(now, actor)
    ledger.changed(_ref(task, workspace), changes)
    return Outcome(task, ledger.write(session))


def _ref(task: Task, workspace: Workspace) -> TaskRef:
    return TaskRef(task.id, workspace.id, workspace.organization_id, task.service_line_id)


def _check_references(session: Session, workspace: Workspace, values: Mapping[str, str | None]) -> None:
    """Every id must exist in the task's own workspace or organization; anything else looks as if it did not exist."""
    line_id, project_id, user_id = (values.get(key) for key in ("service_line_id", "project_id", "assignee_id"))
    if line_id is not None:
        line = session.get(ServiceLine, line_id)
        if line is None or line.workspace_id != workspace.id:
            raise Unprocessable(f"service_line_id: {line_id} is not a Service Line of workspace {workspace.id}.")
    if project_id is not None:
        label = session.get(ProjectLabel, project_id)
        if label is None or label.organization_id != workspace.organization_id:
            raise Unprocessable(f"project_id: {project_id} is not a Project of this organization.")
    if user_id is not None:
        user = session.get(User, user_id)
        if user is None or user.organization_id != workspace.organization_id or not user.active:
            raise Unprocessable(f"assignee_id: {user_id} is not an active user of this organization.")


# --- where new tasks go -------------------------------------------------------------------------------


MARKER = "scrums-tsk-"
"""How every marker begins."""


def create_key(task_id: str, hook_id: str) -> str:
    """The marker left in the vendor's item: `scrums-tsk-26-018841-3f9ac2`.

    Its end is the integration's own: two installations that share a vendor project (staging and production) may both
    have a task of this number, and must not take each other's item for theirs.
    """
    own = blake2b(f"{hook_id}:{task_id}".encode(), digest_size=3)
    return f"{MARKER}{task_id.lower().removeprefix('tsk-')}-{own.hexdigest()}"


def _owe_creation(session: Session, task: Task, now: datetime) -> set[str]:
    """Make the binding that intends the item, in the same transaction as the task."""
    route = find_route(session, task.workspace_id, task.service_line_id, task.project_id)
    if route is None:
        return set()
    session.add(
        Binding(
            integration_id=route.integration_id,
            task_id=task.id,
            state="creating",
            create_key=create_key(task.id, route.hook_id),
            container=route.container,
            base={},
            refused={},
            owed=True,
            owed_since=now,
            next_attempt_at=now,
            created_at=now,
        )
    )
    session.flush()
    return {route.integration_id}


class Route(NamedTuple):
    """Where a new task is created: the vendor's container, of which integration."""

    integration_id: str
    hook_id: str
    container: str


def find_route(
    session: Session, workspace_id: str, service_line_id: str | None, project_id: str | None
) -> Route | None:
    """The integration and the vendor project a new task is created in: the most specific mapping it fits.

    A mapping naming the task's project label is more specific than one naming its service line, and that more than
    one naming neither; between equals the older integration and the earlier entry win. None: the task stays here.
    """
    statement = (
        select(Integration.id, Integration.hook_id, Integration.routes, Integration.capabilities)
        .where(Integration.workspace_id == workspace_id, Integration.status.in_(("active", "error")))
        .order_by(Integration.id)
    )
    best: tuple[int, Route] | None = None
    for integration_id, hook_id, routes, capabilities in session.execute(statement):
        for route in routes if "task_sink" in capabilities else ():
            score = _fit(route, service_line_id, project_id)
            if score is not None and (best is None or score > best[0]):
                best = (score, Route(integration_id, hook_id, route["external"]))
    return best[1] if best else None


def _fit(route: Mapping[str, Any], service_line_id: str | None, project_id: str | None) -> int | None:
    """How specifically a mapping fits, None where it does not."""
    if not route["create"]:
        return None
    score = 0
    for name, value, weight in (("project_id", project_id, 2), ("service_line_id", service_line_id, 1)):
        if route.get(name) is not None:
            if route[name] != value:
                return None
            score += weight
    return score
