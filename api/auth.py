"""Who is asking, and whether they may: the dependencies every route of /v1 declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from core import access
from core.access import Principal
from core.errors import Forbidden, Unauthorized
from sync.runtime import Runtime

PEOPLE_ONLY = frozenset({"integrations:write", "webhooks:write", "notifications:write", "incidents:write"})
"""Scopes that no agent has, whatever its token says: a policy grants tools, and none of them is one of these."""

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="An API token, scoped to an organization and optionally narrowed to a workspace.",
)


async def runtime(request: Request) -> Runtime:
    """What the application was made with."""
    rt: Runtime = request.app.state.rt
    return rt


Rt = Annotated[Runtime, Depends(runtime)]


def authenticated(
    rt: Rt, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Principal:
    """The bearer of the token. Raises Unauthorized."""
    if credentials is None:
        raise Unauthorized("The bearer token is missing, unknown, expired or revoked.")
    with rt.db.read() as session:
        return access.authenticate(session, credentials.credentials, rt.clock())


Caller = Annotated[Principal, Depends(authenticated)]


def needs(scope: str) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency: the caller, who must have this scope. Raises Forbidden."""

    async def permitted(caller: Caller) -> Principal:
        caller.require(scope)
        if scope in PEOPLE_ONLY and caller.tools is not None:
            thing = scope.partition(":")[0]
            raise Forbidden(f"Agent {caller.actor} may not change {thing}: that is for people.")
        return caller

    return permitted


TaskReader = Annotated[Principal, Depends(needs("tasks:read"))]
TaskWriter = Annotated[Principal, Depends(needs("tasks:write"))]
IntegrationReader = Annotated[Principal, Depends(needs("integrations:read"))]
IntegrationWriter = Annotated[Principal, Depends(needs("integrations:write"))]
EventReader = Annotated[Principal, Depends(needs("events:read"))]
WebhookReader = Annotated[Principal, Depends(needs("webhooks:read"))]
WebhookWriter = Annotated[Principal, Depends(needs("webhooks:write"))]
NotificationReader = Annotated[Principal, Depends(needs("notifications:read"))]
NotificationWriter = Annotated[Principal, Depends(needs("notifications:write"))]
IncidentReader = Annotated[Principal, Depends(needs("incidents:read"))]
IncidentWriter = Annotated[Principal, Depends(needs("incidents:write"))]
AuditReader = Annotated[Principal, Depends(needs("audit:read"))]
