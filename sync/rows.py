"""Rows of tasks and bindings, as a page writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.contract import RemoteTask, RemoteValue
from core.clock import epoch_ms
from core.models import Binding
from core.tasks import COLUMNS
from sync.reconcile import first_base
from sync.scope import Scope

GONE_THERE = "\x1fgone"
"""What an ended binding's base says the vendor's status is: no real status equals it, so that an item which comes
back brings its status with it instead of being cancelled by ours."""


def task_row(scope: Scope, task_id: str, item: RemoteTask, values: Mapping[str, RemoteValue]) -> dict[str, Any]:
    """What a new task has of its own."""
    service_line_id, project_id = scope.contexts[item.container]
    here = {name: value.here for name, value in values.items()}
    return {
        "id": task_id,
        "service_line_id": service_line_id,
        "project_id": project_id,
        "title": here.get("title") or item.key,
        "description": here.get("description") or "",
        "status": here.get("status") or "backlog",
        "priority": here.get("priority") or "medium",
        "assignee_id": here.get("assignee"),
        "external_id": item.key,
        "external_url": item.url,
        "changed_at": dict.fromkeys(COLUMNS, epoch_ms(item.updated_at - scope.clock_offset)),
    }


def all_tasks(scope: Scope, now: datetime) -> dict[str, Any]:
    """What the new tasks' rows have in common."""
    return {
        "workspace_id": scope.workspace_id,
        "external_source": scope.type,
        "version": 1,
        "created_by": scope.integration_id,
        "created_at": now,
        "updated_at": now,
    }


def binding_row(
    scope: Scope, task_id: str, item: RemoteTask, values: Mapping[str, RemoteValue], source: str | None
) -> dict[str, Any]:
    """What its binding has of its own."""
    return {
        "binding_key": scope.key(item.external_id),
        "task_id": task_id,
        "external_id": item.external_id,
        "external_key": item.key,
        "external_url": item.url,
        "container": item.container,
        "base": first_base(values),
        "watermark": item.version,
        "source": source,
    }


def all_bindings(scope: Scope, now: datetime) -> dict[str, Any]:
    """What the new bindings' rows have in common."""
    return {
        "integration_id": scope.integration_id,
        "state": "bound",
        "mapping_rev": scope.mapping_rev,
        "owed": False,
        "refused": {},
        "attempts": 0,
        "searches": 0,
        "agreed_at": now,
        "created_at": now,
    }


SHOWN = ("external_id", "external_source", "external_url")
MOVING = (
    "binding_key",
    "external_id",
    "external_key",
    "external_url",
    "container",
    "state",
    "base",
    "watermark",
    "mapping_rev",
    "owed",
    "owed_since",
    "next_attempt_at",
    "failed_at",
    "attempts",
    "reason_code",
    "reason_text",
    "refused",
    "missing_since",
    "agreed_at",
    "source",
)


def unchanged(binding: Binding) -> dict[str, Any]:
    """A binding's row as it stands, to be changed in a few places: a bulk update's rows all have the same columns."""
    return {"id": binding.id, **{name: getattr(binding, name) for name in MOVING}}
