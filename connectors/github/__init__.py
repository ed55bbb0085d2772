"""GitHub: see README.md for what this connector does."""

from connectors.github.connector import GitHubConnector

__all__ = ["GitHubConnector"]
