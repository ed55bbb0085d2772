"""The task service: every change of a task, whoever makes it, leaves the same trail in the same transaction.

A change writes the task, its history, events, the delivery velocity counter and what is owed to vendors. The rows
are collected in a `Ledger` and written by a fixed number of statements, whether one task changes (a request) or a
page of a thousand (a sync).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core import events, ids
from core.bulk import among, insert_rows
from core.clock import epoch_ms
from core.errors import NotFound, Unprocessable
from core.events import Fact
from core.models import Binding, Integration, ProjectLabel, ServiceLine, Task, TaskHistory, User, Workspace
from core.workspaces import settings_of

STATUSES = ("backlog", "in_progress", "in_review", "done", "cancelled")
PRIORITIES = ("low", "medium", "high", "critical")
ENDS = ("done", "cancelled")
"""Statuses that count towards delivery velocity."""

COLUMNS = {
    "title": "title",
    "description": "description",
    "status": "status",
    "priority": "priority",
    "assignee": "assignee_id",
}
"""Shared field -> column of the task: what vendors hold too."""

OWN_COLUMNS = ("service_line_id", "project_id")
"""Columns that only the platform has."""

MAX_TITLE = 255
"""The shortest limit among the trackers (Jira's summary), so that a title never has to be cut."""

MAX_DESCRIPTION = 100_000
"""Characters; generous for text, small enough for a page of a thousand tasks to fit in memory."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field (a key of COLUMNS, or an own column) that went from `old` to `new`."""

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class TaskRef:
    """What the trail needs to know of a task, whether it is a model or a row of a page."""

    id: str
    workspace_id: str
    organization_id: str
    service_line_id: str | None


@dataclass
class Ledger:
    """The trail of one transaction. `actor` did it, `source` (a run, a delivery, None for a request) brought it.

    `integration_id` is the integration a change came from: nothing is owed back to it for that.
    """

    now: datetime
    actor: str
    source: str | None = None
    integration_id: str | None = None
    _history: list[dict[str, Any]] = field(default_factory=list)
    _facts: list[Fact] = field(default_factory=list)
    _ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    _owing: list[str] = field(default_factory=list)

    def created(self, task: TaskRef, title: str, status: str) -> None:
        """A task was born."""
        self._fact(task, "task.created", {"title": title, "status": status})
        if status in ENDS:
            self._count(task, status)

    def changed(self, task: TaskRef, changes: Sequence[Change], rules: Mapping[str, str] | None = None) -> None:
        """These fields of a task changed. Status changes are a fact of their own; the others share one.

        `rules` names, per field, the conflict rule by which the new value won over one set here.
        """
        rules = rules or {}
        for change in changes:
            self._line(task, change, kind="change", rule=rules.get(change.field))
            if change.field in rules:
                self._fact(task, "task.conflict", {"field": change.field, "rule": rules[change.field]})
        status = next((change for change in changes if change.field == "status"), None)
        if status is not None:
            self._fact(task, "task.status_changed", {"from": status.old, "to": status.new})
            if status.new in ENDS:
                self._count(task, status.new)
        others = [change.field for change in changes if change.field != "status"]
        if others:
            self._fact(task, "task.updated", {"fields": others})
        if any(change.field in COLUMNS for change in changes):
            self._owing.append(task.id)

    def lost(self, task: TaskRef, change: Change, rule: str) -> None:
        """A vendor's value lost a conflict and never became ours: `change.old` lost, `change.new` stands."""
        self._line(task, change, kind="lost", rule=rule)
        self._fact(task, "task.conflict", {"field": change.field, "rule": rule})

    def fact(self, task: TaskRef, type_: str, data: Mapping[str, Any]) -> None:
        """Any other fact about a task."""
        self._fact(task, type_, data)

    def write(self, session: Session) -> set[str]:
        """Write the trail. Returns the integrations that are now owed a write."""
        insert_rows(session, TaskHistory.__table__, self._history)
        events.append(session, self._facts, self.now)
        _add_velocity(session, self._ended, self.now)
        return self._owe(session)

    def _line(self, task: TaskRef, change: Change, *, kind: str, rule: str | None) -> None:
        self._history.append(
            {
                "task_id": task.id,
                "at": self.now,
                "kind": kind,
                "change": change.field,
                "old": change.old,
                "new": change.new,
                "by": self.actor,
                "rule": rule,
                "source": self.source,
            }
        )

    def _fact(self, task: TaskRef, type_: str, data: Mapping[str, Any]) -> None:
        self._facts.append(Fact(task.organization_id, task.workspace_id, type_, task.id, self.actor, data))

    def _count(self, task: TaskRef, status: str) -> None:
        if task.service_line_id is not None:
            self._ended[task.service_line_id, status] += 1

    def _owe(self, session: Session) -> set[str]:
        """Every live binding of a changed task is owed the change, except the one it came from."""
        if not self._owing:
            return set()
        statement = (
            update(Binding)
            .where(
                among(session, Binding.task_id, self._owing),
                Binding.state != "ended",
                Binding.integration_id.in_(select(Integration.id).where(Integration.status != "disconnected")),
            )
            .values(owed=True, owed_since=self.now, next_attempt_at=self.now, attempts=0, failed_at=None)
            .returning(Binding.integration_id)
            .execution_options(synchronize_session=False)
        )
        if self.integration_id is not None:
            statement = statement.where(Binding.integration_id != self.integration_id)
        return set(session.scalars(statement))


def _add_velocity(session: Session, ended: Counter[tuple[str, str]], now: datetime) -> None:
    """Raise the day's counters; in a fixed order, so that two transactions never wait for each other in a ring."""
    rows = [
        {"line": line, "day": now.date(), "status": status, "count": count}
        for (line, status), count in sorted(ended.items())
    ]
    if rows:
        session.execute(
            text(
                "INSERT INTO task_velocity (service_line_id, day, status, count) VALUES (:line, :day, :status, :count) "
                "ON CONFLICT (service_line_id, day, status) DO UPDATE SET count = task_velocity.count + excluded.count"
            ),
            rows,
        )


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


def create_key(task_id: str) -> str:
    """The marker left in the vendor's item: `scrums-tsk-26-018841`."""
    return f"scrums-{task_id.lower()}"


def _owe_creation(session: Session, task: Task, now: datetime) -> set[str]:
    """Make the binding that intends the item, in the same transaction as the task."""
    route = find_route(session, task.workspace_id, task.service_line_id, task.project_id)
    if route is None:
        return set()
    integration_id, container = route
    session.add(
        Binding(
            integration_id=integration_id,
            task_id=task.id,
            state="creating",
            create_key=create_key(task.id),
            container=container,
            base={},
            refused={},
            owed=True,
            owed_since=now,
            next_attempt_at=now,
            created_at=now,
        )
    )
    session.flush()
    return {integration_id}


def find_route(
    session: Session, workspace_id: str, service_line_id: str | None, project_id: str | None
) -> tuple[str, str] | None:
    """The integration and the vendor project a new task is created in: the most specific mapping it fits.

    A mapping naming the task's project label is more specific than one naming its service line, and that more than
    one naming neither; between equals the older integration and the earlier entry win. None: the task stays here.
    """
    statement = (
        select(Integration.id, Integration.routes, Integration.capabilities)
        .where(Integration.workspace_id == workspace_id, Integration.status.in_(("active", "error")))
        .order_by(Integration.id)
    )
    best: tuple[int, str, str] | None = None
    for integration_id, routes, capabilities in session.execute(statement):
        for route in routes if "task_sink" in capabilities else ():
            score = _fit(route, service_line_id, project_id)
            if score is not None and (best is None or score > best[0]):
                best = (score, integration_id, route["external"])
    return best[1:] if best else None


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
