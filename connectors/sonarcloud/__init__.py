"""SonarCloud: see README.md for what this connector does."""

from connectors.sonarcloud.connector import SonarCloudConnector

__all__ = ["SonarCloudConnector"]
