"""/v1/integrations/{id}/conflicts: fields that both sides changed, and settling them the other way."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy import select

from api import paging, scope
from api.auth import Rt, TaskReader, TaskWriter
from api.conflict_views import ConflictView, Resolve
from api.errors import documented
from api.idempotency import Json, Keep, Once
from api.paging import Window
from api.schemas import Answer, Listing
from core import conflicts
from core.models import FieldConflict
from sync.runtime import Lane

router = APIRouter(tags=["Conflicts"])


class ConflictFilters(Window):
    """What a list of conflicts can be narrowed to."""

    resolved: Annotated[bool | None, Field(description="Only those somebody has settled, or only the others.")] = None
    task_id: Annotated[str | None, Field(examples=["TSK-26-018841"])] = None


@router.get("/v1/integrations/{integration_id}/conflicts", responses=documented(404))
def list_conflicts(
    rt: Rt, caller: TaskReader, integration_id: str, filters: Annotated[ConflictFilters, Query()]
) -> Listing[ConflictView]:
    """List an integration's conflicts, newest first: both values, who and when, and by which rule it was decided."""
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)
        wanted = select(FieldConflict).where(FieldConflict.integration_id == integration_id)
        if filters.task_id is not None:
            wanted = wanted.where(FieldConflict.task_id == filters.task_id)
        if filters.resolved is not None:
            settled = FieldConflict.resolved_at
            wanted = wanted.where(settled.is_not(None) if filters.resolved else settled.is_(None))
        page = paging.fetch(session, wanted, FieldConflict.id, filters)
        return Listing(data=[ConflictView.of(row) for row in page.rows], meta=page.meta)


@router.post(
    "/v1/integrations/{integration_id}/conflicts/{conflict_id}/resolve",
    response_model=Answer[ConflictView],
    responses=documented(404, 409, 413),
)
def resolve_conflict(
    rt: Rt, caller: TaskWriter, once: Once, integration_id: str, conflict_id: str, body: Resolve
) -> JSONResponse:
    """Settle a conflict: the task gets the value that is kept, and the connected tool with it.

    Settling it the same way again changes nothing. 409 if the field was changed since.
    """
    with rt.db.read() as session:
        scope.integration(session, caller, integration_id)

    def work(keep: Keep) -> Json:
        with rt.db.write() as session:
            found = conflicts.resolve(
                session,
                integration_id,
                conflict_id,
                body.keep,
                actor=caller.actor,
                token_id=caller.token_id,
                now=rt.clock(),
            )
            answer = Answer(data=ConflictView.of(found.conflict)).model_dump(mode="json")
            keep(session, answer)
        for owed in sorted(found.owed):
            rt.ring(Lane.PUSH, owed)
        return answer

    return once.run(200, work)
