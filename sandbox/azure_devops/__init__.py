"""A fake Azure DevOps organization: Repos, Pipelines and environments, service hooks, Entra's tokens."""

from sandbox.azure.face import ORGANIZATION
from sandbox.azure_devops.forms import APEX
from sandbox.azure_devops.sandbox import AzureDevOpsSandbox

__all__ = ["APEX", "ORGANIZATION", "AzureDevOpsSandbox"]
