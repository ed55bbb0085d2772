"""A stateful fake ClickUp (API v2, OAuth, signed webhooks that are suspended when nobody answers)."""

from sandbox.clickup.sandbox import ClickUpSandbox, Settings
from sandbox.clickup.seed import LISTS, MARKER_FIELD, WORKSPACE

__all__ = ["LISTS", "MARKER_FIELD", "WORKSPACE", "ClickUpSandbox", "Settings"]
