"""Azure Boards sends Azure's service hooks."""

from connectors.azure_hooks import WEBHOOKS, handshake, verify

__all__ = ["WEBHOOKS", "handshake", "verify"]
