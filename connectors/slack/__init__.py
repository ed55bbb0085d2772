"""Slack: see README.md for what this connector does."""

from connectors.slack.connector import SlackConnector

__all__ = ["SlackConnector"]
