"""GitLab."""

from connectors.gitlab.connector import GitLabConnector

__all__ = ["GitLabConnector"]
