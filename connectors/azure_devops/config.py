"""What an Azure DevOps integration is configured with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from connectors.azure import ORGANIZATION
from connectors.contract import CodeSyncConfig

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]

ENVIRONMENTS = "environments"
PIPELINE = "pipeline:"


class AzureDevOpsConfig(CodeSyncConfig):
    """One organization, and which of its projects' repositories.

    A repository is named as people see it, or as `project/repository` where two projects have one of that name.
    """

    organization: str = Field(pattern=ORGANIZATION, description="As in https://dev.azure.com/organization.")
    projects: list[Name] = Field(min_length=1, description="Projects, by name or id.")
    deployment_source: str = Field(
        ENVIRONMENTS,
        pattern=r"^(environments|pipeline:.+)$",
        description="What counts as a deployment: what pipelines deploy to environments, or each run of one pipeline "
        "(`pipeline:name`). Only one, or the same deployment would count twice.",
    )

    def deploying_pipeline(self) -> str | None:
        """The pipeline whose runs are deployments; None where environments tell."""
        return self.deployment_source.removeprefix(PIPELINE) if self.deployment_source != ENVIRONMENTS else None

    def names(self, project: str, repository: str) -> bool:
        """Whether a repository is one of those to be followed."""
        wanted = {name.casefold() for name in self.repositories}
        return not wanted or not wanted.isdisjoint({repository.casefold(), f"{project}/{repository}".casefold()})
