"""Datadog: see README.md for what this connector does."""

from connectors.datadog.connector import DatadogConnector

__all__ = ["DatadogConnector"]
