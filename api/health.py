"""For operators: whether the process is up, whether it can work, and how it is doing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.auth import Rt
from core.db import Database
from core.migrations import is_current

router = APIRouter(tags=["Operation"])


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether requests can be served; `problems` says what is in the way."""

    status: str
    problems: list[str]


@router.get("/healthz")
def healthz() -> Health:
    """The process is up."""
    return Health()


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready"}},
)
def readyz(rt: Rt) -> JSONResponse:
    """The database answers and has the schema this release needs."""
    found = _problems(rt.db)
    ready = Readiness(status="not_ready" if found else "ready", problems=found)
    return JSONResponse(ready.model_dump(), 503 if found else 200)


def _problems(db: Database) -> list[str]:
    try:
        current = is_current(db.engine)
    except SQLAlchemyError as error:
        return [f"The database does not answer ({type(error).__name__})."]
    return [] if current else ["The database's schema is not the one of this release: run `turnbuckle db upgrade`."]


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> PlainTextResponse:
    """Counters of this process and gauges of the whole installation, for Prometheus."""
    meters = request.app.state.meters
    return PlainTextResponse(meters.exposition(), media_type=meters.content_type)
