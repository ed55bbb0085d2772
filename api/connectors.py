"""/v1/connectors: what integrations can be made of."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from api.auth import IntegrationReader, Rt
from api.errors import documented
from api.schemas import Meta, View
from connectors.registry import Entry

router = APIRouter(tags=["Connectors"])


class ConnectorView(View):
    """One connector."""

    type: str = Field(examples=["jira"])
    name: str = Field(examples=["Jira"])
    category: str = Field(examples=["Project Management"])
    description: str
    capabilities: list[str] = Field(examples=[["task_source", "task_sink", "webhooks"]])
    origin: str = Field(description="`built-in`, or the package it came with.")
    tier: str | None = Field(
        description="Tier of the quality scale it was seen to reach; null where nobody has checked this code.",
        examples=["gold"],
    )
    oauth: bool = Field(description="Whether a person can connect it by consent at the vendor.")
    config_schema: dict[str, Any] = Field(description="JSON Schema of `config`.")
    credentials_schemas: dict[str, dict[str, Any]] = Field(description="JSON Schema of `credentials`, by mode.")

    @classmethod
    def of(cls, entry: Entry) -> ConnectorView:
        """The view of a registered connector."""
        manifest = entry.connector.manifest
        return cls(
            type=entry.type,
            name=manifest.name,
            category=manifest.category,
            description=manifest.description,
            capabilities=list(entry.capabilities),
            origin=entry.origin,
            tier=entry.tier,
            oauth=manifest.oauth is not None,
            config_schema=manifest.config.model_json_schema(),
            credentials_schemas={mode: model.model_json_schema() for mode, model in manifest.credentials.items()},
        )


class FailureView(View):
    """A connector that was found and can't be used."""

    name: str
    origin: str
    reason: str


class ConnectorsMeta(Meta):
    """The list is always whole."""

    failures: list[FailureView]


class Connectors(View):
    """All connectors of this server."""

    data: list[ConnectorView]
    meta: ConnectorsMeta


@router.get("/v1/connectors", responses=documented())
def list_connectors(rt: Rt, caller: IntegrationReader) -> Connectors:
    """List the connectors integrations can be made of, and those that failed to load with the reason."""
    failures = [FailureView(name=f.name, origin=f.origin, reason=f.reason) for f in rt.registry.failures]
    views = [ConnectorView.of(entry) for entry in rt.registry.entries()]
    return Connectors(data=views, meta=ConnectorsMeta(cursor=None, has_more=False, failures=failures))
