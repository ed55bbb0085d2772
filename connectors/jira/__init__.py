"""Jira Cloud: see README.md for what this connector does."""

from connectors.jira.connector import JiraConnector

__all__ = ["JiraConnector"]
