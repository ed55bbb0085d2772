"""/v1/integrations/{id}/diagnostics: what support needs to know, without a secret in it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from api import scope
from api.auth import IntegrationReader, Rt
from api.errors import documented
from api.schemas import Answer, View
from sync.diagnostics import diagnose

router = APIRouter(tags=["Integrations"])


class Diagnostics(View):
    """The state of an integration as the engine sees it. It holds no credentials, no deliveries' bodies and no text of
    a task or message, and may be sent to anybody who helps; what its parts hold in detail may grow."""

    at: str = Field(description="When this was true.", examples=["2026-04-15T09:30:00Z"])
    integration: dict[str, Any] = Field(description="Its states with their reasons, and when each lane works next.")
    config_keys: list[str] = Field(description="Which keys are configured; not their values.")
    connector: dict[str, Any] = Field(description="Its name, origin and contract version; or why it is missing.")
    credentials: dict[str, Any] | None = Field(description="Of which kind they are and when they end.")
    webhook: dict[str, Any] | None = Field(description="The webhook registered at the vendor.")
    rate_budget: dict[str, Any] | None = Field(description="What is left of the vendor's rate.")
    runs: list[dict[str, Any]] = Field(description="The newest syncs and sweeps.")
    deliveries: dict[str, Any] = Field(description="How many there are by state, and why the newest ones failed.")
    bindings: dict[str, Any] = Field(description="How many there are by state, and the newest reasons on them.")
    notifications: dict[str, Any] = Field(
        description="How many messages there are by state; why the newest that went wrong did, and what to do."
    )


@router.get("/v1/integrations/{integration_id}/diagnostics", responses=documented(404))
def get_diagnostics(rt: Rt, caller: IntegrationReader, integration_id: str) -> Answer[Diagnostics]:
    """Retrieve what support needs to know of an integration, in one document without secrets."""
    with rt.db.read() as session:
        found = scope.integration(session, caller, integration_id)
    return Answer(data=Diagnostics(**diagnose(rt, found.id)))
