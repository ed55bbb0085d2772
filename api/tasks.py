"""/v1/tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api import paging, scope
from api.auth import Rt, TaskReader, TaskWriter
from api.errors import documented
from api.explain_views import TaskExplained
from api.filters import Several
from api.idempotency import Json, Keep, Once
from api.paging import Window
from api.schemas import Answer, Listing
from api.task_views import NewTask, TaskDetail, TaskListed, TaskPatch, TaskRecord
from core import access, events, tasks
from core.access import Principal
from core.errors import BadRequest, Unprocessable
from core.models import Binding, Integration, Task, TaskHistory, Workspace
from sync.explain import explain
from sync.runtime import Lane, Runtime

router = APIRouter(tags=["Tasks"])

HISTORY_SHOWN = 200
"""Changes shown with a task: a person's lifetime of edits; a task that two tools quarrel over has no end of them."""


class TaskFilters(Window):
    """What a list of tasks can be narrowed to."""

    workspace_id: Annotated[str | None, Field(description="Required (or service_line_id). Workspace scope.")] = None
    service_line_id: Annotated[str | None, Field(description="Filter to a specific LIN-*.")] = None
    project_id: Annotated[str | None, Field(description="Filter by project label.")] = None
    assignee_id: Annotated[str | None, Field(description="Filter by assigned user.")] = None
    status: Annotated[str, Several(tasks.STATUSES)] | None = None
    priority: Annotated[str, Several(tasks.PRIORITIES)] | None = None


@router.get("/v1/tasks", responses=documented(404))
def list_tasks(rt: Rt, caller: TaskReader, filters: Annotated[TaskFilters, Query()]) -> Listing[TaskListed]:
    """List tasks for a workspace or a Service Line, newest first."""
    if filters.workspace_id is None and filters.service_line_id is None:
        raise BadRequest("workspace_id or service_line_id is required.")
    with rt.db.read() as session:
        if filters.workspace_id is not None:
            access.workspace(session, caller, filters.workspace_id)
        if filters.service_line_id is not None:
            access.service_line(session, caller, filters.service_line_id)
        page = paging.fetch(session, _narrowed(filters), Task.id, filters)
        return Listing(data=[TaskListed.of(task) for task in page.rows], meta=page.meta)


def _narrowed(filters: TaskFilters) -> Select[Task]:
    wanted = select(Task)
    for name in ("workspace_id", "service_line_id", "project_id", "assignee_id"):
        value = getattr(filters, name)
        if value is not None:
            wanted = wanted.where(getattr(Task, name) == value)
    if filters.status is not None:
        wanted = wanted.where(Task.status.in_(set(filters.status.split(","))))
    if filters.priority is not None:
        wanted = wanted.where(Task.priority.in_(set(filters.priority.split(","))))
    return wanted


@router.post("/v1/tasks", status_code=201, response_model=Answer[TaskRecord], responses=documented(404, 409, 413))
def create_task(rt: Rt, caller: TaskWriter, once: Once, body: NewTask) -> JSONResponse:
    """Create a task. With a connected project management tool, the issue there is created by itself."""
    return once.run(201, lambda keep: _create(rt, caller, body, keep))


def _create(rt: Runtime, caller: Principal, body: NewTask, keep: Keep) -> Json:
    now = rt.clock()
    with rt.db.write() as session:
        workspace = _home(session, caller, body)
        values = body.model_dump(exclude={"workspace_id", "description"})
        new = tasks.NewTask(workspace_id=workspace.id, description=body.description or "", **values)
        outcome = tasks.create(session, new, actor=caller.actor, now=now)
        _audit(session, caller, "task.created", outcome.task, workspace, sorted(body.model_fields_set), rt)
        answer = Answer(data=TaskRecord.of(outcome.task)).model_dump(mode="json")
        keep(session, answer)
    _ring(rt, outcome)
    return answer


def _home(session: Session, caller: Principal, body: NewTask) -> Workspace:
    """The workspace the task is for: the one named, or else its Service Line's."""
    line = access.service_line(session, caller, body.service_line_id) if body.service_line_id is not None else None
    workspace_id = body.workspace_id or (line.workspace_id if line else None)
    if workspace_id is None:
        raise Unprocessable("service_line_id: is required, or workspace_id where tasks need no Service Line.")
    return access.workspace(session, caller, workspace_id)


@router.get("/v1/tasks/{task_id}", responses=documented(404))
def get_task(rt: Rt, caller: TaskReader, task_id: str) -> Answer[TaskDetail]:
    """Retrieve a task with its history and how it stands with the connected tools."""
    with rt.db.read() as session:
        task = scope.task(session, caller, task_id)
        newest = select(TaskHistory).where(TaskHistory.task_id == task.id).order_by(TaskHistory.id.desc())
        history = list(session.scalars(newest.limit(HISTORY_SHOWN)))
        ties = select(Binding, Integration).join(Integration, Integration.id == Binding.integration_id)
        rows = session.execute(ties.where(Binding.task_id == task.id).order_by(Binding.id))
        return Answer(data=TaskDetail.with_past(task, history[::-1], ((row.Binding, row.Integration) for row in rows)))


@router.get("/v1/tasks/{task_id}/sync", responses=documented(404))
def explain_task(rt: Rt, caller: TaskReader, task_id: str) -> Answer[TaskExplained]:
    """Tell why each field of a task has its value: who set it, what brought it, by which rule a conflict went, and
    what is still owed to the connected tools, refused by them, or failed."""
    with rt.db.read() as session:
        return Answer(data=TaskExplained.of(explain(session, scope.task(session, caller, task_id))))


@router.patch("/v1/tasks/{task_id}", responses=documented(404, 413))
def update_task(rt: Rt, caller: TaskWriter, task_id: str, body: TaskPatch) -> Answer[TaskRecord]:
    """Update a task. What is shared with a connected tool is written there by itself."""
    values = body.values()
    with rt.db.write() as session:
        task = scope.task(session, caller, task_id, lock=True)
        workspace = session.get_one(Workspace, task.workspace_id)
        changed = [name for name, value in values.items() if getattr(task, name) != value]
        outcome = tasks.change(session, task_id, values, actor=caller.actor, now=rt.clock())
        if changed:
            _audit(session, caller, "task.updated", outcome.task, workspace, changed, rt)
    _ring(rt, outcome)
    return Answer(data=TaskRecord.of(outcome.task))


def _audit(
    session: Session, caller: Principal, action: str, task: Task, workspace: Workspace, fields: list[str], rt: Runtime
) -> None:
    events.audit(
        session,
        organization_id=workspace.organization_id,
        workspace_id=workspace.id,
        actor=caller.actor,
        token_id=caller.token_id,
        action=action,
        subject_id=task.id,
        now=rt.clock(),
        data={"fields": fields},
    )


def _ring(rt: Runtime, outcome: tasks.Outcome) -> None:
    """After the commit: whoever hears it must find the work."""
    for integration_id in sorted(outcome.owed):
        rt.ring(Lane.PUSH, integration_id)
