"""Microsoft Teams: see README.md for what this connector does."""

from connectors.microsoft_teams.connector import TeamsConnector

__all__ = ["TeamsConnector"]
