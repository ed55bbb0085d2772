"""Conflicts after the fact: a person may decide the other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import events, tasks
from core.clock import iso
from core.errors import Conflict, NotFound
from core.ledger import COLUMNS, Ledger, TaskRef
from core.models import FieldConflict, Task, Workspace

SIDES = ("platform", "external")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The conflict as it is now, and the integrations to ring for."""

    conflict: FieldConflict
    owed: set[str]


def resolve(
    session: Session,
    integration_id: str,
    conflict_id: str,
    keep: str,
    *,
    actor: str,
    token_id: str | None,
    now: datetime,
) -> Resolved:
    """Settle a conflict: `keep` (platform or external) is whose value the task is to have from now on.

    The value becomes the task's by an ordinary change, so that it is in the history and owed to the vendor. Settling
    it the same way again changes nothing. Raises NotFound; Conflict if it was settled the other way, or if the field
    has been changed since to something else than either value.
    """
    conflict, task = _locked(session, integration_id, conflict_id)
    if conflict.resolved_how == keep:
        return Resolved(conflict, set())
    if conflict.resolved_how is not None:
        raise Conflict(
            f"{conflict.id} was resolved by {conflict.resolved_by} at {iso(conflict.resolved_at)}, who kept the "
            f"{conflict.resolved_how} value. To have another value, change the task."
        )
    values = {"platform": conflict.here, "external": conflict.there}
    column = COLUMNS[conflict.field]
    held = getattr(task, column)
    if held not in (values[keep], values[conflict.winner]):
        raise Conflict(
            f"{column} of {task.id} was changed since: it has neither value of {conflict.id} any more. "
            "Look at the task, and change it if need be."
        )
    outcome = tasks.change(session, task.id, {column: values[keep]}, actor=actor, now=now)
    conflict.resolved_at, conflict.resolved_by, conflict.resolved_how = now, actor, keep
    _record(session, conflict, task, {"field": column, "keep": keep}, actor, token_id, now)
    return Resolved(conflict, outcome.owed)


def _locked(session: Session, integration_id: str, conflict_id: str) -> tuple[FieldConflict, Task]:
    """The conflict and its task; the task's lock covers both."""
    wanted = select(FieldConflict).where(
        FieldConflict.id == conflict_id, FieldConflict.integration_id == integration_id
    )
    found = session.scalar(wanted)
    if found is None:
        raise NotFound(f"Conflict {conflict_id} not found.")
    task = session.scalars(select(Task).where(Task.id == found.task_id).with_for_update()).one()
    # Somebody may have settled it while this waited for the lock.
    return session.scalars(wanted.execution_options(populate_existing=True)).one(), task


def _record(
    session: Session,
    conflict: FieldConflict,
    task: Task,
    data: Mapping[str, str],
    actor: str,
    token_id: str | None,
    now: datetime,
) -> None:
    workspace = session.get_one(Workspace, task.workspace_id)
    ledger = Ledger(now, actor)
    ref = TaskRef(task.id, workspace.id, workspace.organization_id, task.service_line_id)
    ledger.fact(ref, "task.conflict_resolved", {"conflict_id": conflict.id, **data})
    ledger.write(session)
    events.audit(
        session,
        organization_id=workspace.organization_id,
        workspace_id=workspace.id,
        actor=actor,
        token_id=token_id,
        action="conflict.resolved",
        subject_id=conflict.id,
        now=now,
        data={"task_id": task.id, **data},
    )
