"""Linear: see README.md for what this connector does."""

from connectors.linear.connector import LinearConnector

__all__ = ["LinearConnector"]
