"""The platform's words: what every vendor's values are mapped onto."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The platform's task states; every vendor state maps onto one of them."""

    BACKLOG = "backlog"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    DONE = "done"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """The platform's task priorities, lowest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Category(StrEnum):
    """What kind of tool a vendor is, in the words of the platform's integration page."""

    SOURCE_CONTROL = "Source Control"
    SOURCE_CONTROL_PM = "Source Control + PM"
    PROJECT_MANAGEMENT = "Project Management"
    COMMUNICATION = "Communication"
    MONITORING = "Monitoring"
    QUALITY = "Quality"


class Rule(StrEnum):
    """Who wins when both sides changed one field differently; the loser's value goes into the task's history."""

    LATEST = "latest"
    PLATFORM = "platform"
    EXTERNAL = "external"


TASK_FIELDS = ("title", "description", "status", "priority", "assignee")
"""The fields a task shares with a vendor item, in the order changes are reported."""

JsonObject = dict[str, Any]
"""A JSON object as `json.loads` gives it."""
