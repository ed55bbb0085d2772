"""A fake SonarCloud organization: projects that people analyse, quality gates, and signed webhooks."""

from sandbox.sonarcloud.projects import Project
from sandbox.sonarcloud.sandbox import ORGANIZATION, Settings, SonarCloudSandbox

__all__ = ["ORGANIZATION", "Project", "Settings", "SonarCloudSandbox"]
