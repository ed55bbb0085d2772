"""SonarCloud on the conformance kit's bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import connectors.sonarcloud
from connectors.sonarcloud import SonarCloudConnector
from sandbox.sonarcloud import ORGANIZATION, SonarCloudSandbox
from simulation.monitorside import MonitorSide


class SonarCloudSide(MonitorSide):
    """People at an organization whose pipelines analyse its first project."""

    name = "sonarcloud"
    connector_class = SonarCloudConnector
    sandbox_class = SonarCloudSandbox
    token_field = "api_key"
    fixtures = Path(connectors.sonarcloud.__file__).with_name("fixtures")
    sandbox: SonarCloudSandbox

    def config(self) -> dict[str, Any]:
        """The organization."""
        return {"organization": ORGANIZATION, "poll_seconds": 60}

    def happen(self) -> None:
        """An analysis."""
        self.sandbox.analyse(next(iter(self.sandbox.projects)))
