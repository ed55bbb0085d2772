"""ClickUp."""

from connectors.clickup.connector import ClickUpConnector

__all__ = ["ClickUpConnector"]
