"""What an integration is configured with, and with what it may call."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.contract.code import CodeKind
from connectors.contract.words import Priority, Rule, Status


class Config(BaseModel):
    """Base of every connector's config: unknown keys are errors, so that a typo is not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def without(self) -> frozenset[str]:
        """Capabilities of the connector that this config leaves unused."""
        return frozenset()


class ProjectMapping(Config):
    """One vendor project (list, team) tied to a delivery context here.

    Inbound: items of `external` become tasks of this service line and project label.
    Outbound: a new task goes to the most specific mapping it fits (project label before service line before
    neither) whose `create` is true.
    """

    external: str = Field(min_length=1, description="The vendor's project, list or team: what people call it.")
    service_line_id: str | None = None
    project_id: str | None = None
    create: bool = Field(True, description="New tasks here are created there.")


class TaskSyncConfig(Config):
    """What every task vendor's config shares; a vendor's model adds its own fields.

    It may say what form its containers have, so that a typo shows when it is configured: `container_form` is a regular
    expression for the whole of `external`, `container_hint` says what anything else is not ("a project key; …").
    """

    projects: list[ProjectMapping] = Field(min_length=1)
    status_map: dict[str, Status] = Field(default_factory=dict, description="Vendor status id or name -> ours.")
    status_out: dict[Status, str] = Field(default_factory=dict, description="Ours -> vendor status id or name.")
    priority_map: dict[str, Priority] = Field(default_factory=dict, description="Vendor priority id or name -> ours.")
    priority_out: dict[Priority, str] = Field(default_factory=dict, description="Ours -> vendor priority id or name.")
    conflict: dict[str, Rule] = Field(default_factory=dict, description="Field -> who wins; `latest` where unsaid.")
    poll_seconds: int = Field(300, ge=5, le=86_400)

    told_apart: ClassVar[tuple[Status, ...]] = ()
    """Statuses that may be written as one vendor status, because the connector tells them apart by something else (a
    resolution); what only has the status is read as the first."""

    container_form: ClassVar[str] = r"(?s).+"
    container_hint: ClassVar[str] = "the name of a project"

    @field_validator("projects")
    @classmethod
    def _are_containers(cls, projects: list[ProjectMapping]) -> list[ProjectMapping]:
        for project in projects:
            if not re.fullmatch(cls.container_form, project.external):
                raise ValueError(f"{project.external!r} is not {cls.container_hint}")
        return projects

    @property
    def containers(self) -> list[str]:
        """The vendor's projects that are mapped, each once, sorted."""
        return sorted({project.external for project in self.projects})


PRODUCTION = ("production", "prod", "production/*", "prod/*", "prod-*", "production-*")
"""Environments taken for production unless the config names others; patterns as of `fnmatch`, whatever the case."""


class CodeSyncConfig(Config):
    """What every source control vendor's config shares; a vendor's model adds its own fields (the owner, …)."""

    repositories: list[str] = Field(default_factory=list, description="Names without the owner; none: all there are.")
    events: list[CodeKind] = Field(default_factory=lambda: list(CodeKind), min_length=1, description="What to follow.")
    production_environments: list[str] = Field(
        default_factory=lambda: list(PRODUCTION),
        description="Environments whose deployments count as production, as patterns.",
    )
    history_days: int | None = Field(None, ge=1, description="How far back the first sync reads; none: to the start.")
    poll_seconds: int = Field(300, ge=5, le=86_400)

    def kinds(self) -> frozenset[CodeKind]:
        """What is followed, in the words of all vendors."""
        return frozenset(self.events)


class AlertingConfig(Config):
    """What every config of a source of alerts shares; a vendor's model adds its own fields."""

    flap_minutes: int = Field(
        30, ge=0, le=1440, description="What goes wrong again that soon after its end is the same incident."
    )
    service_lines: dict[str, str] = Field(
        default_factory=dict,
        description="Tag (`service:payments`, or `payments` without a value) -> LIN-*; of several that fit, the first.",
    )
    default_service_line: str | None = Field(None, description="LIN-* of what has none of these tags.")
    poll_seconds: int = Field(300, ge=5, le=86_400)


class Credentials(BaseModel):
    """Base of every credential model. Secrets are `SecretStr`, so they show as stars in any repr."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ConfigModel = type[Config]
CredentialsModel = type[Credentials]
