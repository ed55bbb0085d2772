"""Azure DevOps: repositories, pull requests, builds and deployments."""

from connectors.azure_devops.connector import AzureDevOpsConnector

__all__ = ["AzureDevOpsConnector"]
