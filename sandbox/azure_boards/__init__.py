"""A fake Azure DevOps organization with Boards: work items, WIQL, JSON Patch, service hooks, Entra's tokens."""

from sandbox.azure.face import ORGANIZATION
from sandbox.azure_boards.sandbox import AzureBoardsSandbox, Settings
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET

__all__ = ["API_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "ORGANIZATION", "AzureBoardsSandbox", "Settings"]
