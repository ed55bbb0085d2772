"""Plank: see README.md for what this connector does."""

from turnbuckle_plank.connector import PlankConnector

__all__ = ["PlankConnector"]
