"""Azure DevOps on the conformance kit's bench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import connectors.azure_devops
from connectors.azure_devops import AzureDevOpsConnector
from connectors.contract import RawDelivery
from sandbox.azure_devops import APEX, ORGANIZATION, AzureDevOpsSandbox
from sandbox.azure_devops.forms import guid
from sandbox.code import Repo
from simulation.codeside import CodeSide


class AzureDevOpsSide(CodeSide):
    """People at an organization with one project. Nothing there is called a release, and no run is run again."""

    name = "azure_devops"
    connector_class = AzureDevOpsConnector
    sandbox_class = AzureDevOpsSandbox
    token_field = "personal_access_token"
    fixtures = Path(connectors.azure_devops.__file__).with_name("fixtures")
    tells_not = frozenset({"code.release"})
    has_not = frozenset({"release", "rerun"})

    def config(self) -> dict[str, Any]:
        """The project."""
        return {"organization": ORGANIZATION, "projects": [APEX], **super().config()}

    def repository_id(self, repo: Repo) -> str:
        """A GUID."""
        return guid(repo.id)

    def delivery_key(self, delivery: RawDelivery) -> str:
        """A notification's number counts within its subscription."""
        body = json.loads(delivery.body)
        return f"{body['subscriptionId']}/{body['notificationId']}"
