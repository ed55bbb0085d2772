"""Azure Boards: see README.md for what this connector does."""

from connectors.azure_boards.connector import AzureBoardsConnector

__all__ = ["AzureBoardsConnector"]
